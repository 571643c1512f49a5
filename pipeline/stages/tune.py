"""Stage `tune`: a search for hyperparameters. `dvc repro` never runs it."""

from pathlib import Path
from typing import Any

from models.defection.booster import ModelSpec
from models.defection.tuning import search
from models.settings import Boosting, Tune
from pipeline.engine.rows import feature_names, joined, purged
from pipeline.registry.mlflow_server import track_search
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import progress, say
from pipeline.runtime.sections import Track
from pipeline.runtime.store import Folder

PLACE = "data/calibration.json origins"


def tune(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    monotone_constraints: dict[str, int],
    calibration: dict[str, Any],
    shop: str,
    params: Tune,
    train: Boosting,
    track: Track,
    root: Path,
) -> dict[str, Any]:
    """Search on what was known at the first test origin; return nothing that another stage reads.

    The same hyperparameters serve all origins, so no outcome of theirs may select them. The trials
    go to reports/tuning.json, outside DVC, and to a run in MLflow. A person decides.
    """
    if not calibration["origins"]:
        rule = "the history is too short for a test origin"
        raise ConfigError("E_TUNE", PLACE, rule, "collect more")
    origin, snapshots = min(calibration["origins"].items())
    horizon = calibration["horizon_days"]
    rows = joined(features, lifecycle, calibration, labels, snapshots)
    rows = purged(rows, snapshots, origin, horizon)
    spec = ModelSpec(feature_names(features), train, monotone_constraints, horizon)
    trials = search(rows, spec, params, progress(range(params.trials), params.trials, "tune"))
    if not trials:
        rule = "no snapshot is a horizon older than another"
        raise ConfigError("E_TUNE", PLACE, rule, "collect more")
    store.write(
        root / "reports" / "tuning.json",
        {"shop": shop, "snapshot": rows["snapshot"].max(), "trials": trials},
    )
    track_search(shop, trials, track, root)
    now, best = trials[0], min(trials, key=lambda trial: float(trial["log_loss"]))
    say(
        f"log loss before the first origin: {now['log_loss']:.4f} with params.yaml, "
        f"{best['log_loss']:.4f} with the best of {len(trials)} trials"
    )
    if best is not now:
        changes = best["hyperparameters"].items()
        changed = " ".join(f"-S train.{name}={value:.4g}" for name, value in changes)
        say(f"to compare them at the test origins: dvc exp run {changed}")
    return {}
