"""The life cycle on random histories.

The paths customers take, and every state against the reference implementation.
"""

import itertools
import math
from collections.abc import Iterable

from frozen import params
from reference_features import bought, reference_ipt
from situations import (
    MINOR,
    Customer,
    features_at,
    random_customers,
    shop,
    states_at,
    tables_of,
    words,
)

from features.records import NEVER, Shop
from models.lifecycle.states import ACTIVITIES, STAGES

LIMITS = params().assign
EVENT_CLOCK = {
    ("prospect", "first_time"),
    ("first_time", "early_repeat"),
    ("early_repeat", "core"),
    ("core", "core_defector"),
    ("core_defector", "core"),
}


def test_daily_weekly_and_direct_evaluation_agree() -> None:
    tables = tables_of(*random_customers(seed=11, count=50, cancelling=0.05))
    daily, weekly = states_at(tables, *range(200, 901)), states_at(tables, *range(200, 901, 7))
    assert all(row.tobytes() == daily[key].tobytes() for key, row in weekly.items())
    for day in range(207, 901, 97):
        assert all(
            row.tobytes() == daily[key].tobytes() for key, row in states_at(tables, day).items()
        )


def stages_moved(customers: list[Customer], days: Iterable[int]) -> set[tuple[int, int, str, str]]:
    """Changes of stage between following days: customer, day, from, to."""
    states = states_at(tables_of(*customers), *days)
    named = [(*key, STAGES[row["stage"]]) for key, row in states.items()]
    return {
        (a[0], b[1], a[2], b[2])
        for a, b in itertools.pairwise(named)
        if a[0] == b[0] and a[2] != b[2]
    }


