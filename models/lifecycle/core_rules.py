"""The conditions of core entry, one row each.

A row holds a condition's name, thresholds, test and words. The rule (`core_entry.py`), the
parameters (`limits.py`), the sentences of `why` and the handbook read them here and nowhere else.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from features.records import Past
from features.settings import Positive
from models.settings import Share


class Candidate(NamedTuple):
    """What is known of a customer at the end of the day of a purchase.

    Scalars in the rule. In `why` each field is an array over customers, and `past` is None.
    """

    past: Past | None
    purchases: Any
    days: Any  # since the first purchase
    expected_ipt: Any
    log_sd: Any
    complaints: Any
    defects: Any  # returns for a defect
    grave_open: Any  # major and critical complaints that are open
    past_sla: Any  # complaints open for longer than the SLA
    probation: Any  # purchases since the last lapse, 0 when the probation is over


Bound = Callable[[Any, float], float]  # of the limits and the shop's expected IPT


class Condition(NamedTuple):
    """One condition of core entry: `value` has to be `at_least` or `at_most` a bound."""

    name: str
    thresholds: Mapping[str, Any]  # parameter in section `assign`: its type
    value: Callable[[Candidate], Any]  # compiled for the rule, called with arrays for `why`
    lacking: str  # why's words where it fails; {value}, {bound} and facts stand in braces
    handbook: str  # parameters stand in braces
    at_least: Bound | None = None
    at_most: Bound | None = None
    digits: int = 0  # of {value} and {bound}
    facts: tuple[str, ...] = ()  # names of value, bound and value at core entry; see `fact_names`
    unrecorded: str = ""  # why's words where the shop records no complaints

    @property
    def bound(self) -> Bound:
        """The bound of the value, whichever side it is on."""
        bound = self.at_least or self.at_most
        if bound is None:
            raise ValueError(f"condition {self.name}: at_least or at_most is missing")
        return bound

    def fact_names(self) -> tuple[str, ...]:
        """Names of the value, of the bound and, if `why` shows it, of the value at core entry."""
        return self.facts or (self.name, f"needs_{self.name}")


GRAVE_OPEN = "{grave_open:major or critical complaint|major or critical complaints} open"
PAST_SLA = "{past_sla:complaint open past its SLA|complaints open past their SLA}"

CONDITIONS = (
    Condition(
        "purchases",
        {"core_min_purchases": Annotated[int, Field(ge=2)]},
        value=lambda at: at.purchases,
        at_least=lambda limits, _: limits.core_min_purchases,
        lacking="{value:purchase|purchases} (needs {bound})",
        handbook="at least {core_min_purchases} purchases",
        facts=("purchases", "needs_purchases", "entry_purchases"),
    ),
    Condition(
        "days",
        {
            "core_min_days": Annotated[int, Field(ge=0)],
            "core_min_ipts": Annotated[float, Field(ge=0)],
        },
        value=lambda at: at.days,
        at_least=lambda limits, ipt: math.ceil(
            max(limits.core_min_days, limits.core_min_ipts * ipt)
        ),
        lacking="{value:day|days} after the first (needs {bound})",
        handbook="{core_min_days} days or more from the first purchase to this one, and at least "
        "{core_min_ipts} times the shop's expected IPT",
        facts=("span_days", "needs_days", "entry_days"),
    ),
    Condition(
        "pace",
        {"core_max_ipt_ratio": Positive},
        value=lambda at: at.expected_ipt,
        at_most=lambda limits, ipt: limits.core_max_ipt_ratio * ipt,
        lacking="expected IPT {value:day|days} (at most {bound})",
        handbook="an expected IPT of at most {core_max_ipt_ratio} times the shop's",
        facts=("expected_ipt_days", "highest_expected_ipt_days", "entry_expected_ipt_days"),
    ),
    Condition(
        "regularity",
        {"core_max_log_sd": Positive},
        value=lambda at: at.log_sd,
        at_most=lambda limits, _: limits.core_max_log_sd,
        lacking="log-sd {value} (at most {bound})",
        handbook="regular purchases: a log-sd of the IPT of at most {core_max_log_sd}",
        digits=2,
        facts=("log_sd", "highest_log_sd", "log_sd_at_entry"),
    ),
    Condition(
        "repair",
        {},
        value=lambda at: at.grave_open,
        at_most=lambda _, __: 0,
        lacking=GRAVE_OPEN,
        handbook="no major or critical complaint open",
        facts=("grave_open", ""),
    ),
    Condition(
        "sla",
        {},
        value=lambda at: at.past_sla,
        at_most=lambda _, __: 0,
        lacking=PAST_SLA,
        handbook="no complaint open past its SLA",
        facts=("past_sla", ""),
    ),
    Condition(
        "few_complaints",
        {"core_max_complaints_per_purchase": Share, "core_needs_complaints": bool},
        value=lambda at: at.complaints / at.purchases,
        at_most=lambda limits, _: limits.core_max_complaints_per_purchase,
        lacking="{value} complaints per purchase (at most {bound})",
        handbook="at most {core_max_complaints_per_purchase} complaints per purchase",
        digits=2,
        facts=("complaints_per_purchase", "highest_complaints_per_purchase"),
        unrecorded="the shop records no complaints",
    ),
    Condition(
        "few_defects",
        {"core_max_defect_returns": Share},
        value=lambda at: at.defects / at.purchases,
        at_most=lambda limits, _: limits.core_max_defect_returns,
        lacking="{value} defect returns per purchase (at most {bound})",
        handbook="at most {core_max_defect_returns} returns for a defect per purchase",
        digits=2,
        facts=("defects_per_purchase", "highest_defects_per_purchase"),
    ),
    Condition(
        "staying",
        {},
        value=lambda at: at.probation,
        at_most=lambda _, __: 0,
        lacking="{value:purchase|purchases} since the last lapse (needs {needs_purchases_back})",
        handbook="no probation after a lapse",
        facts=("purchases_back", ""),
    ),
)
