"""The rules of the life cycle for people who work by them: the words of the code, today's numbers,
and the reason for each.

The last paragraph of a rule's docstring is for them; parameters stand in it by their names, in
braces.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from features.history import late_delivery_due, sla_days
from features.ipt import lapsed_after, late_after, shrunk_ipt
from features.kernel import entry
from features.records import Floats, Ints, Shop
from features.settings import IptRules, Sla
from models.decision.queues import queue_of
from models.lifecycle.core_rules import lacking
from models.lifecycle.habits import is_partly_gone
from models.lifecycle.over_time import Tracking
from models.lifecycle.satisfaction import satisfaction
from models.lifecycle.state_machine import POSSIBLE, decide, defects_on, take_in
from models.settings import Limits

ABOUT = """# The life cycle

Made from the rules in [models/](../models) and the numbers in [params.yaml](../params.yaml) by `corekeep docs`: change it there. A shop's
own file in [shops/](../shops) may set other numbers.

Every known customer stands in exactly one of five stages. It follows from his own purchases, complaints and returns before the day in
question, and from how long he has been silent; never from when or how often it is worked out. The usual gap is the customer's own usual
time between purchases; a customer of few purchases is taken to be like the shop's others. `corekeep why CUSTOMER` tells what decided.
"""


class Rule(NamedTuple):
    """A rule.

    Its title, the functions that are it, and the parameters it is made with, by section.
    """

    title: str
    functions: tuple[Callable[..., Any], ...]
    numbers: Mapping[str, tuple[str, ...]]


RULES = (
    Rule("Stages", (decide,), {"assign": ("prospect_stale_ipts",)}),
    Rule("The usual gap", (shrunk_ipt,), {"ipt": ("prior_weight", "last_gaps")}),
    Rule(
        "Late",
        (late_after,),
        {"ipt": ("late_sigmas", "late_floor_days", "late_clip_low", "late_clip_high")},
    ),
    Rule(
        "Lapsed",
        (lapsed_after,),
        {
            "ipt": (
                *("lapse_sigmas", "lapse_floor_days", "lapse_clip_low", "lapse_clip_high"),
                *("own_gaps", "own_quantile", "own_factor", "own_limit_ipts"),
            )
        },
    ),
    Rule(
        "Becoming core",
        (lacking,),
        {
            "assign": (
                *(
                    "core_min_purchases",
                    "core_min_days",
                    "core_min_ipts",
                    "core_max_ipt_ratio",
                    "core_max_log_sd",
                ),
                *(
                    "core_max_complaints_per_purchase",
                    "core_max_defect_returns",
                    "core_needs_complaints",
                ),
            )
        },
    ),
    Rule("Defecting", (defects_on,), {}),
    Rule("Coming back", (take_in,), {"assign": ("winback_purchases", "reactivated_purchases")}),
    Rule(
        "Partly gone",
        (is_partly_gone,),
        {
            "assign": (
                "partial_ipts",
                "partial_baseline_ipts",
                "partial_min_purchases",
                "partial_ratio",
            )
        },
    ),
    Rule(
        "What is promised",
        (sla_days, late_delivery_due),
        {"sla": ("minor", "major", "critical", "delivery_grace")},
    ),
    Rule(
        "Satisfaction",
        (satisfaction,),
        {
            "assign": (
                *(
                    "satisfaction_ipts",
                    "satisfaction_half_life_ipts",
                    "satisfaction_minor",
                    "satisfaction_major",
                ),
                *("satisfaction_critical", "satisfaction_defect", "satisfaction_late"),
            )
        },
    ),
    Rule("The leak alarm", (Tracking.net_flow,), {"assign": ("leak_periods",)}),
)
# From day to day; a longer step may pass over several.
TRANSITIONS = (
    ("prospect", "first_time", "by the first purchase"),
    ("first_time", "early_repeat", "by the second"),
    ("early_repeat", "core", "by a purchase after which nothing is lacking"),
    (
        "core",
        "core_defector",
        "by lapsing, or by being late with strong evidence of a reason to leave",
    ),
    ("core_defector", "core", "by being won back, or by buying before he has lapsed"),
)
DEFECTORS = {"active": ("won_back",), "late": ("defecting", "won_back"), "lapsed": ("lost",)}
EXPECTED_IPTS = (7, 30, 365)
SPREADS = {"like a clock": 0.1, "regular": 0.5, "at random": 1.28}


@entry
def waits(expected_ipts: Floats, log_sds: Floats, no_gaps: Ints, shop: Shop, found: Ints) -> None:
    """Per usual gap and sd of the log gap.

    Days after the last purchase on which such a customer is late, and has lapsed.
    """
    for i in range(len(expected_ipts)):
        found[i, 0] = late_after(expected_ipts[i], log_sds[i], shop)
        found[i, 1] = lapsed_after(expected_ipts[i], log_sds[i], no_gaps, shop)


def places() -> list[tuple[str, str, str, str, bool]]:
    """One entry per stage, activity and status that a customer can be in.

    These, the queue he is in, and whether he is given a risk.
    """
    found = []
    for stage, activity in POSSIBLE:
        for status in DEFECTORS[activity] if stage == "core_defector" else ("",):
            scored = stage not in {"prospect", "first_time"} and activity != "lapsed"
            found.append((stage, activity, status, queue_of(stage, activity, status), scored))
    return found


def shown(value: float | bool) -> str:
    """A parameter as people write it."""
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join(
        f"| {' | '.join(map(str, row))} |" for row in (head, ("---",) * len(head), *rows)
    )


def _section(
    rule: Rule, values: Mapping[str, Any], reasons: Mapping[str, Mapping[str, str]]
) -> str:
    now = {
        key: shown(value) for section in values.values() for key, value in section._asdict().items()
    }
    told = [
        inspect.cleandoc(str(function.__doc__)).split("\n\n")[-1] for function in rule.functions
    ]
    words = [textwrap.fill(words.format(**now), 130, break_on_hyphens=False) for words in told]
    rows = [
        (f"`{section}.{key}`", now[key], reasons[section][key])
        for section, keys in rule.numbers.items()
        for key in keys
    ]
    return "\n\n".join(
        [f"## {rule.title}", *words, *([table(("number", "now", "why"), rows)] if rows else [])]
    )


def _deadlines(ipt: IptRules, sla: Sla) -> str:
    cases = [(gap, name, spread) for gap in EXPECTED_IPTS for name, spread in SPREADS.items()]
    shop = Shop(ipt, sla, 30.0, 0.5, *(np.empty(0, np.int32) for _ in range(3)))
    gaps, spreads = (np.array([case[i] for case in cases], np.float64) for i in (0, 2))
    found = np.zeros((len(cases), 2), np.int32)
    waits(gaps, spreads, np.empty(0, np.int32), shop, found)
    rows = [
        (f"{gap} days", name, spread, *days)
        for (gap, name, spread), days in zip(cases, found.tolist(), strict=True)
    ]
    words = "Days of silence after the last purchase; a silence he has come back from before may give him longer."
    return f"## For example\n\n{words}\n\n{table(('usual gap', 'he buys', 'irregularity', 'late after', 'lapsed after'), rows)}"


def lifecycle_markdown(
    limits: Limits, ipt: IptRules, sla: Sla, reasons: Mapping[str, Mapping[str, str]]
) -> str:
    """The handbook.

    `reasons`: of the sections assign, cycle and promise, the reason for each number by its key;
    KeyError without one.
    """
    values = {"assign": limits, "ipt": ipt, "sla": sla}
    where = [(*place[:3], place[3], "yes" if place[4] else "") for place in places()]
    sections = [
        ABOUT.rstrip(),
        *(_section(rule, values, reasons) for rule in RULES),
        _deadlines(ipt, sla),
        f"## Who works on whom\n\n{table(('stage', 'activity', 'status', 'queue', 'given a risk'), where)}",
        "## Ways from stage to stage\n\nBeside these a cancelled purchase may take a customer back to prospect or first time.\n\n"
        + table(("from", "to", "how"), list(TRANSITIONS)),
    ]
    return "\n\n".join(sections) + "\n"
