"""Models from disk, checked before they are loaded: LightGBM itself crashes on an altered text, or answers with other scores."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.defection import canary_scores, matrix, probabilities, schema_hash, shap
from models.peers import contributions, predict
from pipeline.errors import ModelError
from pipeline.store import Folder, text_sha256, to_json

if TYPE_CHECKING:
    import lightgbm as lgb


def booster_of(model: Folder, about: dict[str, Any], name: str) -> "lgb.Booster":
    """The booster of a file whose content is the one model.json vouches for. Raises ModelError."""
    import lightgbm as lgb

    path = model.path / name
    if not path.is_file():
        raise ModelError("E_MODEL_MISSING", name, "the model's file is not there", "train again")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"].get(name):
        raise ModelError("E_MODEL_CHANGED", name, "its content is not what model.json vouches for", "train again; never edit or convert it")
    return lgb.Booster(model_str=content.decode("utf-8"))


def champion(model: Folder, about: dict[str, Any], columns: list[str], snapshot: str) -> "lgb.Booster":
    """The final booster, if it fits the features, was not taught by the future of the snapshot, and still scores as it did when trained."""
    if schema_hash(columns) != about["schema_hash"]:
        odd = sorted(set(columns) ^ set(about["features"])) or ["their order"]
        raise ModelError(
            "E_MODEL_SCHEMA",
            "model.json features",
            f"the features differ from those it was trained on: {', '.join(odd[:3])}",
            "train again",
        )
    if about["trained_through"] >= snapshot:
        raise ModelError(
            "E_MODEL_FUTURE",
            "model.json trained_through",
            f"it was taught by snapshots up to {about['trained_through']}",
            "use an older model",
        )
    booster = booster_of(model, about, "model.txt")
    drift = np.abs(np.subtract(canary_scores(booster, about["canary"]["rows"]), about["canary"]["scores"]))
    if not drift.max() <= 1e-9:
        raise ModelError(
            "E_MODEL_CANARY",
            "model.txt",
            f"known rows score differently by {drift.max():.2g}",
            "install the locked versions or train again",
        )
    return booster


@dataclass(frozen=True)
class Scorer:
    """What the verdict chose: probabilities of defection, what each column adds to the log-odds, and an id for the list."""

    model_id: str
    predict: Callable[[pd.DataFrame], npt.NDArray[np.float64]]
    explain: Callable[[pd.DataFrame], pd.DataFrame]


def scorer(model: Folder, verdict: str, columns: list[str], snapshot: str) -> Scorer:
    """The champion, or the peer that did better."""
    about = model.read("model.json")
    if verdict == "model":
        booster = champion(model, about, columns, snapshot)

        def tree_shap(rows: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame(shap(booster, matrix(rows, columns)), columns=columns)

        return Scorer(about["sha256"]["model.txt"][:12], lambda rows: probabilities(booster, matrix(rows, columns)), tree_shap)
    taught = model.read("peers.json")["model.txt"][verdict]
    model_id = text_sha256(to_json(taught))[:12]
    terms = taught["columns"]
    return Scorer(model_id, lambda rows: predict(taught, rows), lambda rows: pd.DataFrame(contributions(taught, rows), columns=terms))
