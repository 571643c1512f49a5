"""The season: how the odds of last year's same weeks differed, as far as it recurs.

Base rates rise and fall with the time of year, and days since the last purchase say less when
everybody buys less; no feature knows the date. A line corrects the log-odds of logistic regression
on RFM at each snapshot. The model is trained on top of the corrections, and scores with a part of
last year's. The part is learnt from all training snapshots that have a year behind them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags, Floats
from models.defection.baselines import Baseline


class Line(NamedTuple):
    """A correction of log-odds z: shift + slope * z is added to them. Zeros correct nothing."""

    shift: float
    slope: float

    def part(self, weight: float) -> "Line":
        """Return a part of the correction, to nine digits: the others differ between CPUs."""
        return Line(*(float(f"{weight * value:.9g}") for value in self))


NO_CORRECTION = Line(0.0, 0.0)


class Season(NamedTuple):
    """The correction of each training snapshot, the one expected at the origin (`now`).

    `weight`: the part of last year's correction that recurs. Empty without a year of history.
    """

    lines: dict[str, Line]
    now: Line
    weight: float

    def starts(self, rows: pd.DataFrame, log_odds: Floats) -> Floats:
        """Return the correction of each row's log-odds at its snapshot, 0 without a season."""
        if not self.lines:
            return np.zeros(len(rows))
        shift, slope = np.array([self.lines[day] for day in rows["snapshot"]]).T
        return np.asarray(shift + slope * log_odds)


NO_SEASON = Season({}, NO_CORRECTION, 0.5)


def correction(log_odds: Floats, defected: Flags, sd: float) -> Line:
    """Return the line that corrects these log-odds, finite at any rate.

    The most likely one if shift and slope are normal around 0 with this standard deviation: a few
    rows prove little. The loss is convex, so the minimum is the only one.
    """
    from scipy.optimize import minimize

    z = np.column_stack([np.ones_like(log_odds), log_odds])
    sign = np.where(defected, 1.0, -1.0)

    def loss(line: Floats) -> tuple[float, Floats]:
        margin = sign * (log_odds + z @ line)
        gradient = line / sd**2 - z.T @ (sign / (1 + np.exp(np.clip(margin, -500, 500))))
        return float(np.logaddexp(0, -margin).sum() + line @ line / sd**2 / 2), gradient

    best = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-9})
    return Line(*best.x).part(1.0)


def recurring(pairs: Sequence[tuple[Line, Line]], prior: float) -> float:
    """Return the part of a correction that recurs a year later, between 0 and 1.

    `pairs`: the correction a year before and the one then. Least squares without an intercept,
    shrunk towards one half as if squares of `prior` in all had shown that.
    """
    before, then = np.array(pairs, np.float64).reshape(-1, 2, 2).transpose(1, 0, 2).reshape(2, -1)
    part = (before @ then + prior / 2) / (before @ before + prior)
    return float(f"{np.clip(part, 0, 1):.6g}")


def learn_season(
    base: Baseline,
    training: pd.DataFrame,
    years: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    year_ago: pd.DataFrame,
    prior: float,
    sd: float,
) -> Season:
    """Learn the season of training rows and how much of last year's to expect at the origin.

    `base` was trained on the training rows; features know no season, so its errors show it.
    `years`: rows a year before a training snapshot, and those of the snapshot. `year_ago`: rows a
    year before the origin.
    """
    if not len(year_ago):
        return NO_SEASON

    known: dict[str, Line] = {}  # rows of one day are the same wherever they stand

    def line(rows: pd.DataFrame) -> Line:
        day = str(rows["snapshot"].iloc[0])
        if day not in known:
            known[day] = correction(base.log_odds(rows), rows["defected"].to_numpy(bool), sd)
        return known[day]

    weight = recurring([(line(a), line(b)) for a, b in years if len(a) and len(b)], prior)
    lines = {str(day): line(rows) for day, rows in training.groupby("snapshot")}
    return Season(lines, line(year_ago).part(weight), weight)
