"""The handbook says what the code does, with the numbers of params.yaml and a reason for each."""

import re
from pathlib import Path

import numpy as np
import pytest
from frozen import ROOT, params
from situations import past_of, random_customers, shop, states_at, tables_of, words
from test_lifecycle_paths import EVENT_CLOCK

from features.settings import IptRules
from models.decision.queues import queue_of
from models.lifecycle.state_machine import STRONG, life_cycle
from models.settings import Limits
from pipeline.docs.handbook import RULES, TRANSITIONS, lifecycle_markdown, places
from pipeline.runtime.yaml_file import reasons

LIMITS, CYCLE = params().assign, params().ipt
REASONS = reasons(ROOT / "params.yaml", ("assign", "ipt", "sla"))


def handbook(limits: Limits = LIMITS, ipt: IptRules = CYCLE) -> str:
    return lifecycle_markdown(limits, ipt, params().sla, REASONS)


def test_every_threshold_of_the_rules_stands_in_the_handbook() -> None:
    told = {
        (section, key) for rule in RULES for section, keys in rule.numbers.items() for key in keys
    }
    assert {key for section, key in told if section == "assign"} == set(Limits._fields)
    assert {key for section, key in told if section == "ipt"} == set(IptRules._fields)


def test_every_number_of_a_rule_is_told_in_words_where_the_words_name_it() -> None:
    text = handbook()
    assert "{" not in text
    assert "bought 4 times or more (C1), over 90 days" in text.replace("\n", " ")
    assert "bought 6 times or more (C1), over 90 days" in handbook(
        LIMITS._replace(core_min_purchases=6)
    ).replace("\n", " ")


def test_a_reason_that_is_missing_is_missed() -> None:
    with pytest.raises(KeyError, match="prior_weight"):
        lifecycle_markdown(LIMITS, CYCLE, params().sla, {**REASONS, "ipt": {}})


@pytest.mark.parametrize("gap", [7, 30, 365])
def test_the_days_of_the_examples_are_those_of_customers_who_buy_like_that(gap: int) -> None:
    found = re.search(rf"\| {gap} days \| regular \| 0.5 \| (\d+) \| (\d+) \|", handbook())
    assert found
    state = states_at(past_of(orders=[0]), 1, of=shop(gap, 0.5))[0, 1]
    assert [int(days) for days in found.groups()] == [state["late_on"], state["lapses_on"]]


def test_an_example_follows_its_parameters() -> None:
    assert "| 30 days | regular | 0.5 | 90 |" in handbook(
        ipt=CYCLE._replace(late_clip_low=3.0, late_clip_high=3.0)
    )


def test_every_place_a_customer_can_be_in_is_told_with_his_queue_and_whether_he_is_given_a_risk() -> (
    None
):
    customers = random_customers(41, 150)
    start = np.arange(len(customers) + 1)
    strong = np.array([(max((o.day for o in c.orders), default=0), 0) for c in customers], STRONG)
    _, _, found = life_cycle(
        tables_of(*customers),
        np.arange(1, 1500, 20, dtype=np.int32),
        shop(),
        LIMITS,
        (start, strong),
    )
    seen = {(*words(row), queue_of(*words(row)), bool(row["scored"])) for row in found}
    assert seen == set(places())


def test_the_ways_told_are_the_ways_customers_take() -> None:
    assert {(a, b) for a, b, _ in TRANSITIONS} == EVENT_CLOCK


def test_the_reason_for_a_parameter_is_the_comment_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        'a:  # a section\n  plain: 1   # because\n  quoted: "# no"\n  mute: 2\n  list: [1, 2]  # both\nb:\n  other: 3  # not asked for\n'
    )
    assert reasons(path, ("a",)) == {"a": {"plain": "because", "list": "both"}}
