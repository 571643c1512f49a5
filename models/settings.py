"""What judgement is made with.

The booster's shape, costs. Values and reasons are in params.yaml.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Chosen = Annotated[float, Field(gt=0, le=1)]  # a part that is not nothing
Form = Literal["plain", "offset"]
Threads = Annotated[int, Field(ge=1, le=256)]  # more is a typing error that would stop the machine

SMALLEST_CELL = 10  # what describes fewer customers is not shown: it would describe persons


class Boosting(BaseModel):
    """Shape of the LightGBM model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    forms: Annotated[tuple[Form, ...], Field(min_length=1)]
    max_rounds: Count
    round_step: Count
    learning_rate: Positive
    num_leaves: Annotated[int, Field(ge=2)]
    min_child_samples: Count
    bagging_fraction: Chosen
    feature_fraction: Chosen
    lambda_l2: Annotated[float, Field(ge=0)]
    extra_trees: bool  # one cut of each feature is tried, drawn at random, instead of all
    season_weight: Share  # of last year's shift of the same season, 0 for none
    monotone: bool  # a feature with a direction may move the probability that way only
    seed: Annotated[int, Field(ge=0)]
    num_threads: Threads


class Tune(BaseModel):
    """The search for the shape of the trees: from and to, each on a logarithmic scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: Count
    seed: Annotated[int, Field(ge=0)]
    num_leaves: tuple[Annotated[int, Field(ge=2)], Count]
    min_child_samples: tuple[Count, Count]
    learning_rate: tuple[Positive, Positive]
    bagging_fraction: tuple[Chosen, Chosen]
    feature_fraction: tuple[Chosen, Chosen]
    lambda_l2: tuple[Positive, Positive]

    @model_validator(mode="after")
    def _ascend(self) -> "Tune":
        for name, (low, high) in self.model_dump(exclude={"trials", "seed"}).items():
            if low > high:
                raise ValueError(f"{name}: from is above to")
        return self


class Costs(BaseModel):
    """What a contact costs and may save. All of it assumed until measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    margin: Annotated[float, Field(gt=0, le=1)]
    kept_share: Annotated[float, Field(gt=0, le=1)]
    save_rate: Annotated[float, Field(ge=-1, le=1)]
    incentive: Annotated[float, Field(ge=0)]
    contact: Annotated[float, Field(ge=0)]
