"""Whom it pays to call.

Expected and realised profit of a contact. The assumptions are `Costs`; none of them is measured
yet.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from features.records import Flags, Floats
from models.settings import Costs

# Of EMPC, as published: gamma is beta (6, 14) distributed, so .3 at the mean; the others are in one
# currency.
ALPHA, BETA, LIFETIME_VALUE, INCENTIVE, CONTACT = 6, 14, 200, 10, 1


def value_of(net_spend_365d: Floats, costs: Costs) -> Floats:
    """What keeping a customer is worth, in currency.

    The margin on the part of a year's spend that is kept.
    """
    return costs.margin * costs.kept_share * np.maximum(net_spend_365d, 0)


def expected_profit(risk: Floats, value: Floats, costs: Costs) -> Floats:
    """Profit expected of a contact, in currency: p*gamma*(V - d) - (1 - p)*d - f, with d and f
    shares of the median value.

    A contact saves a leaver with chance gamma; a stayer takes the incentive and would have bought
    anyway.
    """
    median = float(np.median(value)) if len(value) else 0.0
    incentive, contact = costs.incentive * median, costs.contact * median
    return np.asarray(
        risk * costs.save_rate * (value - incentive) - (1 - risk) * incentive - contact
    )


def called(order: Floats, capacity: float) -> npt.NDArray[np.int64]:
    """Rows of the top `capacity` share by `order`, and of these only where it is positive.

    Nobody is called at an expected loss.
    """
    top = np.argsort(-order, kind="stable")[: int(np.ceil(capacity * len(order)))]
    return top[order[top] > 0]


def gains(value: Floats, defected: Flags, costs: Costs) -> Floats:
    """Profit of calling each row, in percent of the median value; all 0 where that is nothing."""
    median = float(np.median(value))
    if median <= 0:
        return np.zeros(len(value))
    incentive, contact = costs.incentive * median, costs.contact * median
    return np.asarray(
        100
        * (np.where(defected, costs.save_rate * (value - incentive), -incentive) - contact)
        / median
    )


def at_capacity(order: Floats, gain: Floats, capacity: float) -> Callable[[Floats], Floats]:
    """What calling those whom `called` names gains per customer, from how many times each row was
    drawn: draws x rows, one per draw.

    Each draw calls its own top share, as another shop of the kind would; with the rows called in
    the population, a draw that holds more of them would seem to call more than it can. 0 where
    nobody was drawn.
    """
    ranked = called(order, 1.0)

    def drawn(weights: Floats) -> Floats:
        times, size = np.take(weights, ranked, axis=1), weights.sum(axis=1)
        # calls left when it is a row's turn
        left = np.ceil(capacity * size)[:, None] - np.cumsum(times, axis=1) + times
        return np.asarray(np.clip(left, 0, times) @ gain[ranked] / np.maximum(size, 1))

    return drawn


def empc(leavers: Floats, stayers: Floats) -> Floats:
    """Expected maximum profit per customer of a campaign, in currency (Verbraken, Verbeke and
    Baesens 2013, IEEE TKDE 25), one per draw.

    `leavers`, `stayers`: how many have each distinct score, ascending; draws x scores. How many are
    called is the best number for each gamma, and gamma is uncertain. The best numbers are corners
    of the convex hull of the ROC curve. Between two of them lies a block of an isotonic regression
    on the scores: it is called where gamma is so high that it pays. nan with one outcome only.
    """
    from scipy.optimize import isotonic_regression
    from scipy.special import betaincc

    draws, width = leavers.shape
    left, stayed = leavers.ravel(), stayers.ravel()
    there = left + stayed
    seen = np.flatnonzero(there)
    # one draw above the other: no block reaches over two
    rates = left[seen] / there[seen] + 2 * (seen // width)
    begins = seen[isotonic_regression(rates, weights=there[seen]).blocks[:-1]]
    found, spared = np.add.reduceat(left, begins), np.add.reduceat(stayed, begins)
    incentive, contact = INCENTIVE / LIFETIME_VALUE, CONTACT / LIFETIME_VALUE
    worth, spent = (1 - incentive) * found, contact * found + (incentive + contact) * spared
    pays = spent < worth  # for some gamma: none is above 1
    worth, spent = worth[pays], spent[pays]
    won = worth * ALPHA / (ALPHA + BETA) * betaincc(
        ALPHA + 1, BETA, spent / worth
    ) - spent * betaincc(ALPHA, BETA, spent / worth)
    both = (leavers.sum(axis=1) > 0) & (stayers.sum(axis=1) > 0)
    profit = (
        LIFETIME_VALUE
        * np.bincount(begins[pays] // width, won, draws)
        / (leavers + stayers).sum(axis=1)
    )
    return np.where(both, profit, np.nan)


def _changed(costs: Costs, assumption: str, factor: float) -> Costs:
    if assumption == "save_rate":
        return costs.model_copy(update={"save_rate": min(costs.save_rate * factor, 1.0)})
    if assumption == "incentive":
        return costs.model_copy(update={"incentive": costs.incentive * factor})
    # d and f are shares of the median V: kept in currency while V changes, their shares change the
    # other way.
    return costs.model_copy(
        update={"incentive": costs.incentive / factor, "contact": costs.contact / factor}
    )


def sensitivity(
    origins: list[tuple[Floats, Floats, Flags]], costs: Costs, capacity: float
) -> list[dict[str, Any]]:
    """How much hangs on an assumption: one entry for gamma, d and V each halved and doubled.
    `origins`: risk, value and outcome at each.

    In a world where that is the truth: `profit` of choosing by it, `profit_as_assumed` of choosing
    as if nothing had changed, both realised at capacity in percent of that world's median value per
    customer; `overlap`, the share of today's calls that would still be made.
    """
    entries = []
    for assumption in ("save_rate", "incentive", "value"):
        for factor in (0.5, 2.0):
            world = _changed(costs, assumption, factor)
            adapted, kept, same, calls = 0.0, 0.0, 0, 0
            for risk, value, defected in origins:
                now = called(expected_profit(risk, value, costs), capacity)
                then = called(expected_profit(risk, value, world), capacity)
                gain = gains(value, defected, world) / len(value) / len(origins)
                adapted, kept = adapted + gain[then].sum(), kept + gain[now].sum()
                same, calls = same + len(np.intersect1d(now, then)), calls + len(now)
            found = {
                "profit": round(adapted, 5),
                "profit_as_assumed": round(kept, 5),
                "overlap": round(same / calls, 5) if calls else None,
            }
            entries.append({"assumption": assumption, "factor": factor, **found})
    return entries
