"""The life cycle, situation by situation.

The shop's expected IPT is 30 days (log-sd 0.5) unless a test says otherwise.
"""

import itertools
import math
from typing import Any

import pytest
from frozen import params
from situations import CRITICAL, MAJOR, MINOR, past_of, shop, states_at, words

from features.records import NEVER, Shop
from models.lifecycle.core_rules import CONDITIONS
from models.lifecycle.limits import Limits
from models.lifecycle.states import STAGES

LIMITS = params().assign
MONTHLY = [0, 30, 60, 90]  # enters core on day 90, is late on 132 and lapses on 150


def state(
    day: int, of: Shop | None = None, limits: Limits | None = None, strong: Any = (), **events: Any
) -> Any:
    """The customer's state at the midnight that begins a day."""
    return states_at(past_of(**events), day, of=of, limits=limits, strong=strong)[0, day]


def stage(day: int, **situation: Any) -> str:
    return STAGES[state(day, **situation)["stage"]]


def test_a_customer_without_a_purchase_is_a_prospect() -> None:
    assert stage(10, known=0) == "prospect"


def test_the_first_purchase_makes_a_first_time_customer_from_the_next_midnight_on() -> None:
    assert [stage(day, known=0, orders=[10]) for day in (10, 11)] == ["prospect", "first_time"]


def test_several_lines_on_one_day_are_one_purchase() -> None:
    assert stage(11, orders=[10, 10, 10]) == "first_time"


def test_the_second_purchase_makes_an_early_repeat_customer() -> None:
    assert [stage(day, orders=[10, 30]) for day in (30, 31)] == ["first_time", "early_repeat"]


def test_satisfaction_alone_never_promotes_a_first_time_customer() -> None:
    assert [stage(day, orders=[0]) for day in (1, 30, 400)] == ["first_time"] * 3


def test_four_regular_purchases_over_ninety_days_make_a_core_customer() -> None:
    assert stage(91, orders=MONTHLY) == "core"


REFUSED = {
    # condition: its name, the situation, the limits with which the customer would be core
    "C1 too few purchases": ("purchases", {"orders": [0, 45, 90]}, {"core_min_purchases": 3}),
    "C2 too short a time in days": (
        "days",
        {"orders": [0, 29, 58, 89]},
        {"core_min_days": 89, "core_min_ipts": 2.0},
    ),
    "C2 too short a time in the shop's IPTs": (
        "days",
        {"of": shop(60), "orders": [0, 45, 90, 179]},
        {"core_min_ipts": 2.9},
    ),
    "C3 too slow for this shop": (
        "pace",
        {"orders": [0, 120, 240, 360]},
        {"core_max_ipt_ratio": 2.5},
    ),
    "C3 less regular than chance": (
        "regularity",
        {"orders": [0, 1, 61, 62, 122, 123]},
        {"core_max_log_sd": 1.9},
    ),
    "C4 too many complaints per purchase": (
        "few_complaints",
        {"orders": MONTHLY, "complaints": [(5, MINOR, 6), (35, MINOR, 36)]},
        {"core_max_complaints_per_purchase": 0.5},
    ),
    "C4 too many defects": (
        "few_defects",
        {"orders": MONTHLY, "returns": [(5, 1, True), (35, 1, True)]},
        {"core_max_defect_returns": 0.5},
    ),
    "C5 on probation after a lapse": (
        "staying",
        {"orders": [0, 30, 60, 121]},
        {"reactivated_purchases": 1},
    ),
}


@pytest.mark.parametrize(("lacking", "situation", "relaxed"), REFUSED.values(), ids=REFUSED)
def test_a_customer_who_fails_one_condition_becomes_core_when_it_is_relaxed(
    lacking: str, situation: dict[str, Any], relaxed: dict[str, float]
) -> None:
    after = situation["orders"][-1] + 1
    assert stage(after, **situation) == "early_repeat"
    assert state(after, **situation)["lacks"] == 1 << [row.name for row in CONDITIONS].index(
        lacking
    )
    assert stage(after, limits=LIMITS._replace(**relaxed), **situation) == "core"


