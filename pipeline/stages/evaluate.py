"""Stage `evaluate`.

The models asked at origins they were not taught through, beside the peers, on two stated
populations.
"""

from typing import Any

import numpy as np
import pandas as pd

from models.defection.baselines import BASELINES, predict
from models.defection.evaluation import (
    at_origins,
    compare,
    grade,
    large_enough,
    risk_bands,
    verdict,
)
from models.defection.leakage import clocks, oracles
from models.defection.profit import sensitivity, value_of
from models.settings import Costs
from pipeline.docs.model_card import model_card
from pipeline.docs.plots import plots
from pipeline.engine.rows import joined
from pipeline.registry.model_files import about_of, baselines_of, model_of
from pipeline.runtime.errors import QualityError
from pipeline.runtime.params import Evaluate
from pipeline.runtime.store import Folder

SCORERS = ["model", *BASELINES]
HEAD = ("shop", "horizon_days", "population", "base_rate", "verdict", "grade")
COMPARED = ("auc", "brier", "empc")
OF_THE_MODEL = (*COMPARED, "ece", "profit_at_10")


def predictions(
    rows: pd.DataFrame, model: Folder, about: dict[str, Any], costs: Costs
) -> pd.DataFrame:
    """The rows at test origins with a probability from each scorer, each from the model of that
    origin.
    """
    taught = baselines_of(model, about)
    parts = []
    for origin, at in rows.groupby("snapshot", sort=True):
        name = f"origins/{origin}.txt"
        scored = at.assign(origin=origin, model=model_of(model, about, name).predict(at))
        parts.append(
            scored.assign(
                **{baseline: predict(taught[name][baseline], at) for baseline in BASELINES}
            )
        )
    found = pd.concat(parts, ignore_index=True)
    found["customer"] = pd.factorize(found["customer_id"])[0]
    found["value"] = value_of(found["net_spend_365d"].to_numpy(np.float64), costs)
    return found


def measured_on(rows: pd.DataFrame, params: Evaluate, costs: Costs) -> dict[str, Any]:
    """Sizes, scorers and differences on some of the rows."""
    measured, deltas = compare(rows, SCORERS, costs, params.capacity, params.bootstrap, params.seed)
    return {
        "population": len(rows),
        "base_rate": rate(rows),
        "model": measured["model"],
        "baselines": {baseline: measured[baseline] for baseline in BASELINES},
        "delta": {baseline: deltas.get(baseline) for baseline in BASELINES},
    }


def results(population: pd.DataFrame, params: Evaluate, costs: Costs) -> dict[str, Any]:
    """Everything measured on one population, and the same by origin."""
    origins = [
        {"origin": origin, **measured_on(rows, params, costs)}
        for origin, rows in population.groupby("origin", sort=True)
    ]
    return {**measured_on(population, params, costs), "by_origin": origins}


def require_honest(population: pd.DataFrame, columns: list[str]) -> None:
    """Refuse features that tell the outcome or the date, and a model that knows what nobody can
    know. Raises QualityError.

    An error, not a verdict: with one, the list would still be published, and the figures believed.
    """
    if found := oracles(population, [*columns, "model"], population["defected"].to_numpy(bool)):
        name = max(found, key=lambda column: found[column])
        rule = f"tells leavers from stayers with AUC {found[name]:.3f}: it sees the outcome, or the outcome is computed from the past"
        place = "data/model" if name == "model" else f"data/features {name}"
        raise QualityError(
            "E_LEAK",
            place,
            rule,
            "correct the feature or the label; if the label is meant, it needs no model",
        )
    if named := clocks(population, columns):
        rule = "it is the same for all customers of a snapshot: it tells the date, which never comes again"
        raise QualityError("E_LEAK", f"data/features {named[0]}", rule, "remove the feature")


