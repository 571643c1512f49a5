"""Metrics of one scorer: discrimination and calibration."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from features.records import Flags, Floats

BINS = 10


def counts_by_score(scores: Floats, defected: Flags) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return a function of weights, rows or draws x rows, to the weights of churned and of retained
    rows at each distinct score, ascending.

    Neighbouring scores at which all churned or none did are counted together: neither the AUC nor
    the hull of the ROC curve depends on their order.
    """
    order = np.argsort(scores, kind="stable")
    ascending, label = scores[order], defected[order]
    begins = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))
    share = np.add.reduceat(label, begins, dtype=np.float64) / np.diff(begins, append=len(label))
    begins = begins[np.append(True, (share[1:] != share[:-1]) | (share[1:] % 1 > 0))]

    def count(weights: Floats) -> tuple[Floats, Floats]:
        in_order = np.take(weights, order, axis=-1)
        churned = np.add.reduceat(in_order * label, begins, axis=-1)
        return churned, np.add.reduceat(in_order, begins, axis=-1) - churned

    return count


def auc_of(churned: Floats, retained: Floats) -> Floats:
    """Return the AUC from the weights at each distinct score, ascending; nan with one outcome."""
    below = np.cumsum(retained, axis=-1) - retained / 2
    pairs = churned.sum(axis=-1) * retained.sum(axis=-1)
    return np.asarray((churned * below).sum(axis=-1) / np.where(pairs > 0, pairs, np.nan))


def weighted_auc(scores: Floats, defected: Flags, weights: Floats) -> float:
    """Return the weighted AUC: ties count half; nan with one outcome only."""
    return float(auc_of(*counts_by_score(scores, defected)(weights)))


def _bins(scores: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows by score, and where each of ten bins of equal count begins."""
    begins = np.unique(np.cumsum([0, *(len(b) for b in np.array_split(scores, BINS))])[:-1])
    return np.argsort(scores, kind="stable"), begins[begins < len(scores)]


def calibration_error(scores: Floats, defected: Flags) -> float:
    """Return the mean distance of predicted and observed rate over ten bins of equal count."""
    order, begins = _bins(scores)
    gaps = np.abs(np.add.reduceat(scores[order] - defected[order], begins))
    return float(gaps.sum() / len(scores))


def calibration_floor(scores: Floats, seed: int, draws: int = 100) -> float:
    """Return the calibration error that true probabilities would show by chance."""
    random = np.random.default_rng(seed)
    order, begins = _bins(scores)
    ascending = scores[order]
    sums = [
        np.abs(np.add.reduceat(ascending - (random.random(len(scores)) < ascending), begins)).sum()
        for _ in range(draws)
    ]
    return float(np.mean(sums) / len(scores))


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % CI of a share (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, share = 1.959964, count / total
    width = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / width
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / width
    return float(centre - half), float(centre + half)
