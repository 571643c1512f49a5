"""Stage `evaluate`: the models asked at origins they were not taught through, beside the peers, on two stated populations."""

from typing import Any

import numpy as np
import pandas as pd

from models.evaluation import compare, grade, risk_bands, verdict
from models.model_card import model_card
from models.peers import PEERS, predict
from models.plots import plots
from models.profit import value_of
from models.settings import Costs
from pipeline.model_file import about_of, model_of, peers_of
from pipeline.params import Evaluate
from pipeline.rows import joined
from pipeline.store import Folder

LATER = ("bg_nbd", "expert_windows", "random_forest_rfm")  # peers that have a place in the report and no figures yet
SCORERS = ["model", *PEERS]


def predictions(rows: pd.DataFrame, model: Folder, about: dict[str, Any], costs: Costs) -> pd.DataFrame:
    """The rows at test origins with a probability from each scorer, each from the model of that origin."""
    taught = peers_of(model, about)
    parts = []
    for origin, at in rows.groupby("snapshot", sort=True):
        name = f"origins/{origin}.txt"
        scored = at.assign(origin=origin, model=model_of(model, about, name).predict(at))
        parts.append(scored.assign(**{peer: predict(taught[name][peer], at) for peer in PEERS}))
    found = pd.concat(parts, ignore_index=True)
    found["customer"] = pd.factorize(found["customer_id"])[0]
    found["value"] = value_of(found["net_spend_365d"].to_numpy(np.float64), costs)
    return found


def results(population: pd.DataFrame, params: Evaluate, costs: Costs) -> dict[str, Any]:
    """Everything measured on one population: sizes, scorers, differences, by origin."""
    measured, deltas = compare(population, SCORERS, costs, params.capacity, params.bootstrap, params.seed)
    origins = []
    for origin, rows in population.groupby("origin", sort=True):
        found = compare(rows, SCORERS, costs, params.capacity, params.bootstrap, params.seed)[0]
        origins.append(
            {"origin": origin, "population": len(rows), "base_rate": rate(rows), "model": found["model"], "peers": without_model(found)}
        )
    return {
        "population": len(population),
        "base_rate": rate(population),
        "model": measured["model"],
        "peers": without_model(measured),
        "delta": {**deltas, **dict.fromkeys(LATER)},
        "by_origin": origins,
    }


def without_model(measured: dict[str, Any]) -> dict[str, Any]:
    """The peers' results, null for those not computed yet."""
    return {**{peer: measured[peer] for peer in PEERS}, **dict.fromkeys(LATER)}


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
    """`metrics`: top level the scored population, `benchmark` the one of at least two purchases and a recent one; `plots`, `model_card`.

    Both have one row per customer and origin. The verdict is reached on the benchmark.
    """
    about = about_of(model)
    origins = list(calibration["origins"])
    head: dict[str, Any] = {"shop": shop, "horizon_days": calibration["horizon_days"], "origins": origins}
    past = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    rows = past[past["snapshot"].isin(origins)]
    scored, examined = rows[rows["scored"]], int(rows["benchmark"].sum())
    if not about["trained"] or examined < params.min_rows:
        reason = about["reason"] or f"{examined} benchmark rows at the test origins are fewer than {params.min_rows}"
        metrics: dict[str, Any] = {
            **head,
            "population": len(scored),
            "base_rate": rate(scored),
            "verdict": "no_signal",
            "grade": f"no signal: {reason}",
        }
        nothing = dict.fromkeys(("model", "peers", "delta", "by_stage", "by_origin", "returned_later", "benchmark"))
        return {
            "metrics": {**metrics, **nothing},
            "plots": {"note.txt": reason + "\n"},
            "model_card": model_card({**metrics, **nothing}, [], calibration),
        }
    found = predictions(rows, model, about, costs)
    scored, benchmark = found[found["scored"]], found[found["benchmark"]]
    top, bench = results(scored, params, costs), results(benchmark, params, costs)
    measured = {"model": bench["model"], **{peer: bench["peers"][peer] for peer in PEERS}}
    deltas = {peer: bench["delta"][peer] for peer in PEERS if bench["delta"].get(peer)}
    chosen = verdict(measured, deltas)
    stages = {}
    for stage in ("early_repeat", "core"):
        part = scored[scored["stage"] == stage]
        inner = compare(part, SCORERS, costs, params.capacity, params.bootstrap, params.seed)[0]
        stages[stage] = {"population": len(part), "base_rate": rate(part), "model": inner["model"], "peers": without_model(inner)}
    returned = past[past["benchmark"] & past["returned"].notna()]
    metrics = {
        **head,
        "population": top["population"],
        "base_rate": top["base_rate"],
        "verdict": chosen,
        "grade": grade(measured, deltas, chosen),
        **{key: top[key] for key in ("model", "peers", "delta")},
        "by_stage": stages,
        "by_origin": top["by_origin"],
        "returned_later": round(float(returned["returned"].astype(float).mean()), 5) if len(returned) else None,
        "benchmark": bench,
    }
    scorer = chosen if chosen in SCORERS else "model"
    return {
        "metrics": metrics,
        "plots": plots(benchmark, SCORERS),
        "model_card": model_card(metrics, risk_bands(scored, scorer, params.bands), calibration),
    }
