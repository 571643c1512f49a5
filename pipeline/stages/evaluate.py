"""Stage `evaluate`: the models and baselines at origins they were not trained through."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.defection.baselines import BASELINES
from models.defection.by_segment import by_segment
from models.defection.drift import estimated, stability
from models.defection.evaluation import by_origin, compare
from models.defection.leakage import leaks
from models.defection.profit import sensitivity, value_of
from models.defection.risk_bands import publishable, risk_bands
from models.defection.selection import NO_SIGNAL, OWN, grade, grade_own, select_scorer
from models.defection.stake import measure_stake
from models.defection.value import PAST_YEAR
from models.settings import Costs
from pipeline.delivery.metrics import compared
from pipeline.docs.model_card import model_card
from pipeline.docs.plots import plots
from pipeline.engine.base_rate import require_plausible
from pipeline.engine.rows import joined, scored_features
from pipeline.inputs.segments import segments_of
from pipeline.registry.about import about_of
from pipeline.registry.forecasts import measure_forecasts, ranking_values
from pipeline.registry.model_files import model_of, predictions
from pipeline.registry.own_model import FILE, own_predictions
from pipeline.registry.seeds import over_seeds
from pipeline.registry.tasks import measure_tasks, too_few
from pipeline.runtime.errors import QualityError
from pipeline.runtime.sections import Evaluate
from pipeline.runtime.store import Folder

MOVED = 10  # features shown whose distribution moved most


def _rate(rows: pd.DataFrame, outcome: str = "defected") -> float | None:
    return round(float(rows[outcome].mean()), 5) if len(rows) else None


def _scorers(params: Evaluate) -> list[str]:
    """Return the names of the model, of every baseline, and of the own model if there is one."""
    return ["model", *BASELINES, *([OWN] if params.own_model else [])]


def _measured(rows: pd.DataFrame, params: Evaluate, costs: Costs) -> dict[str, Any]:
    """Return sizes, metrics of the scorers and differences on some of the rows."""
    scorers = _scorers(params)
    measured, deltas = compare(rows, scorers, costs, params.capacity, params.bootstrap, params.seed)
    return {
        "population": len(rows),
        "base_rate": _rate(rows),
        "model": measured["model"],
        "baselines": {baseline: measured[baseline] for baseline in scorers[1:]},
        "delta": {baseline: deltas.get(baseline) for baseline in scorers[1:]},
    }


def _results(population: pd.DataFrame, params: Evaluate, costs: Costs) -> dict[str, Any]:
    """Return everything measured on one population, and the same at each origin."""
    origins = population.groupby("origin", sort=True)
    each = [
        {
            "origin": day,
            **_measured(rows, params, costs),
            "estimated": estimated(rows["model"].to_numpy(np.float64)),
        }
        for day, rows in origins
    ]
    return {**_measured(population, params, costs), "by_origin": each}


def _newest(
    features: Folder,
    lifecycle: Folder,
    model: Folder,
    about: dict[str, Any],
    calibration: dict[str, Any],
) -> dict[str, Any]:
    """Return what the final model expects at the newest snapshot, and the PSI of its inputs."""
    snapshot = calibration["data_end"]
    rows = scored_features(features, lifecycle, snapshot)
    risk = model_of(model, about, "model.txt").predict(rows) if len(rows) else np.empty(0)
    psi = stability(about["reference"], rows)
    return {
        "snapshot": snapshot,
        "population": len(rows),
        "estimated": estimated(risk),
        "psi": dict(list(psi.items())[:MOVED]),
    }


def _by_segment(
    rows: pd.DataFrame, segments: dict[str, pa.Array], scorer: str | None, params: Evaluate
) -> dict[str, list[dict[str, Any]]]:
    """Return counts, base rate and AUC for each value of each segment."""
    limits = params.min_outcomes, params.bootstrap, params.seed
    return {
        name: by_segment(rows.assign(segment=values.to_pylist()), scorer, *limits)
        for name, values in segments.items()
    }


def _require_no_leak(benchmark: pd.DataFrame, features: list[str]) -> None:
    """Raise QualityError for a feature or a model that contains the outcome.

    An error, not `no_signal`: with that the list would still be published and the figures believed.
    """
    for column, rule, fix in leaks(benchmark, features):
        place = {"model": "data/model", OWN: FILE}.get(column, f"data/features {column}")
        raise QualityError("E_LEAK", place, rule, fix)


def _with_value(
    rows: pd.DataFrame, model: Folder, about: dict[str, Any], params: Evaluate, costs: Costs
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows with the value that calls are ranked by; its `value_source`, and `stake`."""
    values = ranking_values(model, about, rows)
    source, stake = PAST_YEAR, None
    if "model" in values:
        sources = {str(name): values[name].to_numpy(np.float64) for name in values}
        stake = measure_stake(rows, sources, costs, params.capacity)
        source = stake["selected"]
    value = value_of(values[source].to_numpy(np.float64), costs)
    return rows.assign(value=value), {"value_source": source, "stake": stake}


