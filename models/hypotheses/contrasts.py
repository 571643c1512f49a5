"""Contrasts of outcomes with intervals clustered by customer, and when a claim counts as recovered.

Every estimate is a weighted sum of outcomes; the weights depend on the design alone. The ground
truth on the same rows is therefore the same sum over the true chances of these outcomes.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Floats

FEWEST = 20  # customers in each cell that is compared
Z_DIRECTION = 1.6448536269514722  # one-sided 95 %
Z_TRUTH = 3.2905267314919255  # two-sided 99.9 %

# of a visit: known before any service failure of it
BEFORE = ("log_number", "days_since", "log_spend", "categories", "day")

RECOVERED, NOT_RECOVERED, UNKNOWN = "recovered", "not_recovered", "unknown"


class Claim(NamedTuple):
    """An effect is above `low` and below `high`; both: two one-sided tests (Schuirmann 1987)."""

    low: float | None = None
    high: float | None = None


RISES, FALLS = Claim(low=0.0), Claim(high=0.0)


class Effect(NamedTuple):
    """One contrast: what it compares, the claim, the estimate, its standard error, its sample size.

    `truth`: the ground truth where there is one. `chance`: the standard error that the ground truth
    implies. Where by chance few customers left, `error` alone is too small for a comparison.
    """

    what: str
    claim: Claim
    estimate: float
    error: float
    truth: float | None
    chance: float
    rows: int
    customers: int
    adjusted: tuple[float, float] | None = None  # estimate and error with BEFORE held constant

    @property
    def low(self) -> float:
        """Each bound alone holds with 95 %."""
        return self.estimate - Z_DIRECTION * self.error

    @property
    def high(self) -> float:
        return self.estimate + Z_DIRECTION * self.error

    @property
    def margin(self) -> float:
        """Distance of the bounds from what the claim excludes, in standard errors."""
        room = [self.low - self.claim.low] if self.claim.low is not None else []
        room += [self.claim.high - self.high] if self.claim.high is not None else []
        return min(room) / self.error if self.error > 0 else float("-inf")

    @property
    def verdict(self) -> str:
        """Recovered: the claim holds with 95 %, and the ground truth is as near as in 99.9 %."""
        limit = Z_TRUTH * max(self.error, self.chance)
        near = self.truth is None or abs(self.estimate - self.truth) <= limit
        return RECOVERED if self.margin > 0 and near else NOT_RECOVERED


def clustered(
    outcome: Floats, design: Floats, which: Floats, customers: pd.Series
) -> tuple[Floats, float]:
    """Return the row weights of a combination of least-squares coefficients, and its error.

    `outcome` (n), `design` (n x k), `which` (k) combines the coefficients. Rows of one customer may
    be correlated: the sandwich estimator of Liang and Zeger (1986).
    """
    weights: Floats = design @ np.linalg.solve(design.T @ design, which)
    coefficients = np.linalg.lstsq(design, outcome, rcond=None)[0]
    code = pd.factorize(customers)[0]
    sums = np.bincount(code, weights * (outcome - design @ coefficients))
    return weights, float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)))


def effect(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, design: Floats, which: Floats
) -> Effect:
    """Return the combination `which` of an outcome's coefficients on a design.

    The ground truth comes from the column `true_<outcome>`, if there is one.
    """
    values = rows[outcome].to_numpy(np.float64)
    weights, error = clustered(values, design, which, rows["customer_id"])
    truth, chance = None, 0.0
    if f"true_{outcome}" in rows:
        expected = rows[f"true_{outcome}"].to_numpy(np.float64)
        truth = float(weights @ expected)
        if rows[outcome].dtype == bool:
            chance = float(np.sqrt(weights**2 @ (expected * (1 - expected))))
    estimate, customers = float(weights @ values), rows["customer_id"].nunique()
    return Effect(what, claim, estimate, error, truth, chance, len(rows), customers)


def adjusted(
    rows: pd.DataFrame, outcome: str, design: Floats, weights: Floats
) -> tuple[float, float]:
    """Return the same combination and its error with the columns BEFORE held constant.

    Columns that do not vary in these rows are left out.
    """
    beside = rows[list(BEFORE)].to_numpy(np.float64)
    beside = beside[:, beside.std(axis=0) > 0]
    scaled = (beside - beside.mean(axis=0)) / beside.std(axis=0)
    which = np.concatenate([weights, np.zeros(scaled.shape[1])])
    values = rows[outcome].to_numpy(np.float64)
    by, error = clustered(values, np.hstack([design, scaled]), which, rows["customer_id"])
    return float(by @ values), error


def compare(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, cells: list[tuple[float, pd.Series]]
) -> Effect | None:
    """Return the weighted sum of an outcome's means over disjoint cells (weight, rows).

    None where a cell has too few customers. Least error of shares: Agresti and Caffo (2000).
    """
    if any(rows.loc[cell, "customer_id"].nunique() < FEWEST for _, cell in cells):
        return None
    design = np.column_stack([cell.to_numpy(np.float64) for _, cell in cells])
    inside = np.flatnonzero(design.any(axis=1))
    weights = np.array([weight for weight, _ in cells])
    result = effect(what, claim, rows.iloc[inside], outcome, design[inside], weights)
    if rows[outcome].dtype != bool:
        return result
    # Where nobody left, or nearly so, the data show hardly any variance. So the error is at least
    # that with one more customer who left and one more who stayed.
    size = design.sum(axis=0) + 2
    share = (design.T @ rows[outcome].to_numpy(np.float64) + 1) / size
    least = float(np.sqrt(weights**2 @ (share * (1 - share) / size)))
    return result._replace(error=max(result.error, least))


def slope(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, on: str, beside: list[str]
) -> Effect | None:
    """Return the least-squares slope of an outcome on a column, with the columns `beside` held.

    None where there are too few customers or no variation.
    """
    varies = min(rows[on].nunique(), rows[outcome].nunique()) > 1
    if not varies or rows["customer_id"].nunique() < FEWEST:
        return None
    columns = rows.assign(constant=1)[[on, "constant", *beside]].to_numpy(np.float64)
    design = np.ascontiguousarray(columns)
    return effect(what, claim, rows, outcome, design, np.eye(2 + len(beside))[0])
