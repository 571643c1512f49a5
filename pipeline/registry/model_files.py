"""Models from disk, checked before they are loaded.

LightGBM itself crashes on an altered text, or answers with other scores.
"""

import datetime as dt
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.defection.baselines import contributions, predict
from models.defection.booster import canary_frame, schema_hash
from models.defection.forms import BASE, Model
from pipeline.registry import booster_check as booster_trial
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder, text_sha256, to_json

if TYPE_CHECKING:
    import lightgbm as lgb

TOLD = ("trained", "reason", "features", "schema_hash", "horizon_days", "chosen", "sha256")
TOLD_OF_A_BOOSTER = ("lightgbm", "trained_through")
# by somebody, or for want of memory: says nothing of the text
STOPPED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# hundreds of times what it takes: a busy machine must not make a sound model look broken
TRIAL_SECONDS = 60

Ask = Callable[[pd.DataFrame], npt.NDArray[np.float64]]
"""Probability of defection, one per row."""


def vouched(model: Folder, about: dict[str, Any], name: str) -> str:
    """The text of a file, if it is the one model.json vouches for. Raises ModelError."""
    path = model.path / name
    if not path.is_file():
        raise ModelError("E_MODEL_MISSING", name, "the model's file is not there", "train again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"].get(name):
        raise ModelError(
            "E_MODEL_CHANGED",
            name,
            "its content is not what model.json vouches for",
            "train again; never edit or convert it",
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelError("E_MODEL_BROKEN", name, "it is not text", "train again") from None


def about_of(model: Folder) -> dict[str, Any]:
    """What model.json says of the model. Raises ModelError where it cannot be read."""
    try:
        about: dict[str, Any] = model.read("model.json")
    except (OSError, ValueError):
        raise ModelError(
            "E_MODEL_MISSING", "model.json", "it is not there or cannot be read", "train again"
        ) from None
    if not isinstance(about, dict):
        raise ModelError(
            "E_MODEL_BROKEN", "model.json", "it is no account of a model", "train again"
        )
    if missing := [
        key
        for key in (*TOLD, *(TOLD_OF_A_BOOSTER if "trained" in about and about["trained"] else ()))
        if key not in about
    ]:
        raise ModelError(
            "E_MODEL_BROKEN", "model.json", f"it does not tell {missing[0]}", "train again"
        )
    return about


def baselines_of(model: Folder, about: dict[str, Any]) -> dict[str, Any]:
    """The peers taught beside each booster, by its file name.

    Those that are boosters themselves tried out. Raises ModelError.
    """
    try:
        taught: dict[str, Any] = json.loads(vouched(model, about, "baselines.json"))
        texts = [
            baseline["text"]
            for baselines in taught.values()
            for baseline in baselines.values()
            if baseline["form"] == "boosting"
        ]
    except (ValueError, AttributeError, KeyError, TypeError):
        raise ModelError(
            "E_MODEL_BROKEN", "baselines.json", "it is no account of peers", "train again"
        ) from None
    require_version(about)
    for text in texts:
        try_out(text, "baselines.json")
    return taught


def require_version(about: dict[str, Any]) -> None:
    """Refuse boosters of another major version of LightGBM."""
    import lightgbm as lgb

    if lgb.__version__.split(".")[0] != about["lightgbm"].split(".")[0]:
        rule = f"it was trained by LightGBM {about['lightgbm']}, this is {lgb.__version__}"
        raise ModelError(
            "E_MODEL_VERSION",
            "model.json lightgbm",
            rule,
            "install the locked versions or train again",
        )


@lru_cache(maxsize=32)
def try_out(text: str, name: str) -> None:
    """Let another process work with a booster's text before this one does. Raises ModelError where
    LightGBM cannot.

    The sha256 is no proof of that: model.json may vouch for a text that was broken when it was
    written, or that another version wrote.
    """
    import lightgbm as lgb

    command = [sys.executable, "-I", "-S", booster_trial.__file__, lgb.libpath._LIB._name]
    try:
        code = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=TRIAL_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        rule = f"LightGBM does not come to an end with it in {TRIAL_SECONDS} s"
    else:
        if code == 0:
            return
        if -code in STOPPED:
            raise ModelError(
                "E_MODEL_UNTRIED",
                name,
                f"its trial was stopped: {signal.Signals(-code).name}",
                "run again, with enough memory",
            )
        rule = (
            f"LightGBM crashes on it: {signal.Signals(-code).name}"
            if code < 0
            else "LightGBM cannot work with it"
        )
    raise ModelError("E_MODEL_BROKEN", name, rule, "install the locked versions or train again")


def booster_of(model: Folder, about: dict[str, Any], name: str) -> "lgb.Booster":
    """The booster of a file, checked and tried out before it is loaded. Raises ModelError."""
    import lightgbm as lgb

    require_version(about)
    text = vouched(model, about, name)
    try_out(text, name)
    booster = lgb.Booster(model_str=text)
    if booster.feature_name() != about["features"]:
        raise ModelError(
            "E_MODEL_SCHEMA",
            f"{name} feature_names",
            "they are not the features that model.json tells",
            "train again",
        )
    return booster


def model_of(model: Folder, about: dict[str, Any], name: str) -> Model:
    """The model of a file.

    Its booster, what it starts from, and the shift of its season. Raises ModelError.
    """
    chosen = about["chosen"][name]
    base = baselines_of(model, about)[name][BASE] if chosen["form"] == "offset" else None
    return Model(booster_of(model, about, name), about["features"], base, chosen["shift"])


def require_fit(about: dict[str, Any], columns: list[str], snapshot: str) -> None:
    """Refuse a model for other features than these, or one taught by outcomes that the snapshot
    could not know.
    """
    if schema_hash(columns) != about["schema_hash"]:
        odd = sorted(set(columns) ^ set(about["features"])) or ["their order"]
        rule = f"the features differ from those it was trained on: {', '.join(odd[:3])}"
        raise ModelError("E_MODEL_SCHEMA", "model.json features", rule, "train again")
    known = dt.date.fromisoformat(about["trained_through"]) + dt.timedelta(
        days=about["horizon_days"]
    )
    if known > dt.date.fromisoformat(snapshot):
        rule = f"the outcomes that taught it were known on {known}, after the snapshot {snapshot}"
        raise ModelError("E_MODEL_FUTURE", "model.json trained_through", rule, "use an older model")


def require_as_taught(about: dict[str, Any], name: str, ask: Ask) -> None:
    """Refuse a scorer, `model` or a peer, by which known rows score otherwise than when it was
    taught.
    """
    try:
        rows, known = about["canary"]["rows"], about["canary"]["scores"][name]
    except (KeyError, TypeError):
        rule = "it has no rows whose scores are known: they are not registered"
        raise ModelError("E_MODEL_CANARY", "model.json", rule, "train again") from None
    drift = np.abs(ask(canary_frame(rows, about["features"])) - known).max()
    if not drift <= 1e-9:
        rule = f"known rows score differently by {drift:.2g}"
        raise ModelError("E_MODEL_CANARY", name, rule, "install the locked versions or train again")


@dataclass(frozen=True)
class Scorer:
    """What the verdict chose.

    Probabilities of defection, what each column adds to the log-odds, and an id for the list.
    """

    model_id: str
    predict: Ask
    explain: Callable[[pd.DataFrame], pd.DataFrame]


def scorer(model: Folder, verdict: str, columns: list[str], snapshot: str) -> Scorer:
    """The final model, or the peer that did as well.

    Raises ModelError for one that cannot be trusted or does not fit.
    """
    about = about_of(model)
    require_fit(about, columns, snapshot)
    if verdict == "model":
        own = model_of(model, about, "model.txt")
        found = Scorer(about["sha256"]["model.txt"][:12], own.predict, own.explain)
    else:
        taught = baselines_of(model, about)["model.txt"][verdict]
        ask, terms = partial(predict, taught), taught["columns"]
        found = Scorer(
            text_sha256(to_json(taught))[:12],
            ask,
            lambda rows: pd.DataFrame(contributions(taught, rows), columns=terms),
        )
    require_as_taught(about, verdict, found.predict)
    return found
