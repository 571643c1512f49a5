"""Stage `train`.

One model per test origin, taught only by what was known then, and the final one; the peers beside
each.
"""

from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from models.defection.baselines import BASELINES, LOGISTIC, logistic, predict, teach
from models.defection.booster import canary_frame, canary_rows, schema_hash, text
from models.defection.forms import BASE, Choice, choose, fit_form, season_shift
from models.settings import Boosting
from pipeline.engine.rows import buyers, feature_names, joined
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import progress
from pipeline.runtime.store import Folder, text_sha256, to_json

FOLDS = 2  # of the cross-validation: each costs another training, and nothing is decided by it


def purged(rows: pd.DataFrame, teachers: list[str], origin: str, horizon: int) -> pd.DataFrame:
    """The rows that may teach a model asked at `origin`.

    Those whose horizon was over by then. Others are refused, not dropped.
    """
    last = pd.Timestamp(max(teachers)) + pd.Timedelta(days=horizon)
    if last > pd.Timestamp(origin):
        raise ConfigError(
            "E_LEAK",
            f"snapshot {max(teachers)}",
            f"its outcome was not known at the origin {origin}",
            "train on snapshots a horizon earlier",
        )
    return rows[rows["benchmark"] & rows["snapshot"].isin(teachers)]


def choice_for(
    taught: pd.DataFrame,
    year_ago: pd.DataFrame,
    columns: list[str],
    horizon: int,
    params: Boosting,
    monotone_constraints: dict[str, int],
) -> Choice:
    """Form, number of trees and season, chosen on the newest snapshot after teaching by those a
    horizon older.

    `year_ago` are the rows a year before the newest. A shop without older snapshots takes the first
    form, with a quarter of the most trees: a short history is soon learnt by heart.
    """
    newest = taught["snapshot"].max()
    older = taught[
        pd.to_datetime(taught["snapshot"]) + pd.Timedelta(days=horizon) <= pd.Timestamp(newest)
    ]
    if older["defected"].nunique() < 2:
        return Choice(params.forms[0], max(params.max_rounds // 4, 1), {}, 0.0, seasonal=False)
    return choose(
        older, taught[taught["snapshot"] == newest], year_ago, columns, params, monotone_constraints
    )


def grouped_cv(
    taught: pd.DataFrame,
    columns: list[str],
    choice: Choice,
    params: Boosting,
    monotone_constraints: dict[str, int],
) -> dict[str, Any]:
    """AUC of a model of this choice by cross-validation: each row is asked by a model that no row
    of the same customer taught.

    Folds, customers and rows beside it. Optimistic in time, because teaching and asked rows are of
    the same snapshots. The AUC is None where the rows left to teach have one outcome only.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold

    found = {"folds": FOLDS, "customers": taught["customer_id"].nunique(), "rows": len(taught)}
    chances = np.zeros(len(taught))
    for teaching, asked in GroupKFold(FOLDS).split(taught, groups=taught["customer_id"]):
        rows = taught.iloc[teaching]
        if rows["defected"].nunique() < 2:
            return {**found, "auc": None}
        base = logistic(LOGISTIC[BASE], rows, rows["defected"].to_numpy(bool))
        model = fit_form(
            choice.form, rows, columns, base, params, choice.rounds, monotone_constraints
        )
        chances[asked] = model.predict(taught.iloc[asked])
    return {
        **found,
        "auc": round(float(roc_auc_score(taught["defected"].astype(bool), chances)), 5),
    }


def train(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    monotone_constraints: dict[str, int],
    calibration: dict[str, Any],
    params: Boosting,
) -> dict[str, dict[str, Any]]:
    """`model`: the final booster as text, one per origin, the peers as taught, and model.json that
    vouches for them.

    A shop with too little to learn from gets a model.json with the reason and no booster.
    """
    columns, horizon = feature_names(features), calibration["horizon_days"]
    ways = monotone_constraints if params.monotone else {}
    asked = {**calibration["origins"], calibration["data_end"]: calibration["final_training"]}
    rows = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    files: dict[str, Any] = {}
    baselines: dict[str, Any] = {}
    about: dict[str, Any] = {
        "trained": False,
        "reason": None,
        "features": columns,
        "schema_hash": schema_hash(columns),
    }
    about |= {
        "horizon_days": horizon,
        "params": params.model_dump(),
        "chosen": {},
        "grouped_cv": None,
        "sha256": {},
    }
    for origin, teachers in progress(asked.items(), len(asked), "train"):
        taught = purged(rows, teachers, origin, horizon) if teachers else rows[:0]
        if (
            taught["defected"].nunique() < 2
            or taught["customer_id"].nunique() < 2 * params.min_child_samples
        ):
            reason = f"origin {origin}: {taught['customer_id'].nunique()} customers on {len(teachers)} snapshots, one outcome or too few"
            return {"model": {"model.json": {**about, "reason": reason}}}
        name = "model.txt" if origin == calibration["data_end"] else f"origins/{origin}.txt"
        bought = buyers(features, max(teachers))
        baselines[name] = {
            baseline: teach(baseline, taught, horizon, bought, params) for baseline in BASELINES
        }
        ago, inner = (
            purged(rows, [calibration["season"][day]], day, horizon)
            if day in calibration["season"]
            else rows[:0]
            for day in (origin, max(teachers))
        )
        choice = choice_for(taught, inner, columns, horizon, params, ways)
        model = fit_form(
            choice.form, taught, columns, baselines[name][BASE], params, choice.rounds, ways
        )
        if choice.seasonal and len(ago):
            model = replace(
                model,
                shift=season_shift(
                    model.predict(ago), ago["defected"].to_numpy(bool), params.season_weight
                ),
            )
        files[name] = text(model.booster)
        about["sha256"][name] = text_sha256(files[name])
        about["chosen"][name] = {**choice._asdict(), "shift": model.shift}
    about["sha256"]["baselines.json"] = text_sha256(to_json(baselines))
    about["grouped_cv"] = grouped_cv(taught, columns, choice, params, ways)
    canary = canary_rows(taught, columns)
    about |= {
        "trained": True,
        "lightgbm": version("lightgbm"),
        "trained_through": max(teachers),
        "training_rows": len(taught),
    }
    asked_of = canary_frame(canary, columns)
    scores = {
        "model": model.predict(asked_of),
        **{baseline: predict(fitted, asked_of) for baseline, fitted in baselines[name].items()},
    }
    about |= {
        "canary": {
            "rows": canary,
            "scores": {scorer: found.tolist() for scorer, found in scores.items()},
        }
    }
    return {"model": {**files, "baselines.json": baselines, "model.json": about}}
