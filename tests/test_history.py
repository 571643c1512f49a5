"""What of a customer's past is visible at a snapshot, and that reading on equals reading anew."""

from typing import Any

import numpy as np
import pytest
from situations import MINOR, features_at, past_of, random_customers, shop, states_at, tables_of

from features.history import begin_customer, net_spend, past_before
from features.kernel import entry
from features.records import NEVER, Buffers, Longs, Past, Tables, buffers_for


@entry
def tell(tables: Tables, snapshot: int, customer: int, buffers: Buffers, lengths: Longs) -> float:
    begin_customer(tables, customer, buffers)
    past = past_before(tables, customer, snapshot, buffers)
    lengths[0], lengths[1], lengths[2] = (
        len(past.purchases),
        len(past.sorted_gaps),
        len(past.bought),
    )
    lengths[3], lengths[4], lengths[5] = len(past.runs), len(past.orders), len(past.returns)
    lengths[6], lengths[7] = len(past.complaints), len(past.touches)
    return net_spend(past, 365)


def seen(tables: Tables, snapshot: int, customer: int = 0) -> Past:
    """The past as it lies in the scratch and the tables.

    What a kernel sees cannot be handed out of it.
    """
    buffers, lengths = buffers_for(tables, shop().opened), np.zeros(8, np.int64)
    tell(tables, snapshot, customer, buffers, lengths)
    touches = tables.touches[tables.touch_start[customer] :]
    places = (
        buffers.purchases,
        buffers.sorted_gaps,
        buffers.bought,
        buffers.runs,
        buffers.orders,
        buffers.returns,
        buffers.complaints,
        touches,
    )
    parts = [place[:length] for place, length in zip(places, lengths, strict=True)]
    return Past(snapshot, int(tables.known[customer]), *parts, buffers.counters)


def spent(tables: Tables, snapshot: int) -> float:
    return tell(tables, snapshot, 0, buffers_for(tables, shop().opened), np.zeros(8, np.int64))


def as_lists(past: Past) -> list[Any]:
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in past[:-1]]


@pytest.mark.parametrize(
    ("snapshot", "visible"), [(9, False), (10, False), (11, True)], ids=["before", "at", "after"]
)
@pytest.mark.parametrize(
    ("field", "event"),
    [
        ("purchases.day", {"orders": [10]}),
        ("bought.day", {"orders": [10]}),
        ("orders.day", {"orders": [{"day": 10, "promised": 15}]}),
        ("returns.day", {"returns": [10]}),
        ("complaints.opened", {"complaints": [10]}),
        ("touches.day", {"touches": [10]}),
    ],
)
def test_an_event_is_visible_from_the_day_after_it(
    field: str, event: dict[str, Any], snapshot: int, visible: bool
) -> None:
    past = seen(past_of(known=0, **event), snapshot)
    kind, name = field.split(".")
    assert getattr(past, kind)[name].tolist() == ([10] if visible else [])


@pytest.mark.parametrize(
    ("snapshot", "date"), [(19, NEVER), (20, NEVER), (21, 20)], ids=["before", "at", "after"]
)
@pytest.mark.parametrize(
    ("field", "event"),
    [
        ("complaints.resolved", {"complaints": [{"opened": 10, "resolved": 20}]}),
        ("complaints.reopened", {"complaints": [{"opened": 10, "reopened": 20}]}),
        ("returns.settled", {"known": 0, "returns": [{"day": 10, "settled": 20}]}),
        ("orders.delivered", {"orders": [{"day": 10, "promised": 30, "delivered": 20}]}),
        ("orders.cancelled", {"orders": [{"day": 10, "cancelled": 20}]}),
    ],
)
def test_what_came_of_an_event_is_visible_from_the_day_after(
    field: str, event: dict[str, Any], snapshot: int, date: int
) -> None:
    kind, name = field.split(".")
    assert getattr(seen(past_of(**event), snapshot), kind)[name].tolist() == [date]


@pytest.mark.parametrize(
    ("resolved", "reopened", "waiting"),
    [(20, 25, 25), (20, 20, 25), (30, 25, 0), (20, NEVER, 0), (NEVER, 25, 25), (20, 40, 0)],
    ids=[
        "came back",
        "came back at once",
        "resolved after it was reopened",
        "stayed resolved",
        "never resolved",
        "comes back later",
    ],
)
def test_a_complaint_that_came_back_is_open_again_and_as_old_as_ever(
    resolved: int, reopened: int, waiting: int
) -> None:
    row = features_at(past_of(complaints=[(10, MINOR, resolved, reopened)]), 35)[0, 35]
    assert row["oldest_open_days"] == waiting


