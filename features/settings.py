"""The parameters of features; their values and the reason for each are in params.yaml."""

from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

Positive = Annotated[float, Field(gt=0, le=10_000)]  # days or factors: more is a typing error


def _ascending(days: tuple[int, ...]) -> tuple[int, ...]:
    if list(days) != sorted(set(days)):
        raise ValueError("the windows must ascend: list each once, shortest first")
    return days


Count = Annotated[int, Field(ge=1)]

Trailing = Annotated[
    tuple[Annotated[int, Field(ge=1, le=3650)], ...],
    Field(min_length=1, max_length=24),
    AfterValidator(_ascending),
]


class IptRules(NamedTuple):
    """How the expected IPT of a customer is estimated, and when they are overdue or lapsed."""

    prior_weight: Positive  # IPTs that the shop's own figures count for
    last_gaps: Annotated[int, Field(ge=1)]  # how many of the customer's latest IPTs count
    late_sigmas: Positive
    late_floor_days: Annotated[int, Field(ge=1, le=3650)]
    late_clip_low: Positive
    late_clip_high: Positive
    lapse_sigmas: Positive
    lapse_floor_days: Annotated[int, Field(ge=1, le=3650)]
    lapse_clip_low: Positive
    lapse_clip_high: Positive
    own_gaps: Annotated[int, Field(ge=2)]  # IPTs from which on the customer's longest ones count
    own_quantile: Annotated[float, Field(gt=0, lt=1)]
    own_factor: Positive
    own_limit_ipts: Positive


class Sla(NamedTuple):
    """The service level agreement: days to resolve a complaint, and days of grace for delivery."""

    minor: Positive
    major: Positive
    critical: Positive
    delivery_grace: Annotated[int, Field(ge=0)]
    major_late: Positive


class Windows(NamedTuple):
    """Days up to the snapshot, for sums and, in `trends`, for comparisons with those before."""

    counts: Trailing
    trends: Trailing


class CategoryRules(NamedTuple):
    """How the spend of a customer on a category is compared with the one before."""

    history_days: Annotated[int, Field(ge=1, le=3650)]
    usual_purchases: Count  # of the category, in the latest window
    before_windows: Count  # so many times as long is the window before
    shop_weight: Positive
    spend_variation: Positive
    gap_variation: Positive
    min_purchases: Count  # with the category, in the window before
    min_others: Count  # customers, to know a category's trend
    half_z: Positive  # standard errors at which the evidence is one half
    slope: Positive
    min_fall: Annotated[float, Field(gt=0, lt=1)]
    min_evidence: Annotated[float, Field(gt=0, lt=1)]
    recent_days: Annotated[int, Field(ge=1, le=3650)]  # of the latest window, at most
