"""Evidence of reasons to leave: rules in small situations, relations on random histories."""

import datetime as dt
from string import Formatter
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frozen import params
from reasons_situations import (
    EVENT,
    FEATURES,
    Rows,
    context,
    defecting_at,
    eventful,
    evidence_features_at,
    evidence_rows,
)
from reference_features import bought_lines
from situations import (
    CRITICAL,
    MAJOR,
    MINOR,
    Complaint,
    Order,
    later,
    past_of,
    random_customers,
    tables_of,
)
from test_metamorphic import dearer, renumbered, split

from features.records import NEVER
from models.lifecycle.states import CORE_DEFECTOR, DEFECTING
from models.reasons.catalogue import CATALOGUE, REASONS, band, primary, reason_of
from models.reasons.evidence import strong_evidence
from pipeline.delivery.indications import SENTENCES, sentences

RULES = params().reasons
MONTHLY = [0, 30, 60, 90]
CUSTOMERS = random_customers(seed=12, count=150)
SNAPSHOTS = (90, 250, 251, 400, 777)


def evidence(reason: str, snapshot: int, at: Any = None, **rows: Any) -> float:
    return float(evidence_rows(past_of(**rows), snapshot, at=at)[0, snapshot][f"evidence_{reason}"])


@pytest.mark.parametrize(("severity", "sla"), [(MINOR, 7), (MAJOR, 3), (CRITICAL, 1)])
def test_an_open_complaint_is_evidence_from_the_day_after_its_sla_on(
    severity: int, sla: int
) -> None:
    rows = {"orders": MONTHLY, "complaints": [(95, severity)]}
    assert evidence("unrepaired", 95 + sla, **rows) == 0
    first, second = (evidence("unrepaired", 96 + sla + wait, **rows) for wait in (0, 5))
    assert 0.5 < first < second < 1


def test_a_complaint_resolved_within_its_sla_is_no_evidence_and_past_it_fades() -> None:
    for snapshot in (99, 103, 110, 150):
        rows = {"orders": MONTHLY, "complaints": [(95, MINOR, 102)]}
        assert evidence("unrepaired", snapshot, **rows) == 0
    rows = {"orders": MONTHLY, "complaints": [(95, MINOR, 109)]}
    values = [evidence("unrepaired", day, **rows) for day in (103, 105, 109, 140, 170)]
    assert values[0] < values[1] < values[2] > values[3] > values[4] > RULES.weak


def test_a_purchase_after_the_breach_halves_the_evidence() -> None:
    rows: dict[str, Any] = {"complaints": [(95, MINOR)]}
    once, twice = (
        evidence("unrepaired", 200, orders=[*MONTHLY, *more], **rows) for more in ([120], [])
    )
    assert once == pytest.approx(twice / 2)


def test_a_return_that_is_not_settled_is_evidence_and_a_settled_one_is_not() -> None:
    open_, settled = (
        evidence("unrepaired", 130, orders=MONTHLY, returns=[{"day": 95, "settled": day}])
        for day in (NEVER, 100)
    )
    assert open_ > 0.5 > settled == 0
    unknown = context(settlements=False)
    assert evidence("unrepaired", 130, unknown, orders=MONTHLY, returns=[95]) == 0


LATE = {"day": 90, "promised": 93, "delivered": 103}
SERVICE: dict[str, Any] = {
    "not delivered": ([*MONTHLY[:3], {"day": 90, "promised": 93}], [], RULES.never_delivered, 0),
    "late": (
        [*MONTHLY[:3], {"day": 90, "promised": 93, "delivered": 103}],
        [],
        RULES.major_late,
        1,
    ),
    "a little late": ([*MONTHLY[:3], {"day": 90, "promised": 93, "delivered": 97}], [], 0, None),
    "major": (MONTHLY, [(93, MAJOR, 94)], RULES.major, 2),
    "critical": (MONTHLY, [(93, CRITICAL, 94)], RULES.critical, 3),
    "minor": (MONTHLY, [(93, MINOR, 101)], 0, None),
    "says it did not come": (MONTHLY, [(93, MINOR, 94, NEVER, -1, True)], RULES.never_delivered, 0),
    "cancelled": ([*MONTHLY, {"day": 91, "cancelled": 93, "basket": 1}], [], RULES.cancelled, 4),
}


@pytest.mark.parametrize("name", SERVICE)
def test_a_service_failure_weighs_what_the_parameters_say(name: str) -> None:
    orders, complaints, weight, kind = SERVICE[name]
    row = evidence_rows(past_of(orders=orders, complaints=complaints), 104)[0, 104]
    assert weight * 0.9 < row["evidence_service_failure"] <= weight or weight == 0
    if kind is None:
        assert row["evidence_service_failure"] == 0
        assert row["failure_since_purchase"] == np.float32(RULES.small)
    else:
        assert row["service_failure_kind"] == kind
        assert row["service_failure_on"] == 93


