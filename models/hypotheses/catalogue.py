"""The hypotheses about customers' lives, each with what it needs and the study that tests it."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pandas as pd

from models.hypotheses import studies
from models.hypotheses.contrasts import (
    FALLS,
    FEWEST,
    RECOVERED,
    RISES,
    UNKNOWN,
    Z_DIRECTION,
    Effect,
)
from models.hypotheses.observations import Observations
from models.hypotheses.studies import CORE, EARLY, FIRST, Effects


class Hypothesis(NamedTuple):
    """One hypothesis: what it needs (`complaints orders.sku`), a study that holds as a whole."""

    id: str
    statement: str
    needs: str
    study: Callable[[Observations], Effects]


HYPOTHESES = (
    Hypothesis("P4", "Prospects whose expectations are all met convert more often", "touches",
               lambda o: studies.conversion(o, "all_met", "all expectations met", RISES)),
    Hypothesis("P5", "Prospects with a missed limit (deadline, price, specification) convert less "
               "often", "touches",
               lambda o: studies.conversion(o, "missed", "a limit missed", FALLS)),
    Hypothesis("P6", "More touches raise conversion, each by less than the one before", "touches",
               lambda o: studies.conversion(o, "log_touches", "log of touches", RISES)),
    Hypothesis("F2", "First-time buyers have the lowest retention", "",
               lambda o: studies.retention(o, [(EARLY, FIRST), (CORE, FIRST)])),
    Hypothesis("F3", "The more categories the first order has, the likelier is a second order",
               "orders.category", studies.first_categories),
    Hypothesis("F4", "Even without a complaint, first-time buyers buy again less often than early "
               "repeat buyers", "complaints",
               lambda o: studies.second_against_later(o, o.visits["severity"].isna())),
    Hypothesis("F6", "In every stage, satisfied customers buy again more often", "complaints",
               studies.satisfied),
    Hypothesis("F7", "Any service failure makes first-time buyers leave", "complaints",
               studies.one_failure),
    Hypothesis("E2", "Early repeat buyers buy again more often than first-time buyers", "",
               lambda o: studies.second_against_later(o, pd.Series(True, o.visits.index))),
    Hypothesis("E3", "Orders of early repeat buyers grow in spend and in categories", "",
               studies.growth),
    Hypothesis("E5", "A small service failure makes early repeat buyers leave, more often than "
               "core customers", "complaints", studies.small_failure),
    Hypothesis("K3", "Core customers tolerate a small service failure that is resolved within the "
               "SLA", "complaints", studies.tolerated),
    Hypothesis("K4", "Core customers have the highest retention", "",
               lambda o: studies.retention(o, [(CORE, EARLY), (CORE, FIRST)])),
    Hypothesis("K5", "Core customers have the highest value", "", studies.most_valuable),
    Hypothesis("K7", "Without a service failure or another reason, at most 5 % of core customers "
               "leave after a purchase", "complaints", studies.loyal),
    Hypothesis("D2", "A competitor's offer in their favourite category makes core customers leave",
               "market_events orders.category", studies.competitor),
    Hypothesis("D3", "A serious service failure makes core customers leave", "complaints",
               studies.serious_failure),
    Hypothesis("D4", "An SLA breach makes core customers leave, from the SLA on and not before",
               "complaints", studies.sla_breach),
    Hypothesis("D5", "Buying the same item again and again makes core customers leave",
               "orders.sku", studies.bored),
    Hypothesis("D7", "While a reason to leave holds, lost core customers come back less often",
               "complaints orders.sku", studies.kept_away),
    Hypothesis("D8", "A call keeps some of the core customers who have a reason to leave",
               "treatments", studies.called),
)  # fmt: skip


def result_of(
    hypothesis: Hypothesis, rows: Observations, recorded: Iterable[str]
) -> dict[str, Any]:
    """Test one hypothesis: the figures of its weakest contrast, all of them in `parts`.

    `recorded`: the tables and columns that the shop delivers. `note` names the weakest contrast, or
    the reason why the result is unknown.
    """
    head = {"id": hypothesis.id, "statement": hypothesis.statement}
    blank = {**dict.fromkeys(("estimate", "low", "high", "truth")), "verdict": UNKNOWN}
    if lacking := [need for need in hypothesis.needs.split() if need not in recorded]:
        return {**head, **blank, "note": f"not recorded: {', '.join(lacking)}", "parts": []}
    studied = list(hypothesis.study(rows))
    effects = [effect for effect in studied if effect]
    parts = [{"what": effect.what, **figures(effect)} for effect in effects]
    if len(effects) < len(studied):
        note = f"fewer than {FEWEST} customers to compare, or no variation"
        return {**head, **blank, "note": note, "parts": parts}
    weakest = min(effects, key=lambda effect: (effect.verdict == RECOVERED, effect.margin))
    return {**head, **figures(weakest), "note": weakest.what, "parts": parts}


def figures(effect: Effect) -> dict[str, Any]:
    """Return an effect in numbers; each bound alone holds with 95 %.

    `adjusted`: the same with what was known before the visit held constant, of churn at visits.
    """
    names = ("estimate", "low", "high", "truth")
    values = {name: getattr(effect, name) for name in names}
    rounded = {name: None if v is None else round(float(v), 5) for name, v in values.items()}
    counts = {"rows": effect.rows, "customers": effect.customers}
    held = None
    if effect.adjusted:
        estimate, error = effect.adjusted
        bounds = (estimate, estimate - Z_DIRECTION * error, estimate + Z_DIRECTION * error)
        held = dict(zip(names, (round(float(v), 5) for v in bounds), strict=False))
    return {**rounded, "adjusted": held, "verdict": effect.verdict, **counts}
