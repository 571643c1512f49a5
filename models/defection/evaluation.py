"""How good a score is: discrimination, calibration, use; with intervals from resampled customers,
peers on the same rows.

A population is a frame with one row per customer and origin: customer (int), origin, stage,
defected, value, and one column of probabilities per scorer.
"""

from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Flags, Floats
from models.defection.baselines import SIMPLE
from models.defection.profit import at_capacity, empc, expected_profit, gains
from models.settings import SMALLEST_CELL, Costs

RESAMPLED = ("auc", "brier", "empc", "profit_at_10", "profit_at_10_by_risk")
"""Metrics with an interval, `auc_ci` and so on, of the scorer and of its difference to another."""
METRICS = (
    *(
        "auc",
        "auc_ci",
        "pr_auc",
        "brier",
        "brier_ci",
        "log_loss",
        "ece",
        "ece_floor",
        "precision_at_10",
        "lift_at_10",
        "value_weighted_auc",
    ),
    *(
        "empc",
        "empc_ci",
        "profit_at_10",
        "profit_at_10_ci",
        "profit_at_10_by_risk",
        "profit_at_10_by_risk_ci",
    ),
)
BINS = 10
AT_ONCE = 50_000  # weights of rows made together: few enough for a cache


def tally(scores: Floats, defected: Flags) -> Callable[[Floats], tuple[Floats, Floats]]:
    """From weights, one per row or draws x rows, those of leavers and of stayers at each distinct
    score, ascending.

    Neighbours at which all left or all stayed are taken together: neither the AUC nor the hull of
    the ROC curve hangs on their order.
    """
    order = np.argsort(scores, kind="stable")
    ascending, left = scores[order], defected[order]
    begins = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))
    share = np.add.reduceat(left, begins, dtype=np.float64) / np.diff(begins, append=len(left))
    begins = begins[np.append(True, (share[1:] != share[:-1]) | (share[1:] % 1 > 0))]

    def drawn(weights: Floats) -> tuple[Floats, Floats]:
        in_order = np.take(weights, order, axis=-1)
        leavers = np.add.reduceat(in_order * left, begins, axis=-1)
        return leavers, np.add.reduceat(in_order, begins, axis=-1) - leavers

    return drawn


def weighted_auc(scores: Floats, defected: Flags, weights: Floats) -> float:
    """The chance that a random defector scores above a random stayer, drawn by weight.

    Ties count half. nan with one outcome only.
    """
    return float(_auc(*tally(scores, defected)(weights)))


def _auc(leavers: Floats, stayers: Floats) -> Floats:
    below = np.cumsum(stayers, axis=-1) - stayers / 2
    pairs = leavers.sum(axis=-1) * stayers.sum(axis=-1)
    return np.asarray((leavers * below).sum(axis=-1) / np.where(pairs > 0, pairs, np.nan))


