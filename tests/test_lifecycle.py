"""The life cycle, situation by situation: the shop's usual gap is 30 days (log sd 0.5) unless said otherwise."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import pytest
from situations import CRITICAL, MAJOR, MINOR, Customer, params, past_of, random_customers, shop, states_at, tables_of
from test_features import bought, naive_rhythm

from features.history import NEVER, Shop
from models.lifecycle import ACTIVITIES, STAGES, STATUSES, decide
from models.settings import Limits

LIMITS = params().assign
MONTHLY = [0, 30, 60, 90]  # enters core on day 90, is late on 132 and lapses on 150
EVENT_CLOCK = {
    ("prospect", "first_time"),
    ("first_time", "early_repeat"),
    ("early_repeat", "core"),
    ("core", "core_defector"),
    ("core_defector", "core"),
}


def state(day: int, of: Shop | None = None, limits: Limits | None = None, **events: Any) -> Any:
    """The customer's state at the midnight that begins a day."""
    return states_at(past_of(**events), day, of=of, limits=limits)[0, day]


def stage(day: int, **told: Any) -> str:
    return STAGES[state(day, **told)["stage"]]


def words(row: Any) -> tuple[str, str, str]:
    return STAGES[row["stage"]], ACTIVITIES[row["activity"]], STATUSES[row["status"]]


def test_a_customer_who_has_not_bought_is_a_prospect() -> None:
    assert stage(10, known=0) == "prospect"


def test_the_first_purchase_makes_a_first_time_customer_from_the_next_midnight_on() -> None:
    assert [stage(day, known=0, orders=[10]) for day in (10, 11)] == ["prospect", "first_time"]


def test_several_lines_on_one_day_are_no_repeat_purchase() -> None:
    assert stage(11, orders=[10, 10, 10]) == "first_time"


def test_the_second_purchase_makes_an_early_repeat_customer() -> None:
    assert [stage(day, orders=[10, 30]) for day in (30, 31)] == ["first_time", "early_repeat"]


def test_first_time_customers_are_never_promoted_by_being_content() -> None:
    assert [stage(day, orders=[0]) for day in (1, 30, 400)] == ["first_time"] * 3


def test_four_regular_purchases_over_ninety_days_make_a_core_customer() -> None:
    assert stage(91, orders=MONTHLY) == "core"


REFUSED = {
    # condition: the situation, its last purchase, what else would let him in
    "C1 too few purchases": ({"orders": [0, 45, 90]}, {"core_min_purchases": 3}),
    "C2 too short a time in days": ({"orders": [0, 29, 58, 89]}, {"core_min_days": 89, "core_min_cycles": 2.0}),
    "C2 too short a time in the shop's cycles": ({"of": shop(60), "orders": [0, 45, 90, 179]}, {"core_min_cycles": 2.9}),
    "C3 too slow for this shop": ({"orders": [0, 120, 240, 360]}, {"core_max_cycle_ratio": 2.5}),
    "C3 less regular than chance": ({"orders": [0, 1, 61, 62, 122, 123]}, {"core_max_log_sd": 1.9}),
    "C4 too many complaints per purchase": (
        {"orders": MONTHLY, "complaints": [(5, MINOR, 6), (35, MINOR, 36)]},
        {"core_max_complaints_per_purchase": 0.5},
    ),
    "C4 too many defects": ({"orders": MONTHLY, "returns": [(5, 1, True), (35, 1, True)]}, {"core_max_defect_returns": 0.5}),
    "C5 on probation after a lapse": ({"orders": [0, 30, 60, 121]}, {"reactivated_purchases": 1}),
}


@pytest.mark.parametrize(("situation", "relaxed"), REFUSED.values(), ids=REFUSED)
def test_core_is_refused_when_one_condition_fails_and_granted_when_that_alone_is_relaxed(
    situation: dict[str, Any], relaxed: dict[str, float]
) -> None:
    after = situation["orders"][-1] + 1
    assert stage(after, **situation) == "early_repeat"
    assert stage(after, limits=LIMITS._replace(**relaxed), **situation) == "core"


@pytest.mark.parametrize(
    ("refused", "granted"),
    [
        ((90, MAJOR, 91), (90, MAJOR, 90)),
        ((90, CRITICAL, NEVER), (90, MINOR, NEVER)),
        ((82, MINOR, 91), (83, MINOR, 91)),
        ((82, MINOR, 91), (82, MINOR, 90)),
    ],
    ids=["major still open", "critical still open", "open a day past its promise", "open past its promise at the time"],
)
def test_core_is_refused_while_a_complaint_spoils_satisfaction(refused: tuple[int, ...], granted: tuple[int, ...]) -> None:
    assert stage(91, orders=MONTHLY, complaints=[refused]) == "early_repeat"
    assert stage(91, orders=MONTHLY, complaints=[granted]) == "core"


