"""Whether a customer churned after a snapshot.

Here on day 100, looking ahead 30 days unless said otherwise.
"""

from typing import Any

import numpy as np
import pytest
from situations import past_of, random_customers, tables_of

from features.records import NEVER, Tables
from pipeline.engine.labels import labels_at, next_purchase


def labels(
    tables: Tables, *snapshots: int, horizon: int = 30, end: int = 1000
) -> dict[tuple[int, int], tuple[bool, int]]:
    """Defected, and returned (-1 unknown), by customer and snapshot."""
    customers, days, rows = labels_at(tables, np.array(snapshots, np.int32), horizon, 100, end)
    cells = zip(customers.tolist(), days.tolist(), strict=True)
    return dict(zip(cells, rows[["defected", "returned"]].tolist(), strict=True))


def defected(*orders: Any) -> bool:
    return labels(past_of(known=0, orders=orders), 100)[0, 100][0]


@pytest.mark.parametrize(("day", "stays"), [(99, False), (100, True), (129, True), (130, False)])
def test_a_purchase_counts_from_the_snapshots_day_to_the_day_before_the_horizons_end(
    day: int, stays: bool
) -> None:
    assert defected(day) == (not stays)


@pytest.mark.parametrize(
    ("cancelled", "stays"), [(110, False), (129, False), (130, True), (500, True)]
)
def test_a_purchase_cancelled_within_the_horizon_does_not_count(
    cancelled: int, stays: bool
) -> None:
    assert defected((105, 10, 1, cancelled)) == (not stays)


def test_the_next_purchase_after_a_cancelled_one_counts() -> None:
    assert not defected((105, 10, 1, 110), 129)


@pytest.mark.parametrize("line", [(105, 0), (105, 10, 0)], ids=["free", "none"])
def test_a_line_without_goods_or_price_keeps_nobody(line: tuple[int, ...]) -> None:
    assert defected(line)


def test_the_next_purchase_is_the_first_of_them() -> None:
    tables = past_of(orders=[90, 120, 110])
    assert [next_purchase.py_func(tables, 0, snapshot, 130) for snapshot in (100, 111, 121)] == [
        110,
        120,
        NEVER,
    ]


@pytest.mark.parametrize(("day", "returned"), [(129, -1), (130, 1), (189, 1), (190, 0)])
def test_a_defector_returns_within_the_two_horizons_after(day: int, returned: int) -> None:
    assert labels(past_of(known=0, orders=[day]), 100)[0, 100][1] == returned


@pytest.mark.parametrize(("end", "returned"), [(189, -1), (190, 1)])
def test_whether_a_defector_returned_is_unknown_where_the_data_ends_before(
    end: int, returned: int
) -> None:
    assert labels(past_of(known=0, orders=[150]), 100, end=end)[0, 100] == (True, returned)


def test_only_customers_known_before_a_snapshot_are_labelled() -> None:
    assert list(labels(tables_of(), 100)) == []
    assert list(labels(past_of(orders=[100]), 100, 101)) == [(0, 101)]


def test_random_labels_equal_the_reference_implementation() -> None:
    customers = random_customers(seed=21, count=150, cancelling=0.2)
    rows = labels(tables_of(*customers), *range(50, 800, 50))
    for (number, snapshot), (churned, _) in rows.items():
        kept = [
            o
            for o in customers[number].orders
            if 0 <= o.day - snapshot < 30
            and o.amount * o.quantity > 0
            and o.cancelled >= snapshot + 30
        ]
        assert churned == (not kept)
    assert {churned for churned, _ in rows.values()} == {True, False}


def orders_after(
    *orders: Any, returns: Any = (), value_days: int = 100, end: int = 1000
) -> tuple[int, float]:
    """Days from day 100 to the next purchase (-1: none in 60 days, or unknown), and the spend."""
    tables = past_of(known=0, orders=orders, returns=returns)
    row = labels_at(tables, np.array([100], np.int32), 30, value_days, end)[2][0]
    return int(row.next_days), float(row.spend_next)


@pytest.mark.parametrize(("day", "days"), [(99, -1), (100, 0), (159, 59), (160, -1)])
def test_the_next_order_counts_up_to_two_horizons_after_the_snapshot(day: int, days: int) -> None:
    assert orders_after(day)[0] == days


@pytest.mark.parametrize(("end", "known"), [(159, False), (160, True)])
def test_the_next_order_is_unknown_where_the_data_ends_before(end: int, known: bool) -> None:
    assert (orders_after(110, end=end)[0] == 10) == known


def test_spend_is_of_the_days_from_the_snapshot_on_less_returns_and_cancelled_lines() -> None:
    orders = [(99, 5), (100, 10), (120, 20, 1, 150), (199, 40), (200, 80)]
    assert orders_after(*orders)[1] == 50
    assert orders_after(*orders, returns=[(150, 15), (200, 7)])[1] == 35
    assert np.isnan(orders_after(*orders, end=199)[1])
