"""The bundle: a model with all that scoring needs, so that every machine scores alike.

Beside the files of data/model it holds `scoring.json`: shop, horizon, verdict, grade, calibration,
and the parameters that define features, life cycle and decisions. The bundle of a shop's champion
lies in data/champion/<shop>, and with its version in the registry.
"""

import datetime as dt
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.registry.about import TRAIN_AGAIN, about_of, broken
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError
from pipeline.runtime.params import Params, load
from pipeline.runtime.playbook import NAME as PLAYBOOK
from pipeline.runtime.progress import warn
from pipeline.runtime.runner import champion_folder
from pipeline.runtime.sections import Date, Days
from pipeline.runtime.store import Folder

SCORING = "scoring.json"
# what the features mean: as in training. All others are decisions, which a shop may change.
OF_MODEL = ("ipt", "sla", "closed", "windows", "reasons")
OF_DECISIONS = ("assign", "categories", "costs", "evaluate", "score")


class Calibration(BaseModel):
    """What scoring needs of data/calibration.json; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow")

    expected_ipt: float = Field(gt=0)
    log_sd: float = Field(ge=0)
    horizon_days: Days
    data_end: Date
    long_runs: dict[str, Any]


class Selected(BaseModel):
    """The scorer of a forecast."""

    model_config = ConfigDict(extra="forbid")

    selected: str


class OfTask(BaseModel):
    """The scorer of a task, and the rate of all who buy at the test origins."""

    model_config = ConfigDict(extra="forbid")

    verdict: str
    base_rate: float | None


class Scoring(BaseModel):
    """The content of scoring.json."""

    model_config = ConfigDict(extra="forbid")

    shop: str
    verdict: str
    grade: str | None
    forecasts: dict[str, Selected | None] = {}
    tasks: dict[str, OfTask] = {}
    calibration: Calibration
    params: dict[str, Any]


def scoring_of(metrics: dict[str, Any], calibration: dict[str, Any], params: Params) -> Any:
    """Return the content of scoring.json for a model that was just evaluated."""
    return {
        "shop": params.shop,
        "verdict": metrics["verdict"],
        "grade": metrics["grade"],
        "forecasts": {
            name: {"selected": measured["selected"]} if (measured := metrics.get(name)) else None
            for name in ("timing", "value", "returning", "stake")
        },
        "tasks": {
            name: {key: task[key] for key in ("verdict", "base_rate")}
            for name, task in (metrics.get("tasks") or {}).items()
        },
        "calibration": calibration,
        "params": _by_name(params, *OF_MODEL, *OF_DECISIONS),
    }


def _by_name(params: Params, *sections: str) -> dict[str, Any]:
    """Return sections as params.yaml has them: pydantic writes a named tuple without its names."""
    dumped = params.model_dump(mode="json", include=set(sections))
    for section in sections:
        if names := getattr(getattr(params, section), "_fields", None):
            dumped[section] = dict(zip(names, dumped[section], strict=True))
    return dumped


def bundle_of(
    root: Path, model: Folder, evaluation: dict[str, Any], calibration: dict[str, Any]
) -> dict[str, Any]:
    """Return the files of the bundle of a model that was just evaluated, by name."""
    playbook = root / PLAYBOOK
    return {
        **files_of(model),
        SCORING: scoring_of(evaluation, calibration, load(root)),
        "evaluation.json": evaluation,
        **({PLAYBOOK: playbook.read_bytes()} if playbook.exists() else {}),
    }


def files_of(folder: Folder) -> dict[str, bytes]:
    """Return the files of a bundle by name, to be written elsewhere."""
    return {name: (folder.path / name).read_bytes() for name in folder.names("**/*")}


def scoring_in(bundle: Folder, shop: str, horizon: int | None = None) -> Scoring:
    """Return scoring.json of a bundle. Raises ModelError unless it is the shop's, and whole.

    `horizon`: the horizon that the shop asks for in days; None where it is estimated.
    """
    about = about_of(bundle)
    place = f"{bundle.path.name}/{SCORING}"
    if not bundle.has(SCORING):
        rule = "without it this is a model, but nothing says how to score with it"
        fix = "use data/champion/<shop>, or models:/<name>@champion"
        raise ModelError("E_MODEL_MISSING", place, rule, fix)
    try:
        scoring = Scoring.model_validate(bundle.read(SCORING))
    except ValidationError as error:
        raise broken(place, error) from None
    except ValueError:
        raise ModelError("E_MODEL_BROKEN", place, "it is not JSON", TRAIN_AGAIN) from None
    for name, own in (("model.json", about["shop"]), (SCORING, scoring.shop)):
        if own != shop:
            rule = f"it was made for the shop {own}, not for {shop}"
            raise ModelError("E_MODEL_SHOP", f"{name} shop", rule, "name the shop with --shop")
    days = about["horizon_days"]
    for wanted in (scoring.calibration.horizon_days, horizon or days):
        if wanted != days:
            rule = f"it predicts {days} days ahead, not {wanted}"
            raise ModelError("E_MODEL_HORIZON", "model.json horizon_days", rule, TRAIN_AGAIN)
    return scoring


def with_sections(scoring: Scoring, params: Params) -> Params:
    """Return the parameters with those that travel with the model.

    A parameter that came after the model keeps its present value, and one that no longer exists is
    left out; a warning names both. Raises ModelError for a value that cannot be used.
    """
    present = _by_name(params, *OF_MODEL, *OF_DECISIONS)
    later: list[str] = []
    gone: list[str] = []
    own = _completed(scoring.params, present, "", later, gone)
    if later:
        warn(f"{SCORING}: {', '.join(later)} came after the model: params.yaml says its value")
    if gone:
        warn(f"{SCORING}: {', '.join(gone)} no longer exists: it is left out")
    try:
        return Params.model_validate({**params.model_dump(mode="json"), **own})
    except ValidationError as error:
        raise broken(SCORING, error, "params") from None


def _completed(kept: Any, present: Any, place: str, later: list[str], gone: list[str]) -> Any:
    """Return what a bundle holds under the keys of today; name the others in `later` and `gone`."""
    if not isinstance(present, dict):
        return kept
    if isinstance(kept, list) and len(kept) == len(present):  # as earlier versions wrote a section
        kept = dict(zip(present, kept, strict=True))
    if not isinstance(kept, dict):
        rule = "its values are not those of this version, and have no names"
        raise ModelError("E_MODEL_BROKEN", f"{SCORING} params.{place}", rule, TRAIN_AGAIN)
    dotted = {key: f"{place}.{key}" if place else key for key in (*present, *kept)}
    later += [dotted[key] for key in present if key not in kept]
    gone += [dotted[key] for key in kept if key not in present]
    return {
        key: _completed(kept[key], value, dotted[key], later, gone) if key in kept else value
        for key, value in present.items()
    }


def with_decisions(scoring: Scoring, params: Params) -> dict[str, Any]:
    """Return scoring.json with the decisions of params.yaml: whom to call is the shop's to say."""
    kept = scoring.model_dump(mode="json")
    return {**kept, "params": {**kept["params"], **_by_name(params, *OF_DECISIONS)}}


def at_snapshot(scoring: Scoring, meta: dict[str, Any]) -> dict[str, Any]:
    """Return the calibration for one snapshot, the end of the data that `meta` describes."""
    day = dt.date.fromisoformat(meta["data_end"]).isoformat()
    calendar = {"data_end": day, "snapshots": [day], "tracking": [day]}
    return {**scoring.calibration.model_dump(), "first_event": meta["first_event"], **calendar}


def write_champion(root: Path, shop: str, files: dict[str, Any], version: dict[str, Any]) -> None:
    """Keep the bundle of a shop's champion on this machine; `version`: what the registry says."""
    folder = champion_folder(root, shop)
    store.write(folder, {**files, "registered.json": version})
