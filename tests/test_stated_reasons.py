"""What customers state as their reason to leave, against the evidence on the day of their list."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from demo_shop import simulated_shop
from frozen import ROOT, params
from raw_shop import csv, ingested

from models.decision.playbook import Words
from models.reasons.catalogue import REASONS
from models.settings import SMALLEST_CELL
from pipeline.delivery.stated_reasons import NO_ANSWER, OTHER_WORDS, reasons_of, stated_reasons
from pipeline.demo.answers import ANSWERS
from pipeline.engine.calendar import shop_of
from pipeline.engine.evidence import market_of, trends_of
from pipeline.runtime.playbook import read_playbook

PARAMS = params()
WORDS = read_playbook(ROOT).reason_words


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("My COMPLAINT is still open", "unrepaired"),
        ("Erstattung nie erhalten", "unrepaired"),
        ("aspetto ancora il rimborso", "unrepaired"),
        ("no complaint, I moved", "other_unknown"),
        ("keine Beschwerde", "other_unknown"),
        ("zu spät geliefert", "service_failure"),
        ("zu spat geliefert", "service_failure"),
        ("la merce era rotta, mai arrivata bene", "service_failure"),
        ("woanders günstiger", "competitor"),
        ("costa meno altrove", "competitor"),
        ("cheaper elsewhere, and you came late", "competitor"),
        ("immer dasselbe", "boredom"),
        ("poca varietà", "boredom"),
        ("service_failure", "service_failure"),
        ("competitor", "competitor"),
        ("uncaring", OTHER_WORDS),
        ("ask my boss", OTHER_WORDS),
        ("  ", NO_ANSWER),
        (None, NO_ANSWER),
    ],
)
def test_an_answer_counts_for_the_reason_whose_word_comes_first(answer: Any, reason: str) -> None:
    assert reasons_of(pd.Series([answer], dtype=object), WORDS) == [reason]


def test_a_shop_may_use_its_own_words() -> None:
    words = {**WORDS, "competitor": Words(en="the market stall", de="Markt", it="mercato")}
    answers = pd.Series(["The market stall next door", "elsewhere"])
    assert reasons_of(answers, words) == ["competitor", OTHER_WORDS]


def matrix(folder: Path, *treatments: str, words: Any = WORDS) -> dict[tuple[str, str], Any]:
    """Thirty customers buy once a month; each complains in April, of which nothing is resolved."""
    buyers = [f"C{number:02d}" for number in range(30)]
    months = [f"2026-{month:02d}-01T12:00:00" for month in (1, 2, 3, 4)]
    files = {
        "orders.csv": csv(
            *(f"{who},{who}-{on[:7]},{on},A,tea,1,5" for who in buyers for on in months)
        ),
        "complaints.csv": csv(
            *(f"K{who},{who},2026-04-05T12:00:00,minor," for who in buyers),
            head="complaint_id,customer_id,opened_at,severity,resolved_at",
        ),
        "treatments.csv": csv(*treatments, head="customer_id,as_of,contact,stated_reason"),
    }
    events = ingested(folder, files, data_end="2026-06-01").events
    calibration = {"expected_ipt": 30.0, "log_sd": 0.5, "long_runs": {"": 9.0}}
    shop = shop_of(calibration, PARAMS.ipt, PARAMS.sla, [])
    trends = trends_of(events, PARAMS.engine)
    market = market_of(events, calibration, trends, PARAMS.reasons, shop)
    rows = stated_reasons(events, market, words)
    pairs = zip(rows["stated_reason"], rows["evidence_reason"], strict=True)
    return dict(zip(pairs, rows["answers"], strict=True))


def test_answers_are_counted_by_the_evidence_on_the_day_of_the_list(tmp_path: Path) -> None:
    before, after = "2026-04-05T00:00:00", "2026-04-25T00:00:00"
    cells = matrix(
        tmp_path,
        *(f"C{n:02d},{before},call,my complaint" for n in range(10)),
        *(f"C{n:02d},{after},call,my complaint" for n in range(12)),
        *(f"C{n:02d},{after},call,cheaper elsewhere" for n in range(12, 21)),
        *(f"C{n:02d},{after},hold_out," for n in range(21, 30)),
        *(f"C{n:02d},{before},call," for n in range(10, 20)),
    )
    known = {pair: count for pair, count in cells.items() if not pd.isna(count)}
    assert known == {
        ("unrepaired", "other_unknown"): 10,  # the complaint came later
        ("unrepaired", "unrepaired"): 12,
        (NO_ANSWER, "other_unknown"): 10,  # the control group gets no question
    }
    assert ("competitor", "unrepaired") in cells  # but nine customers are too few to be shown


def test_ten_answers_of_one_customer_are_not_shown(tmp_path: Path) -> None:
    days = [f"2026-05-{day:02d}T00:00:00" for day in range(1, 1 + SMALLEST_CELL)]
    cells = matrix(tmp_path, *(f"C01,{day},call,too late" for day in days))
    assert all(pd.isna(count) for count in cells.values())


def test_a_shop_without_lists_has_an_empty_matrix(tmp_path: Path) -> None:
    assert all(pd.isna(count) for count in matrix(tmp_path).values())


def test_called_customers_of_the_demo_state_their_true_reason_as_often_as_planted() -> None:
    run = simulated_shop(customers=3000)
    causes = [f"hazard_{name}" for name in REASONS]
    rows = run(
        f"""select t.stated_reason, fired, {", ".join(causes)}
        from treatments t join true_order o on t.customer_id = o.customer_id
        and o.listed and t.as_of > o.ordered_at and o.called
        where contact = 'call'
        qualify row_number() over (partition by t.customer_id, t.as_of
                                   order by o.ordered_at desc) = 1"""
    )
    hazards = np.array([row[2:] for row in rows], float)
    nearest = np.array(REASONS)[hazards.argmax(axis=1)]
    answered = [
        (answer, near if fired == "none" else fired)
        for (answer, fired, *_), near in zip(rows, nearest, strict=True)
        if answer
    ]
    p = PARAMS.simulate
    assert len(answered) / len(rows) == pytest.approx(p.stated_answer, abs=0.06)
    honest = np.mean([answer in ANSWERS[cause] for answer, cause in answered])
    assert honest == pytest.approx(p.stated_true, abs=0.06)
    control = run("select count(stated_reason) from treatments where contact <> 'call'")
    assert control == [(0,)]
