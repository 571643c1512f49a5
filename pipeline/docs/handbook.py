"""The life-cycle handbook, docs/lifecycle.md, for people who work by the rules.

The text of a rule is what follows the first paragraph of its function's docstring. Parameters stand
there in braces. Values and reasons are those of params.yaml.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from features.history import late_delivery_due, sla_days
from features.ipt import lapsed_after, late_after, shrunk_ipt
from features.kernel import entry
from features.records import Floats, Ints, Shop
from features.settings import CategoryRules, IptRules, Sla
from models.decision.queues import queue_of
from models.lifecycle.by_when import recent_failures
from models.lifecycle.core_entry import lacking
from models.lifecycle.core_rules import CONDITIONS
from models.lifecycle.habits import is_partial_defection, yearly_spend
from models.lifecycle.limits import Limits
from models.lifecycle.over_time import LifecycleOverTime
from models.lifecycle.satisfaction import satisfaction
from models.lifecycle.state_machine import decide, defects_on, take_in
from models.lifecycle.states import POSSIBLE
from pipeline.docs.markdown import table
from pipeline.runtime.resources import read_text


class HandbookRule(NamedTuple):
    """A section: its title, the functions that are the rule, and its parameters."""

    title: str
    functions: tuple[Callable[..., Any], ...]
    section: str = ""  # of params.yaml
    keys: str = ""  # with a _ at the end: all keys that begin so


RULES = (
    HandbookRule("Stages", (decide,), "assign", "prospect_"),
    HandbookRule("Expected IPT", (shrunk_ipt,), "ipt", "prior_weight last_gaps"),
    HandbookRule("Overdue", (late_after,), "ipt", "late_"),
    HandbookRule("Lapsed", (lapsed_after,), "ipt", "lapse_ own_"),
    HandbookRule("Becoming core", (lacking,), "assign", "core_"),
    HandbookRule("Coming back", (take_in,), "assign", "winback_ reactivated_"),
    HandbookRule("Partial defection", (is_partial_defection,), "assign", "partial_"),
    HandbookRule("A year's spend", (yearly_spend,), "assign", "value_ipts"),
    HandbookRule("SLA", (sla_days, late_delivery_due), "sla", "minor major critical delivery_"),
    HandbookRule("Satisfaction", (satisfaction,), "assign", "satisfaction_"),
    HandbookRule("Second failure", (recent_failures,), "assign", "second_failure_ipts"),
    HandbookRule("Leak", (LifecycleOverTime.net_flow,), "assign", "leak_"),
    HandbookRule("Defecting", (defects_on,)),
)
TRANSITIONS = (  # from day to day; a longer step may pass over several
    ("prospect", "first_time", "the first purchase"),
    ("first_time", "early_repeat", "the second purchase"),
    ("early_repeat", "core", "a purchase at which all conditions of core hold"),
    ("core", "core_defector", "the lapse"),
    ("core_defector", "core", "the purchase that completes the win-back"),
)
DEFECTORS = {"active": ("won_back",), "late": ("defecting", "won_back"), "lapsed": ("lost",)}
EXPECTED_IPTS = (7, 30, 365)
EXAMPLES = """## Examples

Days since the last purchase. Earlier long gaps of the customer may give more time.

