"""How good a score is: discrimination, calibration, use; with intervals from resampled customers, peers on the same rows.

A population is a frame with one row per customer and origin: customer (int), origin, stage, defected, value, and one column of
probabilities per scorer.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.profit import expected_profit, realised_profit
from models.settings import Costs

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

METRICS = (
    "auc",
    "auc_ci",
    "pr_auc",
    "brier",
    "log_loss",
    "ece",
    "ece_floor",
    "precision_at_10",
    "lift_at_10",
    "value_weighted_auc",
    "empc",
    "profit_at_10",
    "profit_at_10_by_risk",
)
BINS = 10


def weighted_auc(scores: Floats, defected: Flags, weights: Floats) -> float:
    """The chance that a random defector scores above a random stayer, drawn by weight; ties count half. nan with one outcome only."""
    _, code = np.unique(scores, return_inverse=True)
    positive = np.bincount(code, weights * defected)
    negative = np.bincount(code, weights * ~defected)
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs > 0 else float("nan")


def calibration_error(scores: Floats, defected: Flags) -> float:
    """Mean distance of predicted and observed rate over ten bins of equal count."""
    order = np.argsort(scores, kind="stable")
    bins = [b for b in np.array_split(order, BINS) if len(b)]
    return float(sum(len(b) * abs(scores[b].mean() - defected[b].mean()) for b in bins) / len(scores))


def calibration_floor(scores: Floats, seed: int, draws: int = 100) -> float:
    """The calibration error that perfect probabilities would show by chance on as many rows."""
    random = np.random.default_rng(seed)
    return float(np.mean([calibration_error(scores, random.random(len(scores)) < scores) for _ in range(draws)]))


def resamples(customers: npt.NDArray[np.int64], count: int, seed: int) -> list[Floats]:
    """Bootstrap weights of rows: customers are drawn with all their rows, because a customer's origins are alike."""
    random = np.random.default_rng(seed)
    size = int(customers.max()) + 1
    return [np.bincount(random.integers(0, size, size), minlength=size)[customers].astype(np.float64) for _ in range(count)]


def interval(values: list[float]) -> list[float | None]:
    """The middle 95 % of bootstrap values."""
    finite = np.array(values)[np.isfinite(values)]
    return [round(float(q), 4) for q in np.quantile(finite, [0.025, 0.975])] if len(finite) else [None, None]


def _by_origin(population: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows for _, rows in population.groupby("origin", sort=True)]


def measure(population: pd.DataFrame, scorer: str, costs: Costs, capacity: float, seed: int) -> dict[str, Any]:
    """All point metrics of one scorer, pooled over origins; calibration and profit are means over origins. Unknown ones are null."""
    from sklearn.metrics import average_precision_score, log_loss

    found: dict[str, Any] = dict.fromkeys(METRICS)
    scores, defected = population[scorer].to_numpy(np.float64), population["defected"].to_numpy(bool)
    if len(population) < BINS or len(np.unique(defected)) < 2:
        return found
    top = np.argsort(-scores, kind="stable")[: int(np.ceil(len(scores) / 10))]
    origins = [
        (rows[scorer].to_numpy(np.float64), rows["defected"].to_numpy(bool), rows["value"].to_numpy()) for rows in _by_origin(population)
    ]
    found |= {
        "auc": weighted_auc(scores, defected, np.ones(len(scores))),
        "pr_auc": average_precision_score(defected, scores),
        "brier": np.mean((scores - defected) ** 2),
        "log_loss": log_loss(defected, np.clip(scores, 1e-9, 1 - 1e-9)),
        "ece": np.mean([calibration_error(p, y) for p, y, _ in origins]),
        "ece_floor": np.mean([calibration_floor(p, seed) for p, _, _ in origins]),
        "precision_at_10": defected[top].mean(),
        "lift_at_10": defected[top].mean() / defected.mean(),
        "value_weighted_auc": weighted_auc(scores, defected, population["value"].to_numpy(np.float64)),
        "profit_at_10": np.mean([realised_profit(expected_profit(p, v, costs), v, y, costs, capacity) for p, y, v in origins]),
        "profit_at_10_by_risk": np.mean([realised_profit(p, v, y, costs, capacity) for p, y, v in origins]),
    }
    return {name: None if value is None or not np.isfinite(value) else round(float(value), 5) for name, value in found.items()}


