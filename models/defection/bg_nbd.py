"""BG/NBD: customers buy at random times, each at a rate of his own, and may leave for good after
any purchase.

Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24. Of each
customer it knows three numbers, in one unit of time: `repeats`, purchases after the first; `last`,
time from the first to the last; `age`, time from the first to now. Rates are gamma (r, alpha),
chances to leave beta (a, b) distributed.
"""

from typing import NamedTuple

import numpy as np

from features.records import Floats

BOUND = 8.0  # of the parameters' logarithms: where nobody leaves, b has no maximum


class Parameters(NamedTuple):
    """Of the whole shop; alpha in units of time."""

    r: float
    alpha: float
    a: float
    b: float


def log_likelihood(parameters: Parameters, repeats: Floats, last: Floats, age: Floats) -> Floats:
    """One value per customer (equation 6 of the paper)."""
    from scipy.special import betaln, gammaln

    r, alpha, a, b = parameters
    rate = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
    stayed = betaln(a, b + repeats) - (r + repeats) * np.log(alpha + age)
    left = betaln(a + 1, b + np.maximum(repeats, 1) - 1) - (r + repeats) * np.log(alpha + last)
    return np.asarray(
        rate - betaln(a, b) + np.where(repeats > 0, np.logaddexp(stayed, left), stayed)
    )


def no_purchase(
    parameters: Parameters, repeats: Floats, last: Floats, age: Floats, horizon: float
) -> Floats:
    """The exact probability of no purchase within `horizon` of now.

    How much likelier the past is with that silence added to it.
    """
    silent = log_likelihood(parameters, repeats, last, age + horizon)
    return np.asarray(np.exp(silent - log_likelihood(parameters, repeats, last, age)))


def fit(repeats: Floats, last: Floats, age: Floats) -> Parameters:
    """Maximum likelihood, over customers of whom most have bought only once."""
    from scipy.optimize import minimize

    known, customers = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
    unit = age.mean() / 10  # parameters near one, whatever the unit
    repeats, last, age = known[:, 0], known[:, 1] / unit, known[:, 2] / unit

    def loss(logs: Floats) -> float:
        return -float(
            np.average(
                log_likelihood(Parameters(*np.exp(logs)), repeats, last, age), weights=customers
            )
        )

    found = minimize(
        loss,
        np.zeros(4),
        method="L-BFGS-B",
        bounds=[(-BOUND, BOUND)] * 4,
        options={"ftol": 1e-11, "gtol": 1e-6},
    )
    r, alpha, a, b = np.exp(found.x)
    return Parameters(float(r), float(alpha * unit), float(a), float(b))