"""
LOG_SDS = {"like a clock": 0.1, "regular": 0.5, "at random": 1.28}


@entry
def deadline_days(
    expected_ipts: Floats, log_sds: Floats, no_gaps: Ints, shop: Shop, out: Ints
) -> None:
    """Fill one row per expected IPT and log-sd: days until overdue, and until lapsed."""
    for i in range(len(expected_ipts)):
        out[i, 0] = late_after(expected_ipts[i], log_sds[i], shop)
        out[i, 1] = lapsed_after(expected_ipts[i], log_sds[i], no_gaps, shop)


def possible_states() -> list[tuple[str, str, str, str, bool]]:
    """One entry per possible stage, activity and status: these, the queue, and whether scored."""
    return [
        (
            *(stage, activity, status, queue_of(stage, activity, status)),
            stage not in {"prospect", "first_time"} and activity != "lapsed",
        )
        for stage, activity in POSSIBLE
        for status in (DEFECTORS[activity] if stage == "core_defector" else ("",))
    ]


def shown(value: float | bool) -> str:
    """A parameter as people write it."""
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"


def rule_text(docstring: str) -> str:
    """A docstring without its first paragraph, one line per paragraph and item."""
    return re.sub(r"\n +|(?<=[^\n])\n(?=[^\n*])", " ", docstring.partition("\n\n")[2])


def _text_of(function: Callable[..., Any]) -> str:
    if function is lacking:
        conditions = "\n".join(f"* {row.handbook}" for row in CONDITIONS)
        return f"A customer becomes core at a purchase at which all of this holds:\n\n{conditions}"
    return rule_text(inspect.cleandoc(str(function.__doc__)))


def keys_of(rule: HandbookRule, fields: Iterable[str]) -> list[str]:
    """The parameters of a rule among the keys of its section."""
    names = rule.keys.split()
    return [k for k in fields if any(k == n or n[-1] == "_" and k.startswith(n) for n in names)]


def _section(
    rule: HandbookRule, values: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]
) -> str:
    now = {key: shown(v) for section in values.values() for key, v in section._asdict().items()}
    parts = [f"## {rule.title}", "\n".join(_text_of(f).format(**now) for f in rule.functions)]
    if section := rule.section:
        keys = keys_of(rule, values[section]._fields)
        rows = [(f"`{section}.{key}`", now[key], reasons[section][key]) for key in keys]
        parts.append(table("parameter, value, reason", rows))
    return "\n\n".join(parts)


def _examples(ipt: IptRules, sla: Sla) -> str:
    cases = [(days, name, sd) for days in EXPECTED_IPTS for name, sd in LOG_SDS.items()]
    shop = Shop(ipt, sla, 30.0, 0.5, *(np.empty(0, np.int32) for _ in range(3)))
    ipts, log_sds = (np.array([case[i] for case in cases], np.float64) for i in (0, 2))
    out = np.zeros((len(cases), 2), np.int32)
    deadline_days(ipts, log_sds, np.empty(0, np.int32), shop, out)
    rows = [(f"{days} days", *rest, *out[i]) for i, (days, *rest) in enumerate(cases)]
    return EXAMPLES + table(
        "expected IPT, buys, log-sd of the IPT, overdue after, lapsed after", rows
    )


def _categories(rules: CategoryRules, reasons: Mapping[str, str]) -> str:
    now = {key: shown(value) for key, value in rules._asdict().items()}
    rows = [(f"`categories.{key}`", value, reasons[key]) for key, value in now.items()]
    text = read_text(__file__, "categories.md").format(**now)
    return f"{text}\n{table('parameter, value, reason', rows)}"


def lifecycle_markdown(
    limits: Limits,
    ipt: IptRules,
    sla: Sla,
    categories: CategoryRules,
    reasons: Mapping[str, Mapping[str, str]],
) -> str:
    """The handbook. `reasons`: for each key of the sections assign, ipt, sla and categories.

    KeyError if a parameter of a rule has no reason.
    """
    values = {"assign": limits, "ipt": ipt, "sla": sla}
    rows = [(*state[:4], "yes" if state[4] else "") for state in possible_states()]
    rules = [_section(rule, values, reasons) for rule in RULES]
    sections = [
        read_text(__file__, "handbook.md").rstrip(),
        *rules,
        _categories(categories, reasons["categories"]),
        _examples(ipt, sla),
        "## Queues\n\nWho works on which customers, and which customers get a risk.",
        table("stage, activity, status, queue, risk", rows),
        "## Transitions\n\nA cancelled purchase may also take a customer back to an earlier stage.",
        table("from, to, by", TRANSITIONS),
    ]
    return "\n\n".join(sections) + "\n"
