"""Stage `tune`.

A search for the shape of the trees on one snapshot before the first test origin. `dvc repro` never
runs it.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from models.settings import Boosting, Tune
from pipeline.engine.rows import feature_names, joined
from pipeline.registry.mlflow_server import track_search
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Track
from pipeline.runtime.progress import progress, say
from pipeline.runtime.store import Folder
from pipeline.stages.train import choice_for, purged


def known_first(
    features: Folder, lifecycle: Folder, labels: Folder, calibration: dict[str, Any]
) -> pd.DataFrame:
    """What could teach at the first test origin.

    The same shape serves all origins, so the outcome of none of them may choose it.
    """
    if not calibration["origins"]:
        raise ConfigError(
            "E_TUNE",
            "data/calibration.json origins",
            "the history is too short for a test origin",
            "collect more",
        )
    origin, teachers = min(calibration["origins"].items())
    return purged(
        joined(features, lifecycle, calibration, labels, teachers),
        teachers,
        origin,
        calibration["horizon_days"],
    )


def search(
    rows: pd.DataFrame,
    columns: list[str],
    horizon: int,
    monotone_constraints: dict[str, int],
    train: Boosting,
    params: Tune,
) -> list[dict[str, Any]]:
    """One entry per trial, the shape in use first.

    Its shape, form, rounds, and log_loss on the newest snapshot of the rows.
    """
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, BaseDistribution] = {
        name: IntDistribution(low, high, log=True)
        if isinstance(low, int)
        else FloatDistribution(low, high, log=True)
        for name, (low, high) in params.model_dump(exclude={"trials", "seed"}).items()
    }
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=params.seed))
    study.enqueue_trial({name: getattr(train, name) for name in space})
    found = []
    for _ in progress(range(params.trials), params.trials, "tune"):
        trial = study.ask(space)
        choice = choice_for(
            rows,
            rows[:0],
            columns,
            horizon,
            train.model_copy(update=trial.params),
            monotone_constraints,
        )
        if not choice.losses:
            raise ConfigError(
                "E_TUNE",
                "data/calibration.json origins",
                "no snapshot is a horizon older than another",
                "collect more",
            )
        loss = choice.losses[choice.form]
        study.tell(trial, loss)
        found.append(
            {"shape": trial.params, "form": choice.form, "rounds": choice.rounds, "log_loss": loss}
        )
    return found


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
    """No output that another stage reads.

    Reports/tuning.json, outside DVC, and a run in MLflow have the trials; a person decides.
    """
    rows = known_first(features, lifecycle, labels, calibration)
    ways = monotone_constraints if train.monotone else {}
    trials = search(rows, feature_names(features), calibration["horizon_days"], ways, train, params)
    store.write(
        root / "reports" / "tuning.json",
        {"shop": shop, "snapshot": rows["snapshot"].max(), "trials": trials},
    )
    track_search(shop, trials, track, root)
    now, best = trials[0], min(trials, key=lambda trial: float(trial["log_loss"]))
    say(
        f"log loss before the first origin: {now['log_loss']:.4f} as it is, {best['log_loss']:.4f} at best of {len(trials)}"
    )
    if best is not now:
        shape = " ".join(f"-S train.{name}={value:.4g}" for name, value in best["shape"].items())
        say(f"to see what it is worth at the test origins: dvc exp run {shape}")
    return {}
