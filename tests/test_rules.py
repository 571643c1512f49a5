"""The rules at their edges, small enough to be run uncompiled.

States, satisfaction, deadlines and IPTs against reference implementations.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from frozen import params
from reference_features import bought, reference_ipt
from situations import (
    CRITICAL,
    MAJOR,
    MINOR,
    Complaint,
    Customer,
    customer,
    random_customers,
    shop,
    states_at,
    tables_of,
    words,
)
from test_lifecycle_paths import reference_deadlines, reference_life

from features.ipt import day_after, gap_statistics, quantile, whole_days
from features.records import NEVER, STRONG, Shop, buffers_for
from models.lifecycle.state_machine import life_cycle
from models.lifecycle.states import CORE, CORE_DEFECTOR

LIMITS = params().assign
MONTHLY = [0, 30, 60, 90]


def plain(kernel: Any) -> Any:
    """A kernel as the Python function it is."""
    return getattr(kernel, "py_func", kernel)


def gaps_of(days: list[int]) -> list[int]:
    return [b - a for a, b in itertools.pairwise(days)]


def reference_satisfaction(seen: Customer, snapshot: int, of: Shop) -> float:
    """Each failure's weight, the worst of an order only, fading, per purchase."""
    days = sorted(bought(seen, snapshot))
    ipt, _ = reference_ipt(gaps_of(days), of)
    since = snapshot - math.ceil(round(LIMITS.satisfaction_ipts * ipt, 6))
    failed: list[tuple[int, int, int]] = []  # order, weight, day
    for case in seen.complaints:
        in_time = (
            case.resolved < snapshot
            and not case.resolved <= case.reopened < snapshot
            and case.resolved - case.opened <= of.sla.minor
        )
        minor = 0 if in_time else LIMITS.satisfaction_minor
        failed.append(
            (
                case.basket,
                (minor, LIMITS.satisfaction_major, LIMITS.satisfaction_critical)[case.severity],
                case.opened,
            )
        )
    failed += [(r.basket, LIMITS.satisfaction_defect, r.day) for r in seen.returns if r.defect]
    for (day, basket), lines in itertools.groupby(
        sorted(seen.orders, key=lambda o: (o.day, o.basket)), lambda o: (o.day, o.basket)
    ):
        paid = [o for o in lines if o.amount > 0 and o.quantity > 0]
        promised = max((o.promised for o in paid if o.promised != NEVER), default=None)
        if day < snapshot and promised is not None:
            due = promised + of.sla.delivery_grace
            come, void = (
                max(getattr(o, name) for o in paid) for name in ("delivered", "cancelled")
            )
            if due < snapshot and come > due and void > due:
                failed.append((basket, LIMITS.satisfaction_late, due))
    counted = [f for f in failed if since <= f[2] < snapshot]
    worst = {
        order: max((f for f in counted if f[0] == order), key=lambda f: f[1])
        for order, _, _ in counted
        if order >= 0
    }
    half_life = LIMITS.satisfaction_half_life_ipts * ipt
    counting = [*(f for f in counted if f[0] < 0), *worst.values()]
    total = sum(weight * 2 ** (-(snapshot - day) / half_life) for _, weight, day in counting)
    return math.exp(-total / 2 / max(sum(day >= since for day in days), 1))


def ordered(seen: Customer) -> Customer:
    """The same history with a number for every order, and failures tied to some of them.

    By time, as tables are.
    """
    number = {place: n for n, place in enumerate(sorted({(o.day, o.basket) for o in seen.orders}))}
    some = itertools.cycle([-1, 0, 1, 1, 2])
    return seen._replace(
        orders=[o._replace(basket=number[o.day, o.basket]) for o in seen.orders],
        complaints=[
            c._replace(basket=min(next(some), len(number) - 1))
            for c in sorted(seen.complaints, key=lambda c: c[0])
        ],
        returns=[
            r._replace(basket=min(next(some), len(number) - 1))
            for r in sorted(seen.returns, key=lambda r: r.day)
        ],
    )


def test_satisfaction_equals_the_reference_implementation_on_random_histories() -> None:
    customers = [ordered(c) for c in random_customers(seed=21, count=40, cancelling=0)]
    customers = [c for c in customers if len(c.complaints) + len(c.returns) > 1][:9]
    values = {}
    for (number, snapshot), row in states_at(tables_of(*customers), *range(90, 900, 110)).items():
        values[number, snapshot] = float(row["satisfaction"])
        assert values[number, snapshot] == pytest.approx(
            reference_satisfaction(customers[number], snapshot, shop()), rel=1e-5
        ), (number, snapshot)
    assert len(set(values.values())) > 30


def test_the_deadline_counts_open_days_whatever_days_are_closed() -> None:
    random = np.random.default_rng(22)
    for _ in range(30):
        is_closed = random.random(80) < random.uniform(0, 0.7)
        closed = [f"{np.datetime64(int(d), 'D')}" for d in np.flatnonzero(is_closed)]
        of = shop(closed=closed)
        day, days = int(random.integers(0, 40)), int(random.integers(0, 60))
        passed, later = 0, day
        while passed < days:
            passed += later >= 80 or not is_closed[later]
            later += 1
        assert plain(day_after)(day, days, of) == later
    assert plain(day_after)(5, 7, shop()) == 12


def test_a_deadline_within_a_closing_that_outlasts_the_calendar_is_its_last_day() -> None:
    of = shop()._replace(opened=np.minimum(np.arange(11, dtype=np.int32), 5))
    assert [plain(day_after)(3, days, of) for days in (1, 2, 3)] == [4, 5, 10]


