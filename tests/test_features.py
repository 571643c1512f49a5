"""Every feature column against the reference implementation in plain Python.

Histories are random, or small ones that a search finds.
"""

import functools
import math
from typing import Any

import numpy as np
import pytest
from histories import compare, customers, snapshots
from hypothesis import given
from reference_features import reference_features
from situations import Customer, columns, features_at, past_of, random_customers, shop, tables_of

from features.columns import recorded
from pipeline.inputs.contract import TABLES

SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=250)
COLUMNS = columns()
BY_NAME = {column.name: column for column in COLUMNS}


@functools.cache
def compared() -> list[tuple[Any, dict[str, float]]]:
    """The rows of the kernels and of the reference, for every random customer and snapshot."""
    rows = features_at(tables_of(*CUSTOMERS), *SNAPSHOTS)
    return [
        (row, reference_features(CUSTOMERS[c], snapshot, shop()))
        for (c, snapshot), row in rows.items()
    ]


def differing(row: Any, reference: dict[str, float]) -> dict[str, tuple[float, float]]:
    """By column, the two values where they differ."""
    pairs = {c.name: (float(row[c.name]), reference.get(c.name, c.absent)) for c in COLUMNS}
    kernel, naively = np.array(list(pairs.values()), np.float64).T
    same = np.isclose(kernel, naively, rtol=1e-5, atol=1e-5, equal_nan=True)
    return {
        name: pair for (name, pair), right in zip(pairs.items(), same, strict=True) if not right
    }


def test_every_column_is_that_of_the_reference_on_random_histories() -> None:
    wrong: dict[str, tuple[float, float]] = {}
    for row, reference in compared():
        wrong = differing(row, reference) | wrong
    assert not wrong, f"columns with their first (kernel, reference) values: {wrong}"


@compare
@given(customers(), snapshots())
def test_every_column_is_that_of_the_reference_on_any_history(
    history: Customer, snapshot: int
) -> None:
    rows = features_at(tables_of(history), snapshot, snapshot + 1, of=shop())
    for (_, at), row in rows.items():
        assert differing(row, reference_features(history, at, shop())) == {}


def test_the_random_histories_exercise_every_column() -> None:
    for column in COLUMNS:
        values = {float(row[column.name]) for row, _ in compared()} - {column.absent}
        present = {value for value in values if not math.isnan(value)}
        assert len(present) > (column.unit != "0 or 1"), f"{column.name} has only {present}"


def test_a_prospect_has_no_feature_but_the_days_known() -> None:
    row = features_at(past_of(known=0, complaints=[(20, 0)], touches=[12]), 10)[0, 10]
    values = {
        name: float(row[name]) for name in BY_NAME if not math.isnan(row[name]) and row[name] != 0
    }
    assert values == {"known_days": 10}


def test_after_one_purchase_the_expected_ipt_is_that_of_the_shop() -> None:
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


def test_a_shop_without_variation_of_ipts_has_no_recency_surprise() -> None:
    row = features_at(past_of(orders=[0]), 45, of=shop(log_sd=0))[0, 45]
    assert math.isnan(row["recency_surprise"])


def test_a_column_is_absent_where_any_of_its_needs_is_not_recorded() -> None:
    everything = {table.name: table.names for table in TABLES.values()}
    for column in COLUMNS:
        assert column.is_recorded(recorded(everything)), column.name
        for need in column.needs:
            table, _, name = need.partition(".")
            less = {
                t: [n for n in names if t != table or n != name]
                for t, names in everything.items()
                if name or t != table
            }
            assert not column.is_recorded(recorded(less)), f"{column.name} without {need}"


def test_a_shop_with_orders_alone_has_the_columns_that_need_nothing_else() -> None:
    present = {
        column.name
        for column in COLUMNS
        if column.is_recorded(recorded({"orders": ["customer_id", "order_id", "ordered_at"]}))
    }
    assert {"recency_days", "purchases_in_30d", "gap_cv", "tenure_days"} <= present
    assert not present & {
        "returns",
        "complaints",
        "touches",
        "late_share_365d",
        "same_item_run",
        "categories_365d",
        "cancelled_orders_365d",
    }


@pytest.mark.parametrize("pace", [5, 14, 30, 31])
def test_a_complaint_exactly_four_ipts_after_another_repeats_it_and_a_day_later_does_not(
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


def test_an_order_cancelled_later_counts_until_the_day_it_is_cancelled() -> None:
    tables = past_of(orders=[0, (10, 20, 1, 15)])
    purchases = {
        at: row["purchases"] for (_, at), row in features_at(tables, 10, 11, 15, 16).items()
    }
    assert purchases == {10: 1, 11: 2, 15: 2, 16: 1}
