"""How much a customer will spend: net of returns, within `value_days`, shown for 365 days.

One booster with a Tweedie loss: most customers spend nothing, a few very much. Beside it the spend
of the last 365 days, and BG/NBD's expected purchases times the mean spend per purchase that
gamma-gamma expects (Fader and Hardie 2013, "The gamma-gamma model of monetary value"): amounts are
gamma (p, v) distributed, and v itself is gamma (q, gamma) distributed over the customers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection import bg_nbd
from models.defection.baselines import PAST, histories
from models.defection.booster import ModelSpec, fit_regressions, matrix
from models.defection.evaluation import differences, interval, resamples
from models.defection.selection import select_forecast

if TYPE_CHECKING:
    import lightgbm as lgb

YEAR = 365
PREDICTED, PAST_YEAR = "bg_nbd_gamma_gamma", "last_year"
TWEEDIE = {"objective": "tweedie", "tweedie_variance_power": 1.5}
HUGE = 0.999  # quantile of the spend above which one purchase must not bend the model
TINY = 1e-9  # stands for nothing in a denominator
RARE = 1e-6  # a chance counts as no smaller in a denominator
LEAST = 0.01  # a prediction counts as no less, as a share of the mean: its deviance stays finite
BOUND = 8.0  # of the logarithms of the parameters


class GammaGamma(NamedTuple):
    """The parameters of the whole shop; v in currency. q is above 1: the mean is finite."""

    p: float
    q: float
    v: float

    def mean_spend(self, purchases: Floats, mean: Floats) -> Floats:
        """Return the expected spend per purchase after so many purchases of this mean."""
        weight = self.p * purchases + self.q - 1
        return np.asarray(self.p * (self.v + purchases * mean) / weight)


def gamma_gamma_loss(parameters: GammaGamma, purchases: Floats, mean: Floats) -> float:
    """Return the negative log-likelihood per customer."""
    from scipy.special import gammaln

    p, q, v = parameters
    total = p * purchases
    logs = gammaln(total + q) - gammaln(total) - gammaln(q) + q * np.log(v)
    logs += (total - 1) * np.log(mean) + total * np.log(purchases)
    return -float(np.mean(logs - (total + q) * np.log(v + purchases * mean)))


def gamma_gamma_slopes(parameters: GammaGamma, purchases: Floats, mean: Floats) -> Floats:
    """Return the derivatives of the loss by p, q and v."""
    from scipy.special import digamma

    p, q, v = parameters
    total, paid = p * purchases, v + purchases * mean
    by_total = digamma(total + q) - digamma(total) + np.log(purchases * mean) - np.log(paid)
    by_q = digamma(total + q) - digamma(q) + np.log(v) - np.log(paid)
    by_v = q / v - (total + q) / paid
    return np.array([-(purchases * by_total).mean(), -by_q.mean(), -by_v.mean()])


def fit_gamma_gamma(purchases: Floats, mean: Floats) -> GammaGamma:
    """Maximise the likelihood over customers with a mean spend above 0."""
    from scipy.optimize import minimize

    purchases, mean = purchases[mean > 0], mean[mean > 0]
    unit = float(mean.mean()) if len(mean) else 1.0  # parameters near one, whatever the currency

    def of(logs: Floats) -> GammaGamma:
        p, q, v = np.exp(logs)
        return GammaGamma(float(p), float(1 + q), float(v))

    if not len(mean):
        return GammaGamma(1.0, 2.0, 1.0)
    bounds = [(-BOUND, BOUND)] * 3

    def loss(logs: Floats) -> float:
        return gamma_gamma_loss(of(logs), purchases, mean / unit)

    def slope(logs: Floats) -> Floats:
        return np.exp(logs) * gamma_gamma_slopes(of(logs), purchases, mean / unit)

    near = minimize(loss, np.zeros(3), jac=slope, method="L-BFGS-B", bounds=bounds).x
    p, q, v = of(bg_nbd.converged(slope, near))
    return GammaGamma(*(float(f"{value:.5g}") for value in (p, q, v * unit)))


def by_gamma_gamma(
    rows: pd.DataFrame,
    buying: bg_nbd.Parameters,
    spend: GammaGamma,
    days: int,
    within: int | None = None,
) -> Floats:
    """Return BG/NBD's expected purchases within `days` times gamma-gamma's spend, for 365 days.

    `within`: of customers who buy within so many days.
    """
    history = histories(matrix(rows, PAST))
    expected = bg_nbd.expected_purchases(buying, *history, days)
    if within:
        expected = expected / np.maximum(1 - bg_nbd.no_purchase(buying, *history, within), RARE)
    amount = spend.mean_spend(rows["purchases"].to_numpy(np.float64), per_purchase(rows))
    return np.asarray(expected * amount * YEAR / days)


def per_purchase(rows: pd.DataFrame) -> Floats:
    """Return the net spend of a purchase, the mean of all so far; 0 where all went back."""
    return np.asarray(np.maximum(rows["net_per_purchase"].to_numpy(np.float64), 0))


def by_last_year(rows: pd.DataFrame) -> Floats:
    """Return the net spend of a year, over two expected IPTs where they are longer; never < 0."""
    return np.asarray(np.maximum(rows["yearly_spend"].to_numpy(np.float64), 0))


def at_least_one_purchase(rows: pd.DataFrame) -> Floats:
    """Return `by_last_year`, and at least the mean spend of a purchase: whoever returns buys."""
    return np.maximum(by_last_year(rows), per_purchase(rows))


def fit_value(rows: pd.DataFrame, spec: ModelSpec) -> "lgb.Booster":
    """Train on rows of buyers with `spend_next`, net spend within value_days."""
    spend = np.maximum(rows["spend_next"].to_numpy(np.float64), 0)
    label = np.minimum(spend, np.quantile(spend, HUGE))
    return fit_regressions(rows, label, spec, [TWEEDIE], spec.params.forecast_rounds)[0]


def _correlations(one: Floats, other: Floats) -> Callable[[Floats], Floats]:
    """Return a function of weights, draws x rows, to the correlation of two numbers in each."""
    moments = np.column_stack([one, other, one * one, other * other, one * other])

    def of_weights(weights: Floats) -> Floats:
        a, b, aa, bb, ab = (weights @ moments / weights.sum(axis=1, keepdims=True)).T
        spread = np.sqrt(np.maximum((aa - a * a) * (bb - b * b), TINY))
        return np.asarray((ab - a * b) / spread)

    return of_weights


def measure_value(
    rows: pd.DataFrame,
    predicted: dict[str, Floats],
    days: int,
    capacity: float,
    count: int,
    seed: int,
) -> dict[str, Any]:
    """Return rank correlation and realised spend of the top share, for each scorer.

    One row per customer. `realised_at_10`: mean net spend of those ranked highest, over the mean of
    all. `total`: predicted over realised spend of all rows. `delta`: the model's rank correlation
    less that of each baseline, with 95 % CI by `count` bootstrap draws of the ranks. `selected`:
    the model, or a baseline that it does not beat by more than chance.
    """
    from scipy.stats import rankdata

    true = rows["spend_next"].to_numpy(np.float64) * YEAR / days
    ranks = {name: _standardised(rankdata(values)) for name, values in predicted.items()}
    realised = _standardised(rankdata(true))
    ends = differences(
        {name: _correlations(realised, own) for name, own in ranks.items()}, len(rows), count, seed
    )
    figures: dict[str, dict[str, float]] = {}
    for name, values in predicted.items():
        top = np.argsort(-values, kind="stable")[: int(np.ceil(capacity * len(values)))]
        figures[name] = {
            "spearman": _rounded((realised * ranks[name]).mean()),
            "realised_at_10": _rounded(true[top].mean() / max(true.mean(), TINY)),
            "total": _rounded(values.sum() / max(true.sum(), TINY)),
        }
    spearman = {name: each["spearman"] for name, each in figures.items()}
    delta = {
        name: [_rounded(spearman["model"] - spearman[name]), *between]
        for name, between in ends.items()
    }
    return {
        "selected": select_forecast(spearman, delta, 1),
        **figures.pop("model"),
        "baselines": figures,
        "delta": {name: {"spearman": points} for name, points in delta.items()},
    }


def measure_returning(
    rows: pd.DataFrame, predicted: dict[str, Floats], days: int, count: int, seed: int
) -> dict[str, Any]:
    """Return how well two values of customers who come back fit: `PAST_YEAR` and `PREDICTED`.

    One row per customer who bought within the horizon. `total`: predicted over realised spend.
    `deviance`: of the Tweedie distribution (power 1.5), over the root of the mean spend; lowest for
    the expected spend. `delta`: with 95 % CI. `selected`: the prediction where it is better by more
    than chance.
    """
    true = np.maximum(rows["spend_next"].to_numpy(np.float64), 0) * YEAR / days
    mean = max(true.mean(), TINY)
    losses = {}
    for name, values in predicted.items():
        expected = np.maximum(values, LEAST * mean)
        each = true / np.sqrt(expected) - 2 * np.sqrt(true) + np.sqrt(expected)
        losses[name] = 4 * each / np.sqrt(mean)
    figures = {
        name: {
            "total": _rounded(predicted[name].sum() / (mean * len(true))),
            "deviance": _rounded(loss.mean()),
        }
        for name, loss in losses.items()
    }
    less = losses[PREDICTED] - losses[PAST_YEAR]
    draws = [weights @ less / len(less) for weights in resamples(np.arange(len(less)), count, seed)]
    ends = interval(np.concatenate(draws))
    better = ends[1] is not None and ends[1] < 0
    return {
        "population": len(true),
        "selected": PREDICTED if better else PAST_YEAR,
        **figures[PREDICTED],
        "baselines": {PAST_YEAR: figures[PAST_YEAR]},
        "delta": {PAST_YEAR: {"deviance": [_rounded(less.mean()), *ends]}},
    }


def _standardised(ranks: Floats) -> Floats:
    return np.asarray((ranks - ranks.mean()) / max(ranks.std(), TINY))


def _rounded(figure: float) -> float:
    return round(float(figure), 4)
