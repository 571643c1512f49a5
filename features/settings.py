"""What the picture of a customer's past is drawn with.

The values and the reason for each are in params.yaml.
"""

from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _ascending(days: tuple[int, ...]) -> tuple[int, ...]:
    if list(days) != sorted(set(days)):
        raise ValueError("each must be longer than the one before")
    return days


Trailing = Annotated[
    tuple[Annotated[int, Field(ge=1, le=3650)], ...],
    Field(min_length=1, max_length=24),
    AfterValidator(_ascending),
]


class IptRules(NamedTuple):
    """How a customer's own rhythm is learnt and when silence counts as late or lapsed."""

    prior_weight: Positive  # gaps that the shop's rhythm counts for
    last_gaps: Annotated[int, Field(ge=1)]  # how many of the customer's latest gaps count
    late_sigmas: Positive
    late_floor_days: Annotated[int, Field(ge=1)]
    late_clip_low: Positive
    late_clip_high: Positive
    lapse_sigmas: Positive
    lapse_floor_days: Annotated[int, Field(ge=1)]
    lapse_clip_low: Positive
    lapse_clip_high: Positive
    own_gaps: Annotated[int, Field(ge=2)]  # from so many gaps on, silences survived before count
    own_quantile: Annotated[float, Field(gt=0, lt=1)]
    own_factor: Positive
    own_limit_ipts: Positive


class Sla(NamedTuple):
    """What the shop promises.

    Days to mend a complaint by severity, days of grace for a delivery.
    """

    minor: Positive
    major: Positive
    critical: Positive
    delivery_grace: Annotated[int, Field(ge=0)]
    major_late: Positive


class Windows(NamedTuple):
    """Days that end at the snapshot.

    Those purchases and spend are counted in, and those compared with as many days before them.
    """

    counts: Trailing
    trends: Trailing