def test_returns_without_a_defect_do_not_count_against_satisfaction() -> None:
    assert stage(91, orders=MONTHLY, returns=[(5, 1, False), (35, 1, False)]) == "core"


def test_core_is_entered_only_at_a_purchase() -> None:
    mended = {"orders": [*MONTHLY, 120], "complaints": [(80, MAJOR, 95)]}
    assert [stage(day, **mended) for day in (91, 96, 119, 120, 121)] == ["early_repeat"] * 4 + ["core"]


@pytest.mark.parametrize("complaint", [(100, MINOR, 107), (91, MINOR, 91), (100, MINOR, 130)], ids=["in time", "at once", "late"])
def test_a_core_customer_with_one_small_complaint_stays_core(complaint: tuple[int, ...]) -> None:
    found = states_at(past_of(orders=[*MONTHLY, 120], complaints=[complaint]), *range(91, 162))
    assert {STAGES[row["stage"]] for row in found.values()} == {"core"}


def test_a_core_customer_is_late_on_exactly_the_day_named() -> None:
    assert state(91, orders=MONTHLY)["late_on"] == 132
    assert [words(state(day, orders=MONTHLY))[:2] for day in (131, 132)] == [("core", "active"), ("core", "late")]


def test_a_core_customer_who_lapses_becomes_a_defector_on_exactly_the_day_named() -> None:
    before, after = state(149, orders=MONTHLY), state(150, orders=MONTHLY)
    assert (before["lapses_on"], words(before), words(after)) == (150, ("core", "late", ""), ("core_defector", "lapsed", "lost"))
    assert (after["since"], after["core_since"], after["scored"]) == (150, 90, False)


def test_a_purchase_on_the_day_before_the_lapse_keeps_core_and_on_the_day_itself_does_not() -> None:
    assert [stage(151, orders=[*MONTHLY, day]) for day in (149, 150)] == ["core", "core_defector"]


def test_one_purchase_begins_a_win_back_and_the_second_completes_it() -> None:
    back = {"orders": [*MONTHLY, 200, 220]}
    first, second = state(201, **back), state(221, **back)
    assert (words(first), first["since"], first["scored"]) == (("core_defector", "active", "won_back"), 150, True)
    assert (words(second), second["since"], second["core_since"]) == (("core", "active", ""), 220, 90)


def test_a_win_back_interrupted_by_another_lapse_begins_anew() -> None:
    again = {"orders": [*MONTHLY, 200, 400, 430]}
    assert [words(state(day, **again))[2] for day in (399, 401, 431)] == ["lost", "won_back", ""]
    assert state(401, **again)["since"] == 150


def test_nobody_is_won_back_while_a_complaint_is_open_past_its_promise() -> None:
    cross = {"orders": [*MONTHLY, 200, 220, 245], "complaints": [(205, MINOR, 240)]}
    assert [stage(day, **cross) for day in (221, 241, 245, 246)] == ["core_defector"] * 3 + ["core"]


def test_a_first_time_customer_who_returns_after_a_lapse_is_early_repeat_and_on_probation_for_two_purchases() -> None:
    assert state(50, orders=[0])["lapses_on"] == 82
    rows = [state(day, orders=[0, 82, 100]) for day in (83, 101)]
    assert [(words(row)[0], bool(row["reactivated"])) for row in rows] == [("early_repeat", True), ("early_repeat", False)]


def test_an_early_customer_who_returns_in_time_is_not_on_probation() -> None:
    assert not state(82, orders=[0, 81])["reactivated"]


@pytest.mark.parametrize(("touches", "stale_on"), [([], 65), ([10], 70), ([10, 40], 100)])
def test_a_prospect_is_stale_two_cycles_after_the_last_touch(touches: list[int], stale_on: int) -> None:
    rows = [state(day, known=5, touches=touches) for day in (stale_on - 1, stale_on)]
    assert [words(row) for row in rows] == [("prospect", "open", ""), ("prospect", "stale", "")]
    assert rows[0]["lapses_on"] == stale_on


