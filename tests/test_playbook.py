"""The playbook: what people edit is checked, and each customer gets the action of their pair."""

import datetime as dt
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from frozen import ROOT, params

from models.decision.playbook import DATES, SITUATIONS, Playbook, Words
from models.decision.queues import QUEUES
from models.settings import Language
from pipeline.delivery.facts import Facts, fact
from pipeline.delivery.to_do import to_do
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.playbook import read_playbook

TEXT = (ROOT / "playbook.yaml").read_text(encoding="utf-8")
LONGEST = params().score.action_characters
TODAY = dt.date(2026, 1, 1).toordinal() - 719163


def playbook() -> Playbook:
    return read_playbook(ROOT, LONGEST)


def doing(
    queue: str, situation: str, language: str = "en", of: Playbook | None = None, **dates: float
) -> tuple[str, str, int]:
    """Action, owner and days until act_by of one customer."""
    one = np.array([True])
    known: Facts = {
        "queue": fact(pa.array([queue]), one),
        "situation": fact(pa.array([situation]), one),
        "category": fact(pa.array(["tea"]), one),
        "product": fact(pa.array(["S-1"]), one),
    }
    none = dict.fromkeys((*DATES, "ipt_days"), math.nan)
    days = {name: np.array([TODAY + value]) for name, value in (none | dates).items()}
    days["ipt_days"] = days["ipt_days"] - TODAY
    done = to_do(of or playbook(), known, np.array([TODAY], np.int32), days, language)
    return done["action"][0].as_py(), done["owner"][0].as_py(), int(done["act_by"][0] - TODAY)


def test_every_queue_and_reason_has_an_action_and_an_owner_in_every_language() -> None:
    assert set(Words.model_fields) == set(get_args(Language))
    for queue in QUEUES:
        for situation in SITUATIONS:
            texts = [doing(queue, situation, language)[:2] for language in get_args(Language)]
            assert len(set(texts)) == len(texts), (queue, situation)
            assert all(len(text) <= LONGEST and "{" not in text for text, _ in texts)


@pytest.mark.parametrize(
    ("queue", "situation", "words", "owner"),
    [
        ("core_care", "unrepaired", "No discount before the repair.", "account manager"),
        ("save_now", "competitor", "to them in tea, compare", "account manager"),
        ("save_now", "competitor", "Do not accuse.", "account manager"),
        ("early_care", "boredom", "beside S-1", "account manager"),
        ("early_care", "boredom", "No discount on the same item.", "account manager"),
        ("core_care", "second_failure", "A manager calls today", "manager"),
        ("convert", "other_unknown", "explain the value", "sales desk"),
        ("second_purchase", "other_unknown", "the first order was as expected", "onboarding desk"),
    ],
)
def test_the_action_says_what_to_do_and_what_to_avoid(
    queue: str, situation: str, words: str, owner: str
) -> None:
    action, by_whom, _ = doing(queue, situation)
    assert words in action
    assert by_whom == owner


@pytest.mark.parametrize(
    ("queue", "situation", "dates", "days"),
    [
        ("core_care", "second_failure", {}, 0),
        ("core_care", "unrepaired", {}, 1),
        ("early_care", "service_failure", {"complaint_opened_on": 0, "complaint_due_on": 1}, 1),
        ("early_care", "service_failure", {"complaint_opened_on": -3, "complaint_due_on": 3}, 0),
        ("early_care", "service_failure", {"complaint_opened_on": -9, "complaint_due_on": -2}, 1),
        ("second_purchase", "other_unknown", {"delivered_on": -9, "ipt_days": 30}, 6),
        ("second_purchase", "other_unknown", {"delivered_on": -9, "ipt_days": 365}, 14),
        ("second_purchase", "other_unknown", {"delivered_on": -99, "ipt_days": 30}, 14),
        ("convert", "other_unknown", {"limit_on": 4}, 4),
        ("convert", "other_unknown", {"limit_on": 40}, 7),
        ("convert", "other_unknown", {}, 7),
    ],
)
def test_act_by_is_the_first_of_the_dates_that_is_still_ahead(
    queue: str, situation: str, dates: dict[str, float], days: int
) -> None:
    assert doing(queue, situation, **dates)[2] == days


