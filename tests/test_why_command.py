"""`corekeep why`: what is printed about one customer of a tiny shop, and what is not."""

import io
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from frozen import params, project
from raw_shop import csv, ingested
from rich.console import Console

from pipeline.delivery.customer import why
from pipeline.engine.evidence import trends_of
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError

LINES = "customer_id,order_id,ordered_at,net_amount,promised_at,delivered_at,cancelled_at"
ORDERS = [
    "anna,A1,2025-01-01,10,,,",
    "anna,A2,2025-01-31,20,2025-02-03,2025-02-09,",
    "anna,A3,2025-03-02,10,2025-03-05,2025-03-06,",
    "anna,A4,2025-04-01,10.50,,,",
    "anna,A4,2025-04-01,1,,,2025-04-03",
    "anna,A5,2025-08-01,10,2025-08-02,,",
    "ben,B1,2025-02-01,10,,,",
    "[red]eve,E1,2025-02-01,10,,,",
    "zoe,Z1,2025-10-01,10,,,",
]
TABLES = {
    "orders.csv": csv(*ORDERS, head=LINES),
    "customers.csv": csv(
        "anna,2024-12-20,",
        "ben,2025-01-01,true",
        "[red]eve,2025-01-01,",
        "zoe,2025-01-01,",
        head="customer_id,created_at,profiling_objection",
    ),
    "complaints.csv": csv(
        "anna,K1,2025-02-10,minor,2025-02-12,2025-02-20,late\x1b[31m",
        head="customer_id,complaint_id,opened_at,severity,resolved_at,reopened_at,kind",
    ),
    "returns.csv": csv(
        "anna,R1,A1,1,4,2025-01-09,broken",
        head="customer_id,return_id,order_id,quantity,net_amount,returned_at,reason",
    ),
    "touches.csv": csv("anna,2024-12-24,fast delivery", head="customer_id,at,expectation"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of monthly needs, ingested."""
    root = project(tmp_path_factory.mktemp("shop"), "playbook.yaml")
    store.write(root / "shops" / "demo.yaml", "# nothing differs\n")
    (root / "data").mkdir()
    data = ingested(root / "data", TABLES, timezone="UTC")
    assert data.account["tables"]["complaints"]["accepted"] == 1
    store.write(
        root / "data" / "calibration.json",
        {"expected_ipt": 30.0, "log_sd": 0.5, "data_end": "2025-10-02", "long_runs": {"": 5.0}},
    )
    store.write(root / "data" / "trends.parquet", trends_of(data.events, params().engine))
    return root


def printed(
    shop: Path,
    customer: str = "anna",
    as_of: str | None = None,
    everything: bool = True,
    height: int = 60,
) -> list[str]:
    page = io.StringIO()
    why(customer, as_of, everything, shop, Console(file=page, width=500, height=height))
    return [line.rstrip() for line in page.getvalue().splitlines()]


def timeline(lines: list[str]) -> list[tuple[str, str]]:
    return [(line[:10], line[10:].strip()) for line in lines[1:] if line[:2] == "20"]


def test_it_prints_stage_queue_and_why_and_what_follows_without_a_purchase(shop: Path) -> None:
    lines = printed(shop, as_of="2025-04-20")
    assert lines[0] == "2025-04-20: early_repeat, active. Queue: early_care."
    assert lines[1] == "Last purchase 19 days ago, usually every 30. No recorded cause."
    assert lines[2].startswith("To do: service desk, by 2025-04-2")
    assert lines[3].startswith(
        "Early repeat since 2025-01-31: 4 purchases over 90 days, expected IPT 30 days (shop 30). "
        "Not core at the last purchase: 1 complaint open past its SLA."
    )
    assert lines[4] == "Without a purchase: overdue on 2025-05-13, lapsed on 2025-05-31."
    assert any("needs_purchases 4" in line for line in lines)


def test_the_time_line_has_each_event_and_change_of_stage_on_its_day_newest_first(
    shop: Path,
) -> None:
    assert timeline(printed(shop)) == [
        ("2025-08-04", "order A5: promised for 2025-08-02, not delivered"),
        ("2025-08-01", "early_repeat, lapsed -> early_repeat, active"),
        ("2025-08-01", "order A5: 1 line for 10.00 EUR"),
        ("2025-05-31", "early_repeat, late -> early_repeat, lapsed"),
        ("2025-05-13", "early_repeat, active -> early_repeat, late"),
        ("2025-04-03", "order A4: 1 of 2 lines cancelled"),
        ("2025-04-01", "order A4: 2 lines for 11.50 EUR"),
        ("2025-03-02", "order A3: 1 line for 10.00 EUR"),
        ("2025-02-20", "complaint K1: reopened"),
        ("2025-02-12", "complaint K1: resolved after 2 days"),
        ("2025-02-10", "complaint K1: opened, minor, late?[31m"),
        ("2025-02-09", "order A2: delivered 6 days late"),
        ("2025-01-31", "first_time, active -> early_repeat, active"),
        ("2025-01-31", "order A2: 1 line for 20.00 EUR"),
        ("2025-01-09", "return R1: 4.00 EUR, a defect"),
        ("2025-01-01", "prospect, open -> first_time, active"),
        ("2025-01-01", "order A1: 1 line for 10.00 EUR"),
        ("2024-12-24", "contact, expects fast delivery"),
        ("2024-12-20", "prospect, open"),
    ]


def test_what_the_model_adds_for_each_reason_stands_beside_the_records_on_the_lists_day_alone(
    shop: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(shop, tmp_path / "shop")
    added = {"unrepaired": -0.4, "service_failure": 0.25, "competitor": 0.0, "boredom": 0.01}
    head = {f"contribution_{reason}": [value, *[None] * 5] for reason, value in added.items()}
    head |= {
        "agreement": ["model and records disagree", *[None] * 5],
        "position": [0, 3, 1, 2, 4, 0],
    }
    head |= {"driver_text": [None, "Third: 3", "First: 1", "Second: 2", "Fourth: 4", None]}
    lists = root / "data" / "lists"
    rows = pa.table({"customer_id": [*["anna"] * 5, "zoe"], **head})
    store.write(lists / "explanations.parquet", rows)
    store.write(lists / "manifest.json", {"snapshot": "2025-04-20"})
    [line] = [line for line in printed(root, as_of="2025-04-20") if "log-odds" in line]
    assert line == (
        "The model adds to the log-odds for unrepaired -0.40, service_failure +0.25, "
        "boredom +0.01, competitor +0.00: model and records disagree. "
        "Drivers: First: 1; Second: 2; Third: 3."
    )
    for customer, day in (("anna", "2025-04-19"), ("zoe", None)):
        assert not [line for line in printed(root, customer, day) if "log-odds" in line]


def test_nothing_after_the_day_is_shown(shop: Path) -> None:
    lines = printed(shop, as_of="2025-02-11")
    assert timeline(lines)[0] == ("2025-02-10", "complaint K1: opened, minor, late?[31m")
    assert not [line for line in lines if "resolved" in line or "A3" in line]


def test_the_time_line_of_any_day_is_the_beginning_of_the_whole_one(shop: Path) -> None:
    whole = timeline(printed(shop))
    for day in ("2024-12-21", "2025-01-02", "2025-03-03", "2025-05-13", "2025-05-14", "2025-06-30"):
        assert timeline(printed(shop, as_of=day)) == [
            (on, words)
            for on, words in whole
            if on < day or (on == day and "->" in words and words.endswith(("late", "lapsed")))
        ]


def test_a_screenful_is_shown_and_everything_on_request(shop: Path) -> None:
    lines = printed(shop, everything=False, height=27)
    assert len(timeline(lines)) == 11
    assert lines[-1] == "8 earlier entries: use --all"
    assert len(lines) <= 27


def test_nothing_is_shown_about_a_customer_who_objects_to_profiling(shop: Path) -> None:
    assert printed(shop, "ben") == [
        "This customer objects to profiling: corekeep shows nothing about them."
    ]


def test_an_id_that_looks_like_markup_is_an_id(shop: Path) -> None:
    assert "first_time" in printed(shop, "[red]eve")[0]


def test_an_unknown_customer_is_refused_without_repeating_the_id(shop: Path) -> None:
    with pytest.raises(ConfigError, match=r"E_CUSTOMER customer #[0-9a-f]{6} ") as refused:
        printed(shop, "carol")
    assert refused.value.exit_code == 2
    assert "carol" not in str(refused.value)


@pytest.mark.parametrize("day", ["2024-12-20", "2025-10-03", "yesterday"])
def test_a_day_without_data_about_the_customer_is_refused(shop: Path, day: str) -> None:
    with pytest.raises(ConfigError, match="E_DATE --as-of"):
        printed(shop, as_of=day)


def test_before_anything_was_run_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"E_STAGE data/events .*make repro"):
        printed(tmp_path)


def test_nothing_is_written(shop: Path) -> None:
    def held() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in shop.rglob("*")}

    before = held()
    printed(shop)
    assert held() == before


def test_a_shop_without_amounts_shows_pieces(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    head = "customer_id,order_id,ordered_at,quantity"
    orders = csv("anna,A1,2025-01-01,1", "anna,A2,2025-01-31,3", head=head)
    ingested(tmp_path / "data", {"orders.csv": orders}, timezone="UTC")
    purchases = [text for _, text in timeline(printed(tmp_path)) if text.startswith("order")]
    assert purchases == ["order A2: 1 line for 3 pieces", "order A1: 1 line for 1 piece"]
