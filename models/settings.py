"""Hyperparameters and costs. Their values, and the reason for each, are in params.yaml."""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.settings import Positive

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Part = Annotated[float, Field(gt=0, le=1)]  # a share above 0
Form = Literal["plain", "offset"]
Leaves = Annotated[int, Field(ge=2, le=4096)]  # LightGBM takes gigabytes for more
Bagged = Annotated[float, Field(ge=0.1, le=1)]  # a smaller share of a small shop is no row at all
Threads = Annotated[int, Field(ge=1, le=256)]  # more is a typing error

TaskQueue = Literal["win_back", "second_purchase", "convert"]  # queues with a chance, not a risk
Language = Literal["en", "de", "it"]  # of what people read in the lists

SMALLEST_CELL = 10  # figures of fewer customers are not shown: they would describe persons


class Boosting(BaseModel):
    """The training of the LightGBM model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    forms: Annotated[tuple[Form, ...], Field(min_length=1)]
    max_rounds: Annotated[int, Field(ge=1, le=100_000)]
    round_step: Count
    learning_rate: Positive
    num_leaves: Leaves
    min_child_samples: Count
    bagging_fraction: Bagged
    feature_fraction: Part
    lambda_l2: Annotated[float, Field(ge=0)]
    extra_trees: bool  # one random split threshold per feature is tried instead of all
    season_prior: Positive  # squares that count as much as the assumption that half recurs
    season_sd: Positive  # standard deviation of a season's shift and slope before any evidence
    monotone: bool  # whether monotone_constraints are obeyed
    task_rounds: Annotated[int, Field(ge=1, le=100_000)]  # the most trees of a task's model
    forecast_rounds: Annotated[int, Field(ge=1, le=100_000)]  # trees of a year's spend
    timing_rounds: Annotated[int, Field(ge=1, le=100_000)]  # trees of the day of the next order
    seed: Annotated[int, Field(ge=0)]
    num_threads: Threads


class Tune(BaseModel):
    """The search for hyperparameters: from and to, each on a logarithmic scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: Annotated[int, Field(ge=1, le=10_000)]
    seed: Annotated[int, Field(ge=0)]
    num_leaves: tuple[Leaves, Leaves]
    min_child_samples: tuple[Count, Count]
    learning_rate: tuple[Positive, Positive]
    bagging_fraction: tuple[Bagged, Bagged]
    feature_fraction: tuple[Part, Part]
    lambda_l2: tuple[Positive, Positive]

    @model_validator(mode="after")
    def _ascend(self) -> "Tune":
        for name, (low, high) in self.model_dump(exclude={"trials", "seed"}).items():
            if low > high:
                raise ValueError(f"{name}: from is above to")
        return self


class CallWhen(BaseModel):
    """The grounds on which a customer is called today. One is enough; `why` states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overdue: bool
    risk: Literal["low", "medium", "high"] | None  # from this risk_band on; null: no ground
    evidence: Literal["weak", "medium", "strong"] | None  # from this band on; null: no ground
    category_stopped: bool
    chance: Share | None  # of a purchase, in the queues without a risk; null: no ground


class Costs(BaseModel):
    """What a contact costs and may save, all of it assumed until measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    margin: Part
    kept_share: Part
    save_rate: Annotated[float, Field(ge=-1, le=1)]
    win_rates: dict[TaskQueue, Annotated[float, Field(ge=-1, le=10)]]
    incentive: Annotated[float, Field(ge=0)]
    contact: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _name_each_queue(self) -> "Costs":
        if missing := sorted(set(get_args(TaskQueue)) - set(self.win_rates)):
            raise ValueError(f"win_rates: {', '.join(missing)} is missing")
        return self
