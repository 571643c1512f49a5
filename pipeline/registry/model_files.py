"""Models from disk, checked before they are loaded.

LightGBM itself crashes on an altered text, or returns other scores.
"""

import datetime as dt
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from features.records import Floats
from models.defection.baselines import BASELINES, Baseline, baseline_class
from models.defection.booster import canary_frame, schema_hash
from models.defection.forms import Model
from models.defection.season import Line
from pipeline.registry import booster_check
from pipeline.registry.about import TRAIN_AGAIN, about_of, part_of
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder, text_sha256, to_json

if TYPE_CHECKING:
    import lightgbm as lgb

# sent by somebody, or for want of memory: they are no sign of a broken text
STOPPED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# hundreds of times what it takes: a busy machine must not make a sound model look broken
CHECK_SECONDS = 60
INSTALL = "install the locked versions or train again"

Predict = Callable[[pd.DataFrame], Floats]
"""Return the probability of defection, one per row."""


def verified(model: Folder, about: dict[str, Any], name: str) -> str:
    """Return the text of a file whose sha256 is in model.json. Raises ModelError."""
    path = model.path / name
    if not path.is_file():
        raise ModelError("E_MODEL_MISSING", name, "the model's file is missing", TRAIN_AGAIN)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"].get(name):
        rule = "its sha256 differs from the one in model.json"
        raise ModelError("E_MODEL_CHANGED", name, rule, "train again; never edit or convert it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelError("E_MODEL_BROKEN", name, "it is not UTF-8 text", TRAIN_AGAIN) from None


def baselines_of(model: Folder, about: dict[str, Any]) -> dict[str, dict[str, Baseline]]:
    """Return the baselines trained beside each booster, by the booster's file name.

    Their own boosters are checked first. Raises ModelError.
    """
    name = "baselines.json"
    text = verified(model, about, name)
    require_version(about)
    try:
        fitted = _baselines(text)
    except (ValueError, AttributeError, KeyError, TypeError):
        rule = "it does not hold the baselines of this version"
        raise ModelError("E_MODEL_BROKEN", name, rule, TRAIN_AGAIN) from None
    for beside in fitted.values():
        for baseline in beside.values():
            if booster := getattr(baseline, "text", None):
                check_booster(booster, name)
    return fitted


@lru_cache(maxsize=4)  # each model file is loaded with those beside it
def _baselines(text: str) -> dict[str, dict[str, Baseline]]:
    """Return the baselines of a file. Raises ValueError for a field of another type, and others."""
    return {
        file: {name: _baseline(name, fields) for name, fields in beside.items()}
        for file, beside in json.loads(text).items()
    }


def _baseline(name: str, fields: dict[str, Any]) -> Baseline:
    baseline: Baseline = _shape(baseline_class(name)).validate_python(fields)
    if unknown := set(fields) - set(vars(baseline)):
        raise ValueError(f"unknown: {unknown}")
    return baseline


_shape = lru_cache(maxsize=None)(TypeAdapter)


def baseline_of(model: Folder, about: dict[str, Any], file: str, name: str) -> Baseline:
    """Return a baseline trained beside the booster of a file. Raises ModelError."""
    baseline: Baseline = part_of(baselines_of(model, about), "baselines.json", file, name)
    return baseline


def require_version(about: dict[str, Any]) -> None:
    """Refuse boosters of another major version of LightGBM."""
    import lightgbm as lgb

    if lgb.__version__.split(".")[0] != about["lightgbm"].split(".")[0]:
        rule = f"it was trained by LightGBM {about['lightgbm']}, this is {lgb.__version__}"
        raise ModelError("E_MODEL_VERSION", "model.json lightgbm", rule, INSTALL)


@lru_cache(maxsize=64)
def check_booster(text: str, name: str) -> None:
    """Let another process load a booster's text first. Raises ModelError where LightGBM cannot.

    The sha256 does not prove that it can: the text may have been broken when model.json was
    written, or another version may have written it.
    """
    import lightgbm as lgb

    command = [sys.executable, "-I", "-S", booster_check.__file__, lgb.libpath._LIB._name]
    try:
        code = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=CHECK_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        rule = f"LightGBM does not finish with it in {CHECK_SECONDS} s"
    else:
        if code == 0:
            return
        if -code in STOPPED:
            rule = f"its check was stopped: {signal.Signals(-code).name}"
            raise ModelError("E_MODEL_UNTRIED", name, rule, "run again, with enough memory")
        crash = f"LightGBM crashes on it: {signal.Signals(-code).name}" if code < 0 else None
        rule = crash or "LightGBM cannot work with it"
    raise ModelError("E_MODEL_BROKEN", name, rule, INSTALL)


def booster_of(model: Folder, about: dict[str, Any], name: str) -> "lgb.Booster":
    """Load the booster of a file after all checks. Raises ModelError."""
    import lightgbm as lgb

    require_version(about)
    text = verified(model, about, name)
    check_booster(text, name)
    booster = lgb.Booster(model_str=text)
    if booster.feature_name() != about["features"]:
        rule = "they differ from the features in model.json"
        raise ModelError("E_MODEL_SCHEMA", f"{name} feature_names", rule, TRAIN_AGAIN)
    return booster


def model_of(model: Folder, about: dict[str, Any], name: str) -> Model:
    """Load the model of a file: its booster, its base, its season. Raises ModelError."""
    selected = part_of(about, "model.json", "chosen", name)
    booster = booster_of(model, about, name)
    base = baseline_of(model, about, name, selected["base"])
    far, recent = Line(*selected["far"]), selected["recent"]
    lines = selected["slope"], selected["shift"], far, recent, selected["scale"]
    return Model(booster, about["features"], base, *lines)


def predictions(
    rows: pd.DataFrame, model: Folder, about: dict[str, Any], folder: str = ""
) -> pd.DataFrame:
    """Return the rows at test origins with a probability from each scorer of their origin.

    `folder`: where its boosters lie, empty for those of defection. Columns besides: origin,
    customer (int).
    """
    baselines = baselines_of(model, about)
    parts = []
    for origin, at in rows.groupby("snapshot", sort=True):
        name = f"{folder}origins/{origin}.txt"
        own = model_of(model, about, name)
        scorers: dict[str, Model | Baseline] = {"model": own, **baselines[name]}
        risks = {key: scorer.predict(at) for key, scorer in scorers.items()}
        parts.append(at.assign(origin=origin, **risks))
    population = pd.concat(parts, ignore_index=True)
    return population.assign(customer=pd.factorize(population["customer_id"])[0])


def require_fit(about: dict[str, Any], columns: list[str], snapshot: str) -> None:
    """Refuse a model of other features, or one that knows what comes after the snapshot."""
    if schema_hash(columns) != about["schema_hash"]:
        odd = sorted(set(columns) ^ set(about["features"])) or ["their order"]
        rule = f"the features differ from those it was trained on: {', '.join(odd[:3])}"
        raise ModelError("E_MODEL_SCHEMA", "model.json features", rule, TRAIN_AGAIN)
    require_past(about, snapshot)


def require_past(about: dict[str, Any], snapshot: str) -> None:
    """Refuse a model that was trained on outcomes not known at the snapshot."""
    horizon = dt.timedelta(days=about["horizon_days"])
    known = dt.date.fromisoformat(about["trained_through"]) + horizon
    if known > dt.date.fromisoformat(snapshot):
        rule = f"its training outcomes were known on {known}, after the snapshot {snapshot}"
        raise ModelError("E_MODEL_FUTURE", "model.json trained_through", rule, "use an older model")


def require_known_scores(about: dict[str, Any], name: str, predict: Predict) -> None:
    """Refuse a scorer whose scores of the canary rows differ from those in training."""
    rows, scores = about["canary"]["rows"], about["canary"]["scores"]
    width = len(about["features"])
    if len(scores.get(name, [])) != len(rows) or any(len(row) != width for row in rows):
        rule = "its canary rows do not fit its features or this scorer"
        raise ModelError("E_MODEL_CANARY", "model.json canary", rule, TRAIN_AGAIN)
    expected = np.array(scores[name])
    drift = np.abs(predict(canary_frame(rows, about["features"])) - expected)
    drift = (drift / np.maximum(np.abs(expected), 1)).max()
    if not drift <= 1e-9:
        rule = f"known rows score differently by {drift:.2g}"
        raise ModelError("E_MODEL_CANARY", name, rule, INSTALL)


@dataclass(frozen=True)
class Scorer:
    """The selected scorer.

    Probabilities of defection, what each column adds to the log-odds, and an id for the list.
    """

    model_id: str
    predict: Predict
    explain: Callable[[pd.DataFrame], pd.DataFrame]


def model_id_of(model: Folder, about: dict[str, Any], verdict: str) -> str | None:
    """Return the id of the selected scorer: the first digits of its sha256; None without one."""
    if verdict == "no_signal":
        return None
    if verdict == "model":
        return str(part_of(about, "model.json", "sha256", "model.txt")[:12])
    baseline = baseline_of(model, about, "model.txt", verdict)
    return text_sha256(to_json(asdict(baseline)))[:12]


def scorer(model: Folder, verdict: str, columns: list[str], snapshot: str) -> Scorer:
    """Load the selected scorer: the final model, or a baseline that did as well.

    Raises ModelError for one that cannot be trusted or does not fit.
    """
    about = about_of(model)
    require_fit(about, columns, snapshot)
    if verdict != "model" and verdict not in BASELINES:
        rule = f"there is no scorer {verdict}"
        raise ModelError("E_MODEL_BROKEN", "verdict", rule, TRAIN_AGAIN)
    model_id = str(model_id_of(model, about, verdict))
    if verdict == "model":
        final = model_of(model, about, "model.txt")
        selected = Scorer(model_id, final.predict, final.explain)
    else:
        baseline = baseline_of(model, about, "model.txt", verdict)
        selected = Scorer(
            model_id,
            baseline.predict,
            lambda rows: pd.DataFrame(baseline.contributions(rows), columns=baseline.columns),
        )
    require_known_scores(about, verdict, selected.predict)
    return selected
