"""Why a customer is in their stage: numbers are facts, facts decide, dates are right."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frozen import params
from situations import CRITICAL, MAJOR, MINOR, customer, of_one, random_customers, shop, tables_of
from test_lifecycle import MONTHLY, REFUSED

from features.records import STRONG, Shop
from models.decision.queues import queue_of
from models.lifecycle.limits import Limits
from models.lifecycle.state_machine import life_cycle
from pipeline.delivery.facts import combined
from pipeline.delivery.why_stage import DATES, beside, facts, why_stage
from pipeline.engine.lifecycle import lifecycle_table

LIMITS = params().assign
NUMBER = r"\d{4}-\d\d-\d\d|\d+(?:\.\d+)?"


def table_of(
    *customers: Any,
    days: Any,
    of: Shop | None = None,
    limits: Limits = LIMITS,
    strong: Any = (),
    complaints_known: bool = True,
) -> pa.Table:
    """The rows of data/lifecycle at these days.

    `strong` is evidence of the first customer, (day of a purchase, strong from).
    """
    tables = tables_of(*customers)
    evidence = np.array([0, *[len(strong)] * len(customers)]), np.array(list(strong), STRONG)
    numbers, at, states = life_cycle(
        tables, np.array(days, np.int32), of or shop(), limits, evidence
    )
    return lifecycle_table(states, pa.array([f"C{n}" for n in numbers]), at, complaints_known)


def rows_of(table: pa.Table) -> Any:
    """Its rows, to be read by name."""
    return list(table.to_pandas(date_as_object=True).itertuples())


def explained(
    day: int,
    of: Shop | None = None,
    limits: Limits = LIMITS,
    strong: Any = (),
    complaints_known: bool = True,
    **events: Any,
) -> dict[str, Any]:
    """The facts of one customer at the midnight that begins a day, with the text as `why_stage`."""
    table = table_of(
        customer(**events),
        days=[day],
        of=of,
        limits=limits,
        strong=strong,
        complaints_known=complaints_known,
    )
    known = facts(table, limits, (of or shop()).expected_ipt)
    (text,) = why_stage(known).to_pylist()
    return {**of_one(known, 0), "why_stage": text}


def test_every_number_and_date_in_why_stage_is_a_fact_and_every_text_is_short() -> None:
    random = table_of(*random_customers(21, 150), days=range(60, 1200, 40))
    strong = table_of(
        customer(orders=[*MONTHLY, 200]), days=range(1, 300), strong=[(90, 140), (200, 205)]
    )
    seen = set()
    for table in (random, strong):
        known = facts(table, LIMITS, 30)
        for i, text in enumerate(why_stage(known).to_pylist()):
            own = of_one(known, i)
            assert set(re.findall(NUMBER, text)) <= {str(value) for value in own.values()}, text
            assert len(text) <= 450, text
            seen.add((own["stage"], own.get("status")))
    assert len(seen) == 4 + 3


def test_the_text_of_a_customer_does_not_depend_on_the_other_customers() -> None:
    table = table_of(*random_customers(21, 20), days=range(60, 1200, 240))
    known = facts(table, LIMITS, 30)
    texts = why_stage(known).to_pylist()
    queues = combined(queue_of, *(known[name] for name in ("stage", "activity", "status")))
    for i in range(len(table)):
        alone = facts(table.slice(i, 1), LIMITS, 30)
        own = of_one(known, i)
        assert (own, texts[i]) == (of_one(alone, 0), why_stage(alone).to_pylist()[0])
        assert list(own) == list(of_one(alone, 0))
        assert queues.values[queues.codes[i]] == queue_of(
            own["stage"], own["activity"], own.get("status")
        )


def test_facts_that_are_columns_of_data_lifecycle_have_the_same_values() -> None:
    table = table_of(*random_customers(22, 40), days=range(60, 1200, 90))
    everybody = facts(table, LIMITS, 30)
    for i, row in enumerate(rows_of(table)):
        known = of_one(everybody, i)
        for name in set(row._fields) & set(known) - {"satisfaction"}:
            value = getattr(row, name)
            assert known[name] == (value.isoformat() if name in DATES else value), name
        if known["purchases"] > 0:
            assert (known["expected_ipt_days"], known["log_sd"]) == pytest.approx(
                (row.ipt_days, row.ipt_log_sd), abs=0.51
            )


BROKEN = {
    "repair": {"orders": MONTHLY, "complaints": [(90, MAJOR, 91)]},
    "sla": {"orders": MONTHLY, "complaints": [(82, MINOR, 91)]},
}


@pytest.mark.parametrize(("lacking", "situation", "relaxed"), REFUSED.values(), ids=REFUSED)
def test_the_condition_named_as_lacking_is_all_that_keeps_a_customer_from_core(
    lacking: str, situation: Any, relaxed: dict[str, float]
) -> None:
    after = situation["orders"][-1] + 1
    assert explained(after, **situation)["lacks"] == lacking
    assert "Not core at the last purchase: " in explained(after, **situation)["why_stage"]
    relieved = explained(after, **situation, limits=LIMITS._replace(**relaxed))
    assert (relieved["stage"], "lacks" in relieved) == ("core", False)


@pytest.mark.parametrize("lacking", BROKEN)
def test_an_open_complaint_named_as_lacking_is_all_that_keeps_a_customer_from_core(
    lacking: str,
) -> None:
    assert explained(91, **BROKEN[lacking])["lacks"] == lacking
    assert explained(91, orders=MONTHLY)["stage"] == "core"


def test_every_early_customer_lacks_something_and_would_be_core_without_that() -> None:
    relief: dict[str, dict[str, float]] = {
        "purchases": {"core_min_purchases": 2},
        "days": {"core_min_days": 0, "core_min_ipts": 0.0},
        "pace": {"core_max_ipt_ratio": 1e9},
        "regularity": {"core_max_log_sd": 1e9},
        "few_complaints": {"core_max_complaints_per_purchase": 1e9},
        "few_defects": {"core_max_defect_returns": 1e9},
        "staying": {"reactivated_purchases": 1},
    }
    customers, seen = random_customers(23, 120, cancelling=0), set()
    for row in rows_of(table_of(*customers, days=[400, 900])):
        if row.stage != "early_repeat":
            continue
        lacks = row.lacks.split(",")
        seen |= set(lacks)
        limits = LIMITS._replace(
            **{k: v for need in lacks for k, v in relief.get(need, {}).items()}
        )  # type: ignore[arg-type]
        relieved = customers[int(row.customer_id[1:])]
        if {"repair", "sla"} & set(lacks):
            relieved = relieved._replace(complaints=[])
        day = row.snapshot.toordinal() - 719163
        (again,) = rows_of(table_of(relieved, days=[day], limits=limits))
        assert again.stage in {"core", "core_defector"}, lacks
    assert len(seen) >= 7


@pytest.mark.parametrize(
    ("day", "situation", "words"),
    [
        (10, {"known": 0}, "Prospect since 1970-01-01, no purchase yet: open until"),
        (10, {"orders": [3]}, "First purchase on 1970-01-04, no second one yet."),
        (
            40,
            {"orders": [0, 30]},
            "2 purchases (needs 4), 30 days after the first (needs 90). "
            "10 days since the last purchase: overdue from",
        ),
        (124, {"orders": [0, 1, 61, 62, 122, 123]}, "log-sd 1.77 (at most 1.28)"),
        (361, {"orders": [0, 120, 240, 360]}, "expected IPT 69 days (at most 60)"),
        (
            91,
            BROKEN["repair"],
            "Not core at the last purchase: 1 major or critical complaint open.",
        ),
        (
            91,
            {"orders": MONTHLY, "complaints": [(5, MINOR, 6), (35, MINOR, 36)]},
            "0.5 complaints per purchase (at most 0.33)",
        ),
        (
            122,
            {"orders": [0, 30, 60, 121]},
            "purchase: 1 purchase since the last lapse (needs 2). 1 day since",
        ),
        (
            91,
            {"orders": MONTHLY},
            "Core since 1970-04-01 with 4 purchases (needs 4), 90 days after the first (needs 90), "
            "expected IPT 30 days (at most 60), log-sd 0.32 (at most 1.28), "
            "no complaint past its SLA. 1 day since the last purchase",
        ),
        (
            91,
            {"orders": MONTHLY, "complaints_known": False},
            "log-sd 0.32 (at most 1.28). 1 day since the last purchase",
        ),
        (
            91,
            {"orders": MONTHLY, "complaints_known": False},
            "Satisfaction unknown: the shop records no complaints.",
        ),
        (140, {"orders": [*MONTHLY, 120]}, "Now 5 purchases, expected IPT 30 days."),
        (
            200,
            {"orders": MONTHLY},
            "Core from 1970-04-01, lost since 1970-05-31: no purchase in time.",
        ),
        (
            145,
            {"orders": MONTHLY, "strong": [(90, 140)]},
            "defecting since 1970-05-21: overdue, strong evidence of a reason to leave.",
        ),
        (
            201,
            {"orders": [*MONTHLY, 200]},
            "away since 1970-05-31, not won back at the last purchase: "
            "1 purchase since the lapse (needs 2).",
        ),
        (
            221,
            {"orders": [*MONTHLY, 200, 220], "complaints": [(205, MINOR)]},
            "not won back at the last purchase: 1 complaint open past its SLA.",
        ),
        (221, {"orders": [*MONTHLY, 200, 220]}, "Back since 1970-08-09."),
        (
            119,
            {"orders": MONTHLY, "complaints": [(100, CRITICAL)]},
            " 1 complaint open past its SLA. Satisfaction",
        ),
    ],
)
def test_the_text_names_what_decided(day: int, situation: Any, words: str) -> None:
    assert words in explained(day, **situation)["why_stage"]


def test_nothing_lacking_after_a_cancellation_means_core_with_the_next_purchase() -> None:
    odd = {
        "orders": [
            0,
            {"day": 1, "cancelled": 95},
            {"day": 2, "cancelled": 95},
            {"day": 3, "cancelled": 95},
            30,
            60,
            90,
        ]
    }
    strict = LIMITS._replace(core_max_log_sd=0.6)
    assert explained(91, **odd, limits=strict)["lacks"] == "regularity"
    known = explained(96, **odd, limits=strict)
    assert (known["stage"], known.get("lacks")) == ("early_repeat", None)
    assert "Core with the next purchase if nothing changes." in known["why_stage"]
    assert explained(121, orders=[*odd["orders"], 120], limits=strict)["stage"] == "core"


@pytest.mark.parametrize(
    ("day", "situation", "date", "before", "after"),
    [
        (10, {"known": 0}, "lapses_on", ("prospect", "open"), ("prospect", "stale")),
        (10, {"orders": [0]}, "late_on", ("first_time", "active"), ("first_time", "late")),
        (10, {"orders": [0]}, "lapses_on", ("first_time", "late"), ("first_time", "lapsed")),
        (40, {"orders": [0, 30]}, "late_on", ("early_repeat", "active"), ("early_repeat", "late")),
        (
            40,
            {"orders": [0, 30]},
            "lapses_on",
            ("early_repeat", "late"),
            ("early_repeat", "lapsed"),
        ),
        (91, {"orders": MONTHLY}, "late_on", ("core", "active"), ("core", "late")),
        (91, {"orders": MONTHLY}, "lapses_on", ("core", "late"), ("core_defector", "lapsed")),
        (
            91,
            {"orders": MONTHLY, "strong": [(90, 140)]},
            "defects_on",
            ("core", "late"),
            ("core_defector", "late"),
        ),
        (
            201,
            {"orders": [*MONTHLY, 200]},
            "lapses_on",
            ("core_defector", "late"),
            ("core_defector", "lapsed"),
        ),
    ],
)
def test_the_customer_changes_on_the_named_day_and_not_the_day_before(
    day: int, situation: Any, date: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    changes = int(
        np.datetime64(explained(day, **situation)[date]).astype("datetime64[D]").astype(int)
    )
    known = [explained(at, **situation) for at in (changes - 1, changes)]
    assert [(f["stage"], f["activity"]) for f in known] == [before, after]


@pytest.mark.parametrize(
    ("value", "shown"), [(57.5, (58, 57)), (57.0, (57, 57)), (57.44, (57.44, 57.4))]
)
def test_a_value_beside_its_bound_is_shown_on_its_side_of_it(
    value: float, shown: tuple[float, float]
) -> None:
    value_fact, bound_fact = beside(np.array([value]), 57.4, 0, np.array([True]))
    assert tuple(of_one({"value": value_fact, "bound": bound_fact}, 0).values()) == shown


@pytest.mark.parametrize(
    ("stage", "activity", "status", "queue"),
    [
        ("prospect", "open", None, "convert"),
        ("prospect", "stale", None, "convert"),
        ("first_time", "lapsed", None, "second_purchase"),
        ("early_repeat", "late", None, "early_care"),
        ("early_repeat", "lapsed", None, "win_back"),
        ("core", "late", None, "core_care"),
        ("core_defector", "active", "won_back", "core_care"),
        ("core_defector", "late", "defecting", "save_now"),
        ("core_defector", "lapsed", "lost", "win_back"),
    ],
)
def test_every_stage_and_activity_has_its_queue(
    stage: str, activity: str, status: str | None, queue: str
) -> None:
    assert queue_of(stage, activity, status) == queue
