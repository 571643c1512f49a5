"""Gradient boosting with many small trees, on pooled snapshots."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Floats
from models.defection.tree_shap import log_odds, shap_table, shap_values
from models.settings import Boosting

if TYPE_CHECKING:
    import lightgbm as lgb


MANY = 50_000  # rows: with fewer, LightGBM has predicted before the table of its trees is made
THREADS = 1  # for predictions: LightGBM's threads spin, two on a busy machine are slower than one
# by columns: the same trees as by rows, a fifth sooner with one thread
REPEATABLE = {"deterministic": True, "force_col_wise": True}
FIXED = {"objective": "binary", "bagging_freq": 1, "verbosity": -1, **REPEATABLE}
NOT_LIGHTGBM = set(
    "max_rounds round_step monotone forms season_prior season_sd".split()
    + "task_rounds forecast_rounds timing_rounds".split()
)


class ModelSpec(NamedTuple):
    """What a model is trained with, apart from its rows.

    `monotone_constraints`: columns that may move the probability one way only, up (+1) or down
    (-1); obeyed where `params.monotone` says so.
    """

    columns: list[str]
    params: Boosting
    monotone_constraints: dict[str, int]
    horizon_days: int


def schema_hash(columns: list[str]) -> str:
    """Hash the names of the features in their order, which LightGBM does not check."""
    return hashlib.sha256(json.dumps(columns).encode()).hexdigest()


def matrix(rows: pd.DataFrame, columns: list[str]) -> Floats:
    """Return some columns in this order. Raises KeyError for one that is missing."""
    return rows[columns].to_numpy(np.float64)


def as_stored(rows: pd.DataFrame, columns: list[str]) -> npt.NDArray[Any]:
    """Return the same for `Booster.predict` alone: features are float32, and are not copied."""
    values = rows[columns].to_numpy()
    return values if values.dtype == np.float32 else values.astype(np.float64)


def fit_booster(
    rows: pd.DataFrame, spec: ModelSpec, rounds: int, init_score: Floats | None = None
) -> "lgb.Booster":
    """Train on rows of (customer, snapshot) with `defected`: the same text for the same arguments.

    `init_score`: log-odds to start from, one per row.
    """
    import lightgbm as lgb

    hyperparameters = spec.params.model_dump(exclude=NOT_LIGHTGBM)
    constraints = [spec.monotone_constraints.get(column, 0) for column in spec.columns]
    constrained = spec.params.monotone and any(constraints)
    hyperparameters["monotone_constraints"] = constraints if constrained else None
    features, label = matrix(rows, spec.columns), rows["defected"].to_numpy(np.float64)
    data = lgb.Dataset(features, label, init_score=init_score, feature_name=spec.columns)
    return lgb.train({**FIXED, **hyperparameters}, data, num_boost_round=rounds)


def fit_regressions(
    rows: pd.DataFrame,
    label: Floats,
    spec: ModelSpec,
    objectives: list[dict[str, Any]],
    rounds: int,
    starts: Iterable[Floats | None] = (None,),
) -> list["lgb.Booster"]:
    """Train on a number per row, one booster of so many trees per objective.

    With the model's hyperparameters. `starts`: the init_score of each, one per row.
    """
    import lightgbm as lgb

    params = {**FIXED, **spec.params.model_dump(exclude=NOT_LIGHTGBM)}
    data = lgb.Dataset(matrix(rows, spec.columns), label, feature_name=spec.columns)
    boosters = []
    for objective, start in zip(objectives, starts, strict=True):
        data.set_init_score(start)
        boosters.append(lgb.train({**params, **objective}, data, rounds))
    return boosters


def tree_sums(
    booster: "lgb.Booster", features: npt.NDArray[Any], rounds: int | None = None
) -> Floats:
    """Return the sums of the first `rounds` trees, one per row: LightGBM's to the last bit."""
    if len(features) >= MANY and (table := shap_table(text_of(booster))):
        return log_odds(table._replace(value=table.value[:rounds]), features)
    how: dict[str, Any] = {"raw_score": True, "num_threads": THREADS}
    return np.asarray(booster.predict(features, num_iteration=rounds, **how))


def shap(booster: "lgb.Booster", features: Floats) -> Floats:
    """Return what each feature adds to the log-odds, rows x features (exact TreeSHAP)."""
    if table := shap_table(text_of(booster)):
        return shap_values(table, features)[1]
    return np.asarray(booster.predict(features, pred_contrib=True, num_threads=THREADS))[:, :-1]


def text_of(booster: "lgb.Booster") -> str:
    """Return the model as LightGBM's text, the only form it is kept in."""
    text: str = booster.model_to_string()
    return text


def without_feature_ranges(text: str) -> str:
    """Return a booster's text without each feature's range, which no score depends on.

    The maximum of spend is one customer's.
    """
    ranges = re.compile(r"(?m)^feature_infos=(.*)$")
    return ranges.sub(lambda m: "feature_infos=" + re.sub(r"\S+", "none", m[1]), text)


def canary_rows(rows: pd.DataFrame, columns: list[str]) -> list[list[float | None]]:
    """Return five rows whose scores must not change: quantiles of each feature, no customer's."""
    table = rows[columns].astype(np.float64).quantile(np.linspace(0.1, 0.9, 5)).to_numpy()
    return [[None if np.isnan(value) else float(f"{value:.6g}") for value in row] for row in table]


def canary_frame(rows: list[list[float | None]], columns: list[str]) -> pd.DataFrame:
    """Return the canary rows as a model scores them."""
    return pd.DataFrame(rows, columns=columns, dtype=np.float64)
