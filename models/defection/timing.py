"""When the next purchase comes: a day and an interval that holds for four customers in five.

Three boosters estimate the .1, .5 and .9 quantile of the days to the next purchase, of customers
who buy within two horizons. The interval is widened or narrowed by one margin so that it holds
(conformalised quantile regression: Romano, Patterson and Candès 2019). The margin comes from the
newest snapshot, by boosters of other customers.
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
STEPS = 64  # of the time in which a purchase may come, to look for the middle of a distribution


class Timing(NamedTuple):
    """One booster per quantile, on a logarithmic scale; `margin` on the same; `longest` in days."""

    boosters: dict[str, "lgb.Booster"]
    columns: list[str]
    margin: float
    longest: int

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return whole days to the next purchase, if one comes: `from`, `on` and `to`."""
        logs = _quantiles(self.boosters, as_stored(rows, self.columns))
        logs += self.margin * np.array([-1, 0, 1])
        days = np.clip(np.expm1(np.sort(logs, axis=1)), 0, self.longest)
        begin = np.ceil(days[:, 0])  # whole days within the interval: rounding would widen it
        end = np.maximum(np.floor(days[:, 2]), begin)
        middle = np.clip(np.rint(days[:, 1]), begin, end)
        return pd.DataFrame({"from": begin, "on": middle, "to": end}, rows.index)


def fit_timing(rows: pd.DataFrame, spec: ModelSpec) -> Timing:
    """Train on rows of buyers with `next_days`, NaN without a purchase within two horizons."""
    rows = rows[rows["next_days"].notna()].reset_index(drop=True)
    fold = pd.factorize(rows["customer_id"])[0] % 2
    newest = (rows["snapshot"] == rows["snapshot"].max()).to_numpy()
    errors = []
    for half in (0, 1):
        test = rows[newest & (fold == half)]
        logs = _quantiles(_boosters(rows[fold != half], spec), matrix(test, spec.columns))
        true = np.log1p(test["next_days"].to_numpy(np.float64))
        errors.append(np.maximum(logs[:, 0] - true, true - logs[:, 2]))
    pooled = np.concatenate(errors)
    share = min(HOLDS * (1 + 1 / max(len(pooled), 1)), 1.0)
    margin = float(np.quantile(pooled, share, method="higher")) if len(pooled) else 0.0
    longest = 2 * spec.horizon_days
    return Timing(_boosters(rows, spec), spec.columns, float(f"{margin:.6g}"), longest)


def _boosters(rows: pd.DataFrame, spec: ModelSpec) -> dict[str, "lgb.Booster"]:
    true = np.log1p(rows["next_days"].to_numpy(np.float64))
    objectives = [{"objective": "quantile", "alpha": alpha} for alpha in QUANTILES.values()]
    return dict(zip(QUANTILES, fit_regressions(rows, true, spec, objectives), strict=True))


def _quantiles(boosters: dict[str, "lgb.Booster"], values: Floats) -> Floats:
    if not len(values):
        return np.empty((0, len(boosters)))
    return np.column_stack([tree_sums(booster, values) for booster in boosters.values()])


def by_expected_ipt(rows: pd.DataFrame) -> Floats:
    """Return the days to the last purchase plus the expected IPT; 0 where that day has passed."""
    return np.asarray(np.maximum(rows["expected_next_days"].to_numpy(np.float64), 0))


def by_bg_nbd(rows: pd.DataFrame, parameters: bg_nbd.Parameters, longest: int) -> Floats:
    """Return the median days to the next purchase in BG/NBD, if one comes within `longest` days."""
    history, days = histories(matrix(rows, PAST)), np.linspace(0, longest, STEPS + 1)
    bought = np.array([1 - bg_nbd.no_purchase(parameters, *history, day) for day in days])
    half = bought[-1] / 2
    after = np.clip((bought < half).sum(axis=0), 1, STEPS)
    low, high = (np.take_along_axis(bought, at[None], axis=0)[0] for at in (after - 1, after))
    part = (half - low) / np.where(high > low, high - low, 1)
    return np.asarray(days[after - 1] + part * (days[after] - days[after - 1]))


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
