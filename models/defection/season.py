"""The season: how the odds of last year's same weeks differed, as far as it recurs.

Base rates rise and fall with the time of year, and days since the last purchase say less when
everybody buys less; no feature knows the date. A line corrects the log-odds of logistic regression
on RFM at each snapshot. The model is trained on top of the corrections, and scores with a part of
last year's. The part is learnt from all training snapshots that have a year behind them. What the
model adds means less or more by season too: a second line corrects its own log-odds likewise.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags, Floats


class Line(NamedTuple):
    """A correction of log-odds z: shift + slope * z is added to them. Zeros correct nothing."""

    shift: float
    slope: float

    def part(self, weight: float) -> "Line":
        """Return a part of the correction, to nine digits: the others differ between CPUs."""
        return Line(*(float(f"{weight * value:.9g}") for value in self))

    def at(self, log_odds: Floats) -> Floats:
        """Return what is added to log-odds."""
        return np.asarray(self.shift + self.slope * log_odds)


NO_CORRECTION = Line(0.0, 0.0)


class Season(NamedTuple):
    """The correction of each known snapshot, the one expected at the origin (`now`).

    `weight`: the part of last year's correction that recurs. Empty without a year of history.
    """

    lines: dict[str, Line]
    now: Line
    weight: float

    def starts(self, rows: pd.DataFrame, log_odds: Floats) -> Floats:
        """Return the correction of each row's log-odds at its snapshot, 0 without a season."""
        if not self.lines:
            return np.zeros(len(rows))
        of_row, days = pd.factorize(rows["snapshot"])
        shift, slope = np.array([self.lines[day] for day in days]).reshape(-1, 2)[of_row].T
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


def recurring(pairs: Sequence[tuple[Line, Line, Floats]], prior: float) -> float:
    """Return the part of a correction that recurs a year later, between 0 and 1.

    `pairs`: the correction a year before, the one then, and log-odds then. From each the mean of
    its year is subtracted first: a shop's level may change, and is no season. Least squares without
    an intercept of what the log-odds are corrected by, each snapshot counting as one, shrunk
    towards one half as if squares of `prior` in all had shown that.
    """
    if not pairs:
        return 0.5
    lines = np.array([[before, then] for before, then, _ in pairs])
    both = squares = 0.0
    for (before, then), (*_, z) in zip(lines - lines.mean(axis=0), pairs, strict=True):
        expected, came = (Line(*line).at(z) for line in (before, then))
        both, squares = both + (expected * came).mean(), squares + (expected**2).mean()
    return float(f"{np.clip((both + prior / 2) / (squares + prior), 0, 1):.6g}")


def learn_season(
    log_odds: Callable[[pd.DataFrame], Floats],
    training: pd.DataFrame,
    years: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    year_ago: pd.DataFrame,
    prior: float,
    sd: float,
) -> Season:
    """Learn the season of training rows and how much of last year's to expect at the origin.

    `log_odds` of rows are by a scorer that does not know it, so its errors show it. `years`: rows
    a year before a training snapshot, and those of the snapshot. `year_ago`: of the origin.
    """
    if not len(year_ago):
        return NO_SEASON

    known: dict[str, Line] = {}  # rows of one day are the same wherever they stand

    def line(rows: pd.DataFrame) -> Line:
        day = str(rows["snapshot"].iloc[0])
        if day not in known:
            known[day] = correction(log_odds(rows), rows["defected"].to_numpy(bool), sd)
        return known[day]

    pairs = [(line(a), line(b), log_odds(b)) for a, b in years if len(a) and len(b)]
    weight = recurring(pairs, prior)
    for _, rows in training.groupby("snapshot"):
        line(rows)
    return Season(known, line(year_ago).part(weight), weight)
