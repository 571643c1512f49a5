"""Whole states: every field of a few, and independence of other customers and snapshots."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import params
from situations import (
    CRITICAL,
    MAJOR,
    MINOR,
    customer,
    random_customers,
    shop,
    states_at,
    tables_of,
    words,
)
from test_rules import edgy_customer, ordered

from features.records import NEVER
from models.decision.worklist import stakes
from models.lifecycle.state_machine import life_cycle
from models.lifecycle.states import CORE, CORE_DEFECTOR

LIMITS = params().assign
MONTHLY = [0, 30, 60, 90]
AGAIN = {
    "orders": [*MONTHLY, 200, 220],
    "complaints": [(205, CRITICAL, 206)],
    "strong": [(90, 140)],
}
BACK = {
    "orders": [*MONTHLY, 200],
    "complaints": [(95, MINOR)],
    "returns": [(200, 2, True)],
    "strong": [(90, 140)],
}
CROSS = {
    "orders": [0, 45, 90, 124],
    "complaints": [(5, MAJOR, 6), (30, MINOR), (60, CRITICAL), (124, MINOR)],
    "returns": [(50, 1, True), (51, 1, False)],
}
ENTERED = {
    "core_since": 90,
    "entry_purchases": 4,
    "entry_days": 90,
    "entry_ipt_days": 30,
    "entry_log_sd": math.sqrt(0.5 / 5),
}
NO_CASE = {"complaint_opened_on": NEVER, "complaint_due_on": NEVER}
NOWHERE = NO_CASE | dict.fromkeys(
    ("first_on", "last_purchase_on", "core_since", "late_on", "defects_on", "delivered_on"), NEVER
)
STATES: dict[str, tuple[int, dict[str, Any], dict[str, float]]] = {
    "prospect": (
        40,
        {"known": 3, "touches": [10]},
        {
            **NOWHERE,
            "activity": 3,
            "since": 3,
            "lapses_on": 70,
            "ipt_days": 30,
            "ipt_log_sd": 0.5,
            "satisfaction": 1,
            "weekday": -1,
            "month": -1,
        },
    ),
    "first_time": (
        41,
        {"orders": [10]},
        {
            **NO_CASE,
            "delivered_on": 10,
            "stage": 1,
            "purchases": 1,
            "since": 10,
            "first_on": 10,
            "last_purchase_on": 10,
            "core_since": NEVER,
            "late_on": 60,
            "defects_on": NEVER,
        }
        | {
            "lapses_on": 92,
            "ipt_days": 30,
            "ipt_log_sd": 0.5,
            "satisfaction": 1,
            "purchases_365d": 1,
            "weekday": 6,
            "net_spend_365d": 10,
        },
    ),
    "early_repeat, lacking repair, SLA and few complaints": (
        125,
        CROSS,
        {
            "stage": 2,
            "scored": True,
            "purchases": 4,
            "since": 45,
            "last_purchase_on": 124,
            "core_since": NEVER,
            "late_on": 176,
        }
        | {
            "defects_on": NEVER,
            "lapses_on": 197,
            "ipt_days": 36.176727,
            "ipt_log_sd": 0.346154,
            "lacks": 1 << 4 | 1 << 5 | 1 << 6,
        }
        | {
            "complaints": 4,
            "defects": 1,
            "grave_open": 1,
            "past_sla": 2,
            "open_past_sla": 2,
            "satisfaction": 0.146659,
        }
        | {"purchases_365d": 4, "weekday": 1, "net_spend_365d": 38, "month": 4}
        | {"recent_failures": 5, "complaint_opened_on": 30, "complaint_due_on": 37}
        | {"delivered_on": 124},
    ),
    "core again": (
        221,
        AGAIN,
        {
            **ENTERED,
            "stage": 3,
            "scored": True,
            "purchases": 6,
            "since": 220,
            "last_purchase_on": 220,
            "late_on": 280,
            "defects_on": NEVER,
        }
        | {
            "lapses_on": 325,
            "visits_level": 2.0,
            "spend_level": 2.0,
            "ipt_days": 34.085964,
            "ipt_log_sd": 0.56135,
            "complaints": 1,
            "satisfaction": 0.463832,
        }
        | {"purchases_365d": 6, "net_spend_365d": 60, "recent_failures": 1}
        | {**NO_CASE, "delivered_on": 220},
    ),
    "core_defector, coming back": (
        201,
        BACK,
        {
            **ENTERED,
            "stage": 4,
            "status": 1,
            "scored": True,
            "purchases": 5,
            "since": 140,
            "last_purchase_on": 200,
            "late_on": 265,
        }
        | {
            "defects_on": NEVER,
            "lapses_on": 312,
            "ipt_days": 37.253448,
            "ipt_log_sd": 0.549696,
            "purchases_back": 1,
            "complaints": 1,
        }
        | {
            "defects": 1,
            "past_sla": 1,
            "open_past_sla": 1,
            "satisfaction": 0.725262,
            "purchases_365d": 5,
            "net_spend_365d": 48,
        }
        | {"recent_failures": 2, "complaint_opened_on": 95, "complaint_due_on": 102}
        | {"delivered_on": 200},
    ),
    "early_repeat, on probation": (
        112,
        {"orders": [0, 111]},
        {
            **NO_CASE,
            "delivered_on": 111,
            "stage": 2,
            "reactivated": True,
            "scored": True,
            "purchases": 2,
            "since": 111,
            "last_purchase_on": 111,
            "core_since": NEVER,
        }
        | {
            "late_on": 200,
            "defects_on": NEVER,
            "lapses_on": 281,
            "ipt_days": 46.40041,
            "ipt_log_sd": 0.648272,
            "lacks": 1 | 1 << 8,
        }
        | {
            "purchases_back": 1,
            "satisfaction": 1,
            "purchases_365d": 2,
            "weekday": 2,
            "month": 3,
            "net_spend_365d": 20,
        },
    ),
}


@pytest.mark.parametrize(("day", "situation", "due"), STATES.values(), ids=STATES)
def test_every_field_of_a_state_is_as_listed_and_the_others_are_zero(
    day: int, situation: dict[str, Any], due: dict[str, float]
) -> None:
    events = {kind: rows for kind, rows in situation.items() if kind != "strong"}
    row = states_at(tables_of(customer(**events)), day, strong=situation.get("strong", ()))[0, day]
    if spent := due.get("net_spend_365d"):
        # no expected IPT is longer than half a year here, and no purchase older than a year
        due = due | {"yearly_spend": spent, "net_per_purchase": spent / due["purchases"]}
    assert {name: row[name].item() for name in row.dtype.names if row[name]} == pytest.approx(
        due, rel=1e-5
    )


def test_the_state_does_not_depend_on_earlier_snapshots() -> None:
    random = np.random.default_rng(25)
    lapsed_first = customer(orders=[0, 111, 141, 171, 201, 231])
    cross = [ordered(c) for c in random_customers(seed=21, count=12, cancelling=0)]
    tables = tables_of(lapsed_first, *(edgy_customer(random, shop())[0] for _ in range(6)), *cross)
    often = states_at(tables, *range(40, 401, 24))
    for day in range(112, 401, 72):
        assert {key: row.tobytes() for key, row in states_at(tables, day).items()} == {
            key: row.tobytes() for key, row in often.items() if key[1] == day
        }


def test_the_state_does_not_depend_on_the_other_customers() -> None:
    random = np.random.default_rng(24)
    customers = [
        *(edgy_customer(random, shop())[0] for _ in range(6)),
        *random_customers(seed=24, count=6),
    ]
    days = range(50, 500, 90)
    together = states_at(tables_of(*customers), *days)
    alone = {
        (n, day): row
        for n, c in enumerate(customers)
        for (_, day), row in states_at(tables_of(c), *days).items()
    }
    assert {key: row.tobytes() for key, row in together.items()} == {
        key: row.tobytes() for key, row in alone.items()
    }


@pytest.mark.parametrize(
    ("complaint", "stage"),
    [
        ((220, MAJOR, 221), CORE_DEFECTOR),
        ((220, MAJOR, 220), CORE),
        ((220, CRITICAL), CORE_DEFECTOR),
        ((212, MINOR), CORE_DEFECTOR),
        ((213, MINOR), CORE),
    ],
    ids=[
        "major and open",
        "major and resolved",
        "critical and open",
        "minor and past its SLA",
        "minor and within the SLA",
    ],
)
def test_a_win_back_is_completed_only_without_a_grave_complaint_or_one_past_its_sla(
    complaint: tuple[int, ...], stage: int
) -> None:
    won_back = customer(orders=[*MONTHLY, 200, 220], complaints=[complaint])
    assert states_at(tables_of(won_back), 221)[0, 221]["stage"] == stage


def test_the_first_gap_is_no_earlier_gap() -> None:
    trusting = shop()._replace(ipt=shop().ipt._replace(own_gaps=1))
    assert states_at(tables_of(customer(orders=[0, 200])), 201, of=trusting)[0, 201]["reactivated"]


def test_a_lapse_stays_one_when_a_longer_gap_followed_before_the_next_snapshot() -> None:
    returned = customer(orders=[*MONTHLY, 160, 900])
    assert states_at(tables_of(returned), 901)[0, 901]["since"] == 150


@pytest.mark.parametrize(
    ("orders", "weekday"),
    [([0, 29, 300], 2), ([4, 26, 300], 2)],
    ids=["of three days the last", "not Monday"],
)
def test_the_usual_weekday_is_not_mixed_up_with_gaps_counted_before(
    orders: list[int], weekday: int
) -> None:
    row = states_at(tables_of(customer(orders=orders)), 301)[0, 301]
    assert (row["weekday"], row["reactivated"]) == (weekday, True)


def test_a_purchase_counts_once_towards_a_win_back_at_any_number_of_snapshots() -> None:
    demanding = LIMITS._replace(winback_purchases=3)
    states = states_at(
        tables_of(customer(orders=[*MONTHLY, 200, 220, 240])), *range(221, 242), limits=demanding
    )
    assert [day for (_, day), row in states.items() if row["stage"] == CORE] == [241]


def test_every_purchase_after_a_lapse_counts_once_towards_the_end_of_probation() -> None:
    demanding = LIMITS._replace(reactivated_purchases=3)
    states = states_at(
        tables_of(customer(orders=[0, 111, 130, 150])), 111, 112, 131, 151, limits=demanding
    )
    assert [bool(row["reactivated"]) for row in states.values()] == [False, True, True, False]


@pytest.mark.parametrize(
    ("bought_on", "since"), [(131, 90), (132, 132)], ids=["the day before", "on the day itself"]
)
def test_core_begins_anew_with_a_purchase_on_the_day_of_defection(
    bought_on: int, since: int
) -> None:
    row = states_at(tables_of(customer(orders=[*MONTHLY, bought_on])), 133, strong=[(90, 100)])[
        0, 133
    ]
    assert (row["stage"], row["since"]) == (CORE, since)


@pytest.mark.parametrize(("day", "purchases"), [(365, 2), (366, 1)])
def test_a_year_is_the_last_three_hundred_and_sixty_five_days(day: int, purchases: int) -> None:
    row = states_at(tables_of(customer(orders=[0, 300])), day)[0, day]
    assert (row["purchases_365d"], row["net_spend_365d"]) == (purchases, 10 * purchases)


def test_a_purchase_that_went_back_is_worth_nothing_however_long_ago() -> None:
    kept = customer(orders=[0, 30], returns=[(31, 5.0)])
    back = customer(orders=[0], returns=[(1, 10.0)])
    rows = states_at(tables_of(kept, back), 700)
    assert [rows[who, 700]["net_per_purchase"] for who in (0, 1)] == [7.5, 0]


def test_a_yearly_customer_who_is_overdue_is_worth_the_mean_of_two_expected_ipts() -> None:
    orders = [*range(0, 2921, 365)]
    row = states_at(tables_of(customer(orders=orders)), 3330)[0, 3330]
    days = 2 * row["ipt_days"]
    assert days > 410
    assert row["net_spend_365d"] == 0
    assert row["yearly_spend"] == pytest.approx(365 / days * 10, rel=0.01)


@pytest.mark.parametrize(
    ("orders", "month", "weekday"),
    [([335, 342, 366], 11, 2), ([335, 366, 372], 0, 4)],
    ids=["two in December, one in January", "one in December, two in January"],
)
def test_the_usual_month_does_not_depend_on_the_weekdays(
    orders: list[int], month: int, weekday: int
) -> None:
    row = states_at(tables_of(customer(orders=orders)), 373)[0, 373]
    assert (row["month"], row["weekday"]) == (month, weekday)


def test_a_purchase_cancelled_the_day_after_still_led_to_core() -> None:
    tables = tables_of(
        customer(orders=[5]), customer(orders=[0, 30, 60, {"day": 90, "cancelled": 91}])
    )
    assert states_at(tables, 96)[1, 96]["stage"] == CORE


def test_a_purchase_on_the_day_of_the_snapshot_is_not_known() -> None:
    tables = tables_of(customer(orders=[0, 30, {"day": 45, "cancelled": 46}, 60, 90]))
    assert [int(row["core_since"]) for row in states_at(tables, 90, 91).values()] == [NEVER, 90]


def test_no_evidence_is_the_same_as_empty_evidence() -> None:
    tables = tables_of(customer(orders=MONTHLY), customer(orders=[5]))
    _, _, rows = life_cycle(tables, np.array([91, 160], np.int32), shop(), LIMITS)
    assert [row.tobytes() for row in rows] == [
        row.tobytes() for row in states_at(tables, 91, 160).values()
    ]


def yearly(random: np.random.Generator, since: int) -> list[int]:
    """Days of purchases about a year apart, the last one so many days before year 12."""
    gaps = np.rint(random.normal(365, 15, 9)).astype(int)
    return sorted(int(day) for day in 12 * 365 - since - np.r_[0, np.cumsum(gaps)])


def test_overdue_customers_of_a_yearly_shop_are_worth_a_call_before_those_who_just_bought() -> None:
    random = np.random.default_rng(8)
    overdue, recent = (
        [customer(orders=yearly(random, since)) for _ in range(30)] for since in (480, 5)
    )
    day = 12 * 365
    states = states_at(tables_of(*overdue, *recent), day, of=shop(365, 0.3))
    late = [words(states[i, day])[1] == "late" for i in range(60)]
    assert np.mean(late[:30]) > 0.8
    assert not any(late[30:])
    value = np.array([states[i, day]["yearly_spend"] for i in range(60)])
    assert (value[:30] > 0).all()
    rows = pd.DataFrame({"risk": np.repeat([0.6, 0.2], 30), "value_if_retained": value})
    rows = rows.assign(chance=np.nan, queue="core_care")
    profit = stakes(rows, 730, params().costs, (0.3, 0.6))["expected_profit"]
    assert profit[:30].min() > profit[30:].max()