def test_a_customer_exactly_at_the_limits_of_pace_and_regularity_becomes_core() -> None:
    # their log-sd: the root of 2 * 0.5**2 / (2 + 6)
    daily = shop(1, 0.5)._replace(ipt=shop().ipt._replace(last_gaps=6))
    strict = LIMITS._replace(core_max_ipt_ratio=1.0, core_max_log_sd=0.25)
    assert stage(91, of=daily, limits=strict, orders=range(91)) == "core"


@pytest.mark.parametrize(
    ("refused", "granted"),
    [
        ((90, MAJOR, 91), (90, MAJOR, 90)),
        ((90, CRITICAL, NEVER), (90, MINOR, NEVER)),
        ((82, MINOR, 91), (83, MINOR, 91)),
        ((82, MINOR, 91), (82, MINOR, 90)),
    ],
    ids=[
        "major still open",
        "critical still open",
        "open a day past its SLA",
        "open past its SLA at the time",
    ],
)
def test_an_open_complaint_that_is_grave_or_past_its_sla_prevents_core(
    refused: tuple[int, ...], granted: tuple[int, ...]
) -> None:
    assert stage(91, orders=MONTHLY, complaints=[refused]) == "early_repeat"
    assert stage(91, orders=MONTHLY, complaints=[granted]) == "core"


def test_returns_without_a_defect_do_not_prevent_core() -> None:
    assert stage(91, orders=MONTHLY, returns=[(5, 1, False), (35, 1, False)]) == "core"


def test_core_is_entered_only_at_a_purchase() -> None:
    resolved = {"orders": [*MONTHLY, 120], "complaints": [(80, MAJOR, 95)]}
    assert [stage(day, **resolved) for day in (91, 96, 119, 120, 121)] == ["early_repeat"] * 4 + [
        "core"
    ]


@pytest.mark.parametrize(
    "complaint",
    [(100, MINOR, 107), (91, MINOR, 91), (100, MINOR, 130)],
    ids=["in time", "at once", "late"],
)
def test_a_core_customer_with_one_small_complaint_stays_core(complaint: tuple[int, ...]) -> None:
    states = states_at(past_of(orders=[*MONTHLY, 120], complaints=[complaint]), *range(91, 162))
    assert {STAGES[row["stage"]] for row in states.values()} == {"core"}


def test_a_core_customer_is_overdue_from_exactly_the_named_day() -> None:
    assert state(91, orders=MONTHLY)["late_on"] == 132
    assert [words(state(day, orders=MONTHLY))[:2] for day in (131, 132)] == [
        ("core", "active"),
        ("core", "late"),
    ]


def test_a_core_customer_who_lapses_is_a_defector_from_exactly_the_named_day() -> None:
    before, after = state(149, orders=MONTHLY), state(150, orders=MONTHLY)
    assert (before["lapses_on"], words(before), words(after)) == (
        150,
        ("core", "late", ""),
        ("core_defector", "lapsed", "lost"),
    )
    assert (after["since"], after["core_since"], after["scored"]) == (150, 90, False)


def test_a_purchase_on_the_day_before_the_lapse_keeps_core_and_on_the_day_itself_does_not() -> None:
    assert [stage(151, orders=[*MONTHLY, day]) for day in (149, 150)] == ["core", "core_defector"]


def test_one_purchase_begins_a_win_back_and_the_second_completes_it() -> None:
    back = {"orders": [*MONTHLY, 200, 220]}
    first, second = state(201, **back), state(221, **back)
    assert (words(first), first["since"], first["scored"]) == (
        ("core_defector", "active", "won_back"),
        150,
        True,
    )
    assert (words(second), second["since"], second["core_since"]) == (
        ("core", "active", ""),
        220,
        90,
    )


