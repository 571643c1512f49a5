"""What no shop has stops the run with its place, or is quarantined and counted."""

import datetime as dt
from pathlib import Path

import pytest
from frozen import params
from raw_shop import Ingested, csv, ingested

from pipeline.runtime.errors import QualityError, Refused

HEAD = "customer_id,order_id,ordered_at,line_id,net_amount"
FIRST = dt.date(2024, 1, 1)
LIMITS = params().ingest.plausible.model_dump()
Row = tuple[str, str, str, str, str]


def orders() -> list[Row]:
    """Four hundred orders of forty customers, two a day, every other one of two lines."""
    rows = []
    for order in range(400):
        day = FIRST + dt.timedelta(days=order // 2)
        for line in range(1 + order % 2):
            amount = f"{5 + order % 7 + line}.50"
            rows.append((f"C{order % 40:02d}", f"O{order}", f"{day}T10:00:00", str(line), amount))
    return rows


def changed(at: int, **values: str) -> list[Row]:
    """The orders with one row changed."""
    rows, names = orders(), HEAD.split(",")
    row = dict(zip(names, rows[at], strict=True)) | values
    rows[at] = tuple(row[name] for name in names)  # type: ignore[assignment]
    return rows


def judged(folder: Path, rows: list[Row], limit: float = 0.5, **settings: object) -> Ingested:
    file = csv(*(",".join(row) for row in rows), head=HEAD)
    limits = {"quarantine_limit": {"default": limit}, "plausible": LIMITS}
    return ingested(folder, {"orders.csv": file}, **{**limits, **settings})  # type: ignore[arg-type]


def refused(folder: Path, rows: list[Row], **settings: object) -> str:
    with pytest.raises(Refused) as error:
        judged(folder, rows, 0.001, **settings)
    return str(error.value)


def test_a_plausible_shop_is_accepted_whole(tmp_path: Path) -> None:
    result = judged(tmp_path, orders(), 0)
    assert len(result.rows("orders")) == 600


@pytest.mark.parametrize("day", ["2024-09-01", "2025-06-01", "2019-01-01"])
def test_one_mistyped_date_moves_neither_the_first_day_nor_the_end(
    tmp_path: Path, day: str
) -> None:
    rows = changed(300, ordered_at=f"{day}T10:00:00")
    result = judged(tmp_path, rows)
    meta = result.events.read("meta.json")
    assert (meta["first_event"], meta["data_end"]) == ("2024-01-01", "2024-07-19")
    assert result.quarantined("orders") == [("orders.csv", 302, "ordered_at", "E_LONE_TIME")]
    with pytest.raises(QualityError, match="E_LONE_TIME orders.csv:302 ordered_at"):
        judged(tmp_path, rows, 0)


def test_a_lone_date_behind_few_orders_stands_out_by_their_own_days(tmp_path: Path) -> None:
    days = ("2024-01-05", "2024-02-06", "2024-03-07", "2026-11-02", "2024-04-02")
    rows = [(f"C{i % 3}", str(i), f"{day}T09:00:00", "1", "20.00") for i, day in enumerate(days)]
    result = judged(tmp_path, rows)
    assert result.events.read("meta.json")["data_end"] == "2024-04-03"
    assert result.codes("orders") == {"E_LONE_TIME": 1}


def test_several_mistyped_dates_are_quarantined_together(tmp_path: Path) -> None:
    rows = changed(300, ordered_at="2024-09-01T10:00:00")
    rows[302] = ("C01", "O900", "2025-03-01T10:00:00", "0", "5.00")
    result = judged(tmp_path, rows)
    assert result.codes("orders") == {"E_LONE_TIME": 2}


def test_a_data_end_that_was_set_decides_for_itself(tmp_path: Path) -> None:
    rows = changed(300, ordered_at="2024-09-01T10:00:00")
    result = judged(tmp_path, rows, data_end="2024-08-01")
    assert result.codes("orders") == {}
    assert result.account["tables"]["orders"]["out_of_window"] == 1


@pytest.mark.parametrize("word", ["Guest", "NULL", "None", "nan", "#N/A", "n/a", "0", "-1"])
def test_a_word_for_nobody_is_no_customer(tmp_path: Path, word: str) -> None:
    rows = [(word, *row[1:]) if int(row[1][1:]) % 5 == 0 else row for row in orders()]
    result = judged(tmp_path, rows)  # type: ignore[arg-type]
    assert result.codes("orders") == {"E_NOBODY": 120}
    assert word not in {row["customer_id"] for row in result.rows("customers")}
    message = refused(tmp_path, rows)  # type: ignore[arg-type]
    assert "E_NOBODY orders.csv:2 customer_id" in message and "nullif" in message


def test_any_id_with_a_share_that_no_customer_has_is_nobody(tmp_path: Path) -> None:
    rows = [("TILL7", *row[1:]) if int(row[1][1:]) % 2 else row for row in orders()]
    assert judged(tmp_path, rows, 0.7).codes("orders") == {"E_NOBODY": 400}  # type: ignore[arg-type]


def test_a_customer_called_none_with_one_order_is_a_customer(tmp_path: Path) -> None:
    rows = changed(0, customer_id="None")
    assert judged(tmp_path, rows, 0).codes("orders") == {}


def test_customer_zero_among_numbers_is_a_customer(tmp_path: Path) -> None:
    rows = [(str(int(row[0][1:])), *row[1:]) for row in orders()]
    assert judged(tmp_path, rows, 0).codes("orders") == {}  # type: ignore[arg-type]


def test_lost_zeros_make_ids_alike(tmp_path: Path) -> None:
    rows = [
        (f"00{i % 40 + 100}" if i % 3 else str(i % 40 + 100), *row[1:])
        for row in orders()
        for i in [int(row[1][1:])]
    ]
    message = refused(tmp_path, rows)  # type: ignore[arg-type]
    assert "E_IDS_ALIKE orders.csv:2 customer_id" in message and "lpad(customer_id" in message


def test_order_totals_on_every_line_are_refused(tmp_path: Path) -> None:
    rows = [(*row[:4], f"{int(row[1][1:])}.50") for row in orders()]
    assert "E_TOTAL_REPEATED orders.csv:" in refused(tmp_path, rows)


def test_a_shop_of_one_price_repeats_no_totals(tmp_path: Path) -> None:
    rows = [(*row[:4], "9.50") for row in orders()]
    assert len(judged(tmp_path, rows, 0).rows("orders")) == 600


def test_a_missing_month_is_refused_unless_the_shop_was_closed(tmp_path: Path) -> None:
    rows = [row for row in orders() if row[2][:7] != "2024-03"]
    message = refused(tmp_path, rows)
    assert "no order in 31 days, from 2024-02-29 to 2024-04-01" in message
    assert "E_NO_ORDER_DAYS orders.csv:" in message


def test_a_weekday_without_orders_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in orders() if dt.date.fromisoformat(row[2][:10]).weekday() != 6]
    judged(tmp_path, rows, 0)
    assert "none on any sunday: list it under closed" in capsys.readouterr().err


