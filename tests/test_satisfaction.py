"""Satisfaction, failure by failure, and partial defection."""

import math
from typing import Any

import pytest
from frozen import params
from situations import CRITICAL, MAJOR, MINOR, past_of, shop, states_at, words
from test_lifecycle import MONTHLY, state

from features.records import NEVER

LIMITS = params().assign
PATIENT = shop()._replace(
    ipt=shop().ipt._replace(
        late_clip_low=9.0,
        late_clip_high=9.0,
        lapse_clip_low=10.0,
        lapse_clip_high=10.0,
        last_gaps=1,
        prior_weight=1e9,
    )
)
"""Nobody lapses soon, and everybody's expected IPT is 30 days."""


@pytest.mark.parametrize(
    ("recent", "amount", "partial"),
    [
        ([300, 330, 360], 10, False),
        ([300, 390], 10, False),
        ([300], 10, True),
        ([300], 100, True),
        ([300, 330, 360], 6, True),
        ([300, 330, 360], 7, False),
    ],
    ids=[
        "as ever",
        "half the visits",
        "less than half",
        "less than half the visits",
        "less than half the spend",
        "just above half",
    ],
)
def test_a_core_customer_with_less_than_half_the_purchases_or_spend_is_in_partial_defection(
    recent: list[int], amount: float, partial: bool
) -> None:
    row = state(391, of=PATIENT, orders=[*range(0, 271, 30), *((day, amount) for day in recent)])
    assert (words(row)[0], bool(row["partial_defection"])) == ("core", partial)


@pytest.mark.parametrize(
    ("orders", "partial"),
    [([0, 5, 10, 100, 110, 120], True), ([0, 5, 10, 100, 110], False)],
    ids=["three", "two"],
)
def test_partial_defection_needs_three_purchases_before(orders: list[int], partial: bool) -> None:
    row = state(391, of=PATIENT, orders=orders)
    assert (words(row)[0], bool(row["partial_defection"])) == ("core", partial)


def satisfaction_of(day: int = 91, **events: Any) -> float:
    """Satisfaction after MONTHLY.

    The expected IPT is 30, so a failure 120 days ago weighs half, and there are four purchases.
    """
    return float(state(day, orders=MONTHLY, **events)["satisfaction"])


@pytest.mark.parametrize(
    ("events", "weight"),
    [
        ({}, 0),
        ({"complaints": [(31, MINOR, 38)]}, 0),
        ({"complaints": [(84, MINOR, 90)]}, 0),
        ({"complaints": [(31, MINOR, 39)]}, 1),
        ({"complaints": [(31, MINOR)]}, 1),
        ({"complaints": [(31, MINOR, 32, 40)]}, 1),
        ({"complaints": [(31, MAJOR, 32)]}, 3),
        ({"complaints": [(31, CRITICAL, 32)]}, 5),
        ({"complaints": [(31, MAJOR, 32), (31, CRITICAL, 32)]}, 8),
        (
            {
                "complaints": [
                    {"opened": 31, "severity": 1, "basket": 0},
                    {"opened": 31, "severity": 2, "basket": 0},
                ]
            },
            5,
        ),
        (
            {
                "complaints": [
                    {"opened": 31, "severity": 1, "basket": 0},
                    {"opened": 31, "severity": 1, "basket": 0},
                ]
            },
            3,
        ),
        (
            {
                "complaints": [
                    {"opened": 31, "severity": 1, "basket": 0},
                    {"opened": 31, "severity": 1, "basket": 1},
                ]
            },
            6,
        ),
        ({"returns": [(31, 5, True)]}, 1),
        ({"returns": [(31, 5, False)]}, 0),
        (
            {
                "returns": [(31, 5, True, 2)],
                "complaints": [{"opened": 31, "severity": 1, "basket": 2}],
            },
            3,
        ),
    ],
)
def test_satisfaction_falls_with_the_weight_of_the_worst_failure_of_each_order(
    events: dict[str, Any], weight: float
) -> None:
    assert satisfaction_of(**events) == pytest.approx(
        math.exp(-weight * 2 ** (-60 / 120) / 4), rel=1e-6
    )


@pytest.mark.parametrize(
    ("delivered", "weight"),
    [(5, 0), (6, 0), (7, 1.5), (NEVER, 1.5)],
    ids=["in time", "in grace", "late", "never"],
)
def test_an_order_delivered_after_the_grace_lowers_satisfaction_by_its_weight(
    delivered: int, weight: float
) -> None:
    late = {"day": 0, "promised": 4, "delivered": delivered}
    limits = LIMITS._replace(satisfaction_late=3)  # in halves
    row = state(91, limits=limits, orders=[late, *MONTHLY[1:]])
    assert row["satisfaction"] == pytest.approx(math.exp(-weight * 2 ** (-85 / 120) / 4), rel=1e-6)


FAILED = {
    "complaint": {"complaints": [(31, MAJOR, 32)]},
    "return": {"returns": [(31, 1, True)]},
    "late order": {},
}


@pytest.mark.parametrize("failed", FAILED.values(), ids=FAILED)
def test_a_failure_fades_and_counts_no_more_after_eight_expected_ipts(
    failed: dict[str, Any],
) -> None:
    # two days of grace, so the order is late on day 31
    late = {"day": 0, "promised": 29, "delivered": NEVER if not failed else 5}
    values = [
        float(state(day, orders=[late, *range(30, 600, 30)], **failed)["satisfaction"])
        for day in (32, 100, 200, 271, 272)
    ]
    assert values == sorted(values)
    assert values[3] < values[4] == 1


def test_the_note_of_a_failed_order_is_cleared_for_the_next_snapshot() -> None:
    tables = past_of(
        orders=[13, {"day": 19, "basket": 1}],
        complaints=[{"opened": 20, "severity": MAJOR, "basket": 1}],
    )
    # the second order's number is that of Tuesdays
    assert [row["weekday"] for row in states_at(tables, 30, 31).values()] == [1, 1]
