"""A change that means nothing leaves every feature as it is; a change for the worse never makes a
feature look better.

Random histories go straight through the kernels. Each test covers all feature columns and names
every column that fails.
"""

import functools
from collections.abc import Callable, Iterable
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

from features.columns import Feature
from features.families import complaints

SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=200)
COLUMNS = columns()
Rows = dict[tuple[int, int], Any]


def dearer(before: Customer) -> Customer:
    """The same life in a currency of a hundred times the numbers."""
    orders = [o._replace(amount=o.amount * 100) for o in before.orders]
    returns = [r._replace(amount=r.amount * 100) for r in before.returns]
    return before._replace(orders=orders, returns=returns)


def split(before: Customer) -> Customer:
    """Every line given as two of half the amount."""
    halves = [o._replace(amount=o.amount / 2) for o in before.orders for _ in range(2)]
    return before._replace(orders=halves)


def renumbered(before: Customer) -> Customer:
    """The same products, categories and orders under other numbers."""
    last = 40

    def other(number: int) -> int:
        return number if number < 0 else last - number

    orders = [
        o._replace(sku=other(o.sku), category=other(o.category), basket=last - o.basket)
        for o in before.orders
    ]
    return before._replace(orders=orders)


def features_of(customers: Iterable[Customer], shift: int = 0) -> Rows:
    return features_at(tables_of(*customers), *(snapshot + shift for snapshot in SNAPSHOTS))


def among_others() -> Rows:
    others = random_customers(seed=3, count=20)
    rows = features_of([*others, *CUSTOMERS, *others])
    last = 20 + len(CUSTOMERS)
    return {key: row for key, row in rows.items() if 20 <= key[0] < last}


def one_by_one() -> Rows:
    return {
        (number, snapshot): row
        for number, customer in enumerate(CUSTOMERS)
        for (_, snapshot), row in features_of([customer]).items()
    }


CHANGES: dict[str, Callable[[], Rows]] = {
    "a year of weeks later": lambda: features_of((later(c, 364) for c in CUSTOMERS), shift=364),
    "among others": among_others,
    "one by one": one_by_one,
    "dearer": lambda: features_of(map(dearer, CUSTOMERS)),
    "split": lambda: features_of(map(split, CUSTOMERS)),
    "renumbered": lambda: features_of(map(renumbered, CUSTOMERS)),
}


@functools.cache
def unchanged() -> Rows:
    return features_of(CUSTOMERS)


def column_of(rows: Rows, column: Feature) -> Any:
    return np.array([row[column.name] for row in rows.values()])


def is_as_expected(change: str, column: Feature, before: Any, after: Any) -> bool:
    if change == "dearer":
        factor = 100 if column.unit == "currency" else 1
        return np.allclose(after, before * factor, rtol=1e-6, atol=0, equal_nan=True)
    if (change, column.name) == ("a year of weeks later", "month_top_share"):
        return bool(np.nanmean(after == before) > 0.5)  # 364 days are not a year
    # With each line split in two there are twice the lines, and one of the two is not the first.
    factors = {"lines_per_purchase": 2, "new_item_share_365d": 0.5} if change == "split" else {}
    return np.array_equal(after, before * factors.get(column.name, 1), equal_nan=True)


@pytest.mark.parametrize("change", CHANGES)
def test_no_column_changes_with_what_means_nothing_about_the_customer(change: str) -> None:
    rows = CHANGES[change]()
    changed = [
        column.name
        for column in COLUMNS
        if not is_as_expected(
            change, column, column_of(unchanged(), column), column_of(rows, column)
        )
    ]
    assert not changed, f"{change}: these columns change: {', '.join(changed)}"


