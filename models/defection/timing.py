"""When the next purchase comes: a day and an interval that holds for four customers in five.

Three boosters estimate the .1, .5 and .9 quantile of the days to the next purchase, of customers
who buy within two horizons. Each starts from the same quantile in BG/NBD and learns what that does
not know. The interval is widened or narrowed by one margin so that it holds (conformalised quantile
regression: Romano, Patterson and Candès 2019). The margin comes from the newest snapshot, by
boosters of other customers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection import bg_nbd
from models.defection.baselines import PAST, histories
from models.defection.booster import ModelSpec, as_stored, fit_regressions, matrix, tree_sums
from models.defection.evaluation import differences
from models.defection.selection import select_forecast

if TYPE_CHECKING:
    import lightgbm as lgb

HOLDS = 0.8  # of the intervals contain the purchase
QUANTILES = {"from": 0.1, "on": 0.5, "to": 0.9}
MEDIAN, MEAN = "median_abs_error_days", "mean_abs_error_days"
TINY = 1e-9  # stands for nothing in a denominator
PARTS = (4, 2, 1)  # a quarter, a half or all of the trees


class Timing(NamedTuple):
    """One booster per quantile, on a logarithmic scale; `margin` on the same; `longest` in days.

    `past`: the parameters of BG/NBD to start from; None for boosters that start from nothing.
    """

    boosters: dict[str, "lgb.Booster"]
    columns: list[str]
    margin: float
    longest: int
    past: bg_nbd.Parameters | None

    def logs(self, rows: pd.DataFrame, rounds: int | None = None) -> Floats:
        """Return the logarithms of a day more than the days, rows x boosters, without the margin.

        `rounds`: of the first so many trees.
        """
        logs = np.zeros((len(rows), len(self.boosters)))
        if len(rows):
            values = as_stored(rows, self.columns)
            trees = [tree_sums(booster, values, rounds) for booster in self.boosters.values()]
            logs += np.column_stack(trees)
        if self.past:
            logs += _starts(rows, self.past, self.longest).T
        return logs

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return whole days to the next purchase, if one comes: `from`, `on` and `to`."""
        logs = self.logs(rows) + self.margin * np.array([-1, 0, 1])
        days = np.clip(np.expm1(np.sort(logs, axis=1)), 0, self.longest)
        begin = np.ceil(days[:, 0])  # whole days within the interval: rounding would widen it
        end = np.maximum(np.floor(days[:, 2]), begin)
        middle = np.clip(np.rint(days[:, 1]), begin, end)
        return pd.DataFrame({"from": begin, "on": middle, "to": end}, rows.index)