def test_a_win_back_interrupted_by_another_lapse_begins_anew() -> None:
    again = {"orders": [*MONTHLY, 200, 400, 430]}
    assert [words(state(day, **again))[2] for day in (399, 401, 431)] == ["lost", "won_back", ""]
    assert state(401, **again)["since"] == 150


def test_nobody_is_won_back_while_a_complaint_is_open_past_its_sla() -> None:
    cross = {"orders": [*MONTHLY, 200, 220, 245], "complaints": [(205, MINOR, 240)]}
    assert [stage(day, **cross) for day in (221, 241, 245, 246)] == ["core_defector"] * 3 + ["core"]


def test_a_first_time_customer_who_returns_after_a_lapse_is_on_probation_for_two_purchases() -> (
    None
):
    assert state(50, orders=[0])["lapses_on"] == 82
    rows = [state(day, orders=[0, 82, 100]) for day in (83, 101)]
    assert [(words(row)[0], bool(row["reactivated"])) for row in rows] == [
        ("early_repeat", True),
        ("early_repeat", False),
    ]


def test_an_early_customer_who_returns_in_time_is_not_on_probation() -> None:
    assert not state(82, orders=[0, 81])["reactivated"]


@pytest.mark.parametrize(("touches", "stale_on"), [([], 65), ([10], 70), ([10, 40], 100)])
def test_a_prospect_is_stale_two_expected_ipts_after_the_last_contact(
    touches: list[int], stale_on: int
) -> None:
    rows = [state(day, known=5, touches=touches) for day in (stale_on - 1, stale_on)]
    assert [words(row) for row in rows] == [("prospect", "open", ""), ("prospect", "stale", "")]
    assert rows[0]["lapses_on"] == stale_on


def test_earlier_long_gaps_give_a_christmas_buyer_more_time() -> None:
    christmas = [0, 7, 14, 365, 372, 379, 730, 737, 744]
    patient, hasty = shop(60), shop(60)
    hasty = hasty._replace(ipt=hasty.ipt._replace(own_gaps=99))
    assert state(745, of=patient, orders=christmas)["lapses_on"] == 744 + math.ceil(1.25 * 351)
    assert state(745, of=hasty, orders=christmas)["lapses_on"] < 744 + 351


@pytest.mark.parametrize(
    ("orders", "lapses_on"),
    [([0, 5, 10, 110], 171), ([0, 5, 10, 110, 210], 330)],
    ids=["three gaps", "four gaps"],
)
def test_earlier_gaps_count_from_the_fourth_on(orders: list[int], lapses_on: int) -> None:
    assert state(orders[-1] + 1, of=shop(10), orders=orders)["lapses_on"] == lapses_on


def test_earlier_gaps_give_no_more_than_twelve_of_the_shops_ipts() -> None:
    christmas = [0, 7, 14, 365, 372, 379, 730, 737, 744]
    assert state(745, of=shop(20), orders=christmas)["lapses_on"] == 744 + 12 * 20


def test_a_customer_as_regular_as_a_clock_lapses_after_exactly_two_gaps() -> None:
    for gap, purchases in itertools.product((7, 10, 21, 30, 31), (3, 4, 6)):
        last = gap * (purchases - 1)
        row = state(last + 1, of=shop(gap, 0.1), orders=range(0, last + 1, gap))
        assert row["lapses_on"] == last + max(14, 2 * gap), (gap, purchases)


MONTHLY_ONLY = {"orders": MONTHLY}  # core from day 90, late on 132, lapsed on 150