def test_daily_snapshots_have_on_a_day_of_the_week_what_weekly_snapshots_have() -> None:
    tables = tables_of(*CUSTOMERS[:40])
    daily, weekly = (features_at(tables, *range(200, 800, step)) for step in (1, 7))
    on_the_day = {key: row for key, row in daily.items() if (key[1] - 200) % 7 == 0}
    assert on_the_day.keys() == weekly.keys()
    differ = [
        column.name
        for column in COLUMNS
        if any(
            row[column.name].tobytes() != weekly[key][column.name].tobytes()
            for key, row in on_the_day.items()
        )
    ]
    assert not differ, f"these columns depend on the other snapshots: {', '.join(differ)}"


def bought_later(before: Customer, snapshot: int) -> Customer:
    """The last purchase before the snapshot moved closer to it."""
    paid = [
        o.day
        for o in before.orders
        if o.day < snapshot <= o.cancelled and o.amount > 0 and o.quantity > 0
    ]
    last = max(paid, default=snapshot)
    moved = (last + snapshot) // 2
    return before._replace(
        orders=[o._replace(day=moved) if o.day == last else o for o in before.orders]
    )


def one_more_complaint(before: Customer, snapshot: int) -> Customer:
    """One more complaint, unresolved and past its SLA."""
    age = (10, 40, 100, 400)[len(before.orders) % 4]
    severity = (MINOR, CRITICAL)[len(before.returns) % 2]
    opened = snapshot - age
    complaint = Complaint(opened, severity)
    return before._replace(
        complaints=[*before.complaints, complaint], known=min(before.known, opened)
    )


@functools.cache
def pairs(change: Callable[[Customer, int], Customer]) -> list[tuple[Any, Any]]:
    """The rows before and after a change made for a snapshot, for every customer known then."""
    rows = []
    for snapshot in SNAPSHOTS:
        before = features_at(tables_of(*CUSTOMERS), snapshot)
        after = features_at(tables_of(*(change(c, snapshot) for c in CUSTOMERS)), snapshot)
        rows += [(row, after[key]) for key, row in before.items()]
    return rows


def differences(change: Callable[[Customer, int], Customer], column: str) -> Any:
    """What the change adds to a column, where the column has a value before."""
    both = np.array([(before[column], after[column]) for before, after in pairs(change)])
    both = both[~np.isnan(both[:, 0])]
    return both[:, 1] - both[:, 0]


# Not recency_surprise: a last gap more like the others narrows the spread that it is measured by.
@pytest.mark.parametrize("column", ["recency_days", "recency_over_ipt", "recency_over_gap_max"])
def test_a_later_last_purchase_never_increases_the_recency(column: str) -> None:
    added = differences(bought_later, column)
    assert (added <= 0).all()
    assert (added < 0).sum() > 100


@pytest.mark.parametrize(
    "column",
    ["gap_share_longer", "gap_max", "gap_mean", "gap_last_over_mean", "expected_next_days"],
)
def test_a_later_last_purchase_never_shortens_the_inter_purchase_times(column: str) -> None:
    added = differences(bought_later, column)
    assert (added >= 0).all()
    assert (added > 0).sum() > 100


def test_one_more_unresolved_complaint_past_its_sla_never_looks_better() -> None:
    better, same = [], []
    for column in complaints.FEATURES:
        sign = -1 if column.name == "days_since_complaint" else 1
        worse_by = sign * differences(one_more_complaint, column.name)
        better += [column.name] if not (worse_by >= 0).all() else []
        same += [column.name] if not (worse_by > 0).any() else []
    assert not better, f"a complaint makes these columns look better: {', '.join(better)}"
    assert not same, f"no complaint changes these columns: {', '.join(same)}"


def test_a_complaint_changes_no_column_of_another_family() -> None:
    own = {"known_days", *(column.name for column in complaints.FEATURES)}
    changed = [
        column.name
        for column in COLUMNS
        if column.name not in own
        and any(
            before[column.name].tobytes() != after[column.name].tobytes()
            for before, after in pairs(one_more_complaint)
        )
    ]
    assert not changed, f"these columns change with a complaint: {', '.join(changed)}"