def lines(*spend: float, first: int = 0) -> list[Order]:
    """Monthly purchases of coffee at 10 and of tea at these prices."""
    days = [first + 30 * k for k in range(len(spend))]
    tea = [Order(day, amount, sku=1, category=1) for day, amount in zip(days, spend, strict=True)]
    return [*tea, *(Order(day, 10, sku=2, category=2) for day in days)]


def test_a_fall_of_spend_during_a_market_event_is_evidence_of_a_competitor() -> None:
    rows = {"orders": lines(*[20] * 9, 8, 8, 8)}
    event, early, other = ((1, 265, 400), (1, 100, 200), (2, 265, 400))
    row = evidence_rows(past_of(**rows), 340, at=context(event))[0, 340]
    assert row["evidence_competitor"] > RULES.strong
    assert row["competitor_drop"] == pytest.approx(0.6)
    assert (row["competitor_from_on"], row["competitor_event_on"]) == (265, 265)
    for without in (early, other):
        assert evidence("competitor", 340, context(without), **rows) < RULES.weak
    unseen = evidence("competitor", 340, context(market=False), **rows)
    assert 0.1 < unseen <= RULES.competitor_without_market
    assert evidence("competitor", 340, context(event), orders=lines(*[20] * 12)) < RULES.weak


def test_a_fall_that_all_customers_share_is_no_evidence() -> None:
    rows = {"orders": lines(*[20] * 9, 8, 8, 8)}
    trends = np.zeros((50, 2, 300))
    weeks = np.arange(300)
    trends[:, 1] = weeks
    trends[1, 0] = np.where(weeks < 38, weeks, 38 + 0.4 * (weeks - 38))
    event = (1, 265, 400)
    apart = evidence("competitor", 340, context(event, trends=trends), **rows)
    assert apart < evidence("competitor", 340, context(event), **rows) / 2


def one_item(*days: int) -> list[Order]:
    return [Order(day, sku=1, category=1) for day in days]


def test_a_long_run_of_one_item_is_evidence_of_boredom_and_growing_gaps_are_more() -> None:
    steady, growing = one_item(*range(0, 300, 30)), one_item(0, 20, 40, 60, 80, 120, 170, 230, 300)
    assert RULES.medium < evidence("boredom", 310, orders=steady) <= RULES.boredom_steady
    row = evidence_rows(past_of(orders=growing), 310)[0, 310]
    assert row["evidence_boredom"] > RULES.boredom_steady
    assert (row["boredom_run"], row["one_item_run"]) == (9, 9)
    assert row["boredom_gap_from_days"] < row["boredom_gap_to_days"]
    broken = [*steady, Order(270, sku=2, category=1)]
    assert evidence("boredom", 310, orders=broken) == 0


def test_a_longer_run_of_one_item_never_lowers_the_evidence_of_boredom() -> None:
    days = range(0, 600, 30)
    values = [evidence("boredom", 600, orders=one_item(*days[:runs])) for runs in range(1, 20)]
    assert values == sorted(values)
    assert values[0] == 0 < RULES.medium < values[-1]


def features_of(customers: Any, shift: int = 0) -> Rows:
    at = context((EVENT[0], EVENT[1] + shift, EVENT[2] + shift), first_day=shift)
    days = [day + shift for day in SNAPSHOTS]
    return {
        (who, day - shift): row
        for (who, day), row in evidence_features_at(tables_of(*customers), *days, at=at).items()
    }


