"""BG/NBD: customers buy at random times, each at their own rate, and may drop out for good.

Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science 24. It knows
three numbers of each customer, in one unit of time: `repeats`, purchases after the first; `last`,
time from the first to the last; `age`, time from the first to now. Purchase rates are gamma (r,
alpha) distributed, dropout probabilities beta (a, b).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from features.records import Floats

BOUND = 8.0  # of the logarithms of the parameters: b has no maximum where nobody drops out
STEP = 1e-4  # of the logarithms, to take second derivatives
NODES = 48  # of the integral over dropout probabilities
FLAT = 1e-8  # curvature below which the likelihood does not determine a direction


class Parameters(NamedTuple):
    """The whole shop; alpha in units of time."""

    r: float
    alpha: float
    a: float
    b: float


def log_likelihood(parameters: Parameters, repeats: Floats, last: Floats, age: Floats) -> Floats:
    """Return the log-likelihood, one per customer (equation 6 of the paper)."""
    from scipy.special import betaln, gammaln

    r, alpha, a, b = parameters
    rate = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
    active = betaln(a, b + repeats) - (r + repeats) * np.log(alpha + age)
    dropped = betaln(a + 1, b + np.maximum(repeats, 1) - 1) - (r + repeats) * np.log(alpha + last)
    either = np.where(repeats > 0, np.logaddexp(active, dropped), active)
    return np.asarray(rate - betaln(a, b) + either)


def _slopes(parameters: Parameters, repeats: Floats, last: Floats, age: Floats) -> Floats:
    """Return the derivatives of the log-likelihood by the parameters, parameters x customers."""
    from scipy.special import expit, psi

    r, alpha, a, b = parameters
    before, purchases = b + np.maximum(repeats, 1) - 1, r + repeats
    log_odds = np.log(a / before) + purchases * np.log1p((age - last) / (alpha + last))
    dropped = np.where(repeats > 0, expit(log_odds), 0)
    logs = (1 - dropped) * np.log(alpha + age) + dropped * np.log(alpha + last)
    rates = (1 - dropped) / (alpha + age) + dropped / (alpha + last)
    both = psi(a + b) - psi(a + b + repeats)
    by_r = psi(purchases) - psi(r) + np.log(alpha) - logs
    by_b = both + psi(b + repeats) - psi(b) - dropped / before
    return np.array([by_r, r / alpha - purchases * rates, both + dropped / a, by_b])


def no_purchase(
    parameters: Parameters, repeats: Floats, last: Floats, age: Floats, horizon: float
) -> Floats:
    """Return the exact probability of no purchase within `horizon` of now.

    It is the likelihood of the past with an empty horizon added, over that of the past.
    """
    longer = log_likelihood(parameters, repeats, last, age + horizon)
    return np.asarray(np.exp(longer - log_likelihood(parameters, repeats, last, age)))


def next_purchase(
    parameters: Parameters, repeats: Floats, age: Floats, horizon: float, share: float
) -> Floats:
    """Return the exact time by which this share buys, of those who buy within `horizon` of now.

    Customers who have dropped out do not count, so the last purchase plays no part. Of the others
    ((alpha + age) / (alpha + age + t)) ** (r + repeats) buy nothing within t.
    """
    r, alpha, _, _ = parameters
    purchases, since = r + repeats, alpha + age
    within = -np.expm1(-purchases * np.log1p(horizon / since))
    return np.asarray(since * np.expm1(-np.log1p(-share * within) / purchases))


def expected_purchases(
    parameters: Parameters, repeats: Floats, last: Floats, age: Floats, horizon: float
) -> Floats:
    """Return the expected number of purchases within `horizon` of now.

    A customer with dropout probability p expects (1 - exp(-rate * p * horizon)) / p. Of a customer
    who is still active, p is beta (a, b + repeats) distributed; the mean is over its quantiles.
    """
    from scipy.special import betaincinv, betaln, gammaln

    r, alpha, a, b = parameters
    history, place = np.unique(np.column_stack([repeats, last, age]), axis=0, return_inverse=True)
    repeats, last, age = history.T
    shape, inverse = np.unique(b + repeats, return_inverse=True)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    dropout = np.maximum(betaincinv(a, shape[:, None], (nodes + 1) / 2), 1e-12)[inverse]
    base = (alpha + age)[:, None]
    bought = -np.expm1((r + repeats)[:, None] * np.log(base / (base + dropout * horizon))) / dropout
    active = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    active = active + betaln(a, b + repeats) - (r + repeats) * np.log(alpha + age)
    alive = np.exp(active - log_likelihood(parameters, repeats, last, age))
    return np.asarray(alive * (bought @ weights) / 2)[place.ravel()]


def fit(repeats: Floats, last: Floats, age: Floats) -> Parameters:
    """Maximise the likelihood over all customers, of whom most have bought only once."""
    from scipy.optimize import minimize

    distinct, counts = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
    unit = age.mean() / 10  # parameters near one, whatever the unit
    history = distinct[:, 0], distinct[:, 1] / unit, distinct[:, 2] / unit

    def loss(logs: Floats) -> float:
        likelihood = log_likelihood(Parameters(*np.exp(logs)), *history)
        return -float(np.average(likelihood, weights=counts))

    def slope(logs: Floats) -> Floats:
        slopes = _slopes(Parameters(*np.exp(logs)), *history)
        return np.asarray(-np.exp(logs) * np.average(slopes, axis=1, weights=counts))

    near = minimize(loss, np.zeros(4), jac=slope, method="L-BFGS-B", bounds=[(-BOUND, BOUND)] * 4).x
    r, alpha, a, b = np.exp(converged(slope, near))
    return Parameters(float(r), float(alpha * unit), float(a), float(b))


def converged(slope: Callable[[Floats], Floats], logs: Floats) -> Floats:
    """Finish with Newton's method, to the point that no longer depends on the kind of CPU.

    L-BFGS-B stops at a point that depends on BLAS's last bits. A parameter stays at its bound while
    the slope points outwards, and anywhere if the likelihood does not depend on it.
    """
    for _ in range(50):
        downhill = -slope(logs)
        free = np.flatnonzero((np.abs(logs) < BOUND) | (np.sign(logs) != np.sign(downhill)))
        steps = STEP * np.eye(len(logs))[free]
        rows = [slope(logs + h)[free] - slope(logs - h)[free] for h in steps]
        curvature = np.reshape(rows, (len(free), len(free))) / (2 * STEP)
        sizes, axes = np.linalg.eigh((curvature + curvature.T) / 2)
        move = axes @ ((axes.T @ downhill[free]) / np.maximum(np.abs(sizes), FLAT))
        before, logs = logs, logs.copy()
        logs[free] = np.clip(logs[free] + np.clip(move, -2, 2), -BOUND, BOUND)
        if np.abs(logs - before).max() < 1e-13:
            break
    return logs
