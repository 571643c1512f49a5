"""The tasks beside defection: trained like it, measured at the same origins, and scored."""

import math
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from models.defection.baselines import Baseline
from models.defection.booster import ModelSpec, text_of, without_feature_ranges
from models.defection.drift import estimated
from models.defection.evaluation import compare
from models.defection.forms import Model
from models.defection.selection import NO_SIGNAL, grade, select_scorer
from models.defection.tasks import TASKS, Task, of_purchase
from models.defection.training import Trained, fit_model, too_little
from pipeline.engine.rows import Population, buyers, feature_names, joined, purged, scored_features
from pipeline.engine.run import by_rows
from pipeline.registry.about import about_of
from pipeline.registry.model_files import (
    baseline_of,
    model_of,
    predictions,
    require_fit,
    require_known_scores,
)
from pipeline.runtime.sections import Engine, Evaluate
from pipeline.runtime.store import Folder


class Tasks(NamedTuple):
    """What `train` adds to the model folder for the tasks.

    `files`: boosters as text by file name; `baselines` and `chosen`: of each file. `reasons`: why a
    task was not trained, None for those that were. `scorers`: the final ones, by canary name.
    """

    files: dict[str, str]
    baselines: dict[str, dict[str, Any]]
    chosen: dict[str, Any]
    reasons: dict[str, str | None]
    scorers: dict[str, Model | Baseline]


def _rows(
    task: Task,
    folders: tuple[Folder, Folder, Folder],
    calibration: dict[str, Any],
    snapshots: list[str],
) -> pd.DataFrame:
    features, lifecycle, labels = folders
    population = Population(task.purchases, task.population)
    return joined(features, lifecycle, calibration, labels, snapshots, population)


def train_tasks(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    spec: ModelSpec,
) -> Tasks:
    """Train each task at each origin, and on all that is known at the end of the data.

    Boosting alone, with at most `task_rounds` trees: the rows are few, or say little. On snapshots
    a horizon apart, because those between them have nearly the same outcomes.
    """
    params = spec.params
    params = params.model_copy(update={"forms": ("plain",), "max_rounds": params.task_rounds})
    spec = spec._replace(params=params)
    result = Tasks({}, {}, {}, {}, {})
    apart = math.ceil(calibration["horizon_days"] / calibration["step_days"])
    snapshots_of = {
        origin: days[::-apart][::-1]
        for origin, days in {
            **calibration["origins"],
            calibration["data_end"]: calibration["final_training"],
        }.items()
    }
    season = calibration["season"]
    needed = {day for days in snapshots_of.values() for day in days}
    needed |= {season[day] for day in {*needed, *snapshots_of} if day in season}
    for task in TASKS:
        absent = sorted(task.columns - set(spec.columns))
        if absent:
            result.reasons[task.name] = f"the shop does not record {', '.join(absent)}"
            continue
        rows = _rows(task, (features, lifecycle, labels), calibration, sorted(needed))
        result.reasons[task.name] = _train(task, rows, features, snapshots_of, season, spec, result)
    return result


def _train(
    task: Task,
    rows: pd.DataFrame,
    features: Folder,
    snapshots_of: dict[str, list[str]],
    season: dict[str, str],
    spec: ModelSpec,
    result: Tasks,
) -> str | None:
    """Train one task and add it to the result; return why it cannot be trained, None if it was.

    `snapshots_of`: those to train on, by origin.
    """
    end = max(snapshots_of)

    def at(days: list[str], origin: str) -> pd.DataFrame:
        return purged(rows, days, origin, spec.horizon_days) if days else rows[:0]

    training = {origin: at(snapshots, origin) for origin, snapshots in snapshots_of.items()}
    for origin, own in training.items():
        if reason := too_little(own, spec.params):
            return f"origin {origin}: {reason}"
    earlier: Trained | None = None
    for origin, own in training.items():
        name = f"{task.folder}{'model' if origin == end else f'origins/{origin}'}.txt"
        bought = buyers(features, max(snapshots_of[origin]))
        fitted = {key: kind.fit(own, bought, spec) for key, kind in task.baselines.items()}
        ago = {day: [season[day]] if day in season else [] for day in snapshots_of[origin]}
        years = [(at(ago[day], origin), at([day], origin)) for day in snapshots_of[origin]]
        year_ago = at([season[origin]] if origin in season else [], origin)
        trained = fit_model(own, fitted, years, year_ago, spec, task.base, earlier=earlier)
        earlier = trained
        result.files[name] = without_feature_ranges(text_of(trained.model.booster))
        result.baselines[name] = {key: asdict(baseline) for key, baseline in fitted.items()}
        result.chosen[name] = trained.about()
        if origin == end:
            scorers: dict[str, Model | Baseline] = {"model": trained.model, **fitted}
            result.scorers.update({f"{task.folder}{key}": each for key, each in scorers.items()})
    return None