def test_an_order_is_promised_delivered_and_cancelled_with_the_last_of_its_lines() -> None:
    lines = [
        {"day": 10, "basket": 0, "promised": 12, "delivered": 15},
        {"day": 10, "basket": 0, "promised": 14, "delivered": 13, "cancelled": 16},
        {"day": 10, "basket": 1, "delivered": 11},
        {"day": 10, "basket": 1, "promised": 17},
        {"day": 10, "basket": 2, "promised": 17, "amount": 0},
    ]
    # day, basket, place of the last line, promised, delivered, cancelled
    assert seen(past_of(orders=lines), 90).orders.tolist() == [
        (10, 0, 1, 14, 15, NEVER),
        (10, 1, 3, 17, NEVER, NEVER),
    ]


def test_a_run_is_of_purchases_that_all_hold_the_product() -> None:
    skus = {0: [7, 7], 1: [7, 8], 2: [8], 3: [8, -1, 9], 4: [9, 8]}
    past = seen(
        past_of(
            orders=[{"day": day, "sku": sku} for day, bought in skus.items() for sku in bought]
        ),
        90,
    )
    assert past.bought["product"].tolist() == [0, 0, 0, 1, 1, 1, -1, 2, 2, 1]
    assert past.bought["first"].tolist() == [
        True,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert past.runs.tolist() == [(2, 1), (4, 4), (2, 4)]


@pytest.mark.parametrize(
    ("snapshot", "purchases"), [(19, 1), (20, 1), (21, 0)], ids=["before", "at", "after"]
)
def test_a_cancellation_takes_a_purchase_back_from_the_day_after_it(
    snapshot: int, purchases: int
) -> None:
    past = seen(past_of(orders=[(10, 5, 1, 20)]), snapshot)
    assert len(past.purchases) == purchases


def test_a_cancelled_line_leaves_the_other_lines_of_its_day() -> None:
    tables = past_of(orders=[(0, 5), (10, 5, 1, 15), (10, 7), (20, 9)])
    assert seen(tables, 15).purchases[["day", "spend"]].tolist() == [(0, 5), (10, 12)]
    assert seen(tables, 16).purchases[["day", "spend"]].tolist() == [(0, 5), (10, 7)]


def test_gaps_are_sorted_and_there_is_one_less_than_purchases() -> None:
    assert seen(past_of(orders=[0, 50, 60, 90]), 100).sorted_gaps.tolist() == [10, 30, 50]


def test_a_customer_sees_no_other_customers_events() -> None:
    customers = random_customers(seed=4, count=30)
    tables = tables_of(*customers)
    for number, customer in enumerate(customers):
        assert as_lists(seen(tables, 500, number)) == as_lists(seen(tables_of(customer), 500))


@pytest.mark.parametrize("cancelling", [0, 0.3], ids=["nothing cancelled", "orders cancelled"])
@pytest.mark.parametrize("ask", [features_at, states_at])
def test_snapshots_read_one_after_another_equal_each_read_alone(
    ask: Any, cancelling: float
) -> None:
    tables = tables_of(*random_customers(seed=5, count=60, cancelling=cancelling))
    snapshots = range(60, 1500, 90)
    together = ask(tables, *snapshots)
    alone = {key: row for snapshot in snapshots for key, row in ask(tables, snapshot).items()}
    assert together.keys() == alone.keys()
    assert all(row.tobytes() == alone[key].tobytes() for key, row in together.items())


def test_a_customer_has_no_row_before_they_are_known() -> None:
    tables = past_of(known=10, orders=[20])
    assert [at for _, at in features_at(tables, 9, 10, 11)] == [11]
    assert [at for _, at in states_at(tables, 9, 10, 11)] == [11]


@pytest.mark.parametrize(("snapshot", "left"), [(365, 15), (366, 5), (370, 5), (371, -3)])
def test_net_spend_counts_purchases_and_returns_of_exactly_so_many_days(
    snapshot: int, left: float
) -> None:
    assert spent(past_of(orders=[(0, 10), (5, 8)], returns=[(200, 3)]), snapshot) == left


def test_returned_money_adds_up_the_same_in_any_order() -> None:
    amounts = (0.1, 0.2, 0.3, 1e9)
    sums = {
        spent(past_of(orders=[0], returns=[(1, a) for a in order]), 2)
        for order in (amounts, amounts[::-1])
    }
    assert len(sums) == 1