def test_amounts_that_all_have_three_decimals_are_refused(tmp_path: Path) -> None:
    rows = [(*row[:4], f"{1 + int(row[1][1:]) % 8}.{int(row[3])}00") for row in orders()]
    assert "E_THOUSANDS orders.csv:2 net_amount" in refused(tmp_path, rows)
    rows[7] = (*rows[7][:4], "2.5")
    assert len(judged(tmp_path, rows, 0).rows("orders")) == 600


def test_dates_written_as_midnight_in_utc_are_refused(tmp_path: Path) -> None:
    rows = [(*row[:2], f"{row[2][:10]}T00:00:00Z", *row[3:]) for row in orders()]
    message = refused(tmp_path, rows, timezone="America/New_York")  # type: ignore[arg-type]
    assert "E_TIME_DATES orders.csv:2 ordered_at" in message and "left(ordered_at, 10)" in message
    assert judged(tmp_path, rows, 0, timezone="UTC").codes("orders") == {}  # type: ignore[arg-type]


def test_lines_at_no_price_are_counted_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(*row[:4], "0.00") if int(row[1][1:]) % 4 == 0 else row for row in orders()]
    result = judged(tmp_path, rows, 0)
    assert result.account["noted"]["orders"]["no_price"] == 100
    assert "100 of 600 lines at no price are no purchase" in capsys.readouterr().err