def too_few(defected: pd.Series, params: Evaluate) -> str | None:
    """Return why rows are too few to compare scorers on, None where they are enough."""
    if len(defected) < params.min_rows:
        return f"fewer than {params.min_rows}"
    rarer = min(int(defected.sum()), int((~defected.astype(bool)).sum()))
    return f"{rarer} of the rarer outcome" if rarer < params.min_outcomes else None


def _figures(
    rows: pd.DataFrame, scorers: list[str], params: Evaluate, times: int
) -> dict[str, Any]:
    """Return sizes, metrics of the scorers and differences, by so many bootstrap draws."""
    measured, deltas = compare(rows, scorers, None, params.capacity, times, params.seed)
    return {
        "population": len(rows),
        "base_rate": _rate(rows),
        "model": measured["model"],
        "baselines": {name: measured[name] for name in scorers[1:]},
        "delta": {name: deltas.get(name) for name in scorers[1:]},
    }


def _rate(rows: pd.DataFrame) -> float | None:
    return round(float(rows["defected"].mean()), 5) if len(rows) else None


def _nothing(rows: pd.DataFrame, reason: str) -> dict[str, Any]:
    return {
        "population": len(rows),
        "base_rate": _rate(rows),
        "verdict": NO_SIGNAL,
        "grade": f"no signal: {reason}",
        **dict.fromkeys(("model", "baselines", "delta", "by_origin", "by_activity")),
    }


def measure_tasks(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    model: Folder,
    about: dict[str, Any],
    calibration: dict[str, Any],
    params: Evaluate,
) -> dict[str, Any]:
    """Return `tasks`, each shaped like the evaluation itself; the outcome is a purchase."""
    measured = {}
    for task in TASKS:
        origins = list(calibration["origins"])
        rows = _rows(task, (features, lifecycle, labels), calibration, origins)
        reason = (about.get("tasks") or {}).get(task.name, "it was not trained")
        few = too_few(rows["defected"], params)
        if reason or few:
            bought = rows.assign(defected=~rows["defected"].astype(bool))
            where = f"{len(rows)} rows at the test origins, {few}"
            measured[task.name] = _nothing(bought, reason or where)
            continue
        scorers = ["model", *task.baselines]
        scored = predictions(rows, model, about, task.folder)
        bought = of_purchase(scored, scorers)
        top = _figures(bought, scorers, params, params.bootstrap)
        aucs = {"model": top["model"], **top["baselines"]}
        deltas = {name: delta for name, delta in top["delta"].items() if delta}
        verdict = select_scorer(aucs, deltas, probabilities=True)
        head = {key: top.pop(key) for key in ("population", "base_rate")}
        measured[task.name] = {
            **head,
            "verdict": verdict,
            "grade": grade(aucs, deltas, verdict),
            **top,
            "by_origin": [
                {
                    "origin": origin,
                    **_figures(at, scorers, params, params.bootstrap),
                    "estimated": estimated(at["model"].to_numpy(np.float64)),
                }
                for origin, at in bought.groupby("origin", sort=True)
            ],
            "by_activity": {
                activity: _figures(part, scorers, params, params.bootstrap)
                for activity, part in bought.groupby("activity", sort=True)
            },
        }
    return measured


def chances(
    features: Folder,
    lifecycle: Folder,
    model: Folder,
    metrics: dict[str, Any],
    snapshot: str,
    engine: Engine,
) -> "pd.Series[float]":
    """Return the probability of a purchase within the horizon, by customer_id.

    Of each task by the scorer that `metrics` selected; without a signal the rate of all at the test
    origins. Empty for a model that has no tasks.
    """
    about, parts = about_of(model), [pd.Series(dtype=np.float64)]
    for task in TASKS:
        measured = (metrics.get("tasks") or {}).get(task.name)
        if not measured:
            continue
        rows = scored_features(features, lifecycle, snapshot, task.population)
        if measured["verdict"] == NO_SIGNAL:
            rate = measured["base_rate"]
            parts.append(pd.Series(np.nan if rate is None else rate, rows.index))
        elif len(rows):
            require_fit(about, feature_names(features), snapshot)
            name = f"{task.folder}{measured['verdict']}"
            predict = _scorer(model, about, task, measured["verdict"]).predict
            require_known_scores(about, name, predict)
            parts.append(pd.Series(1 - by_rows(predict, engine)(rows), rows.index))
    chance: pd.Series[float] = pd.concat(parts).round(6)
    return chance


def _scorer(model: Folder, about: dict[str, Any], task: Task, verdict: str) -> Model | Baseline:
    """Load the final scorer of a task. Raises ModelError."""
    file = f"{task.folder}model.txt"
    if verdict == "model":
        return model_of(model, about, file)
    return baseline_of(model, about, file, verdict)