def compare(
    population: pd.DataFrame, scorers: list[str], costs: Costs, capacity: float, count: int, seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Metrics of each scorer with the interval of its AUC, and the differences of the first to the others: [point, low, high]."""
    measured = {scorer: measure(population, scorer, costs, capacity, seed) for scorer in scorers}
    if measured[scorers[0]]["auc"] is None:
        return measured, {}
    defected = population["defected"].to_numpy(bool)
    columns = {scorer: population[scorer].to_numpy(np.float64) for scorer in scorers}
    errors = {scorer: (scores - defected) ** 2 for scorer, scores in columns.items()}
    aucs: dict[str, list[float]] = {scorer: [] for scorer in scorers}
    briers: dict[str, list[float]] = {scorer: [] for scorer in scorers}
    for weights in resamples(population["customer"].to_numpy(np.int64), count, seed):
        if not weights.any():
            continue  # the customers drawn have no row among these few
        for scorer in scorers:
            aucs[scorer].append(weighted_auc(columns[scorer], defected, weights))
            briers[scorer].append(float(np.average(errors[scorer], weights=weights)))
    first, deltas = scorers[0], {}
    for scorer in scorers:
        measured[scorer]["auc_ci"] = interval(aucs[scorer])
    for peer in scorers[1:]:
        deltas[peer] = {
            metric: [
                round(measured[first][metric] - measured[peer][metric], 5),
                *interval(list(np.subtract(drawn[first], drawn[peer]))),
            ]
            for metric, drawn in (("auc", aucs), ("brier", briers))
        }
    return measured, deltas


def verdict(measured: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]]) -> str:
    """`model` if it beats every peer by more than chance, else the peer of highest AUC; `no_signal` if no interval lies above one half."""
    signal = {s: m["auc"] for s, m in measured.items() if m["auc"] is not None and (m["auc_ci"][0] or 0) > 0.5}
    if not signal:
        return "no_signal"
    if "model" in signal and all(delta["auc"][1] > 0 for delta in deltas.values()):
        return "model"
    peers = {scorer: auc for scorer, auc in signal.items() if scorer != "model"}
    return max(peers, key=lambda scorer: peers[scorer]) if peers else "no_signal"


def grade(measured: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]], chosen: str) -> str:
    """The verdict in one sentence, against the best simple rule."""
    if chosen == "no_signal":
        return "no signal: nothing tells leavers from stayers better than a coin"
    peers = {scorer: m["auc"] for scorer, m in measured.items() if scorer != "model" and m["auc"] is not None}
    best = max(peers, key=lambda scorer: peers[scorer])
    point, low, high = deltas[best]["auc"]
    said = f"AUC {measured['model']['auc']:.3f} against {peers[best]:.3f} of {best}, the best simple rule: "
    said += f"{point:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"the model wins: {said}" if chosen == "model" else f"the model does not win, {chosen} is used: {said}"


def wilson(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, share = 1.959964, count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return float(centre - half), float(centre + half)


def band(risk: Floats, cuts: tuple[float, float]) -> npt.NDArray[np.str_]:
    """low, medium or high, cut at two probabilities."""
    return np.array(["low", "medium", "high"])[np.digitize(risk, cuts)]


def risk_bands(population: pd.DataFrame, scorer: str, cuts: tuple[float, float]) -> list[dict[str, Any]]:
    """One entry per stage and risk band that occur: stage, band, customers, defected."""
    named = population.assign(band=band(population[scorer].to_numpy(np.float64), cuts))
    return [
        {"stage": stage, "band": name, "customers": len(rows), "defected": int(rows["defected"].sum())}
        for (stage, name), rows in named.groupby(["stage", "band"], observed=True)
    ]
