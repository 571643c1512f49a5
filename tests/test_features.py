"""Every feature column against its naive twin in plain Python, on random histories and on the
smallest that a search comes upon.
"""

import functools
import math
from typing import Any

import numpy as np
import pytest
from histories import compare, customers, snapshots
from hypothesis import given
from situations import Customer, columns, features_at, past_of, random_customers, shop, tables_of
from twin import naive

from features.catalogue import FAMILIES, is_recorded
from features.columns import Feature
from pipeline.inputs.contract import TABLES

SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=250)
COLUMNS = columns()
BY_NAME = {column.name: column for column in COLUMNS}


@functools.cache
def compared() -> list[tuple[Any, dict[str, float]]]:
    """Kernel's row and twin's, for every random customer and snapshot."""
    found = features_at(tables_of(*CUSTOMERS), *SNAPSHOTS)
    return [(row, naive(CUSTOMERS[c], snapshot, shop())) for (c, snapshot), row in found.items()]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_is_what_its_meaning_says(column: Feature) -> None:
    told = [twin.get(column.name, column.absent) for _, twin in compared()]
    made = [row[column.name] for row, _ in compared()]
    np.testing.assert_allclose(made, told, rtol=1e-5, atol=1e-5)


@compare
@given(customers(), snapshots())
def test_no_history_however_odd_makes_a_column_other_than_its_meaning(
    seen: Customer, snapshot: int
) -> None:
    of = shop()
    for (_, at), row in features_at(tables_of(seen), snapshot, snapshot + 1, of=of).items():
        twin = naive(seen, at, of)
        told = np.array([twin.get(column.name, column.absent) for column in COLUMNS], np.float64)
        same = np.isclose(row.tolist(), told, rtol=1e-5, atol=1e-5, equal_nan=True)
        assert {
            c.name: (row[c.name], value)
            for c, value, right in zip(COLUMNS, told, same, strict=True)
            if not right
        } == {}


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_the_random_histories_exercise_every_column(column: Feature) -> None:
    values = {float(row[column.name]) for row, _ in compared()} - {column.absent}
    assert len({v for v in values if not math.isnan(v)}) > (column.unit != "0 or 1")


def test_a_prospect_has_no_rhythm_and_has_bought_nothing() -> None:
    row = features_at(past_of(known=0, complaints=[(20, 0)], touches=[12]), 10)[0, 10]
    told = {
        name: float(row[name]) for name in BY_NAME if not math.isnan(row[name]) and row[name] != 0
    }
    assert told == {"known_days": 10}


def test_one_purchase_has_no_gap_but_the_rhythm_of_the_shop() -> None:
    row = features_at(past_of(orders=[0]), 45)[0, 45]
    assert math.isnan(row["gap_mean"])
    assert (row["ipt_days"], row["recency_over_ipt"]) == (30, 1.5)


def test_lines_of_one_day_are_one_purchase() -> None:
    row = features_at(past_of(orders=[(0, 10), (0, 5), (30, 20)]), 31)[0, 31]
    assert (row["purchases"], row["spend"], row["lines_per_purchase"]) == (2, 35, 1.5)


@pytest.mark.parametrize(
    "line",
    [(30, 0), (30, 10, 0), (30, -5), (30, 10, -1)],
    ids=["free", "none", "credit", "taken back"],
)
def test_a_line_without_goods_or_price_is_no_purchase(line: tuple[float, ...]) -> None:
    row = features_at(past_of(orders=[(0, 10), line]), 31)[0, 31]
    assert (row["purchases"], row["spend"]) == (1, 10)


def test_a_shop_whose_customers_are_all_as_regular_as_a_clock_has_no_surprises() -> None:
    row = features_at(past_of(orders=[0]), 45, of=shop(log_sd=0))[0, 45]
    assert math.isnan(row["recency_surprise"])


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_what_a_shop_does_not_record_is_absent(column: Feature) -> None:
    everything = {table.name: table.names for table in TABLES.values()}
    assert is_recorded(column, everything)
    for need in column.needs:
        table, _, name = need.partition(".")
        less = {
            t: [n for n in names if t != table or n != name]
            for t, names in everything.items()
            if name or t != table
        }
        assert not is_recorded(column, less)


def test_a_shop_of_nothing_but_orders_has_what_they_tell() -> None:
    told = {
        column.name
        for column in COLUMNS
        if is_recorded(column, {"orders": ["customer_id", "order_id", "ordered_at"]})
    }
    assert {"recency_days", "purchases_in_30d", "gap_cv", "tenure_days"} <= told
    assert not told & {
        "returns",
        "complaints",
        "touches",
        "late_share_365d",
        "same_item_run",
        "categories_365d",
        "cancelled_orders_365d",
    }


@pytest.mark.parametrize("pace", [5, 14, 30, 31])
def test_a_complaint_exactly_four_cycles_after_another_repeats_it_and_a_day_later_does_not(
    pace: int,
) -> None:
    orders = [k * pace for k in range(9)]
    again = {
        wait: features_at(past_of(orders=orders, complaints=[900 - wait, 900]), 950, of=shop(pace))[
            0, 950
        ]["complaint_repeated"]
        for wait in (4 * pace, 4 * pace + 1)
    }
    assert again == {4 * pace: 1, 4 * pace + 1: 0}


def test_column_names_are_unique() -> None:
    assert len(BY_NAME) == len(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_says_what_it_is(column: Feature) -> None:
    assert column.unit
    assert column.meaning
    assert column.monotone in {-1, 0, 1}
    assert "{" not in column.name + column.meaning


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_says_what_it_is(family: Any) -> None:
    assert family.title
    assert family.kernel.__doc__


def test_an_order_cancelled_later_counts_until_the_day_it_is_cancelled() -> None:
    tables = past_of(orders=[0, (10, 20, 1, 15)])
    purchases = {
        at: row["purchases"] for (_, at), row in features_at(tables, 10, 11, 15, 16).items()
    }
    assert purchases == {10: 1, 11: 2, 15: 2, 16: 1}