CHANGES: dict[str, Any] = {
    "a year of weeks later": lambda: features_of((later(c, 364) for c in CUSTOMERS), 364),
    "dearer": lambda: features_of(map(dearer, CUSTOMERS)),
    "split": lambda: features_of(map(split, CUSTOMERS)),
    "one by one": lambda: {
        (who, day): row
        for who, customer in enumerate(CUSTOMERS)
        for (_, day), row in features_of([customer]).items()
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_evidence_changes_with_what_means_nothing_about_the_customer(change: str) -> None:
    before, after = features_of(CUSTOMERS), CHANGES[change]()
    assert before.keys() == after.keys()
    for name in FEATURES:
        pairs = [(before[key][name], after[key][name]) for key in before]
        assert np.allclose(*np.array(pairs).T, rtol=1e-4, atol=1e-6), f"{change}: {name}"
        assert any(value > 0 for value, _ in pairs), f"{name} is always 0"


def test_other_numbers_of_products_and_categories_change_nothing_without_market_events() -> None:
    at = context(market=False)
    before, after = (
        evidence_features_at(tables_of(*map(change, CUSTOMERS)), *SNAPSHOTS, at=at)
        for change in (lambda same: same, renumbered)
    )
    assert all(np.array_equal(row, after[key]) for key, row in before.items())


@pytest.mark.parametrize("reason", ["unrepaired", "service_failure"])
def test_one_more_overdue_complaint_never_lowers_the_evidence(reason: str) -> None:
    worse = [
        c._replace(complaints=[*c.complaints, Complaint(c.known + 60, CRITICAL)]) for c in CUSTOMERS
    ]
    before, after = (
        evidence_features_at(tables_of(*some), *SNAPSHOTS) for some in (CUSTOMERS, worse)
    )
    name = f"evidence_{reason}"
    assert all(after[key][name] >= row[name] for key, row in before.items())
    assert any(after[key][name] > row[name] for key, row in before.items())


def test_the_day_of_strong_evidence_is_the_first_of_all_days_before_the_lapse() -> None:
    names, checked = [f"evidence_{reason}" for reason in REASONS], 0
    for customer in eventful(13, 100):
        tables, until = tables_of(customer), 500
        start, strong = strong_evidence(tables, until, context(EVENT))
        evidence = evidence_features_at(tables, *range(customer.known + 1, until + 1))
        bought = {day: bought_lines(customer, day) for _, day in evidence}
        last = {day: max((line.day for line in lines), default=-1) for day, lines in bought.items()}
        for after in sorted({line.day for line in customer.orders if line.day < until}):
            state = defecting_at(tables, after + 1).get((0, after + 1))
            days = range(int(state["late_on"]), min(int(state["lapses_on"]), until + 1))
            strong_on = [
                day
                for day in days
                if last[day] == after
                and max(evidence[0, day][name] for name in names) >= RULES.defecting
            ]
            if last[after + 1] == after and state["purchases"] > 1:
                expected = strong_on[0] if strong_on else NEVER
                assert dict(strong.tolist()).get(after, NEVER) == expected, (customer, after)
                checked += days.start < expected < NEVER
    assert checked >= 5


def test_daily_weekly_and_direct_evaluation_give_the_same_stage() -> None:
    tables = tables_of(*random_customers(seed=14, count=80))
    daily, weekly = (defecting_at(tables, *range(200, 606, step)) for step in (1, 7))
    assert all(row.tobytes() == daily[key].tobytes() for key, row in weekly.items())
    direct = {key: row for day in (256, 403, 599) for key, row in defecting_at(tables, day).items()}
    assert all(row.tobytes() == daily[key].tobytes() for key, row in direct.items())
    status = {int(row["status"]) for row in daily.values() if row["stage"] == CORE_DEFECTOR}
    assert DEFECTING in status


def test_a_core_customer_with_a_complaint_past_its_sla_is_defecting_once_overdue() -> None:
    tables = past_of(orders=[0, 30, 60, 90], complaints=[(95, MINOR)])
    states = defecting_at(tables, *range(91, 180))
    assert states[0, 95]["defects_on"] == NEVER
    row = states[0, 96]  # the complaint is known, and will be past its SLA if nothing happens
    assert row["late_on"] == row["defects_on"] < row["lapses_on"]
    after = states[0, int(row["late_on"])]
    assert (after["stage"], after["status"]) == (CORE_DEFECTOR, DEFECTING)


def test_ties_go_to_the_reason_that_is_most_certain_and_most_repairable() -> None:
    rows = np.array(
        [[0.5, 0.54, 0, 0], [0.4, 0.5, 0.2, np.nan], [0.29, 0, 0, 0], [0, 0.31, 0.3, 0.9]]
    )
    named = primary(rows, RULES)
    assert named.reason.tolist() == [0, 1, -1, 3]
    assert named.reason_2.tolist() == [1, 0, -1, 1]
    assert named.evidence[[0, 3]].tolist() == [0.5, 0.9]
    assert np.isnan(named.evidence_2[2])
    assert band([0.1, 0.3, 0.5, 0.7, np.nan], RULES).tolist() == [
        *("none", "weak", "medium", "strong", "none")
    ]


@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_each_reason_has_a_sentence_made_of_its_facts(language: str) -> None:
    samples: dict[str, Any] = {"day": dt.date(2025, 5, 3), "number": 19, "ratio": 0.58}
    columns = {
        f"{reason.name}_{fact}": pa.array(
            [kind[0] if isinstance(kind, tuple) else samples.get(kind, "X7")]
        )
        for reason in CATALOGUE
        for fact, kind in reason.facts.items()
    }
    rows = pa.table({name: pa.concat_arrays([column] * 5) for name, column in columns.items()})
    texts = sentences(rows, np.array([3, -1, 0, 2, 1]), language).to_pylist()
    assert len(set(texts)) == 5
    assert all(texts)
    assert "58 %" in texts[3]
    assert "X7" in texts[2]


def test_a_boredom_sentence_names_the_gaps_only_where_they_grow() -> None:
    facts = {"product": ["tea-04"] * 2, "run": [9, 9]}
    gaps = {"gap_from_days": pa.array([27, None]), "gap_to_days": pa.array([32, None])}
    rows = pa.table({f"boredom_{name}": values for name, values in (facts | gaps).items()})
    growing, steady = sentences(rows, np.array([3, 3]), "en").to_pylist()
    assert growing == "Indication: tea-04 alone 9 times in a row, IPT from 27 to 32 days."
    assert steady == "Indication: tea-04 alone 9 times in a row."


@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_a_sentence_uses_facts_of_its_reason_and_each_kind_has_one(language: str) -> None:
    for reason in CATALOGUE:
        given = SENTENCES[reason.name][language]
        if isinstance(given, dict):
            assert set(given) == set(reason.facts["kind"])
        for text in given.values() if isinstance(given, dict) else [given]:
            assert {name for _, name, _, _ in Formatter().parse(text) if name} <= set(reason.facts)


def said(reason: str, **facts: Any) -> str:
    """The indication of one customer with these facts, all others unknown."""
    each = next(each for each in CATALOGUE if each.name == reason)
    columns = {
        f"{reason}_{name}": pa.array([facts.get(name)], pa.date32() if kind == "day" else None)
        for name, kind in each.facts.items()
    }
    place = np.array([REASONS.index(reason)])
    return str(sentences(pa.table(columns), place, "en")[0].as_py()).partition(": ")[2]


def test_a_resolved_case_reads_as_resolved_and_an_open_one_as_open() -> None:
    day = dt.date(2025, 10, 11)
    case = {"kind": "complaint", "id": "K7", "opened_on": day, "days": 9, "sla_days": 3}
    resolved = said("unrepaired", resolved_on=dt.date(2025, 10, 20), **case)
    assert resolved == (
        "Complaint K7 of 11 October 2025 resolved on 20 October 2025, after 9 days, SLA 3."
    )
    assert said("unrepaired", **case) == "Complaint K7 open since 11 October 2025, 9 days, SLA 3."


def test_a_late_order_says_how_late_and_when_it_was_due() -> None:
    facts = {"id": "O7", "on": dt.date(2025, 11, 4), "days": 9}
    assert said("service_failure", kind="late", **facts) == (
        "Delivered 9 days late: O7, due 4 November 2025."
    )
    assert (
        said("service_failure", kind="major", **facts) == "Major complaint O7 of 4 November 2025."
    )


def test_a_fall_since_a_market_event_says_so() -> None:
    day = dt.date(2025, 7, 11)
    fall = {"category": "honey", "drop": 0.51, "from_on": day}
    begins = "Spend on honey per purchase down by 51 % since "
    assert said("competitor", **fall) == f"{begins}11 July 2025."
    event = said("competitor", event_on=day, **fall)
    assert event == f"{begins}the market event of 11 July 2025."


def test_gaps_that_hardly_grow_are_neither_evidence_nor_named() -> None:
    grown = {}
    for longer in (30, 32, 40):
        days = np.cumsum([0, *[30] * 5, *[longer] * 5])
        grown[longer] = evidence_rows(past_of(orders=one_item(*days)), 400)[0, 400]
    assert [row["boredom_gap_to_days"] for row in grown.values()] == [NEVER, NEVER, 40]
    assert grown[30]["evidence_boredom"] == grown[32]["evidence_boredom"]
    assert grown[40]["evidence_boredom"] > grown[32]["evidence_boredom"]


def test_a_fall_too_small_to_convince_anybody_is_no_evidence() -> None:
    event = (1, 265, 400)
    drops = []
    for share in np.arange(0.5, 1.01, 0.02):
        orders = lines(*[20] * 9, *[20 * share] * 3)
        row = evidence_rows(past_of(orders=orders), 340, at=context(event))[0, 340]
        if row["evidence_competitor"] > 0:
            drops.append(row["competitor_drop"])
    assert RULES.competitor_least_fall < min(drops) < RULES.competitor_least_fall + 0.03


def test_an_incomplete_reason_is_refused_with_the_missing_part() -> None:
    module: Any = SimpleNamespace(__name__="models.reasons.price", __file__="price.py", NEEDS=())
    with pytest.raises(TypeError, match=r"price\.py has no .*FEATURES, FACTS, BLIND, price"):
        reason_of(ModuleType("models.reasons.price") if module is None else module)
    assert REASONS == ("unrepaired", "service_failure", "competitor", "boredom")