@pytest.mark.parametrize(
    ("strong_from", "defects_on"),
    [(100, 132), (132, 132), (140, 140), (149, 149), (150, NEVER), (NEVER, NEVER)],
    ids=[
        "before the customer is overdue",
        "as they become overdue",
        "later",
        "on the last day",
        "when they have lapsed",
        "never",
    ],
)
def test_a_core_customer_defects_when_both_overdue_and_evidence_is_strong(
    strong_from: int, defects_on: int
) -> None:
    evidence = [(90, strong_from)]
    assert state(91, strong=evidence, **MONTHLY_ONLY)["defects_on"] == defects_on
    daily = [words(state(day, strong=evidence, **MONTHLY_ONLY)) for day in range(91, 160)]
    defecting = [day for day, (_, _, status) in enumerate(daily, 91) if status == "defecting"]
    assert defecting == list(range(defects_on, 150))
    assert {daily[day - 91][:2] for day in defecting} <= {("core_defector", "late")}


def test_a_defecting_customer_is_scored_until_the_lapse_and_keeps_the_day_of_defection() -> None:
    defecting, lost = (state(day, strong=[(90, 140)], **MONTHLY_ONLY) for day in (145, 151))
    assert (defecting["since"], defecting["scored"], words(defecting)[2]) == (
        140,
        True,
        "defecting",
    )
    assert (lost["since"], lost["scored"], words(lost)[2]) == (140, False, "lost")


def test_a_defecting_customer_who_buys_before_the_lapse_is_core_again() -> None:
    bought_in_time = {"orders": [*MONTHLY, 148], "strong": [(90, 140)]}
    rows = [state(day, **bought_in_time) for day in (148, 149)]
    assert [(words(row)[0], row["since"]) for row in rows] == [
        ("core_defector", 140),
        ("core", 148),
    ]
    unmoved = state(149, orders=[*MONTHLY, 148], strong=[(60, 61)])
    assert (words(unmoved)[0], unmoved["since"]) == ("core", 90)


def test_a_defector_who_lapses_has_to_be_won_back() -> None:
    back = {"orders": [*MONTHLY, 160, 180], "strong": [(90, 140)]}
    rows = [state(day, **back) for day in (161, 181)]
    assert [(words(row)[0], words(row)[2], row["since"]) for row in rows] == [
        ("core_defector", "won_back", 140),
        ("core", "", 180),
    ]


def test_evidence_does_not_move_customers_who_were_never_core() -> None:
    for orders in ([0], [0, 30]):
        row = state(orders[-1] + 45, orders=orders, strong=[(orders[-1], 0)])
        assert (words(row)[2], row["defects_on"]) == ("", NEVER)


def test_days_on_which_the_shop_is_closed_do_not_count() -> None:
    weekly = {"orders": range(4, 40, 7)}  # Mondays: the first of January 1970 was a Thursday
    every_day, but_sundays = shop(7, 0.1), shop(6, 0.1, closed=["sunday"])
    assert state(40, of=every_day, **weekly)["ipt_days"] == 7
    row = state(40, of=but_sundays, **weekly)
    assert row["ipt_days"] == 6
    assert row["lapses_on"] == 39 + 16  # fourteen open days, two Sundays


def test_a_shop_closed_for_two_weeks_gives_everybody_two_weeks_more() -> None:
    closed = [f"1970-05-{day:02}" for day in range(5, 19)]  # days 124 to 137
    row = state(91, of=shop(closed=closed), **MONTHLY_ONLY)
    assert (row["late_on"], row["lapses_on"]) == (132 + 14, 150 + 14)
    assert [
        words(state(day, of=shop(closed=closed), **MONTHLY_ONLY))[1] for day in (145, 146, 163, 164)
    ] == ["active", "late", "late", "lapsed"]


def test_a_purchase_on_a_closed_day_is_a_purchase() -> None:
    assert state(12, of=shop(closed=["sunday"]), orders=[3, 10, 11])["purchases"] == 3


def test_cancelling_the_purchase_of_core_entry_does_not_undo_core() -> None:
    cancelled = {"orders": [0, 30, 60, {"day": 90, "cancelled": 95}]}
    assert [stage(day, **cancelled) for day in (91, 95, 96)] == ["core"] * 3
    assert state(96, **cancelled)["purchases"] == 3
    assert stage(91, orders=[0, 30, 60, {"day": 90, "cancelled": 90}]) == "early_repeat"