def _tenths(scores: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows in the order of their scores, and where each of ten bins of equal count begins."""
    begins = np.unique(np.cumsum([0, *(len(b) for b in np.array_split(scores, BINS))])[:-1])
    return np.argsort(scores, kind="stable"), begins[begins < len(scores)]


def calibration_error(scores: Floats, defected: Flags) -> float:
    """Mean distance of predicted and observed rate over ten bins of equal count."""
    order, begins = _tenths(scores)
    return float(
        np.abs(np.add.reduceat(scores[order] - defected[order], begins)).sum() / len(scores)
    )


def calibration_floor(scores: Floats, seed: int, draws: int = 100) -> float:
    """The calibration error that perfect probabilities would show by chance on as many rows."""
    random = np.random.default_rng(seed)
    order, begins = _tenths(scores)
    ascending = scores[order]
    sums = [
        np.abs(np.add.reduceat(ascending - (random.random(len(scores)) < ascending), begins)).sum()
        for _ in range(draws)
    ]
    return float(np.mean(sums) / len(scores))


def resamples(customers: npt.NDArray[np.int64], count: int, seed: int) -> Iterator[Floats]:
    """Bootstrap weights, draws x rows, some draws at a time.

    Customers are drawn with all their rows, whose origins are alike.
    """
    random = np.random.default_rng(seed)
    own = np.unique(customers, return_inverse=True)[1]
    size = int(own.max()) + 1
    some = max(AT_ONCE // len(own), 1)
    for first in range(0, count, some):
        times = [
            np.bincount(random.integers(0, size, size), minlength=size)[own]
            for _ in range(min(some, count - first))
        ]
        yield np.array(times, np.float64)


def interval(values: Floats) -> list[float | None]:
    """The middle 95 % of bootstrap values."""
    finite = values[np.isfinite(values)]
    return (
        [round(float(q), 4) for q in np.quantile(finite, [0.025, 0.975])]
        if len(finite)
        else [None, None]
    )


def at_origins(population: pd.DataFrame, scorer: str) -> list[tuple[Floats, Floats, Flags]]:
    """Risk, value and outcome of the rows at each origin."""
    return [
        (
            rows[scorer].to_numpy(np.float64),
            rows["value"].to_numpy(np.float64),
            rows["defected"].to_numpy(bool),
        )
        for _, rows in population.groupby("origin", sort=True)
    ]


def resampled(
    population: pd.DataFrame, scorer: str, costs: Costs, capacity: float
) -> Callable[[Floats], Floats]:
    """The metrics `RESAMPLED` of a scorer, draws x metrics, as a function of how many times each
    row was drawn, draws x rows.

    Profits are means over the origins. The median value at an origin stays that of the population:
    costs do not hang on who is drawn.
    """
    scores, value = (
        population[scorer].to_numpy(np.float64),
        population["value"].to_numpy(np.float64),
    )
    defected = population["defected"].to_numpy(bool)
    at_scores, errors = tally(scores, defected), (scores - defected) ** 2
    campaigns = []
    for rows in population.groupby("origin").indices.values():
        gain = gains(value[rows], defected[rows], costs)
        orders = expected_profit(scores[rows], value[rows], costs), scores[rows]
        campaigns.append((rows, [at_capacity(order, gain, capacity) for order in orders]))

    def drawn(weights: Floats) -> Floats:
        found = at_scores(weights)
        profits = np.mean(
            [[of(np.take(weights, rows, axis=1)) for of in both] for rows, both in campaigns],
            axis=0,
        )
        return np.column_stack(
            [_auc(*found), weights @ errors / weights.sum(axis=1), empc(*found), *profits]
        )

    return drawn


def measure(population: pd.DataFrame, scorer: str, points: Floats, seed: int) -> dict[str, Any]:
    """All point metrics of one scorer, pooled over origins; calibration and profit are means over
    origins. Unknown ones are null.

    `points`: those of `RESAMPLED`.
    """
    from sklearn.metrics import average_precision_score

    scores, defected = (
        population[scorer].to_numpy(np.float64),
        population["defected"].to_numpy(bool),
    )
    top = np.argsort(-scores, kind="stable")[: int(np.ceil(len(scores) / 10))]
    origins = at_origins(population, scorer)
    found = dict(zip(RESAMPLED, points, strict=True)) | {
        "pr_auc": average_precision_score(defected, scores),
        "log_loss": -np.log(np.clip(np.where(defected, scores, 1 - scores), 1e-9, 1)).mean(),
        "ece": np.mean([calibration_error(p, y) for p, _, y in origins]),
        "ece_floor": np.mean([calibration_floor(p, seed) for p, _, _ in origins]),
        "precision_at_10": defected[top].mean(),
        "lift_at_10": defected[top].mean() / defected.mean(),
        "value_weighted_auc": weighted_auc(
            scores, defected, population["value"].to_numpy(np.float64)
        ),
    }
    return {
        name: round(float(found[name]), 5) if np.isfinite(found.get(name, np.nan)) else None
        for name in METRICS
    }


def compare(
    population: pd.DataFrame,
    scorers: list[str],
    costs: Costs,
    capacity: float,
    count: int,
    seed: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Metrics of each scorer with the intervals of some, and the differences of the first to the
    others: [point, low, high].
    """
    if len(population) < BINS or population["defected"].nunique() < 2:
        return {scorer: dict.fromkeys(METRICS) for scorer in scorers}, {}
    asked = [resampled(population, scorer, costs, capacity) for scorer in scorers]
    once = np.ones((1, len(population)))
    measured = {
        scorer: measure(population, scorer, of(once)[0], seed)
        for scorer, of in zip(scorers, asked, strict=True)
    }
    customers = population["customer"].to_numpy(np.int64)
    parts = [
        np.stack([of(weights) for of in asked], axis=1)
        for weights in resamples(customers, count, seed)
    ]
    drawn = np.concatenate(parts)  # draws x scorers x metrics
    deltas: dict[str, dict[str, Any]] = {baseline: {} for baseline in scorers[1:]}
    for i, metric in enumerate(RESAMPLED):
        for n, scorer in enumerate(scorers):
            measured[scorer][f"{metric}_ci"] = interval(drawn[:, n, i])
            if n:
                point = measured[scorers[0]][metric] - measured[scorer][metric]
                deltas[scorer][metric] = [
                    round(point, 5),
                    *interval(drawn[:, 0, i] - drawn[:, n, i]),
                ]
    return measured, deltas


def _shows_signal(m: dict[str, Any], tries: int) -> bool:
    """Whether an AUC lies above one half by more than the best of so many scorers would by chance
    (Bonferroni).
    """
    if m["auc"] is None or m["auc_ci"][0] is None:
        return False
    normal = NormalDist()
    wider = normal.inv_cdf(1 - 0.025 / tries) / normal.inv_cdf(0.975)
    return bool(m["auc"] - wider * (m["auc"] - m["auc_ci"][0]) > 0.5)


def verdict(measured: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]]) -> str:
    """Who scores: `model`, a peer, or `no_signal` where none shows any.

    The model has to beat each simple rule by more than chance, and no peer may beat it so. Else the
    peer that beats it scores or, where none does, the best of the simple rules it does not beat:
    what is not better is not worth being less plain.
    """
    signal = {scorer: m["auc"] for scorer, m in measured.items() if _shows_signal(m, len(measured))}
    better = {
        baseline: signal[baseline]
        for baseline, delta in deltas.items()
        if baseline in signal and delta["auc"][2] < 0
    }
    beaten = {baseline for baseline, delta in deltas.items() if delta["auc"][1] > 0}
    if "model" in signal and not better and beaten >= deltas.keys() & set(SIMPLE):
        return "model"
    simple = {baseline: auc for baseline, auc in signal.items() if baseline in SIMPLE}
    usable = (
        better
        or {baseline: auc for baseline, auc in simple.items() if baseline not in beaten}
        or simple
    )
    return max(usable, key=lambda baseline: usable[baseline]) if usable else "no_signal"