def _selection(benchmark: dict[str, Any], params: Evaluate) -> dict[str, Any]:
    """Return the `verdict`, its `grade`, and the grade of the own model if there is one."""
    measured = {"model": benchmark["model"], **benchmark["baselines"]}
    deltas = {baseline: delta for baseline, delta in benchmark["delta"].items() if delta}
    own = None
    if params.own_model:
        own = grade_own(measured, deltas, params.own_model)
        del measured[OWN], deltas[OWN]  # it makes no list: pipeline/registry/own_model.py
    selected = select_scorer(measured, deltas)
    return {"verdict": selected, "grade": grade(measured, deltas, selected), OWN: own}


def evaluate(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    model: Folder,
    calibration: dict[str, Any],
    shop: str,
    params: Evaluate,
    costs: Costs,
    root: Path,
    events: Folder | None = None,
) -> dict[str, Any]:
    """Return `evaluation`, the part of it that runs are compared by (`metrics`), and what shows it.

    Top level: the scored population; `benchmark`: customers with at least two purchases and a
    recent one, on which the scorer is selected. Both have one row per customer and origin.
    `grouped_cv` is of the training rows of the oldest origin. `by_segment`: the selected scorer on
    the scored population by today's segments. `timing`, `value`: the forecasts, on all buyers.
    `returning`: the value of those without a risk, on customers who came back. `stake`: by which
    value, `value_source`, calls are ranked. `seeds`: the benchmark of a small shop over seeds.
    """
    about = about_of(model)
    origins = list(calibration["origins"])
    past = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    rows = past[past["snapshot"].isin(origins)]
    scored, benchmark = rows[rows["scored"]], rows[rows["benchmark"]]
    ids = pa.array(scored["customer_id"], pa.string())
    segments = segments_of(events, ids) if events else {}
    evaluation: dict[str, Any] = {
        "shop": shop,
        "horizon_days": calibration["horizon_days"],
        "origins": origins,
        "population": len(scored),
        "base_rate": _rate(scored),
        "verdict": NO_SIGNAL,
        "grade": None,
        **dict.fromkeys(("model", "baselines", "delta", "by_stage", "by_origin")),
        **dict.fromkeys(("returned_later", "risk_bands", "sensitivity", "grouped_cv", "newest")),
        "benchmark": None,
        OWN: None,
        "by_segment": _by_segment(scored, segments, None, params),
        **measure_forecasts(features, lifecycle, labels, model, about, calibration, params),
        "tasks": measure_tasks(features, lifecycle, labels, model, about, calibration, params),
        "value_source": PAST_YEAR,
        "stake": None,
        "seeds": None,
    }
    bands: list[dict[str, Any]] = []
    if not about["trained"] or (few := too_few(benchmark["defected"], params)):
        reason = about["reason"] or f"{len(benchmark)} benchmark rows at the test origins, {few}"
        evaluation["grade"], pictures = f"no signal: {reason}", {"note.txt": reason + "\n"}
    else:
        require_plausible(float(benchmark["defected"].mean()), params)
        rows, ranked = _with_value(predictions(rows, model, about), model, about, params, costs)
        if params.own_model:
            calendar = calibration["origins"], about["features"], calibration["horizon_days"]
            rows[OWN] = own_predictions(params.own_model, rows, past, *calendar, root)
        scored, benchmark = rows[rows["scored"]], rows[rows["benchmark"]]
        own = [OWN] if params.own_model else []
        _require_no_leak(benchmark, about["features"] + own)
        top, bench = (_results(of, params, costs) for of in (scored, benchmark))
        selection = _selection(bench, params)
        scorer = "model" if selection["verdict"] == NO_SIGNAL else selection["verdict"]
        bands = risk_bands(scored, scorer, params.bands)
        pictures = plots(benchmark, _scorers(params))
        by_stage = {stage: scored[scored["stage"] == stage] for stage in ("early_repeat", "core")}
        evaluation |= {
            **selection,
            **ranked,
            **{key: top[key] for key in ("model", "baselines", "delta", "by_origin")},
            "by_stage": {key: _measured(part, params, costs) for key, part in by_stage.items()},
            "returned_later": _rate(past[past["benchmark"]].dropna(subset="returned"), "returned"),
            "risk_bands": publishable(bands),
            "sensitivity": sensitivity(by_origin(scored, scorer), costs, params.capacity),
            "grouped_cv": about["grouped_cv"],
            "newest": _newest(features, lifecycle, model, about, calibration),
            "benchmark": bench,
            "by_segment": _by_segment(scored, segments, scorer, params),
            "seeds": over_seeds(past, benchmark, model, about, calibration, params.seeds)
            if len(benchmark) < params.seeds_below
            else None,
        }
    return {
        "metrics": compared(evaluation),
        "evaluation": evaluation,
        "plots": pictures,
        "model_card": model_card(evaluation, bands, calibration, about, costs),
    }
