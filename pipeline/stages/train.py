"""Stage `train`: one model per test origin, trained on what was known then, and a final one."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from models.defection.baselines import BASELINES, Baseline, rounded
from models.defection.booster import (
    ModelSpec,
    canary_frame,
    canary_rows,
    schema_hash,
    text_of,
    without_feature_ranges,
)
from models.defection.drift import reference
from models.defection.forms import Model
from models.defection.leakage import date_columns
from models.defection.training import Trained, too_little, validate
from models.settings import Boosting
from pipeline.engine.rows import buyers, feature_names, joined, purged
from pipeline.registry.forecasts import raw_scores, train_forecasts
from pipeline.registry.seeds import train_at
from pipeline.registry.tasks import train_tasks
from pipeline.runtime.progress import progress, warn
from pipeline.runtime.store import Folder, text_sha256, to_json


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
        "monotone_constraints": monotone_constraints,
        "chosen": {},
        "grouped_cv": None,
        "sha256": {},
    }

    earlier: Trained | None = None
    files: dict[str, Any] = {}
    baselines: dict[str, Any] = {}
    end = calibration["data_end"]
    snapshots_of = {**calibration["origins"], end: calibration["final_training"]}
    for origin, snapshots in progress(snapshots_of.items(), len(snapshots_of), "train"):
        training = purged(rows, snapshots, origin, horizon) if snapshots else rows[:0]
        if reason := too_little(training, params):
            return {"model": {"model.json": {**about, "reason": f"origin {origin}: {reason}"}}}
        name = "model.txt" if origin == end else f"origins/{origin}.txt"
        newest = max(snapshots)
        bought = buyers(features, newest)
        fitted = {key: cls.fit(training, bought, spec) for key, cls in BASELINES.items()}
        trained = train_at(rows, calibration, origin, snapshots, fitted, spec, earlier)
        if earlier is None:
            validated = validate(training, trained, fitted[trained.base], spec)
        earlier = trained
        files[name] = without_feature_ranges(text_of(trained.model.booster))
        baselines[name] = {key: asdict(baseline) for key, baseline in fitted.items()}
        about["chosen"][name] = trained.about()
    tasks = train_tasks(features, lifecycle, labels, calibration, spec)
    files |= tasks.files
    baselines |= tasks.baselines
    about["chosen"] |= tasks.chosen
    about["tasks"] = tasks.reasons
    forecasts, about["forecasts"] = train_forecasts(features, lifecycle, labels, calibration, spec)
    files |= {name: without_feature_ranges(text_of(b)) for name, b in forecasts.items()}
    about["sha256"] = {name: text_sha256(text) for name, text in files.items()}
    about["sha256"]["baselines.json"] = text_sha256(to_json(baselines))
    canary = canary_rows(training, columns)
    frame = canary_frame(canary, columns)
    scorers: dict[str, Model | Baseline] = {"model": trained.model, **fitted, **tasks.scorers}
    scores = {key: rounded(scorer.predict(frame)) for key, scorer in scorers.items()}
    scores |= {name: rounded(raw_scores(booster, frame), 12) for name, booster in forecasts.items()}
    about |= {
        "grouped_cv": validated,
        "trained": True,
        "lightgbm": version("lightgbm"),
        "trained_through": newest,
        "training_rows": len(training),
        "canary": {"rows": canary, "scores": scores},
        "reference": reference(training, columns),
    }
    return {"model": {**files, "baselines.json": baselines, "model.json": about}}
