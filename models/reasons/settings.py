"""Parameters of the reasons to leave; their values and the reason for each are in params.yaml."""

from typing import Annotated, NamedTuple

from pydantic import Field

from features.settings import Positive
from models.settings import Count, Part, Share

Chance = Annotated[float, Field(gt=0, lt=1)]


class ReasonRules(NamedTuple):
    """Bands of evidence, and the thresholds, weights and half-lives of each reason."""

    weak: Part
    medium: Part
    strong: Part
    defecting: Part
    tie: Share
    fade_purchases: Positive
    fade_ipts: Positive
    return_days: Count
    never_delivered: Part
    critical: Part
    major: Part
    major_late: Part
    cancelled: Part
    small: Part
    competitor_baseline_ipts: Positive
    competitor_recent_ipts: Positive
    competitor_min_purchases: Count
    competitor_kept: Chance
    competitor_least_fall: Chance
    competitor_log_sd: Positive
    competitor_prior_event: Chance
    competitor_prior: Chance
    competitor_without_event: Share
    competitor_without_market: Share
    competitor_full_share: Part
    boredom_quantile: Chance
    boredom_min_run: Count
    boredom_min_customers: Count
    boredom_width: Positive
    boredom_steady: Part
    boredom_growth: Annotated[float, Field(ge=1)]
