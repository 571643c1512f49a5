"""Stage `train`: one model per test origin, trained on what was known then, and a final one."""

from dataclasses import asdict
from importlib.metadata import version
from statistics import mode
from typing import Any

import pandas as pd

from models.defection.baselines import BASELINES, Baseline, rounded
from models.defection.booster import (
    ModelSpec,
    canary_frame,
    canary_rows,
    schema_hash,
    text_of,
    without_feature_ranges,
)
from models.defection.cross_validation import grouped_cv
from models.defection.drift import reference
from models.defection.forms import BASE, Model, fit_form, select_form
from models.defection.leakage import date_columns
from models.defection.season import learn_season
from models.settings import Boosting, Form
from pipeline.engine.rows import buyers, feature_names, joined, purged
from pipeline.registry.forecasts import raw_scores, train_forecasts
from pipeline.runtime.progress import progress, warn
from pipeline.runtime.store import Folder, text_sha256, to_json


def _too_little(rows: pd.DataFrame, params: Boosting) -> str | None:
    """Return why rows are too few to train on, None where they are enough."""
    customers = rows["customer_id"].nunique()
    if rows["defected"].nunique() == 2 and customers >= 2 * params.min_child_samples:
        return None
    return (
        f"{customers} customers on {rows['snapshot'].nunique()} snapshots, one outcome or too few"
    )


def train(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    monotone_constraints: dict[str, int],
    calibration: dict[str, Any],
    shop: str,
    params: Boosting,
) -> dict[str, dict[str, Any]]:
    """Return `model`: a booster as text per origin and a final one, the baselines, and model.json.

    model.json holds the sha256 of the others. A shop with too little data gets a model.json with
    the reason and no booster.
    """
    delivered, horizon = feature_names(features), calibration["horizon_days"]
    rows = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    dated = date_columns(rows[rows["benchmark"]], delivered)
    if dated:
        warn(f"not trained on, the same for all customers of a snapshot: {', '.join(dated)}")
    columns = [column for column in delivered if column not in dated]
    spec = ModelSpec(columns, params, monotone_constraints, horizon)
    about: dict[str, Any] = {
        "trained": False,
        "reason": None,
        "shop": shop,
        "features": columns,
        "schema_hash": schema_hash(delivered),
        "horizon_days": horizon,
        "params": params.model_dump(),
        "chosen": {},
        "grouped_cv": None,
        "sha256": {},
    }

    def at(day: str | None, origin: str) -> pd.DataFrame:
        return purged(rows, [day], origin, horizon) if day else rows[:0]

    season, forms = calibration["season"], list[Form]()
    files: dict[str, Any] = {}
    baselines: dict[str, Any] = {}
    end = calibration["data_end"]
    snapshots_of = {**calibration["origins"], end: calibration["final_training"]}
    for origin, snapshots in progress(snapshots_of.items(), len(snapshots_of), "train"):
        training = purged(rows, snapshots, origin, horizon) if snapshots else rows[:0]
        if reason := _too_little(training, params):
            return {"model": {"model.json": {**about, "reason": f"origin {origin}: {reason}"}}}
        name = "model.txt" if origin == end else f"origins/{origin}.txt"
        newest = max(snapshots)
        bought = buyers(features, newest)
        fitted = {key: cls.fit(training, bought, spec) for key, cls in BASELINES.items()}
        if origin == end and forms:  # the final model is of the kind that the origins measure
            spec = spec._replace(params=params.model_copy(update={"forms": (mode(forms[::-1]),)}))
        selected = select_form(training, spec)
        forms.append(selected.form)
        years = [(at(season.get(day), origin), at(day, origin)) for day in snapshots]
        year_ago = at(season.get(origin), origin)
        prior = params.season_prior, params.season_sd
        learnt = learn_season(fitted[BASE], training, years, year_ago, *prior)
        model = fit_form(selected.form, training, fitted[BASE], selected.rounds, spec, learnt)
        files[name] = without_feature_ranges(text_of(model.booster))
        baselines[name] = {key: asdict(baseline) for key, baseline in fitted.items()}
        about["sha256"][name] = text_sha256(files[name])
        about["chosen"][name] = {
            **selected._asdict(),
            "season_weight": learnt.weight,
            "slope": model.slope,
            "shift": model.shift,
        }
    forecasts, about["forecasts"] = train_forecasts(features, labels, calibration, spec)
    for name, booster in forecasts.items():
        files[name] = without_feature_ranges(text_of(booster))
        about["sha256"][name] = text_sha256(files[name])
    about["sha256"]["baselines.json"] = text_sha256(to_json(baselines))
    canary = canary_rows(training, columns)
    frame = canary_frame(canary, columns)
    scorers: dict[str, Model | Baseline] = {"model": model, **fitted}
    scores = {key: rounded(scorer.predict(frame)) for key, scorer in scorers.items()}
    scores |= {name: rounded(raw_scores(booster, frame), 12) for name, booster in forecasts.items()}
    about |= {
        "grouped_cv": grouped_cv(training, selected, spec),
        "trained": True,
        "lightgbm": version("lightgbm"),
        "trained_through": newest,
        "training_rows": len(training),
        "canary": {"rows": canary, "scores": scores},
        "reference": reference(training, columns),
    }
    return {"model": {**files, "baselines.json": baselines, "model.json": about}}
