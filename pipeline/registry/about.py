"""model.json, declared key by key: what a model says of itself, checked before it is used.

A key that is missing, unknown or of another type is refused: it may change a score. Keys with a
default came after the first versions of corekeep, whose models can still be read.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.defection.forms import BASE
from models.settings import Boosting, Form
from pipeline.runtime.errors import ModelError, StorageError
from pipeline.runtime.sections import Date, Days
from pipeline.runtime.store import Folder

TRAIN_AGAIN = "train again"
Numbers = list[float]
Line = Annotated[list[float], Field(min_length=2, max_length=2)]  # shift and slope


class Declared(BaseModel):
    """A mapping that holds these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Canary(Declared):
    """Rows whose scores are known, and the scores of each scorer."""

    rows: Annotated[list[list[float | None]], Field(min_length=1)]
    scores: dict[str, Numbers]


class Chosen(Declared):
    """How a booster is applied, and how its form was selected."""

    form: Form
    rounds: Annotated[int, Field(ge=0)]
    losses: dict[str, float]
    error: float
    slope: float
    shift: float
    base: str = BASE
    season_weight: float = 0.5
    far: Line = [0.0, 0.0]
    recent: int = 0
    scale: float = 1.0


class BgNbdParameters(Declared):
    """Of BG/NBD, in days."""

    r: float
    alpha: float
    a: float
    b: float


class GammaGammaParameters(Declared):
    """Of gamma-gamma, in currency."""

    p: float
    q: float
    v: float


class TimingAt(Declared):
    """The day of the next purchase, trained by one day: the margin of its interval.

    `start`: what its boosters start from; None for those of earlier versions.
    """

    margin: float
    start: Literal["bg_nbd"] | None = None
    bg_nbd: BgNbdParameters


class SpendAt(Declared):
    """The baseline of a spend, trained by one day."""

    gamma_gamma: GammaGammaParameters
    bg_nbd: BgNbdParameters


class Timing(Declared):
    """The forecast of the next purchase, at its test origin and at the end of the data."""

    days: Days
    origin: TimingAt
    final: TimingAt


class Value(Declared):
    """The forecast of the spend."""

    days: Days
    origin: SpendAt
    final: SpendAt


class Retained(Declared):
    """The spend of those who buy within the horizon, at each test origin and at the end."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, SpendAt] = Field(init=False)

    days: Days
    final: SpendAt


class Forecasts(Declared):
    """The forecasts; None: too little data."""

    timing: Timing | None = None
    value: Value | None = None
    retained: Retained | None = None


class Deciles(Declared):
    """The distribution of a feature in training."""

    edges: Numbers
    shares: Numbers


class GroupedCv(Declared):
    """The cross-validation of the training rows of the oldest origin."""

    folds: int
    customers: int
    rows: int
    auc: float | None


class About(Declared):
    """What every model.json says."""

    trained: bool
    reason: str | None
    shop: str
    features: list[str]
    schema_hash: str
    horizon_days: Days
    params: dict[str, Any]  # those of its own version, for the record
    monotone_constraints: dict[str, Literal[-1, 0, 1]]
    chosen: dict[str, Chosen]
    grouped_cv: GroupedCv | None
    sha256: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]


class AboutBooster(About):
    """What the model.json of a model with boosters says besides."""

    lightgbm: str
    trained_through: Date
    training_rows: int
    canary: Canary
    reference: dict[str, Deciles] = {}
    tasks: dict[str, str | None] = {}
    forecasts: Forecasts = Forecasts()


def about_of(model: Folder) -> dict[str, Any]:
    """Return model.json with all its keys. Raises ModelError where it is not as declared."""
    try:
        about: dict[str, Any] = model.read("model.json")
    except PermissionError:  # not "missing": another champion would take its place
        place, fix = str(model.path / "model.json"), "let the job's user read the model's folder"
        raise StorageError("E_DISK", place, "this user may not read it", fix) from None
    except (OSError, ValueError, RecursionError):
        rule = "it is missing or cannot be read"
        raise ModelError("E_MODEL_MISSING", "model.json", rule, TRAIN_AGAIN) from None
    if not isinstance(about, dict):
        raise ModelError("E_MODEL_BROKEN", "model.json", "it is not a mapping", TRAIN_AGAIN)
    kind = AboutBooster if about.get("trained") else About
    try:
        return kind.model_validate(about).model_dump()
    except ValidationError as error:
        raise broken("model.json", error) from None


def params_of(about: dict[str, Any]) -> Boosting:
    """Return what a model was trained with. Raises ModelError where this version cannot use it."""
    try:
        return Boosting.model_validate(about["params"])
    except ValidationError as error:
        raise broken("model.json", error, "params") from None


def broken(place: str, error: ValidationError, *within: str) -> ModelError:
    """Return the first thing that is wrong with a file of a model, under these keys of it."""
    first = error.errors()[0]
    key, of = ".".join([*within, *map(str, first["loc"])]), first["type"]
    rules = {"missing": f"key `{key}` is missing", "extra_forbidden": f"key `{key}` is unknown"}
    rule = rules.get(of, f"key `{key}`: {first['msg']}")
    return ModelError("E_MODEL_BROKEN", place, rule, TRAIN_AGAIN)


def part_of(about: Any, place: str, *keys: str) -> Any:
    """Return what stands under these keys, one within the other. Raises ModelError without it."""
    for key in keys:
        if not isinstance(about, dict) or about.get(key) is None:
            rule = f"key `{'.'.join(keys)}` is missing"
            raise ModelError("E_MODEL_BROKEN", place, rule, TRAIN_AGAIN)
        about = about[key]
    return about
