"""Contrasts of what happened, with intervals by customer, and what they say of a planted effect.

Every estimate is a weighted sum of outcomes, with weights that depend on the design alone. The
truth on the same rows and the same definition is therefore the same sum over the true chances of
these outcomes.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Floats

FEWEST = 20  # customers in each cell that is compared
Z_DIRECTION = 1.6448536269514722  # one-sided 95 %
Z_TRUTH = 3.2905267314919255  # two-sided 99.9 %

RECOVERED, NOT_RECOVERED, UNKNOWN = "recovered", "not_recovered", "unknown"


class Claim(NamedTuple):
    """What must hold of an effect.

    Above `low`, below `high`, or, with both, between them (two one-sided tests, Schuirmann 1987).
    """

    low: float | None = None
    high: float | None = None


RISES, FALLS = Claim(low=0.0), Claim(high=0.0)


class Effect(NamedTuple):
    """One contrast: what it compares, the claim, the estimate and its standard error, rows and
    customers.

    `truth` where there is one, and `chance`, the standard error of the estimate if that is the
    truth: where by chance few left, `error` is too small to tell how far the two are apart.
    """

    what: str
    claim: Claim
    estimate: float
    error: float
    truth: float | None
    chance: float
    rows: int
    customers: int

    @property
    def low(self) -> float:
        """Each bound alone holds with 95 %."""
        return self.estimate - Z_DIRECTION * self.error

    @property
    def high(self) -> float:
        return self.estimate + Z_DIRECTION * self.error

    @property
    def margin(self) -> float:
        """How far the bounds keep from what the claim excludes, in standard errors.

        Below 0 they do not.
        """
        room = [self.low - self.claim.low] if self.claim.low is not None else []
        room += [self.claim.high - self.high] if self.claim.high is not None else []
        return min(room) / self.error if self.error > 0 else float("-inf")

    @property
    def verdict(self) -> str:
        """Recovered when the claim holds with 95 % and the truth, where there is one, is as near as
        it is in 99.9 % of cases.
        """
        told = self.truth is None or abs(self.estimate - self.truth) <= Z_TRUTH * max(
            self.error, self.chance
        )
        return RECOVERED if self.margin > 0 and told else NOT_RECOVERED


def clustered(
    outcome: Floats, design: Floats, which: Floats, customers: pd.Series
) -> tuple[Floats, float]:
    """Weights (one per row) of the combination `which` of least-squares coefficients, and its
    standard error.

    `outcome` (n), `design` (n x k), `which` (k). Rows of one customer may be alike: the sandwich of
    Liang and Zeger (1986).
    """
    weights: Floats = design @ np.linalg.solve(design.T @ design, which)
    coefficients = np.linalg.lstsq(design, outcome, rcond=None)[0]
    code = pd.factorize(customers)[0]
    sums = np.bincount(code, weights * (outcome - design @ coefficients))
    return weights, float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)))


def effect(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, design: Floats, which: Floats
) -> Effect:
    """The combination `which` of an outcome's coefficients on a design.

    Its truth from the column `true_<outcome>`, if there is one.
    """
    weights, error = clustered(
        rows[outcome].to_numpy(np.float64), design, which, rows["customer_id"]
    )
    truth, chance = None, 0.0
    if f"true_{outcome}" in rows:
        expected = rows[f"true_{outcome}"].to_numpy(np.float64)
        truth = float(weights @ expected)
        if rows[outcome].dtype == bool:
            chance = float(np.sqrt(weights**2 @ (expected * (1 - expected))))
    estimate = float(weights @ rows[outcome].to_numpy(np.float64))
    return Effect(
        what, claim, estimate, error, truth, chance, len(rows), rows["customer_id"].nunique()
    )


def compare(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, cells: list[tuple[float, pd.Series]]
) -> Effect | None:
    """The sum of an outcome's means over disjoint cells, each with its sign or weight; None where a
    cell has too few customers.

    The error of shares is no less than that of as many strangers (Agresti and Caffo 2000).
    """
    if any(rows.loc[cell, "customer_id"].nunique() < FEWEST for _, cell in cells):
        return None
    design = np.column_stack([cell.to_numpy(np.float64) for _, cell in cells])
    inside = np.flatnonzero(design.any(axis=1))
    weights = np.array([weight for weight, _ in cells])
    found = effect(what, claim, rows.iloc[inside], outcome, design[inside], weights)
    if rows[outcome].dtype != bool:
        return found
    # Where nobody left, or nearly so, there is next to no spread to be seen: at least the error of
    # one more who did and one who did not.
    share = (design.T @ rows[outcome].to_numpy(np.float64) + 1) / (design.sum(axis=0) + 2)
    least = float(np.sqrt(weights**2 @ (share * (1 - share) / (design.sum(axis=0) + 2))))
    return found._replace(error=max(found.error, least))


def slope(
    what: str, claim: Claim, rows: pd.DataFrame, outcome: str, on: str, beside: list[str]
) -> Effect | None:
    """The least-squares slope of an outcome on a column, with others held.

    None where there are too few customers or one never varies.
    """
    if (
        rows["customer_id"].nunique() < FEWEST
        or min(rows[on].nunique(), rows[outcome].nunique()) < 2
    ):
        return None
    design = np.column_stack(
        [
            rows[on].to_numpy(np.float64),
            np.ones(len(rows)),
            *(rows[name].to_numpy(np.float64) for name in beside),
        ]
    )
    return effect(what, claim, rows, outcome, design, np.eye(2 + len(beside))[0])
