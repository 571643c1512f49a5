"""`corekeep check SHOP`: what is wrong, what the data supports, and the exit code."""

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from frozen import project
from raw_shop import csv
from typer.testing import CliRunner, Result

from pipeline.__main__ import app

SQL = """create view orders as select customer_id, order_id, ordered_at, net_amount, source_file,
source_line from raw.orders;"""
HEAD = "customer_id,order_id,ordered_at,net_amount"
Check = Callable[..., Result]
START = dt.date(2022, 1, 1)


def visits(customers: int, days: int, amount: str = "12.50") -> list[str]:
    """Orders of customers who come about once a month, every fourth for a while only."""
    draw = random.Random(1)  # noqa: S311
    rows = []
    for customer in range(customers):
        day = draw.randrange(30)
        until = draw.randrange(days // 2, days) if customer % 4 == 0 else days
        while day < until:
            when = START + dt.timedelta(days=day)
            rows.append(f"C{customer},{customer}-{day},{when},{amount}")
            day += draw.randrange(20, 40)
    return rows


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return what the command says of a shop with these orders."""
    project(tmp_path)
    monkeypatch.setattr("pipeline.runtime.runner.ROOT", tmp_path)

    def run(rows: list[str] | None, *options: str, sql: str = SQL) -> Result:
        raw = tmp_path / "data" / "shops" / "own"
        if rows is not None:
            raw.mkdir(parents=True)
            (raw / "orders.csv").write_text(csv(*rows, head=HEAD), encoding="utf-8")
        (tmp_path / "sources").mkdir()
        (tmp_path / "sources" / "own.sql").write_text(sql, encoding="utf-8")
        return CliRunner().invoke(app, ["check", "own", *options])

    return run


def test_sound_data_shows_what_it_supports_and_what_is_out_of_reach(check: Check) -> None:
    result = check(visits(150, 730))
    assert result.exit_code == 0
    assert "enough for a model" in result.stdout
    assert "without complaints: no " in result.stdout
    assert result.stdout.endswith("next: make repro SHOP=own\n")


def test_a_short_history_says_what_would_be_enough(check: Check) -> None:
    result = check(visits(150, 120), "--json")
    supports = json.loads(result.stdout)["supports"]
    assert (result.exit_code, supports["model"], supports["origins"]) == (0, False, [])
    assert "too short for a horizon" in supports["why_not"]


def test_all_findings_come_at_once_with_the_worst_one_first(check: Check) -> None:
    rows = visits(40, 300, "1.250,50")
    rows = [row.replace("1.250,50", '"1.250,50"') for row in rows]
    rows[5] = rows[5].replace("2022-", "22/")
    result = check(rows, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == report["exit_code"] == 3
    codes = [finding["code"] for finding in report["findings"]]
    assert codes[0] == "E_NUMBER_COMMA"
    assert any(finding["place"] == "orders.csv:7 ordered_at" for finding in report["findings"])
    assert all(finding["fix"] for finding in report["findings"])


def test_where_nobody_leaves_there_is_nothing_to_learn(check: Check) -> None:
    rows = [row for row in visits(200, 730) if int(row[1 : row.index(",")]) % 4]
    supports = json.loads(check(rows, "--json").stdout)["supports"]
    assert "tested customers have the rarer outcome" in supports["why_not"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("calibrate: {ipt_range: [40, 1000]}", "E_IPT_RANGE"),
        ("evaluate: {base_rate_range: [0.5, 0.9]}", "E_BASE_RATE"),
    ],
)
def test_a_cycle_or_a_base_rate_that_no_shop_has_is_a_finding(
    check: Check, tmp_path: Path, settings: str, code: str
) -> None:
    (tmp_path / "shops").mkdir()
    (tmp_path / "shops" / "own.yaml").write_text(settings, encoding="utf-8")
    result = check(visits(250, 730))
    assert result.exit_code == 4
    assert f"1. {code} data/" in result.stdout and "set " in result.stdout


def test_too_many_bad_rows_exit_with_the_code_of_quality(check: Check) -> None:
    rows = visits(40, 300)
    rows[3] = rows[3].replace("12.50", "twelve")
    result = check(rows)
    assert result.exit_code == 4
    assert "1. E_NUMBER_UNREADABLE orders.csv:5 net_amount" in result.stdout
    assert "what to do: correct the rows" in result.stdout


def test_a_shop_without_raw_files_is_named_with_what_to_do(check: Check) -> None:
    result = check(None)
    assert result.exit_code != 0
    assert "corekeep init FILES --shop own" in str(result.exception)
