"""The model of defection: gradient boosting with many small trees, on pooled snapshots."""

import hashlib
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from features.records import Flags, Floats
from models.settings import Boosting

if TYPE_CHECKING:
    import lightgbm as lgb


# to ask a model: LightGBM's threads spin, and two on a busy machine are slower than one
THREADS = 1


def schema_hash(columns: list[str]) -> str:
    """Names and order of the features.

    LightGBM itself would accept reordered columns and answer with other scores.
    """
    return hashlib.sha256(json.dumps(columns).encode()).hexdigest()


def matrix(rows: pd.DataFrame, columns: list[str]) -> Floats:
    """The features of a model in its order. Raises KeyError for one that is missing."""
    return rows[columns].to_numpy(np.float64)


def probabilities(
    booster: "lgb.Booster", features: Floats, rounds: int | None = None, start: Floats | float = 0.0
) -> Floats:
    """Probability of defection, one per row of features; by the first so many trees only where
    `rounds` is given.

    `start`: the log-odds each row was taught from, where it was not taught from nothing: the
    booster's text does not know them.
    """
    log_odds = (
        booster.predict(features, num_iteration=rounds, raw_score=True, num_threads=THREADS) + start
    )
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def shap(booster: "lgb.Booster", features: Floats) -> Floats:
    """What each feature adds to the log-odds (exact TreeSHAP, Lundberg 2018), rows x features."""
    return np.asarray(booster.predict(features, pred_contrib=True, num_threads=THREADS))[:, :-1]


def fit(
    rows: pd.DataFrame,
    columns: list[str],
    defected: Flags,
    params: Boosting,
    rounds: int,
    monotone_constraints: dict[str, int],
    start: Floats | None = None,
) -> "lgb.Booster":
    """A booster on rows of (customer, snapshot); the same rows, parameters and kind of CPU give the
    same text.

    `monotone_constraints`: features that may move the probability one way only, up (+1) or down
    (-1). `start`: log-odds to start from, one per row.
    """
    import lightgbm as lgb

    shape = params.model_dump(
        exclude={"max_rounds", "round_step", "monotone", "forms", "season_weight"}
    )
    fixed = {
        "objective": "binary",
        "bagging_freq": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    label = defected.astype(np.float64)
    data = lgb.Dataset(
        matrix(rows, columns),
        label=label,
        init_score=start,
        feature_name=columns,
        free_raw_data=True,
    )
    ways = [monotone_constraints.get(column, 0) for column in columns]
    return lgb.train(
        {**fixed, **shape, "monotone_constraints": ways if any(ways) else None},
        data,
        num_boost_round=rounds,
    )


def text(booster: "lgb.Booster") -> str:
    """The model as LightGBM's text, the only form it is kept in."""
    kept: str = booster.model_to_string()
    return kept


def nameless(told: str) -> str:
    """A booster's text without the least and greatest value of each feature.

    The greatest spend is one customer's. Scores are as before.
    """
    return re.sub(
        r"(?m)^feature_infos=(.*)$",
        lambda found: "feature_infos=" + " ".join("none" for _ in found[1].split(" ")),
        told,
    )


def canary_rows(rows: pd.DataFrame, columns: list[str], count: int = 5) -> list[list[float | None]]:
    """Made-up rows (quantiles of each feature, so no customer's) whose scores must not change where
    the model is used.
    """
    levels = np.linspace(0.1, 0.9, count)
    table = rows[columns].astype(np.float64).quantile(levels).to_numpy()
    return [[None if np.isnan(value) else float(f"{value:.6g}") for value in row] for row in table]


def canary_frame(rows: list[list[float | None]], columns: list[str]) -> pd.DataFrame:
    """The canary rows as a model is asked about them."""
    return pd.DataFrame(rows, columns=columns, dtype=np.float64)