def test_a_silence_survived_before_gives_a_christmas_buyer_more_time() -> None:
    christmas = [0, 7, 14, 365, 372, 379, 730, 737, 744]
    patient, hasty = shop(60), shop(60)
    hasty = hasty._replace(cycle=hasty.cycle._replace(own_gaps=99))
    assert state(745, of=patient, orders=christmas)["lapses_on"] == 744 + math.ceil(1.25 * 351)
    assert state(745, of=hasty, orders=christmas)["lapses_on"] < 744 + 351


def test_survived_silences_give_no_more_than_twelve_of_the_shops_cycles() -> None:
    christmas = [0, 7, 14, 365, 372, 379, 730, 737, 744]
    assert state(745, of=shop(20), orders=christmas)["lapses_on"] == 744 + 12 * 20


def test_a_customer_as_regular_as_a_clock_lapses_after_exactly_two_gaps() -> None:
    for gap, purchases in itertools.product((7, 10, 21, 30, 31), (3, 4, 6)):
        last = gap * (purchases - 1)
        row = state(last + 1, of=shop(gap, 0.1), orders=range(0, last + 1, gap))
        assert row["lapses_on"] == last + max(14, 2 * gap), (gap, purchases)


GRID = list(itertools.product((0, 1, 2, 3, 9), (False, True), range(len(ACTIVITIES)), (False, True), (False, True)))


@pytest.mark.parametrize(("n", "core_ever", "activity", "winning_back", "defecting"), GRID)
def test_exactly_one_stage_is_documented_for_every_case_and_it_is_the_one_decided(
    n: int, core_ever: bool, activity: int, winning_back: bool, defecting: bool
) -> None:
    away = ACTIVITIES[activity] == "lapsed" or winning_back or defecting
    documented = {
        "prospect": n == 0,
        "first_time": n == 1,
        "early_repeat": n >= 2 and not core_ever,
        "core": n >= 2 and core_ever and not away,
        "core_defector": n >= 2 and core_ever and away,
    }
    assert [name for name, holds in documented.items() if holds] == [STAGES[decide(n, core_ever, activity, winning_back, defecting)]]


def test_daily_weekly_and_direct_evaluation_agree() -> None:
    tables = tables_of(*random_customers(seed=11, count=50, cancelling=0.05))
    daily, weekly = states_at(tables, *range(200, 901)), states_at(tables, *range(200, 901, 7))
    assert all(row.tobytes() == daily[key].tobytes() for key, row in weekly.items())
    for day in range(207, 901, 97):
        assert all(row.tobytes() == daily[key].tobytes() for key, row in states_at(tables, day).items())


def stages_moved(customers: list[Customer], days: Iterable[int]) -> set[tuple[int, int, str, str]]:
    """Changes of stage between following days: customer, day, from, to."""
    found = states_at(tables_of(*customers), *days)
    named = [(*key, STAGES[row["stage"]]) for key, row in found.items()]
    return {(a[0], b[1], a[2], b[2]) for a, b in itertools.pairwise(named) if a[0] == b[0] and a[2] != b[2]}


