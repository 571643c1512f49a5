"""How good the scorers are on the same rows, with 95 % CI (bootstrap over customers).

A population is a frame with one row per customer and origin: customer (int), origin, stage,
defected, one column of probabilities per scorer and, where decisions are judged, value.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Flags, Floats
from models.defection import metrics
from models.defection.profit import contact_profit, empc, expected_profit, profit_at_capacity
from models.settings import Costs

RESAMPLED = ("auc", "brier", "empc", "profit_at_10", "profit_at_10_by_risk")
"""Metrics with an interval, `auc_ci` and so on, of the scorer and of its difference to another."""
METRICS = tuple(
    "auc auc_ci pr_auc brier brier_ci log_loss ece ece_floor precision_at_10 lift_at_10 "
    "value_weighted_auc empc empc_ci profit_at_10 profit_at_10_ci profit_at_10_by_risk "
    "profit_at_10_by_risk_ci".split()
)
AT_ONCE = 50_000  # weights of rows made together: few enough for a cache

Deltas = dict[str, dict[str, list[float | None]]]


def resamples(customers: npt.NDArray[np.int64], count: int, seed: int) -> Iterator[Floats]:
    """Yield bootstrap weights, draws x rows, some draws at a time.

    A customer is drawn with all their rows, because the rows of several origins are alike.
    """
    random = np.random.default_rng(seed)
    own = np.unique(customers, return_inverse=True)[1]
    size = int(own.max()) + 1
    some = max(AT_ONCE // len(own), 1)
    for first in range(0, count, some):
        draws = range(min(some, count - first))
        yield np.array(
            [np.bincount(random.integers(0, size, size), minlength=size)[own] for _ in draws],
            np.float64,
        )


def interval(values: Floats) -> list[float | None]:
    """Return the middle 95 % of bootstrap values."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [None, None]
    return [round(float(q), 4) for q in np.quantile(finite, [0.025, 0.975])]


def differences(
    figures: dict[str, Callable[[Floats], Floats]], size: int, count: int, seed: int
) -> dict[str, list[float | None]]:
    """Return the 95 % CI of the model's figure less that of each other scorer.

    `figures`: functions of weights, draws x rows, to a figure per draw. Each of the `size` rows is
    another customer.
    """
    parts = [
        np.stack([figure(weights) for figure in figures.values()])
        for weights in resamples(np.arange(size), count, seed)
    ]
    draws = dict(zip(figures, np.concatenate(parts, axis=1), strict=True))
    model = draws.pop("model")
    return {name: interval(model - other) for name, other in draws.items()}


def _arrays(population: pd.DataFrame, scorer: str) -> tuple[Floats, Floats, Flags]:
    risk = population[scorer].to_numpy(np.float64)
    known = "value" in population
    value = population["value"].to_numpy(np.float64) if known else np.zeros(len(risk))
    return risk, value, population["defected"].to_numpy(bool)


def by_origin(population: pd.DataFrame, scorer: str) -> list[tuple[Floats, Floats, Flags]]:
    """Return risk, value and outcome of the rows at each origin."""
    return [_arrays(rows, scorer) for _, rows in population.groupby("origin", sort=True)]


def resampled(
    population: pd.DataFrame, scorer: str, costs: Costs | None, capacity: float
) -> Callable[[Floats], Floats]:
    """Return a function of weights, draws x rows, to the metrics `RESAMPLED`, draws x metrics.

    Without costs to the first two of them. Profits are means over the origins. The median value at
    an origin stays that of the population: costs do not depend on the draw.
    """
    scores, value, defected = _arrays(population, scorer)
    count, errors = metrics.counts_by_score(scores, defected), (scores - defected) ** 2
    campaigns = []
    for rows in population.groupby("origin").indices.values():
        if not costs:
            break
        profit = contact_profit(value[rows], defected[rows], costs)
        orders = expected_profit(scores[rows], value[rows], costs), scores[rows]
        campaigns.append((rows, [profit_at_capacity(order, profit, capacity) for order in orders]))

    def of_weights(weights: Floats) -> Floats:
        counts = count(weights)
        brier = weights @ errors / weights.sum(axis=1)
        if not costs:
            return np.column_stack([metrics.auc_of(*counts), brier])
        profits = []
        for rows, by_order in campaigns:
            drawn = np.take(weights, rows, axis=1)
            profits.append([profit(drawn) for profit in by_order])
        return np.column_stack(
            [metrics.auc_of(*counts), brier, empc(*counts), *np.mean(profits, axis=0)]
        )

    return of_weights


def measure(population: pd.DataFrame, scorer: str, points: Floats, seed: int) -> dict[str, Any]:
    """Return all metrics of one scorer, pooled over origins; null where unknown.

    Calibration and profit are means over origins. `points`: those of `RESAMPLED`.
    """
    from sklearn.metrics import average_precision_score

    scores, value, defected = _arrays(population, scorer)
    top = np.argsort(-scores, kind="stable")[: int(np.ceil(len(scores) / 10))]
    origins = by_origin(population, scorer)
    values = dict(zip(RESAMPLED, points, strict=False)) | {
        "pr_auc": average_precision_score(defected, scores),
        "log_loss": -np.log(np.clip(np.where(defected, scores, 1 - scores), 1e-9, 1)).mean(),
        "ece": np.mean([metrics.calibration_error(risk, label) for risk, _, label in origins]),
        "ece_floor": np.mean([metrics.calibration_floor(risk, seed) for risk, _, _ in origins]),
        "precision_at_10": defected[top].mean(),
        "lift_at_10": defected[top].mean() / defected.mean(),
        "value_weighted_auc": metrics.weighted_auc(scores, defected, value),
    }
    return {
        name: round(float(values[name]), 5) if np.isfinite(values.get(name, np.nan)) else None
        for name in METRICS
    }


def compare(
    population: pd.DataFrame,
    scorers: list[str],
    costs: Costs | None,
    capacity: float,
    count: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], Deltas]:
    """Return each scorer's metrics, and [point, low, high] of the first less each of the others.

    Without costs EMPC and profit stay null.
    """
    if len(population) < metrics.BINS or population["defected"].nunique() < 2:
        return {scorer: dict.fromkeys(METRICS) for scorer in scorers}, {}
    functions = [resampled(population, scorer, costs, capacity) for scorer in scorers]
    once = np.ones((1, len(population)))
    measured = {
        scorer: measure(population, scorer, of_weights(once)[0], seed)
        for scorer, of_weights in zip(scorers, functions, strict=True)
    }
    customers = population["customer"].to_numpy(np.int64)
    weights = resamples(customers, count, seed)
    parts = [np.stack([of_weights(some) for of_weights in functions], axis=1) for some in weights]
    draws = np.concatenate(parts)  # draws x scorers x metrics
    deltas: Deltas = {scorer: {} for scorer in scorers[1:]}
    for i, metric in enumerate(RESAMPLED[: draws.shape[2]]):
        for n, scorer in enumerate(scorers):
            measured[scorer][f"{metric}_ci"] = interval(draws[:, n, i])
            if n:
                point = measured[scorers[0]][metric] - measured[scorer][metric]
                ends = interval(draws[:, 0, i] - draws[:, n, i])
                deltas[scorer][metric] = [round(point, 5), *ends]
    return measured, deltas