@pytest.mark.parametrize("q", [0, 0.3, 0.5, 0.9, 1])
@pytest.mark.parametrize("values", [[], [4], [4, 9], [1, 4, 4, 9, 30]])
def test_a_quantile_lies_between_its_neighbours(values: list[int], q: float) -> None:
    due = float(np.quantile(values, q)) if values else math.nan
    assert plain(quantile)(np.array(values, np.int32), q) == pytest.approx(due, nan_ok=True)


@pytest.mark.parametrize(
    ("days", "whole"),
    [(60, 60), (60 + 1e-9, 60), (60 - 1e-9, 60), (60.01, 61), (59.01, 60), (0.0, 0)],
)
def test_the_last_bits_of_a_logarithm_add_no_day(days: float, whole: int) -> None:
    assert plain(whole_days)(days) == whole


def test_a_customer_lapses_one_day_after_being_overdue_at_the_earliest() -> None:
    hasty = shop()._replace(ipt=shop().ipt._replace(lapse_clip_low=1.0, lapse_clip_high=1.0))
    row = states_at(tables_of(customer(orders=[10])), 11, of=hasty)[0, 11]
    assert (row["late_on"], row["lapses_on"]) == (60, 61)


def test_gap_statistics_are_computed_customer_by_customer() -> None:
    bought_on: list[list[int]] = [
        [],
        [3],
        [0, 10],
        [0, 10, 40, 47],
        [0, 5, 45],
        [0, 2, 12, 20],
        [0, 2, 12, 20, 45],
        [0, 1, 5, 14, 30, 45],
    ]
    customers = [customer(known=0, orders=days) for days in bought_on]
    tables = tables_of(*customers)
    median, gaps, squares = np.full(8, -1.0), np.full(8, -1), np.full(8, -1.0)
    gap_statistics(tables, 46, buffers_for(tables, np.empty(0, np.int32)), median, gaps, squares)
    due = [gaps_of([o.day for o in c.orders if o.day < 46]) for c in customers]
    assert gaps.tolist() == [len(g) for g in due]
    logs = [np.log(g) for g in due if g]
    assert median.tolist() == [-1, -1, *(float(np.median(g)) for g in due if g)]
    assert squares == pytest.approx([-1, -1, *(float(((x - x.mean()) ** 2).sum()) for x in logs)])


SHOPS = {
    "of a month": shop(),
    "of a week": shop(7, 0.2),
    "of a year": shop(365, 0.3),
    "steady": shop(30, 0.05),
    "wild": shop(30, 1.6),
}


def edgy_customer(random: np.random.Generator, of: Shop) -> tuple[Customer, dict[int, int]]:
    """A customer who comes back around their deadlines, with complaints around their SLAs.

    And evidence after some purchases.
    """
    days, complaints, strong = [int(random.integers(0, 3))], [], {}
    for _ in range(int(random.integers(3, 14))):
        ipt, _ = reference_ipt(gaps_of(days), of)
        late, lapse = reference_deadlines(days, of)
        day = days[-1]
        if random.random() < 0.4:
            strong[day] = int(random.choice([day + 1, late - 1, late, late + 1, lapse - 1, lapse]))
        if random.random() < 0.15:
            opened = int(random.integers(day, late))
            wait = int(random.choice([0, 1, 3, 7, 8, 40]))
            complaints.append(
                Complaint(
                    opened, int(random.choice([MINOR, MINOR, MAJOR, CRITICAL])), opened + wait
                )
            )
        regular = day + max(1, round(ipt))
        coming = [
            regular,
            regular,
            regular,
            regular,
            late - 1,
            late,
            lapse - 1,
            lapse,
            lapse + 1,
            lapse + 40,
        ]
        days.append(max(day + 1, int(random.choice(coming))))
    return customer(known=days[0], orders=days, complaints=complaints), strong


def dated_life(
    seen: Customer, snapshot: int, of: Shop, strong: dict[int, int]
) -> tuple[int, int, int]:
    """Days of being overdue, of defection and of the lapse, as known at the snapshot."""
    days = sorted(bought(seen, snapshot))
    late, lapse = reference_deadlines(days, of)
    defects = max(strong.get(days[-1], NEVER), late)
    return late, defects if defects < lapse else NEVER, lapse


@pytest.mark.parametrize("of", SHOPS.values(), ids=SHOPS)
def test_histories_around_the_deadlines_give_the_states_of_the_reference(of: Shop) -> None:
    random = np.random.default_rng(23)
    lives = [edgy_customer(random, of) for _ in range(16)]
    customers, evidence = [life for life, _ in lives], [strong for _, strong in lives]
    start = np.cumsum([0, *map(len, evidence)])
    tables = tables_of(*customers)
    days = {o.day + 1 for c in customers for o in c.orders} | {
        d for s in evidence for d in s.values()
    }
    snapshots = np.array(sorted(days)[1::9], np.int32)
    rows = np.array([pair for strong in evidence for pair in strong.items()], STRONG)
    for number, snapshot, row in zip(
        *life_cycle(tables, snapshots, of, LIMITS, (start, rows)), strict=True
    ):
        seen, strong = customers[number], evidence[number]
        core_since = None if row["core_since"] == NEVER else int(row["core_since"])
        due = reference_life(seen, int(snapshot), of, strong)
        assert (*words(row), core_since, bool(row["reactivated"])) == due, (number, snapshot)
        if row["purchases"]:
            late, defects, lapse = dated_life(seen, int(snapshot), of, strong)
            named = late, defects if core_since is not None else NEVER, lapse
            assert (row["late_on"], row["defects_on"], row["lapses_on"]) == named, (
                number,
                snapshot,
            )
            assert row["entry_days"] == (0 if core_since is None else core_since - row["first_on"])
        assert row["stage"] in (CORE, CORE_DEFECTOR) or row["status"] == 0
