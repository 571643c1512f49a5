"""A small shop's figures over several seeds: there the seed of the training matters."""

from typing import Any

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection.baselines import Baseline
from models.defection.booster import ModelSpec
from models.defection.metrics import calibration_error, weighted_auc
from models.defection.training import Trained, fit_model
from pipeline.engine.rows import purged
from pipeline.registry.about import params_of
from pipeline.registry.model_files import baselines_of
from pipeline.runtime.store import Folder


def train_at(
    rows: pd.DataFrame,
    calibration: dict[str, Any],
    origin: str,
    snapshots: list[str],
    baselines: dict[str, Baseline],
    spec: ModelSpec,
    earlier: Trained | None = None,
) -> Trained:
    """Train the model of one origin on benchmark rows of the snapshots, with their seasons.

    `earlier`: see `fit_model`.
    """
    season, horizon = calibration["season"], spec.horizon_days

    def at(day: str | None) -> pd.DataFrame:
        return purged(rows, [day], origin, horizon) if day else rows[:0]

    years = [(at(season.get(day)), at(day)) for day in snapshots]
    training = purged(rows, snapshots, origin, horizon)
    far = rows[rows["scored"] & ~rows["benchmark"] & rows["snapshot"].isin(snapshots)]
    recent = calibration["benchmark_recency_days"]
    year_ago = at(season.get(origin))
    return fit_model(
        training, baselines, years, year_ago, spec, far=far, recent=recent, earlier=earlier
    )


def over_seeds(
    past: pd.DataFrame,
    tested: pd.DataFrame,
    model: Folder,
    about: dict[str, Any],
    calibration: dict[str, Any],
    count: int,
) -> dict[str, Any]:
    """Return mean, lowest and highest AUC, Brier score and ECE of the model over `count` seeds.

    `past`: what it was trained on. `tested`: rows at the test origins, with the risk by the first
    seed in `model`. `of`: the seeds.
    """
    params = params_of(about)
    constraints, horizon = about["monotone_constraints"], about["horizon_days"]
    fitted, seeds = baselines_of(model, about), range(params.seed, params.seed + count)
    of_seeds = [_figures(tested, tested["model"].to_numpy(np.float64))]
    for seed in seeds[1:]:
        own = params.model_copy(update={"seed": seed})
        spec, risk = ModelSpec(about["features"], own, constraints, horizon), np.empty(len(tested))
        earlier: Trained | None = None
        for origin, places in tested.groupby("origin").indices.items():
            day = str(origin)
            beside, snapshots = fitted[f"origins/{day}.txt"], calibration["origins"][day]
            trained = train_at(past, calibration, day, snapshots, beside, spec, earlier)
            earlier = trained
            risk[places] = trained.model.predict(tested.iloc[places])
        of_seeds.append(_figures(tested, risk))
    figures = pd.DataFrame(of_seeds).agg(["mean", "min", "max"]).round(5)
    return {"of": list(seeds), **{str(name): dict(figures[name]) for name in figures}}


def _figures(rows: pd.DataFrame, risk: Floats) -> dict[str, float]:
    """Return the figures of these risks; the calibration error is a mean over the origins."""
    defected = rows["defected"].to_numpy(bool)
    origins = rows.groupby("origin").indices.values()
    return {
        "auc": weighted_auc(risk, defected, np.ones(len(rows))),
        "brier": float(((risk - defected) ** 2).mean()),
        "ece": float(np.mean([calibration_error(risk[at], defected[at]) for at in origins])),
    }