def fit_timing(rows: pd.DataFrame, spec: ModelSpec, past: bg_nbd.Parameters) -> Timing:
    """Train on rows of buyers with `next_days`, NaN without a purchase within two horizons.

    With as many trees as serve customers of the other half best: a small shop has little to add to
    BG/NBD.
    """
    rows = rows[rows["next_days"].notna()].reset_index(drop=True)
    fold = pd.factorize(rows["customer_id"])[0] % 2
    newest = (rows["snapshot"] == rows["snapshot"].max()).to_numpy()
    most = spec.params.timing_rounds
    true, logs = [], []  # of one half after the other; logs: candidates x rows x quantiles
    candidates = sorted({max(most // part, 1) for part in PARTS})
    for half in (0, 1):
        fitted, test = _fitted(rows[fold != half], spec, past, most), rows[newest & (fold == half)]
        true.append(np.log1p(test["next_days"].to_numpy(np.float64)))
        logs.append(np.array([fitted.logs(test, rounds) for rounds in candidates]))
    days, quantiles = np.concatenate(true), np.concatenate(logs, axis=1)
    selected = np.argmin([_loss(days, each) for each in quantiles])
    errors = np.maximum(quantiles[selected][:, 0] - days, days - quantiles[selected][:, 2])
    share = min(HOLDS * (1 + 1 / max(len(errors), 1)), 1.0)
    margin = float(np.quantile(errors, share, method="higher")) if len(errors) else 0.0
    final = _fitted(rows, spec, past, candidates[selected])
    return final._replace(margin=float(f"{margin:.6g}"))


def _loss(true: Floats, logs: Floats) -> float:
    """Return the sum of what the boosters minimise."""
    above, shares = true[:, None] - logs, np.array([*QUANTILES.values()])
    return float(np.maximum(shares * above, (shares - 1) * above).sum())


def _fitted(rows: pd.DataFrame, spec: ModelSpec, past: bg_nbd.Parameters, rounds: int) -> Timing:
    longest, true = 2 * spec.horizon_days, np.log1p(rows["next_days"].to_numpy(np.float64))
    objectives = [{"objective": "quantile", "alpha": alpha} for alpha in QUANTILES.values()]
    starts = _starts(rows, past, longest)
    boosters = fit_regressions(rows, true, spec, objectives, rounds, starts)
    return Timing(dict(zip(QUANTILES, boosters, strict=True)), spec.columns, 0.0, longest, past)


def _starts(rows: pd.DataFrame, past: bg_nbd.Parameters, longest: int) -> Floats:
    """Return the quantiles of BG/NBD on the scale of the boosters, quantiles x rows.

    A purchase on day n comes between n and n + 1, at n + 1/2 on average. Rounded: the last bits
    differ between kinds of CPU.
    """
    days = [by_bg_nbd(rows, past, longest, alpha) for alpha in QUANTILES.values()]
    return np.asarray(np.round(np.log1p(np.maximum(np.array(days) - 0.5, 0)), 9))


def by_expected_ipt(rows: pd.DataFrame) -> Floats:
    """Return the days to the last purchase plus the expected IPT; 0 where that day has passed."""
    return np.asarray(np.maximum(rows["expected_next_days"].to_numpy(np.float64), 0))


def by_bg_nbd(
    rows: pd.DataFrame, parameters: bg_nbd.Parameters, longest: int, share: float = 0.5
) -> Floats:
    """Return the days by which this share buys in BG/NBD, of those who buy within `longest` days.

    The default is the median.
    """
    repeats, _, age = histories(matrix(rows, PAST))
    return bg_nbd.next_purchase(parameters, repeats, age, longest, share)


def _medians(errors: Floats) -> Callable[[Floats], Floats]:
    """Return a function of weights, draws x rows, to the median of whole days in each draw.

    It lies within its day by interpolation: else it would jump from day to day.
    """
    order = np.argsort(errors, kind="stable")
    days, begins = np.unique(errors[order], return_index=True)

    def of_weights(weights: Floats) -> Floats:
        counts = np.add.reduceat(np.take(weights, order, axis=1), begins, axis=1)
        upto = np.cumsum(counts, axis=1)
        half = upto[:, -1:] / 2
        at = (upto >= half).argmax(axis=1)[:, None]
        own, reached = (np.take_along_axis(of, at, axis=1) for of in (counts, upto))
        return np.asarray((days[at] + 0.5 - (reached - half) / np.maximum(own, TINY))[:, 0])

    return of_weights


def _means(errors: Floats) -> Callable[[Floats], Floats]:
    """Return a function of weights, draws x rows, to the mean in each draw."""
    return lambda weights: np.asarray(weights @ errors / weights.sum(axis=1))


def measure_timing(
    rows: pd.DataFrame, interval: pd.DataFrame, predicted: dict[str, Floats], count: int, seed: int
) -> dict[str, Any]:
    """Return how often the intervals hold, and each scorer's errors, on rows with a purchase.

    One row per customer, in whole days. `delta`: the model's errors less those of each baseline,
    with 95 % CI by `count` bootstrap draws. `selected`: the model, or a baseline that it does not
    beat by more than chance in the mean error, which counts long waits as well: the median of a
    weekly shop differs by less than a day between any two scorers.
    """
    true = rows["next_days"].to_numpy(np.float64)
    held = (interval["from"] <= true) & (true <= interval["to"])
    errors = {name: np.abs(np.rint(days) - true) for name, days in predicted.items()}
    once = np.ones((1, len(rows)))
    of_draws = {MEDIAN: _medians, MEAN: _means}
    draws = {
        figure: {name: of(error) for name, error in errors.items()}
        for figure, of in of_draws.items()
    }
    figures = {
        name: {figure: round(float(draws[figure][name](once)[0]), 3) for figure in draws}
        for name in errors
    }
    delta: dict[str, dict[str, list[float | None]]] = {
        name: {} for name in errors if name != "model"
    }
    for figure, of_scorers in draws.items():
        for name, ends in differences(of_scorers, len(rows), count, seed).items():
            less = figures["model"][figure] - figures[name][figure]
            delta[name][figure] = [round(less, 3), *ends]
    means = {name: each[MEAN] for name, each in figures.items()}
    return {
        "selected": select_forecast(means, {n: each[MEAN] for n, each in delta.items()}, -1),
        "coverage_80": round(float(held.mean()), 4),
        "median_width_days": float((interval["to"] - interval["from"]).median()),
        **figures.pop("model"),
        "baselines": figures,
        "delta": delta,
    }