def closure(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All pairs of different stages that a path of edges connects."""
    while True:
        longer = edges | {
            (a, d) for (a, b), (c, d) in itertools.product(edges, edges) if b == c and a != d
        }
        if longer == edges:
            return edges
        edges = longer


def test_day_by_day_customers_move_along_every_allowed_path_and_no_other() -> None:
    moved = stages_moved(random_customers(seed=12, count=120, cancelling=0), range(0, 1500))
    assert {(a, b) for _, _, a, b in moved} == EVENT_CLOCK


def test_month_by_month_customers_move_only_where_days_could_have_led_them() -> None:
    moved = {
        (a, b)
        for _, _, a, b in stages_moved(
            random_customers(seed=12, count=120, cancelling=0), range(0, 1500, 60)
        )
    }
    assert ("prospect", "early_repeat") in moved
    assert moved <= closure(EVENT_CLOCK)


def test_only_a_cancellation_takes_a_customer_back_where_no_path_leads() -> None:
    customers = random_customers(seed=13, count=150, cancelling=0.1)
    void = {
        (c, day, a, b)
        for c, day, a, b in stages_moved(customers, range(0, 1500))
        if (a, b) not in EVENT_CLOCK
    }
    assert {("first_time", "prospect"), ("early_repeat", "first_time")} <= {
        (a, b) for _, _, a, b in void
    }
    assert all(day - 1 in {o.cancelled for o in customers[c].orders} for c, day, _, _ in void)


def test_the_activity_changes_on_the_named_dates() -> None:
    for customer in random_customers(seed=14, count=60, cancelling=0):
        absent = customer._replace(orders=[o for o in customer.orders if o.day < 500])
        if not bought(absent, 500):
            continue
        tables = tables_of(absent)
        row = states_at(tables, 500)[0, 500]
        dates = [
            d
            for d in (row["late_on"] - 1, row["late_on"], row["lapses_on"] - 1, row["lapses_on"])
            if d >= 500
        ]
        due = ["active", "late", "late", "lapsed"][4 - len(dates) :]
        assert [ACTIVITIES[states_at(tables, d)[0, d]["activity"]] for d in dates] == due


def reference_deadlines(days: list[int], of: Shop) -> tuple[int, int]:
    """Late and lapse days after the last of these purchases."""
    gaps = [b - a for a, b in itertools.pairwise(days)]
    (ipt, log_sd), rule = reference_ipt(gaps, of), of.ipt
    late = ipt * min(
        max(math.exp(rule.late_sigmas * log_sd), rule.late_clip_low), rule.late_clip_high
    )
    lapse = ipt * min(
        max(math.exp(rule.lapse_sigmas * log_sd), rule.lapse_clip_low), rule.lapse_clip_high
    )
    late_days = max(rule.late_floor_days, math.ceil(round(late, 6)))
    lapse_days = max(rule.lapse_floor_days, math.ceil(round(lapse, 6)), late_days + 1)
    if len(gaps) >= rule.own_gaps:
        place = rule.own_quantile * (len(gaps) - 1)
        low, high = sorted(gaps)[int(place)], sorted(gaps)[min(int(place) + 1, len(gaps) - 1)]
        own = rule.own_factor * (low + (high - low) * (place - int(place)))
        lapse_days = max(
            lapse_days, math.ceil(round(min(own, rule.own_limit_ipts * of.expected_ipt), 6))
        )
    return days[-1] + late_days, days[-1] + lapse_days


def has_grave_or_late_complaint(seen: Customer, day: int, of: Shop) -> bool:
    """A major or critical complaint open at the end of a day, or any past its SLA."""
    sla_days = (of.sla.minor, of.sla.major, of.sla.critical)
    cases = [c for c in seen.complaints if c.opened <= day]
    unresolved = [c for c in cases if c.resolved > day or c.resolved <= c.reopened <= day]
    return any(c.severity != MINOR or day - c.opened > sla_days[c.severity] for c in unresolved)


def meets_c4(seen: Customer, day: int, n: int, of: Shop) -> bool:
    """C4 on the day of the n-th purchase."""
    cases, defects = (
        [c for c in seen.complaints if c.opened <= day],
        [r for r in seen.returns if r.day <= day and r.defect],
    )
    return (
        not has_grave_or_late_complaint(seen, day, of)
        and len(cases) <= LIMITS.core_max_complaints_per_purchase * n
        and len(defects) <= LIMITS.core_max_defect_returns * n
    )


def reference_life(
    seen: Customer, snapshot: int, of: Shop, strong: dict[int, int]
) -> tuple[str, str, str, int | None, bool]:
    """Stage, activity, status, day of core entry and probation.

    Worked out purchase by purchase, as each was known on its day.
    """
    core_since, away, returned = None, False, 0  # purchases since the latest lapse
    for day in sorted({o.day for o in seen.orders if o.day < snapshot}):
        days = sorted(bought(seen, day + 1))
        n = len(days)
        if day not in days:
            continue
        lapsed = n > 1 and day >= reference_deadlines(days[:-1], of)[1]
        away = away or lapsed
        returned = 1 if lapsed else returned + 1
        if (
            away
            and returned >= 2
            and (core_since is None or not has_grave_or_late_complaint(seen, day, of))
        ):
            away = False
        if core_since is None:
            ipt, log_sd = reference_ipt([b - a for a, b in itertools.pairwise(days)], of)
            long = day - days[0] >= max(
                LIMITS.core_min_days, LIMITS.core_min_ipts * of.expected_ipt
            )
            regular = (
                ipt <= LIMITS.core_max_ipt_ratio * of.expected_ipt
                and log_sd <= LIMITS.core_max_log_sd
            )
            content = meets_c4(seen, day, n, of)
            if n >= LIMITS.core_min_purchases and long and regular and content and not away:
                core_since = day
    days = sorted(bought(seen, snapshot))
    if not days:
        last = max([t.day for t in seen.touches if t.day < snapshot], default=seen.known)
        return (
            "prospect",
            "open" if snapshot < last + 2 * of.expected_ipt else "stale",
            "",
            core_since,
            away and core_since is None,
        )
    late_on, lapses_on = reference_deadlines(days, of)
    activity = "active" if snapshot < late_on else "late" if snapshot < lapses_on else "lapsed"
    if len(days) == 1 or core_since is None:
        return (
            "first_time" if len(days) == 1 else "early_repeat",
            activity,
            "",
            core_since,
            away and core_since is None,
        )
    defecting = activity == "late" and snapshot >= strong.get(days[-1], NEVER)
    status = (
        "lost" if activity == "lapsed" else "defecting" if defecting else "won_back" if away else ""
    )
    return "core_defector" if status else "core", activity, status, core_since, False


def test_random_histories_give_the_states_of_the_reference_implementation() -> None:
    seen = set()
    for number, customer in enumerate(random_customers(seed=15, count=150, cancelling=0.05)):
        # Evidence after every other purchase, from the day after it or from three weeks later on.
        strong = {
            day: day + (1 if k % 4 else 21)
            for k, day in enumerate(sorted(bought(customer, 9999)))
            if k % 2
        }
        for (_, snapshot), row in states_at(
            tables_of(customer), *range(100, 1500, 35), strong=strong.items()
        ).items():
            core_since = (
                None
                if row["core_since"] == NEVER or not row["purchases"]
                else int(row["core_since"])
            )
            life = reference_life(customer, snapshot, shop(), strong)
            assert (*words(row), core_since, bool(row["reactivated"])) == life, (number, snapshot)
            seen.add(life[:3])
    assert len(seen) >= 14


def test_the_values_of_a_state_equal_the_features_and_its_dates_the_purchases() -> None:
    customers = random_customers(seed=16, count=150, cancelling=0.05)
    tables, snapshots = tables_of(*customers), range(100, 1500, 50)
    features = features_at(tables, *snapshots)
    for (number, snapshot), row in states_at(tables, *snapshots).items():
        feature, days = features[number, snapshot], sorted(bought(customers[number], snapshot))
        assert (row["purchases"], row["net_spend_365d"].astype("f4")) == (
            feature["purchases"],
            feature["net_spend_365d"],
        )
        assert (row["open_past_sla"] > 0) == (feature["open_over_sla"] > 1)
        assert [row["first_on"], row["last_purchase_on"]] == (
            [days[0], days[-1]] if days else [NEVER, NEVER]
        )
        if days:
            assert (row["ipt_days"], row["ipt_log_sd"]) == (
                feature["ipt_days"],
                feature["ipt_log_sd"],
            )
        since = {
            "prospect": customers[number].known,
            "first_time": days[:1],
            "early_repeat": days[1:2],
        }.get(words(row)[0])
        assert since is None or row["since"] in (since if isinstance(since, list) else [since])
