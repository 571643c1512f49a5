"""Thresholds of the life-cycle rules. Values and reasons are in params.yaml, section `assign`."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from features.settings import Positive
from models.lifecycle.core_rules import CONDITIONS
from models.settings import Count, Share

Weight = Annotated[int, Field(ge=0)]


class _RuleLimits(NamedTuple):
    winback_purchases: Count
    reactivated_purchases: Count
    prospect_stale_ipts: Positive
    partial_ipts: Positive
    partial_baseline_ipts: Positive
    partial_min_purchases: Count
    partial_ratio: Share
    satisfaction_ipts: Positive
    satisfaction_half_life_ipts: Positive
    satisfaction_minor: Weight
    satisfaction_major: Weight
    satisfaction_critical: Weight
    satisfaction_defect: Weight
    satisfaction_late: Weight
    second_failure_ipts: Positive
    leak_periods: Count
    value_ipts: Positive


_CORE = {name: kind for row in CONDITIONS for name, kind in row.thresholds.items()}

if TYPE_CHECKING:

    class Limits(_RuleLimits):
        """All thresholds: those of the rows of `CONDITIONS`, and `_RuleLimits`."""

        def __getattr__(self, name: str) -> Any: ...
        def _replace(self, **values: Any) -> "Limits": ...
else:
    Limits = NamedTuple("Limits", [*_CORE.items(), *_RuleLimits.__annotations__.items()])