def closure(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All pairs of different stages that a path of edges connects."""
    while True:
        longer = edges | {(a, d) for (a, b), (c, d) in itertools.product(edges, edges) if b == c and a != d}
        if longer == edges:
            return edges
        edges = longer


def test_day_by_day_customers_move_along_every_allowed_path_and_no_other() -> None:
    moved = stages_moved(random_customers(seed=12, count=120, cancelling=0), range(0, 1500))
    assert {(a, b) for _, _, a, b in moved} == EVENT_CLOCK


def test_month_by_month_customers_move_only_where_days_could_have_led_them() -> None:
    moved = {(a, b) for _, _, a, b in stages_moved(random_customers(seed=12, count=120, cancelling=0), range(0, 1500, 60))}
    assert ("prospect", "early_repeat") in moved
    assert moved <= closure(EVENT_CLOCK)


def test_only_a_cancellation_takes_a_customer_back_where_no_path_leads() -> None:
    customers = random_customers(seed=13, count=150, cancelling=0.1)
    void = {(c, day, a, b) for c, day, a, b in stages_moved(customers, range(0, 1500)) if (a, b) not in EVENT_CLOCK}
    assert {("first_time", "prospect"), ("early_repeat", "first_time")} <= {(a, b) for _, _, a, b in void}
    assert all(day - 1 in {o.cancelled for o in customers[c].orders} for c, day, _, _ in void)


def test_the_dates_named_are_the_dates_on_which_the_activity_changes() -> None:
    for customer in random_customers(seed=14, count=60, cancelling=0):
        silent = customer._replace(orders=[o for o in customer.orders if o.day < 500])
        if not bought(silent, 500):
            continue
        tables = tables_of(silent)
        row = states_at(tables, 500)[0, 500]
        dates = [d for d in (row["late_on"] - 1, row["late_on"], row["lapses_on"] - 1, row["lapses_on"]) if d >= 500]
        due = ["active", "late", "late", "lapsed"][4 - len(dates) :]
        assert [ACTIVITIES[states_at(tables, d)[0, d]["activity"]] for d in dates] == due


def naive_deadlines(days: list[int], of: Shop) -> tuple[int, int]:
    """Late and lapse days after the last of these purchases."""
    gaps = [b - a for a, b in itertools.pairwise(days)]
    (usual, spread), rule = naive_rhythm(gaps, of), of.cycle
    late = usual * min(max(math.exp(rule.late_sigmas * spread), rule.late_clip_low), rule.late_clip_high)
    lapse = usual * min(max(math.exp(rule.lapse_sigmas * spread), rule.lapse_clip_low), rule.lapse_clip_high)
    late_days = max(rule.late_floor_days, math.ceil(round(late, 6)))
    lapse_days = max(rule.lapse_floor_days, math.ceil(round(lapse, 6)), late_days + 1)
    if len(gaps) >= rule.own_gaps:
        place = rule.own_quantile * (len(gaps) - 1)
        low, high = sorted(gaps)[int(place)], sorted(gaps)[min(int(place) + 1, len(gaps) - 1)]
        survived = rule.own_factor * (low + (high - low) * (place - int(place)))
        lapse_days = max(lapse_days, math.ceil(round(min(survived, rule.own_limit_cycles * of.usual_gap), 6)))
    return days[-1] + late_days, days[-1] + lapse_days


def naively_content(seen: Customer, day: int, n: int, of: Shop) -> bool:
    """C4 on the day of the n-th purchase."""
    promised = (of.promise.minor, of.promise.major, of.promise.critical)
    cases = [c for c in seen.complaints if c.opened <= day]
    unresolved = [c for c in cases if c.resolved > day]
    defects = [r for r in seen.returns if r.day <= day and r.defect]
    grave = any(c.severity != MINOR or day - c.opened > promised[c.severity] for c in unresolved)
    return not grave and len(cases) <= LIMITS.core_max_complaints_per_purchase * n and len(defects) <= LIMITS.core_max_defect_returns * n


def naive_life(seen: Customer, snapshot: int, of: Shop) -> tuple[str, str, int | None, bool]:
    """Stage, activity, day of core entry and probation, told purchase by purchase."""
    days = sorted(bought(seen, snapshot))
    if not days:
        last = max([t for t in seen.touches if t < snapshot], default=seen.known)
        return "prospect", "open" if snapshot < last + 2 * of.usual_gap else "stale", None, False
    core_since, away, returned = None, False, 0  # purchases since the latest lapse
    for n, day in enumerate(days, start=1):
        lapsed = n > 1 and day >= naive_deadlines(days[: n - 1], of)[1]
        away = away or lapsed
        returned = 1 if lapsed else returned + 1
        content = naively_content(seen, day, n, of)
        if away and returned >= 2 and (core_since is None or content):
            away = False
        if core_since is None:
            usual, spread = naive_rhythm([b - a for a, b in itertools.pairwise(days[:n])], of)
            long = day - days[0] >= max(LIMITS.core_min_days, LIMITS.core_min_cycles * of.usual_gap)
            regular = usual <= LIMITS.core_max_cycle_ratio * of.usual_gap and spread <= LIMITS.core_max_log_sd
            if n >= LIMITS.core_min_purchases and long and regular and content and not away:
                core_since = day
    late_on, lapses_on = naive_deadlines(days, of)
    activity = "active" if snapshot < late_on else "late" if snapshot < lapses_on else "lapsed"
    if core_since is not None:
        return "core_defector" if away or activity == "lapsed" else "core", activity, core_since, False
    return "first_time" if len(days) == 1 else "early_repeat", activity, None, away


def test_random_lives_are_told_as_the_naive_twin_tells_them() -> None:
    customers = random_customers(seed=15, count=150, cancelling=0.05)
    found = states_at(tables_of(*customers), *range(100, 1500, 35))
    told = set()
    for (number, snapshot), row in found.items():
        core_since = None if row["core_since"] == NEVER else int(row["core_since"])
        life = naive_life(customers[number], snapshot, shop())
        assert (*words(row)[:2], core_since, bool(row["reactivated"])) == life, (number, snapshot)
        told.add(life[:2])
    assert len(told) >= 12
