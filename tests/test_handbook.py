"""The handbook says what the code does, with the numbers of params.yaml and a reason for each."""

import re
from pathlib import Path

import numpy as np
import pytest
from frozen import ROOT, params
from situations import past_of, random_customers, shop, states_at, tables_of, words
from test_lifecycle_paths import EVENT_CLOCK

from features.records import STRONG
from features.settings import IptRules
from models.decision.queues import queue_of
from models.lifecycle.limits import Limits
from models.lifecycle.state_machine import life_cycle
from pipeline.docs.handbook import RULES, TRANSITIONS, keys_of, lifecycle_markdown, possible_states
from pipeline.runtime.yaml_file import reasons

LIMITS, IPT = params().assign, params().ipt
REASONS = reasons(ROOT / "params.yaml", ("assign", "ipt", "sla", "categories"))


def handbook(limits: Limits = LIMITS, ipt: IptRules = IPT) -> str:
    return lifecycle_markdown(limits, ipt, params().sla, params().categories, REASONS)


def test_every_threshold_of_the_rules_is_in_the_handbook() -> None:
    for section, fields in (("assign", Limits._fields), ("ipt", IptRules._fields)):
        listed = [key for rule in RULES if rule.section == section for key in keys_of(rule, fields)]
        assert sorted(listed) == sorted(fields), section


def test_the_text_of_a_rule_shows_the_value_of_each_parameter_it_names() -> None:
    assert "{" not in handbook()
    assert "* at least 4 purchases\n" in handbook()
    assert "* at least 6 purchases\n" in handbook(LIMITS._replace(core_min_purchases=6))


def test_a_parameter_without_a_reason_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="prior_weight"):
        lifecycle_markdown(LIMITS, IPT, params().sla, params().categories, {**REASONS, "ipt": {}})


def test_defecting_customers_have_a_rule_and_a_queue() -> None:
    _, _, rule = handbook().partition("## Defecting")
    assert "overdue and the evidence of a reason to leave is strong" in " ".join(rule.split())
    assert "| core_defector | late | defecting | save_now | yes |" in rule


@pytest.mark.parametrize("gap", [7, 30, 365])
def test_the_deadlines_of_the_examples_are_those_of_such_customers(gap: int) -> None:
    row = re.search(rf"\| {gap} days \| regular \| 0.5 \| (\d+) \| (\d+) \|", handbook())
    assert row
    state = states_at(past_of(orders=[0]), 1, of=shop(gap, 0.5))[0, 1]
    assert [int(days) for days in row.groups()] == [state["late_on"], state["lapses_on"]]


def test_an_example_follows_its_parameters() -> None:
    assert "| 30 days | regular | 0.5 | 90 |" in handbook(
        ipt=IPT._replace(late_clip_low=3.0, late_clip_high=3.0)
    )


def test_every_state_a_customer_can_be_in_is_listed_with_queue_and_risk() -> None:
    customers = random_customers(41, 150)
    start = np.arange(len(customers) + 1)
    strong = np.array([(max((o.day for o in c.orders), default=0), 0) for c in customers], STRONG)
    _, _, states = life_cycle(
        tables_of(*customers),
        np.arange(1, 1500, 20, dtype=np.int32),
        shop(),
        LIMITS,
        (start, strong),
    )
    seen = {(*words(row), queue_of(*words(row)), bool(row["scored"])) for row in states}
    assert seen == set(possible_states())


def test_the_transitions_are_those_that_customers_make() -> None:
    assert {(a, b) for a, b, _ in TRANSITIONS} == EVENT_CLOCK


def test_the_reason_for_a_parameter_is_the_comment_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        'a:  # a section\n  plain: 1   # because\n  quoted: "# no"\n  mute: 2\n'
        "  list: [1, 2]  # both\nb:\n  other: 3  # not read\n"
    )
    assert reasons(path, ("a",)) == {"a": {"plain": "because", "list": "both"}}
