"""What changes nothing about a customer changes nothing said of him; what makes matters worse never
makes them look better.

Each for every feature column, on random histories, straight through the kernels.
"""

import functools
from typing import Any

import numpy as np
import pytest
from situations import (
    CRITICAL,
    MINOR,
    Complaint,
    Customer,
    columns,
    features_at,
    later,
    random_customers,
    tables_of,
)

from features.columns import Column
from features.families import complaints

SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=200)
COLUMNS = columns()
every_column = pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)


def dearer(seen: Customer) -> Customer:
    """The same life in a currency of a hundred times the numbers."""
    orders = [o._replace(amount=o.amount * 100) for o in seen.orders]
    return seen._replace(
        orders=orders, returns=[r._replace(amount=r.amount * 100) for r in seen.returns]
    )


def split(seen: Customer) -> Customer:
    """Every line given as two of half the amount."""
    return seen._replace(
        orders=[o._replace(amount=o.amount / 2) for o in seen.orders for _ in range(2)]
    )


def renumbered(seen: Customer) -> Customer:
    """The same products, categories and orders under other numbers."""
    last = 40
    return seen._replace(
        orders=[
            o._replace(
                sku=o.sku if o.sku < 0 else last - o.sku,
                category=o.category if o.category < 0 else last - o.category,
                basket=last - o.basket,
            )
            for o in seen.orders
        ]
    )


@functools.cache
def rows_of(change: str) -> list[Any]:
    """Feature rows of the random customers, after a change that should mean nothing if one is
    named.
    """
    changed = {"dearer": dearer, "split": split, "renumbered": renumbered}
    if change == "a year of weeks later":
        found = features_at(
            tables_of(*(later(c, 364) for c in CUSTOMERS)), *(s + 364 for s in SNAPSHOTS)
        )
    elif change == "among others":
        others = random_customers(seed=3, count=20)
        found = features_at(tables_of(*others, *CUSTOMERS, *others), *SNAPSHOTS)
        found = {(c - 20, s): row for (c, s), row in found.items() if 20 <= c < 20 + len(CUSTOMERS)}
    elif change == "one by one":
        found = {
            (i, s): row
            for i, c in enumerate(CUSTOMERS)
            for (_, s), row in features_at(tables_of(c), *SNAPSHOTS).items()
        }
    else:
        found = features_at(
            tables_of(*(changed[change](c) if change else c for c in CUSTOMERS)), *SNAPSHOTS
        )
    return list(found.values())


def values(change: str, column: Column) -> Any:
    """One column of those rows."""
    return np.array([row[column.name] for row in rows_of(change)])


@pytest.mark.parametrize(
    "change",
    ["a year of weeks later", "among others", "one by one", "dearer", "split", "renumbered"],
)
@every_column
def test_a_column_does_not_change_with_what_says_nothing_about_the_customer(
    column: Column, change: str
) -> None:
    before, after = values("", column), values(change, column)
    if change == "dearer":
        np.testing.assert_allclose(
            after, before * (100 if column.unit == "currency" else 1), rtol=1e-6
        )
    elif change == "split" and column.name == "lines_per_purchase":
        np.testing.assert_array_equal(after, before * 2)
    # only one of the two lines is the first
    elif change == "split" and column.name == "new_item_share_365d":
        np.testing.assert_array_equal(after, before / 2)
    # 364 days are not a year
    elif change == "a year of weeks later" and column.name == "month_top_share":
        assert np.nanmean(after == before) > 0.5
    else:
        np.testing.assert_array_equal(after, before)


@functools.cache
def asked(every: int) -> dict[tuple[int, int], Any]:
    """Feature rows of some customers on the first day of each week, asked every so many days."""
    rows = features_at(tables_of(*CUSTOMERS[:40]), *range(200, 800, every))
    return {
        (customer, snapshot): row
        for (customer, snapshot), row in rows.items()
        if (snapshot - 200) % 7 == 0
    }


@every_column
def test_asking_every_day_says_on_a_day_of_the_week_what_asking_on_that_day_alone_says(
    column: Column,
) -> None:
    assert asked(1).keys() == asked(7).keys()
    for key, row in asked(1).items():
        assert row[column.name].tobytes() == asked(7)[key][column.name].tobytes()


def bought_later(seen: Customer, snapshot: int) -> Customer:
    """As if the last purchase before the snapshot had been made closer to it."""
    paid = [
        o.day
        for o in seen.orders
        if o.day < snapshot <= o.cancelled and o.amount > 0 and o.quantity > 0
    ]
    last = max(paid, default=snapshot)
    return seen._replace(
        orders=[o._replace(day=(last + snapshot) // 2) if o.day == last else o for o in seen.orders]
    )


def one_more_complaint(seen: Customer, snapshot: int) -> Customer:
    """A complaint more, past what is promised and not mended."""
    age, severity = (
        (10, 40, 100, 400)[len(seen.orders) % 4],
        (MINOR, CRITICAL)[len(seen.returns) % 2],
    )
    return seen._replace(
        complaints=[*seen.complaints, Complaint(snapshot - age, severity)],
        known=min(seen.known, snapshot - age),
    )


@functools.cache
def pairs(change: Any) -> list[tuple[Any, Any]]:
    """Rows of every customer known at a snapshot, before and after a change made for that snapshot."""
    found = []
    for snapshot in SNAPSHOTS:
        before = features_at(tables_of(*CUSTOMERS), snapshot)
        after = features_at(tables_of(*(change(c, snapshot) for c in CUSTOMERS)), snapshot)
        found += [(row, after[key]) for key, row in before.items()]
    return found


# Not recency_surprise: a last gap more like the others narrows the spread that it is measured by.
@pytest.mark.parametrize("column", ["recency_days", "recency_over_ipt", "recency_over_gap_max"])
def test_a_later_last_purchase_never_makes_the_silence_longer(column: str) -> None:
    told = [
        (before[column], after[column])
        for before, after in pairs(bought_later)
        if not np.isnan(before[column])
    ]
    assert all(after <= before for before, after in told)
    assert sum(after < before for before, after in told) > 100


@pytest.mark.parametrize(
    "column",
    ["gap_share_longer", "gap_max", "gap_mean", "gap_last_over_mean", "expected_next_days"],
)
def test_a_later_last_purchase_never_makes_the_own_gaps_shorter(column: str) -> None:
    told = [
        (before[column], after[column])
        for before, after in pairs(bought_later)
        if not np.isnan(before[column])
    ]
    assert all(after >= before for before, after in told)
    assert sum(after > before for before, after in told) > 100


@pytest.mark.parametrize("column", complaints.COLUMNS, ids=lambda column: column.name)
def test_one_more_open_complaint_past_its_promise_never_looks_better(column: Column) -> None:
    sign = -1 if column.name == "days_since_complaint" else 1
    told = [
        (sign * before[column.name], sign * after[column.name])
        for before, after in pairs(one_more_complaint)
    ]
    told = [(before, after) for before, after in told if not np.isnan(before)]
    assert all(after >= before for before, after in told)
    assert any(after > before for before, after in told)


OTHERS = [
    c
    for c in COLUMNS
    if c.name not in {"known_days", *(complaint.name for complaint in complaints.COLUMNS)}
]


@pytest.mark.parametrize("column", OTHERS, ids=lambda column: column.name)
def test_a_complaint_is_nothing_but_a_complaint(column: Column) -> None:
    assert all(
        before[column.name].tobytes() == after[column.name].tobytes()
        for before, after in pairs(one_more_complaint)
    )