def grade(
    measured: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]], chosen: str
) -> str:
    """The verdict in one sentence.

    The model against the best simple rule, or against the peer that is used instead.
    """
    if chosen == "no_signal":
        return "no signal: nothing tells leavers from stayers better than a coin"
    simple = {
        scorer: m["auc"]
        for scorer, m in measured.items()
        if scorer in SIMPLE and m["auc"] is not None
    }
    rival = max(simple, key=lambda scorer: simple[scorer]) if chosen == "model" else chosen
    point, low, high = deltas[rival]["auc"]
    if chosen == "model":
        rank = "the best simple rule"
    elif low > 0:
        rank = "but another rule without a signal may be as good"
    else:
        rank = "which beats it" if high < 0 else "no difference beyond chance"
    said = f"AUC {measured['model']['auc']:.3f} against {measured[rival]['auc']:.3f} of {rival}, {rank}: "
    said += f"{point:+.3f} [{low:+.3f}, {high:+.3f}]"
    return (
        f"the model wins: {said}"
        if chosen == "model"
        else f"the model does not win, {chosen} is used: {said}"
    )


def wilson(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, share = 1.959964, count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = (
        z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    )
    return float(centre - half), float(centre + half)


def band(risk: Floats, cuts: tuple[float, float]) -> npt.NDArray[np.str_]:
    """low, medium or high, cut at two probabilities."""
    return np.array(["low", "medium", "high"])[np.digitize(risk, cuts)]


def risk_bands(
    population: pd.DataFrame, scorer: str, cuts: tuple[float, float]
) -> list[dict[str, Any]]:
    """One entry per stage and risk band that occur.

    Stage, band, customers, defected, rate, low and high (its 95 % interval).
    """
    named = population.assign(band=band(population[scorer].to_numpy(np.float64), cuts))
    found = []
    for (stage, name), rows in named.groupby(["stage", "band"], observed=True):
        defected = int(rows["defected"].sum())
        low, high = wilson(defected, len(rows))
        counts = {"stage": stage, "band": name, "customers": len(rows), "defected": defected}
        found.append(
            {
                **counts,
                "rate": round(defected / len(rows), 5),
                "low": round(low, 5),
                "high": round(high, 5),
            }
        )
    return found


def large_enough(bands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Risk bands as they may be published.

    Of a few customers nothing is told but that they are few.
    """
    return [
        b
        if b["customers"] >= SMALLEST_CELL
        else {**dict.fromkeys(b), "stage": b["stage"], "band": b["band"]}
        for b in bands
    ]
