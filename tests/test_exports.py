"""Habits of real exports: each gives the right value, or a refusal with place and remedy."""

from pathlib import Path
from typing import Any

import pytest
from raw_shop import Ingested, csv, ingested

from pipeline.runtime.errors import Refused

HEAD = "customer,invoice,day,total"
DAYS = ("2024-01-05T10:00:00", "2024-02-06T11:00:00", "2024-03-07T12:00:00")
VIEW = """create view orders as select customer as customer_id, invoice as order_id,
    {time} as ordered_at, total as net_amount, source_file, source_line from raw.orders;"""


def three(times: tuple[str, ...] = DAYS, amounts: tuple[str, ...] = ("20.00",) * 3) -> str:
    """Three orders of two customers."""
    rows = (f"C{1 + i % 2},{i},{times[i]},{amounts[i]}" for i in range(3))
    return csv(*rows, head=HEAD)


def shop(folder: Path, files: dict[str, Any], time: str = "day", **settings: Any) -> Ingested:
    return ingested(folder, files, VIEW.format(time=time), **settings)


def refused(folder: Path, files: dict[str, Any], time: str = "day", **settings: Any) -> str:
    with pytest.raises(Refused) as error:
        shop(folder, files, time, **settings)
    return str(error.value)


def test_files_that_the_sql_does_not_name_are_not_judged(tmp_path: Path) -> None:
    files = {"orders.csv": three(), "._orders.csv": b"\0\5", "notes.csv": b"M\xfcller;x"}
    assert len(shop(tmp_path, files).rows("orders")) == 3


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("orders.json", "orders.json holds no table that can be read — export it as CSV"),
        ("sales.csv", "name one of: sales"),
    ],
)
def test_a_file_in_another_form_is_named(tmp_path: Path, file: str, words: str) -> None:
    message = refused(tmp_path, {file: three()})
    assert message.startswith("E_NO_FILE sources/literal.sql:2") and words in message


def test_a_column_name_with_a_line_break_is_read(tmp_path: Path) -> None:
    file = 'customer,"order\nid",day,total\nC1,O1,2024-01-05,20\n'
    sql = VIEW.format(time="day").replace("invoice", '"order\nid"')
    assert ingested(tmp_path, {"orders.csv": file}, sql).rows("orders")[0]["order_id"] == "O1"


def test_a_time_that_does_not_fit_its_format_is_named_with_its_place(tmp_path: Path) -> None:
    days = three(("01/05/2024", "02/06/2024", "14/13/2024"))
    message = refused(tmp_path, {"orders.csv": days}, "strptime(day, '%m/%d/%Y')")
    assert "E_SOURCE orders.csv:4 day" in message and "14/13/2024" not in message
    result = shop(tmp_path, {"orders.csv": days}, "try_strptime(day, '%m/%d/%Y')")
    assert result.quarantined("orders") == [("orders.csv", 4, "ordered_at", "E_NO_TIME")]


def test_a_line_that_is_too_long_to_be_read_is_named(tmp_path: Path) -> None:
    long = three(amounts=("1", "x" * (5 << 20), "3"))
    assert "E_LINE_LENGTH orders.csv:3" in refused(tmp_path, {"orders.csv": long})


def test_the_name_of_a_file_is_no_pattern(tmp_path: Path) -> None:
    files = {"orders[1].csv": three(), "orders1.csv": csv("C9,9,2024-01-05,1", head=HEAD)}
    sql = VIEW.format(time="day").replace("raw.orders", 'raw."orders[1]"')
    assert len(ingested(tmp_path, files, sql).rows("orders")) == 3


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("\nset threads = 1;", "leave out this statement: set"),
        ("\ncreate view other as select random() as x;", "other rows each time it is read: random"),
        ("\ninsert into orders values (1);", "leave out this statement: insert"),
    ],
)
def test_sql_that_does_more_than_create_views_is_refused_with_its_line(
    tmp_path: Path, sql: str, words: str
) -> None:
    with pytest.raises(Refused, match="E_SOURCE sources/literal.sql:3") as error:
        ingested(tmp_path, {"orders.csv": three()}, VIEW.format(time="day") + sql)
    assert words in str(error.value)