def compared(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an evaluation that runs are compared by, in the same structure."""
    kept = {key: evaluation[key] for key in HEAD if key in evaluation}
    if evaluation["model"] is None:
        return kept | dict.fromkeys(("model", "baselines", "delta", "benchmark"))
    kept["model"] = {key: evaluation["model"][key] for key in OF_THE_MODEL}
    kept["baselines"] = {
        name: {key: measured[key] for key in COMPARED}
        for name, measured in evaluation["baselines"].items()
    }
    kept["delta"] = {
        name: delta and {"auc": delta["auc"]} for name, delta in evaluation["delta"].items()
    }
    if "benchmark" in evaluation:
        kept["benchmark"] = compared(evaluation["benchmark"])
    return kept


def rate(rows: pd.DataFrame) -> float | None:
    """Share of defectors, null without rows."""
    return round(float(rows["defected"].mean()), 5) if len(rows) else None


def evaluate(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    model: Folder,
    calibration: dict[str, Any],
    shop: str,
    params: Evaluate,
    costs: Costs,
) -> dict[str, Any]:
    """`evaluation`: top level the scored population, `benchmark` the one of at least two purchases and
    a recent one; `metrics`, the part of it that runs are compared by; `plots`, `model_card`.

    Both have one row per customer and origin. The verdict is reached on the benchmark. `grouped_cv`
    is of the rows that taught.
    """
    about = about_of(model)
    origins = list(calibration["origins"])
    head: dict[str, Any] = {
        "shop": shop,
        "horizon_days": calibration["horizon_days"],
        "origins": origins,
    }
    past = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    rows = past[past["snapshot"].isin(origins)]
    scored, examined = rows[rows["scored"]], int(rows["benchmark"].sum())
    few = examined < params.min_rows
    if not about["trained"] or few or rows.loc[rows["benchmark"], "defected"].nunique() < 2:
        seen = f"fewer than {params.min_rows}" if few else "all of one outcome"
        reason = about["reason"] or f"{examined} benchmark rows at the test origins, {seen}"
        metrics: dict[str, Any] = {
            **head,
            "population": len(scored),
            "base_rate": rate(scored),
            "verdict": "no_signal",
            "grade": f"no signal: {reason}",
        }
        nothing = dict.fromkeys(
            (
                "model",
                "baselines",
                "delta",
                "by_stage",
                "by_origin",
                "returned_later",
                "risk_bands",
                "sensitivity",
                "grouped_cv",
                "benchmark",
            )
        )
        return {
            "metrics": compared({**metrics, **nothing}),
            "evaluation": {**metrics, **nothing},
            "plots": {"note.txt": reason + "\n"},
            "model_card": model_card({**metrics, **nothing}, [], calibration, about, costs),
        }
    found = predictions(rows, model, about, costs)
    scored, benchmark = found[found["scored"]], found[found["benchmark"]]
    require_honest(benchmark, about["features"])
    top, bench = results(scored, params, costs), results(benchmark, params, costs)
    measured = {
        "model": bench["model"],
        **{baseline: bench["baselines"][baseline] for baseline in BASELINES},
    }
    deltas = {
        baseline: bench["delta"][baseline] for baseline in BASELINES if bench["delta"].get(baseline)
    }
    chosen = verdict(measured, deltas)
    stages = {
        stage: measured_on(scored[scored["stage"] == stage], params, costs)
        for stage in ("early_repeat", "core")
    }
    scorer = chosen if chosen in SCORERS else "model"
    bands = risk_bands(scored, scorer, params.bands)
    returned = past[past["benchmark"] & past["returned"].notna()]
    metrics = {
        **head,
        "population": top["population"],
        "base_rate": top["base_rate"],
        "verdict": chosen,
        "grade": grade(measured, deltas, chosen),
        **{key: top[key] for key in ("model", "baselines", "delta")},
        "by_stage": stages,
        "by_origin": top["by_origin"],
        "returned_later": round(float(returned["returned"].astype(float).mean()), 5)
        if len(returned)
        else None,
        "risk_bands": large_enough(bands),
        "sensitivity": sensitivity(at_origins(scored, scorer), costs, params.capacity),
        "grouped_cv": about["grouped_cv"],
        "benchmark": bench,
    }
    return {
        "metrics": compared(metrics),
        "evaluation": metrics,
        "plots": plots(benchmark, SCORERS),
        "model_card": model_card(metrics, bands, calibration, about, costs),
    }
