"""What contacts did: effects against the control group, and the save rate they show.

No function here returns an effect without a control group. Intervals hold 95 %.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags, Floats
from models.decision.control import Z

NO_REASON = "none"


class Effect(NamedTuple):
    """The mean outcome of the called minus that of the control group, with its interval.

    `inflation`: its variance over that of rows that do not depend on each other.
    """

    called: int
    control: int
    mean_called: float
    mean_control: float
    effect: float
    low: float
    high: float
    inflation: float = 1.0


def effect_of(
    outcome: Floats | Flags, called: Flags, least: int, customers: Any = None
) -> Effect | None:
    """Return the effect of being called on an outcome; None with fewer than `least` in a group.

    Difference of means with unequal variances (Welch 1947), normal quantile. Of two proportions one
    half success and failure are added to each group for the variance, so that it is never zero.
    `customers`: whose row each is. Rows of one customer are one unit (Liang and Zeger 1986), which
    may only widen the interval; without it each row is a customer of its own.
    """
    groups = [np.asarray(outcome, np.float64)[called], np.asarray(outcome, np.float64)[~called]]
    if min(map(len, groups)) < least:
        return None
    mean_called, mean_control = (float(group.mean()) for group in groups)
    variance = sum(_variance(group) / len(group) for group in groups)
    inflation = 1.0
    if customers is not None:
        shares = np.where(called, 1 / len(groups[0]), -1 / len(groups[1]))
        means = np.where(called, mean_called, mean_control)
        clustered = _clustered((np.asarray(outcome, np.float64) - means) * shares, customers)
        inflation = max(1.0, clustered / variance)
    effect, error = mean_called - mean_control, math.sqrt(variance * inflation)
    sizes, interval = (len(groups[0]), len(groups[1])), (effect - Z * error, effect + Z * error)
    return Effect(*sizes, mean_called, mean_control, effect, *interval, inflation)


def effect_in(rows: pd.DataFrame, least: int) -> Effect | None:
    """Return the effect of calls on defection; `rows`: customer_id, called, defected."""
    columns = (rows[name].to_numpy() for name in ("defected", "called", "customer_id"))
    defected, called, customers = columns
    return effect_of(defected, called.astype(bool), least, customers)


def _clustered(parts: Floats, customers: Any) -> float:
    """Return the variance of a sum whose parts depend on each other within a customer only."""
    _, own = np.unique(np.asarray(customers, str), return_inverse=True)
    sums = np.bincount(own, weights=parts)
    return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))


def _variance(group: Floats) -> float:
    if np.isin(group, (0, 1)).all():
        share = (group.sum() + 0.5) / (len(group) + 1)
        return float(share * (1 - share))
    return float(group.var(ddof=1))


class SaveRate(NamedTuple):
    """The share of churning customers that a contact keeps, and its standard deviation."""

    rate: float
    sd: float


def observed_save_rate(effect: Effect) -> SaveRate:
    """Return 1 - (churn of the called) / (churn of the control group), by the delta method."""
    counts = (effect.called, effect.mean_called), (effect.control, effect.mean_control)
    called, control = ((n * mean + 0.5) / (n + 1) for n, mean in counts)
    ratio = called / control
    relative = (1 - called) / (effect.called * called) + (1 - control) / (effect.control * control)
    return SaveRate(1 - ratio, ratio * math.sqrt(relative * effect.inflation))


def shrunk(observed: SaveRate, prior: SaveRate) -> SaveRate:
    """Return the mean of observation and prior, weighted by their precision."""
    weights = observed.sd**-2, prior.sd**-2
    rate = np.average([observed.rate, prior.rate], weights=weights)
    return SaveRate(float(np.clip(rate, -1, 1)), sum(weights) ** -0.5)


def save_rates(
    rows: pd.DataFrame, assumed: SaveRate, between: float, least: int
) -> tuple[SaveRate | None, dict[tuple[str, str], SaveRate]]:
    """Return the save rate of all, and of each stage and reason with a control group.

    `rows`: customer_id, stage, reason, called, defected. All are shrunk towards the assumption,
    each stage and reason towards the rate of all, from which it differs with a standard deviation
    of `between`.
    """
    effect = effect_in(rows, least)
    if effect is None:
        return None, {}
    overall = shrunk(observed_save_rate(effect), assumed)
    cells = {}
    prior = SaveRate(overall.rate, math.hypot(overall.sd, between))
    for (stage, reason), own in rows.groupby(["stage", "reason"], observed=True):
        effect = effect_in(own, least)
        if effect is not None:
            cells[str(stage), str(reason)] = shrunk(observed_save_rate(effect), prior)
    return overall, cells


def rates_for(rows: pd.DataFrame, learnt: Mapping[str, Any] | None, assumed: float) -> Floats:
    """Return the save rate of each row by its stage and reason: as measured, else as assumed.

    `learnt`: `overall`, and `cells` with stage, reason and rate, as `corekeep outcomes` writes
    them; None before anything was measured.
    """
    if not learnt:
        return np.full(len(rows), assumed)
    cells = {(cell["stage"], cell["reason"]): cell["rate"] for cell in learnt["cells"]}
    reasons = rows["reason"].fillna(NO_REASON) if "reason" in rows else [NO_REASON] * len(rows)
    keys = zip(rows["stage"].astype(str), reasons, strict=True)
    return np.array([cells.get(key, learnt["overall"]) for key in keys], np.float64)


def stability_index(before: Floats, now: Floats, bins: int = 10) -> float:
    """Return the population stability index of scores: below .1 none, above .25 much."""
    cuts = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = [
        (np.bincount(np.searchsorted(cuts, x), minlength=len(cuts) + 1) + 0.5) / (len(x) + bins / 2)
        for x in (before, now)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