def edited(folder: Path, old: str, new: str) -> ConfigError:
    """The refusal of a playbook with one text replaced."""
    assert old in TEXT
    (folder / "playbook.yaml").write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_playbook(folder, LONGEST)
    assert (raised.value.code, raised.value.exit_code) == ("E_PLAYBOOK", 2)
    return raised.value


def line_of(text: str) -> int:
    return TEXT[: TEXT.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "at", "rule", "fix"),
    [
        ("[unrepaired]", "[unrepared]", "[unrepaired]", "`unrepared` is unknown", "use one of unr"),
        ("[core_care, s", "[core, s", "[core_care, s", "`core` is unknown", "use one of core_care"),
        ("    de: Kein Rabatt v", "#", "  avoid:", "`de` is missing", "add it"),
        ("    de: Kein Rabatt v", "    fr: ", "    de: Kein Rabatt v", "no `fr` here", "remove"),
        ("en: Own", f"en: {'x' * 200}", "- queues", "en: 2", "shorten the text"),
        ("{category}, c", "{rival}, c",
         "- queues: [core_care, save_now, early_care, second_purchase]",
         "en: {rival} is unknown", "use one of {category}, {product}"),
        ("Own the problem", "Own {product}", "- queues", "is known for boredom only", "of its own"),
        ("Own the problem", "Own {", "- queues", "en: expected '}'", "write {{ for {"),
        ("  owner: manager", "  owner: boss", "owners:", "owner `boss` is unknown", "to `owners`"),
        ("reasons: [second_failure]", "reasons: [boredom]", "owners:", "reason boredom: two plays",
         "keep one"),
        ("queues: [early_care]", "queues: [core_care]", "owners:",
         "queue core_care, reason other_unknown: two plays", "keep one"),
        ("  by: {days: 1, sla_share", "  by: {day: 1, sla_share", "  by: {days: 1, sla",
         "there is no `day` here", "did you mean days?"),
        ("{days: 0}", "{days: -1}", "{days: 0}", "greater than or equal to 0", "correct"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_playbook_is_refused_with_file_line_and_remedy(
    old: str, new: str, at: str, rule: str, fix: str, tmp_path: Path
) -> None:
    refused = edited(tmp_path, old, new)
    where = line_of(at) if at != "owners:" else 1
    assert refused.place.startswith(f"playbook.yaml:{where}"), refused
    assert rule in refused.rule
    assert fix in refused.fix


def test_a_pair_without_a_play_is_named(tmp_path: Path) -> None:
    refused = edited(
        tmp_path, "save_now, early_care, second_purchase, win_back, convert]", "save_now]"
    )
    assert refused.rule == "queue early_care, reason second_failure: no play"
    assert refused.fix == "add one"


def test_without_the_file_the_message_says_how_to_get_it_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="git checkout playbook.yaml"):
        read_playbook(tmp_path, LONGEST)


def test_each_customer_gets_the_action_of_their_own_pair_whoever_stands_beside() -> None:
    pairs = [(queue, situation) for queue in QUEUES for situation in SITUATIONS] * 2
    everybody = np.ones(len(pairs), bool)
    known: Facts = {
        "queue": fact(pa.array([queue for queue, _ in pairs]), everybody),
        "situation": fact(pa.array([situation for _, situation in pairs]), everybody),
        "category": fact(pa.array(["tea"] * len(pairs)), everybody),
        "product": fact(pa.array(["S-1"] * len(pairs)), everybody),
    }
    today = np.full(len(pairs), TODAY, np.int32)
    none: dict[str, Any] = {n: np.full(len(pairs), math.nan) for n in (*DATES, "ipt_days")}
    together = to_do(playbook(), known, today, none, "it")
    for i, pair in enumerate(pairs):
        alone = doing(*pair, "it")
        assert (together["action"][i].as_py(), together["owner"][i].as_py()) == alone[:2]
