"""Why a customer stands where he stands.

Each number is a fact, each fact decides, each date is right.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frozen import params
from situations import CRITICAL, MAJOR, MINOR, customer, random_customers, shop, tables_of
from test_lifecycle import MONTHLY, REFUSED

from features.records import Shop
from models.decision.queues import queue_of
from models.lifecycle.core_rules import NEEDS
from models.lifecycle.facts import of_one
from models.lifecycle.state_machine import STRONG, life_cycle
from models.lifecycle.why import DATES, LACKING, beside, facts, queues, why
from models.settings import Limits
from pipeline.stages.assign import lifecycle_table

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
    numbers, at, found = life_cycle(
        tables, np.array(days, np.int32), of or shop(), limits, evidence
    )
    return lifecycle_table(found, pa.array([f"C{n}" for n in numbers]), at, complaints_known)


def rows_of(table: pa.Table) -> Any:
    """Its rows, to be read by name."""
    return list(table.to_pandas(date_as_object=True).itertuples())


def told(
    day: int,
    of: Shop | None = None,
    limits: Limits = LIMITS,
    strong: Any = (),
    complaints_known: bool = True,
    **events: Any,
) -> dict[str, Any]:
    """The facts of one customer at the midnight that begins a day, and the text made of them as
    `why`.
    """
    table = table_of(
        customer(**events),
        days=[day],
        of=of,
        limits=limits,
        strong=strong,
        complaints_known=complaints_known,
    )
    found = facts(table, limits, (of or shop()).expected_ipt)
    (text,) = why(found).to_pylist()
    return {**of_one(found, 0), "why": text}


def test_every_number_and_date_in_why_is_one_of_the_facts_and_every_text_is_short() -> None:
    random = table_of(*random_customers(21, 150), days=range(60, 1200, 40))
    strong = table_of(
        customer(orders=[*MONTHLY, 200]), days=range(1, 300), strong=[(90, 140), (200, 205)]
    )
    seen = set()
    for table in (random, strong):
        found = facts(table, LIMITS, 30)
        for i, text in enumerate(why(found).to_pylist()):
            own = of_one(found, i)
            assert set(re.findall(NUMBER, text)) <= {str(value) for value in own.values()}, text
            assert len(text) <= 400, text
            seen.add((own["stage"], own.get("status")))
    assert len(seen) == 4 + 3


def test_what_is_told_of_a_customer_is_the_same_whoever_else_is_told_of() -> None:
    table = table_of(*random_customers(21, 20), days=range(60, 1200, 240))
    found = facts(table, LIMITS, 30)
    texts, work = why(found).to_pylist(), queues(found)
    for i in range(len(table)):
        alone = facts(table.slice(i, 1), LIMITS, 30)
        own = of_one(found, i)
        assert (own, texts[i]) == (of_one(alone, 0), why(alone).to_pylist()[0])
        assert list(own) == list(of_one(alone, 0))
        assert work.values[work.codes[i]] == queue_of(
            own["stage"], own["activity"], own.get("status")
        )


def test_what_the_facts_share_with_data_lifecycle_is_the_same_there() -> None:
    table = table_of(*random_customers(22, 40), days=range(60, 1200, 90))
    everybody = facts(table, LIMITS, 30)
    for i, row in enumerate(rows_of(table)):
        found = of_one(everybody, i)
        for name in set(row._fields) & set(found) - {"satisfaction"}:
            value = getattr(row, name)
            assert found[name] == (value.isoformat() if name in DATES else value), name
        if found["purchases"] > 0:
            assert (found["expected_ipt_days"], found["log_sd"]) == pytest.approx(
                (row.ipt_days, row.ipt_log_sd), abs=0.51
            )


BROKEN = {
    "repair": {"orders": MONTHLY, "complaints": [(90, MAJOR, 91)]},
    "sla": {"orders": MONTHLY, "complaints": [(82, MINOR, 91)]},
}


@pytest.mark.parametrize(("lacking", "situation", "relaxed"), REFUSED.values(), ids=REFUSED)
def test_what_is_named_as_lacking_is_all_that_keeps_him_from_core(
    lacking: str, situation: Any, relaxed: dict[str, float]
) -> None:
    after = situation["orders"][-1] + 1
    assert told(after, **situation)["lacks"] == lacking
    assert "Not core: " in told(after, **situation)["why"]
    relieved = told(after, **situation, limits=LIMITS._replace(**relaxed))
    assert (relieved["stage"], "lacks" in relieved) == ("core", False)


@pytest.mark.parametrize("lacking", BROKEN)
def test_a_complaint_that_is_named_as_lacking_repair_is_all_that_keeps_him_from_core(
    lacking: str,
) -> None:
    assert told(91, **BROKEN[lacking])["lacks"] == lacking
    assert told(91, orders=MONTHLY)["stage"] == "core"


def test_of_every_early_customer_something_is_lacking_and_without_it_he_would_have_been_core() -> (
    None
):
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


def test_each_condition_of_core_has_its_words() -> None:
    assert set(LACKING) == set(NEEDS)


@pytest.mark.parametrize(
    ("day", "situation", "words"),
    [
        (10, {"known": 0}, "Prospect since 1970-01-01, no purchase yet: open until"),
        (10, {"orders": [3]}, "First purchase on 1970-01-04, none since."),
        (
            40,
            {"orders": [0, 30]},
            "Not core: 2 purchases (needs 4), 30 days (needs 90). Last purchase 10 d ago: late from",
        ),
        (124, {"orders": [0, 1, 61, 62, 122, 123]}, "irregularity 1.77 (at most 1.28)"),
        (361, {"orders": [0, 120, 240, 360]}, "usual gap 69 d (at most 60)"),
        (91, BROKEN["repair"], "Not core: 1 grave complaint open at the last purchase."),
        (
            91,
            {"orders": MONTHLY, "complaints": [(5, MINOR, 6), (35, MINOR, 36)]},
            "0.5 complaints per purchase (at most 0.33)",
        ),
        (122, {"orders": [0, 30, 60, 121]}, "Not core: 1 purchase since a lapse (needs 2). Last"),
        (
            91,
            {"orders": MONTHLY},
            "4 purchases over 90 days (needs 4 / 90), gap 30 <= 60 d, regular 0.32 <= 1.28, nothing open past",
        ),
        (91, {"orders": MONTHLY, "complaints_known": False}, "regular 0.32 <= 1.28. Last"),
        (
            91,
            {"orders": MONTHLY, "complaints_known": False},
            "Satisfaction unknown: no complaints are recorded.",
        ),
        (140, {"orders": [*MONTHLY, 120]}, "By now 5 purchases over 120 days"),
        (200, {"orders": MONTHLY}, "lost since 1970-05-31: silent past his deadline."),
        (
            145,
            {"orders": MONTHLY, "strong": [(90, 140)]},
            "defecting since 1970-05-21: late, and with strong evidence of a reason to leave.",
        ),
        (
            201,
            {"orders": [*MONTHLY, 200]},
            "away since 1970-05-31: back, but 1 purchase since (needs 2).",
        ),
        (
            221,
            {"orders": [*MONTHLY, 200, 220], "complaints": [(205, MINOR)]},
            "back, but 1 complaint open past promise at the last purchase.",
        ),
        (221, {"orders": [*MONTHLY, 200, 220]}, "Core since 1970-04-01, back since 1970-08-09:"),
        (
            119,
            {"orders": MONTHLY, "complaints": [(100, CRITICAL)]},
            "Open past promise: 1 complaint. Satisfaction",
        ),
    ],
)
def test_the_text_says_what_decided(day: int, situation: Any, words: str) -> None:
    assert words in told(day, **situation)["why"]


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
    assert told(91, **odd, limits=strict)["lacks"] == "regularity"
    found = told(96, **odd, limits=strict)
    assert (found["stage"], found.get("lacks")) == ("early_repeat", None)
    assert "Core with the next purchase" in found["why"]
    assert told(121, orders=[*odd["orders"], 120], limits=strict)["stage"] == "core"


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
def test_on_the_day_named_he_changes_and_not_the_day_before(
    day: int, situation: Any, date: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    changes = int(np.datetime64(told(day, **situation)[date]).astype("datetime64[D]").astype(int))
    found = [told(at, **situation) for at in (changes - 1, changes)]
    assert [(f["stage"], f["activity"]) for f in found] == [before, after]


@pytest.mark.parametrize(
    ("value", "shown"), [(57.5, (58, 57)), (57.0, (57, 57)), (57.44, (57.44, 57.4))]
)
def test_a_value_told_beside_its_limit_stands_on_its_side_of_it(
    value: float, shown: tuple[float, float]
) -> None:
    told, against = beside(np.array([value]), 57.4, 0, np.array([True]))
    assert of_one({"value": told, "limit": against}, 0) == dict(
        zip(("value", "limit"), shown, strict=True)
    )


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
