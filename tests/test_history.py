"""What of a customer's past is visible at a snapshot, and that asking repeatedly is asking anew."""

from typing import Any

import numpy as np
import pytest
from situations import MINOR, features_at, past_of, random_customers, states_at, tables_of

from features.history import NEVER, Past, Tables, before, begin, net_spend, scratch


def seen(tables: Tables, snapshot: int, customer: int = 0) -> Past:
    room = scratch(tables)
    begin(tables, customer, room)
    return before(tables, customer, snapshot, room)


def as_lists(past: Past) -> list[Any]:
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in past]


@pytest.mark.parametrize(("snapshot", "visible"), [(9, False), (10, False), (11, True)], ids=["before", "at", "after"])
@pytest.mark.parametrize(
    ("field", "event"),
    [
        ("day", {"orders": [10]}),
        ("returned", {"returns": [(10,)]}),
        ("opened", {"complaints": [(10,)]}),
        ("touched", {"touches": [10]}),
    ],
)
def test_an_event_is_visible_from_the_day_after_it(field: str, event: dict[str, Any], snapshot: int, visible: bool) -> None:
    past = seen(past_of(known=0, **event), snapshot)
    assert getattr(past, field).tolist() == ([10] if visible else [])


@pytest.mark.parametrize(("snapshot", "resolved"), [(19, NEVER), (20, NEVER), (21, 20)], ids=["before", "at", "after"])
def test_a_repair_is_visible_from_the_day_after_it(snapshot: int, resolved: int) -> None:
    past = seen(past_of(complaints=[(10, MINOR, 20)]), snapshot)
    assert past.resolved.tolist() == [resolved]


@pytest.mark.parametrize(("snapshot", "purchases"), [(19, 1), (20, 1), (21, 0)], ids=["before", "at", "after"])
def test_a_cancellation_takes_a_purchase_back_from_the_day_after_it(snapshot: int, purchases: int) -> None:
    past = seen(past_of(orders=[(10, 5, 1, 20)]), snapshot)
    assert len(past.day) == purchases


def test_a_cancelled_line_leaves_the_other_lines_of_its_day() -> None:
    tables = past_of(orders=[(0, 5), (10, 5, 1, 15), (10, 7), (20, 9)])
    assert as_lists(seen(tables, 15))[2:6] == [[0, 10], [5, 12], [1, 2], [10]]
    assert as_lists(seen(tables, 16))[2:6] == [[0, 10], [5, 7], [1, 1], [10]]


def test_gaps_are_sorted_and_there_is_one_less_than_purchases() -> None:
    assert seen(past_of(orders=[0, 50, 60, 90]), 100).sorted_gaps.tolist() == [10, 30, 50]


def test_a_customer_sees_no_other_customers_events() -> None:
    customers = random_customers(seed=4, count=30)
    tables = tables_of(*customers)
    for number, customer in enumerate(customers):
        assert as_lists(seen(tables, 500, number)) == as_lists(seen(tables_of(customer), 500))


@pytest.mark.parametrize("cancelling", [0, 0.3], ids=["nothing cancelled", "orders cancelled"])
@pytest.mark.parametrize("ask", [features_at, states_at])
def test_asking_one_snapshot_after_another_is_asking_each_alone(ask: Any, cancelling: float) -> None:
    tables = tables_of(*random_customers(seed=5, count=60, cancelling=cancelling))
    snapshots = range(60, 1500, 90)
    together = ask(tables, *snapshots)
    alone = {key: row for snapshot in snapshots for key, row in ask(tables, snapshot).items()}
    assert together.keys() == alone.keys()
    assert all(row.tobytes() == alone[key].tobytes() for key, row in together.items())


def test_nothing_is_said_of_a_customer_before_he_is_known() -> None:
    tables = past_of(known=10, orders=[20])
    assert [at for _, at in features_at(tables, 9, 10, 11)] == [11]
    assert [at for _, at in states_at(tables, 9, 10, 11)] == [11]


@pytest.mark.parametrize(("snapshot", "spent"), [(365, 15), (366, 5), (370, 5), (371, -3)])
def test_net_spend_counts_purchases_and_returns_of_exactly_so_many_days(snapshot: int, spent: float) -> None:
    past = seen(past_of(orders=[(0, 10), (5, 8)], returns=[(200, 3)]), snapshot)
    assert net_spend(past, 365) == spent


def test_returned_money_adds_up_the_same_in_any_order() -> None:
    amounts = (0.1, 0.2, 0.3, 1e9)
    sums = {net_spend(seen(past_of(orders=[0], returns=[(1, a) for a in order]), 2), 365) for order in (amounts, amounts[::-1])}
    assert len(sums) == 1
