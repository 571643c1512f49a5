"""The parameters: params.yaml merged with the file of the chosen shop, and checked."""

import codecs
import datetime as dt
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from features.settings import CategoryRules, IptRules, Sla, Windows
from models.decision.queues import QUEUES
from models.lifecycle.limits import Limits
from models.reasons.settings import ReasonRules
from models.settings import (
    Boosting,
    CallWhen,
    Costs,
    Count,
    Language,
    Positive,
    Share,
    Threads,
    Tune,
)
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.yaml_file import check_meaning, merged, place_of, read_yaml, refusal

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


PresetName = Literal["weekly", "monthly", "yearly"]


class Preset(Section):
    """A preset of the simulated shop: the median IPT, and the length of the history."""

    ipt_days: Positive
    days: Annotated[int, Field(ge=30, le=36500)]


class Simulate(Section):
    """The simulated shop and its ground truth. Triples are for minor, major, critical."""

    seed: Annotated[int, Field(ge=0)]
    customers: Count
    customers_per_block: Count
    preset: PresetName
    presets: dict[PresetName, Preset]
    end_date: Date  # exclusive
    ipt_log_sd: Positive
    gamma_shape: tuple[Positive, Positive]
    season_amplitude: Chance
    season_peak: Annotated[int, Field(ge=0, le=365)]
    spend_log_sd: Positive
    expectation_met: Share
    cutoff_share: Share
    cutoff_kept: Share
    convert_base: float
    convert_expectations_met: float
    convert_cutoff_missed: float
    convert_touch: float
    further_line: Share
    early_growth: Share
    first_facets: Share
    variety: tuple[Positive, Positive]
    mishap_minor: Annotated[Share, Field(le=0.5)]
    mishap_major: Annotated[Share, Field(le=0.5)]
    critical_share: Share
    complain_minor: Share
    complain_major: Share
    repair_days: tuple[Positive, Positive, Positive]
    repair_log_sd: Positive
    never_repaired: Share
    patience_days: tuple[Positive, Positive, Positive]
    defect_returned: Share
    other_returned: Share
    core_purchases: Annotated[int, Field(ge=2)]
    core_days: Count
    core_gap_ipts: Positive
    core_probation: Count
    hazard_first: Chance
    hazard_first_failed: Chance
    hazard_early: Chance
    hazard_early_minor: Chance
    hazard_early_major: Chance
    early_fixed_factor: Share
    hazard_core: Chance
    hazard_core_minor_fixed: Chance
    hazard_service: Chance
    hazard_unrepaired: Chance
    hazard_competitor: Chance
    hazard_boredom: Chance
    competitor_events: Count
    competitor_days: Count
    competitor_exposed: Share
    competitor_shrink: Positive
    boredom_run: Positive
    boredom_width: Positive
    treatment_from: Chance
    treatment_share: Share
    treatment_factor: Share
    stated_answer: Share
    stated_true: Share
    winback_per_day: Positive
    winback_reason_factor: Positive
    do_not_contact: Share
    profiling_objection: Share

    @property
    def timing(self) -> Preset:
        """The preset that is chosen."""
        return self.presets[self.preset]


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
    max_amount: Annotated[Positive, Field(le=LARGEST_AMOUNT)]
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

    keep_days: Count
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


class Params(Section):
    """All of params.yaml."""

    shop: str
    simulate: Simulate
    ingest: Ingest
    engine: Engine
    ipt: IptRules
    sla: Sla
    windows: Windows
    closed: list[Annotated[str, AfterValidator(_is_closed_day)]]
    calibrate: Calibrate
    assign: Limits
    categories: CategoryRules
    reasons: ReasonRules
    train: Boosting
    tune: Tune
    costs: Costs
    evaluate: Evaluate
    score: Score
    outcomes: Outcomes
    privacy: Privacy
    lists: Lists
    preflight: Preflight
    report: Report
    track: Track

    @field_validator("closed")
    @classmethod
    def _is_open_on_a_weekday(cls, value: list[str]) -> list[str]:
        if set(WEEKDAYS) <= set(value):
            raise ValueError("all seven weekdays: no day would count as absence")
        return value

    @model_validator(mode="after")
    def _late_comes_before_lapse(self) -> "Params":
        ipt = self.ipt
        if ipt.late_clip_low > ipt.late_clip_high or ipt.lapse_clip_low > ipt.lapse_clip_high:
            raise ValueError("ipt: a clip's low end is above its high end")
        rule = "a customer is overdue before they have lapsed"
        if ipt.late_clip_high >= ipt.lapse_clip_high or ipt.late_clip_low >= ipt.lapse_clip_low:
            raise ValueError(f"ipt: late_clip_* must be below lapse_clip_*: {rule}")
        if ipt.late_sigmas > ipt.lapse_sigmas or ipt.late_floor_days > ipt.lapse_floor_days:
            raise ValueError(f"ipt: late_* must not be above lapse_*: {rule}")
        return self


SHOP_NAME = "[a-z][a-z0-9_]*"


def require_shop(name: object, place: str, root: Path) -> None:
    """Raise ConfigError for a name that no shop may have, or that no shop has."""
    files = [*(root / "shops").glob("*.yaml"), *(root / "sources").glob("*.sql")]
    names = sorted({path.stem for path in files})
    known = f"one of: {', '.join(name for name in names if re.fullmatch(SHOP_NAME, name))}"
    text = str(name) if isinstance(name, str | int) else ""
    near = re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")
    if not near:
        raise ConfigError("E_SHOP", place, "names no shop", known)
    if name != text or not re.fullmatch(SHOP_NAME, text):
        near = near if near[0].isalpha() else f"shop_{near}"
        rule = "the name of a shop has only a-z, 0-9 and _, and begins with a letter"
        raise ConfigError("E_SHOP", place, rule, f"call it {near}, and its files too")
    if text not in names:
        fix = f"{known}; or `corekeep init FILES --shop {text}`"
        raise ConfigError("E_SHOP", f"shops/{text}.yaml", "there is no such shop", fix)


def require_source(shop: str, root: Path) -> None:
    """Raise ConfigError for a shop without SQL."""
    if not (root / "sources" / f"{shop}.sql").exists():
        fix = f"`corekeep init FILES --shop {shop}` writes it; or map the files yourself: README.md"
        rule = "the shop has no SQL that maps its raw files to the table orders"
        raise ConfigError("E_SHOP", f"sources/{shop}.sql", rule, fix)


def load(root: Path, shop: str | None = None) -> Params:
    """Return the validated parameters of a shop: by default the one that params.yaml chooses.

    A shop without a file in shops/ has the parameters of params.yaml. Raises ConfigError with file,
    line, key and the nearest known key.
    """
    base_path = root / "params.yaml"
    base = read_yaml(base_path, root)
    if shop is None:
        chosen = base.get("shop")
        require_shop(chosen, f"params.yaml:{place_of(base_path, ['shop'])[1]} shop", root)
        shop = str(chosen)
    base["shop"] = shop
    shop_path = root / "shops" / f"{shop}.yaml"
    files = [path for path in (base_path, shop_path) if path.exists()]
    over = read_yaml(shop_path, root) if shop_path in files else {}
    if "shop" in over:
        place = f"{shop_path.relative_to(root)}:1 shop"
        raise ConfigError("E_PARAM", place, "the shop is chosen in params.yaml", "remove the key")
    written = {**merged(base, over), "shop": shop}
    try:
        params = Params.model_validate(written)
    except ValidationError as error:
        raise refusal(root, files, Params, error) from None
    check_meaning(root, files, written, params)
    return params
