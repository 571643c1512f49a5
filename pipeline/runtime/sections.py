"""The sections of params.yaml: one class each. Values and their reasons stand in params.yaml."""

import codecs
import datetime as dt
import zoneinfo
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from features.settings import Positive
from models.decision.queues import QUEUES
from models.settings import CallWhen, Count, Language, Share, Threads

Chance = Annotated[float, Field(ge=0, lt=1)]  # of what is never certain
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Days = Annotated[int, Field(ge=1, le=3650)]


def _is_date(value: str) -> str:
    dt.date.fromisoformat(value)
    return value


Date = Annotated[str, AfterValidator(_is_date)]  # YYYY-MM-DD


def _is_closed_day(value: str) -> str:
    if value not in WEEKDAYS:
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            raise ValueError("neither a weekday as in sunday nor a date as in 2025-12-25") from None
    return value


ClosedDay = Annotated[str, AfterValidator(_is_closed_day)]


class Section(BaseModel):
    """One section of params.yaml. Unknown and missing keys and wrong types are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spark(Section):
    """A Spark to run on, and where it reads events."""

    master: Annotated[
        str, Field(pattern=r"^(local(\[(\d+|\*)(,\d+)?\])?|spark://.+:\d+|k8s://.+|yarn)$")
    ]
    conf: dict[str, str]
    events: Annotated[str, Field(min_length=1)] | None  # a namespace of tables; null: data/events
    lists: Annotated[str, Field(min_length=1)] | None  # a folder for the lists; null: none there


class Engine(Section):
    """How the kernels are mapped over the customers."""

    kind: Literal["local", "spark"]
    threads: Threads
    # fewer would make a file for every few customers
    lines_per_partition: Annotated[int, Field(ge=100)]
    spark: Spark


def _is_encoding(value: str) -> str:
    try:
        codecs.lookup(value)
    except LookupError:
        raise ValueError("no encoding as in cp1252") from None
    return value


class RawFile(Section):
    """How a raw file is written: the defaults are those of comma-separated UTF-8."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: Annotated[str, AfterValidator(_is_encoding)] = "utf-8"
    skip: Annotated[int, Field(ge=0)] = 0  # lines before the names of the columns
    header: bool = True  # whether a line names the columns
    names: tuple[str, ...] = ()  # names for the columns, in place of those of the file
    sheet: str | None = None  # of a spreadsheet; the first by default


LARGEST_AMOUNT = 1e12  # amounts are kept in ten-thousandths, as whole numbers of 64 bits


class Plausible(Section):
    """What no shop has; see the comments in params.yaml."""

    lone_rate: Share
    lone_days: Count
    lone_share: Share
    nobody: list[str]
    nobody_if_first: list[str]
    customer_share: Share
    customer_times: Positive
    ids_alike: Share
    repeated_totals: Share
    repeated_lines: Share
    thousands: bool
    no_price: Share
    empty_days: Count
    refund_times: Annotated[float, Field(ge=1)]
    unbought: Share


class AgainstLast(Section):
    """How far a run may be from the shop's last one."""

    lines_fall: Share
    price_times: Annotated[float, Field(gt=1)]
    then: Literal["stop", "warn"]


class Ingest(Section):
    """What is accepted from a shop's raw files."""

    timezone: str
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    data_end: Date | None  # local; later events are out of the window
    data_end_after: Count
    rebilled_days: Annotated[int, Field(ge=0, le=365)]  # 0: no order is taken for a correction
    against_last: AgainstLast
    max_amount: Annotated[float, Field(gt=0, le=LARGEST_AMOUNT)]
    files: dict[str, RawFile]
    plausible: Plausible
    quarantine_limit: dict[str, Share]

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("not a time zone as in Europe/London") from None
        return value

    @field_validator("quarantine_limit")
    @classmethod
    def _has_a_default(cls, value: dict[str, float]) -> dict[str, float]:
        if "default" not in value:
            raise ValueError("`default` is missing")
        return value


class Calibrate(Section):
    """The snapshots at which the model is trained, tested and applied."""

    horizon_days: Days | Literal["auto"]
    step_days: Days | Literal["auto"]
    origins: Annotated[int, Field(ge=1, le=100)]
    training_snapshots: Annotated[int, Field(ge=1, le=1000)]
    min_history_days: Count | Literal["auto"]
    benchmark_recency_days: Count | Literal["auto"]
    sample_customers: Count
    min_gaps: Count
    default_ipt_days: Annotated[Positive, Field(le=3650)] | None
    default_log_sd: Positive
    ipt_range: tuple[Positive, Positive]


class Evaluate(Section):
    """How scorers are evaluated."""

    bootstrap: Annotated[int, Field(ge=1, le=100_000)]  # more would take days
    seed: Annotated[int, Field(ge=0)]
    capacity: Share
    bands: tuple[Share, Share]
    min_rows: Count
    min_outcomes: Count
    base_rate_range: tuple[Share, Share]
    seeds: Annotated[int, Field(ge=2, le=100)]
    seeds_below: Annotated[int, Field(ge=0)]
    own_model: Annotated[str, Field(pattern=r"^my_models\.[A-Za-z_]\w*$")] | None

    @field_validator("bands")
    @classmethod
    def _ascend(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first cut must be below the second")
        return value


class Score(Section):
    """Which customers to call, and how many."""

    language: Language
    call_when: CallWhen
    capacity: Share | Annotated[int, Field(ge=0)]  # a share of the scored customers, or a number
    hold_out: Share | Literal["auto"]
    hold_out_range: tuple[Chance, Annotated[float, Field(gt=0, le=0.5)]]
    hold_out_days: Days
    hold_out_seed: Annotated[str, Field(min_length=1, max_length=64)]
    cooldown_days: dict[str, Annotated[int, Field(ge=0, le=3650)]]
    drivers: Count
    driver_least: Annotated[float, Field(ge=0, le=10)]
    driver_differs: Share
    explain: Count
    action_characters: Count

    @field_validator("cooldown_days")
    @classmethod
    def _each_queue(cls, value: dict[str, object]) -> dict[str, object]:
        if odd := sorted(set(QUEUES) ^ set(value)):
            raise ValueError(f"one entry for each queue, no other; see {', '.join(odd)}")
        return value


class Lists(Section):
    """How long published lists are kept."""

    keep_days: Annotated[int, Field(ge=1, le=36_500)]  # a century
    keep_versions: Count


class Outcomes(Section):
    """How past lists are measured."""

    least: Annotated[int, Field(ge=2)]
    assumed_sd: Positive
    between_sd: Positive


class Privacy(Section):
    """What protects people when a list is published."""

    suppressions: (
        Annotated[str, Field(min_length=1)] | None
    )  # a CSV file, from the project's folder
    suppressions_max_age_hours: Positive


class Preflight(Section):
    """What must be free on the disk before a run begins."""

    free_gb: Annotated[float, Field(ge=0, le=1000)]
    free_times_raw: Annotated[float, Field(ge=0, le=100)]


class Report(Section):
    """The page."""

    rows: Count


class Track(Section):
    """The tracking server, and the names of experiment and model on it."""

    # passwords stand in the environment
    uri: Annotated[str, Field(pattern=r"^(sqlite:///.+|https?://[^@\s]+)$")] | None
    experiment: Annotated[str, Field(min_length=1)]
    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    required: bool
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)]
