"""Whom it pays to contact: profit by `Costs`, assumptions of which none is measured yet."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from features.records import Flags, Floats
from models.settings import Costs

# EMPC as published: the save rate is beta (6, 14) distributed, so .3 at the mean; the others are
# in one currency
ALPHA, BETA, LIFETIME_VALUE, INCENTIVE, CONTACT = 6, 14, 200, 10, 1


def value_of(net_spend_365d: Floats, costs: Costs) -> Floats:
    """Return what keeping a customer is worth, in currency: the margin on the spend kept."""
    return costs.margin * costs.kept_share * np.maximum(net_spend_365d, 0)


def expected_profit(
    risk: Floats, value: Floats, costs: Costs, save_rate: Floats | None = None
) -> Floats:
    """Return the profit expected of a contact, in currency: p*s*(V - d) - (1 - p)*d - f.

    `save_rate`: s of each row, if it was measured.

    The incentive d and the contact cost f are shares of the median value. A contact keeps a
    churning customer with save rate s. The others take the incentive and would have bought anyway.
    """
    median = float(np.median(value)) if len(value) else 0.0
    incentive, contact = costs.incentive * median, costs.contact * median
    saved = risk * (costs.save_rate if save_rate is None else save_rate) * (value - incentive)
    return np.asarray(saved - (1 - risk) * incentive - contact)


def won_by_contact(chance: Floats, win_rate: float) -> Floats:
    """Return the purchases that a contact adds: it multiplies the odds by 1 + `win_rate`.

    Nothing where the chance is 0 or 1: nobody is won who is lost for good, or buys anyway.
    """
    return np.asarray(win_rate * chance * (1 - chance) / (1 + win_rate * chance))


def winning_profit(
    chance: Floats, value: Floats, costs: Costs, win_rate: float, contact: float
) -> Floats:
    """Return the profit expected of a contact, in currency: w*V - (c + w)*d - f.

    c: the chance of a purchase without a contact. w: see `won_by_contact`. f: `contact`, in
    currency. Whoever buys takes the incentive d, a share of the median of these values above 0.
    """
    won, known = won_by_contact(chance, win_rate), value[value > 0]
    incentive = costs.incentive * float(np.median(known)) if len(known) else 0.0
    return np.asarray(won * value - (chance + won) * incentive - contact)


def called(order: Floats, capacity: float) -> npt.NDArray[np.int64]:
    """Return the top `capacity` share of the rows by `order`, nobody at an expected loss."""
    top = np.argsort(-order, kind="stable")[: int(np.ceil(capacity * len(order)))]
    return top[order[top] > 0]


def contact_profit(value: Floats, defected: Flags, costs: Costs) -> Floats:
    """Return the profit of contacting each row, in percent of the median value; 0 if that is 0."""
    median = float(np.median(value))
    if median <= 0:
        return np.zeros(len(value))
    incentive, contact = costs.incentive * median, costs.contact * median
    saved = np.where(defected, costs.save_rate * (value - incentive), -incentive)
    return np.asarray(100 * (saved - contact) / median)


def profit_at_capacity(
    order: Floats, profit: Floats, capacity: float
) -> Callable[[Floats], Floats]:
    """Return a function of weights, draws x rows, to the profit of a campaign per customer.

    The campaign contacts those whom `called` returns anew in each draw: with those called in the
    population, a draw with more of them would exceed the capacity. 0 where nobody was drawn.
    """
    ranked = called(order, 1.0)

    def per_customer(weights: Floats) -> Floats:
        times, size = np.take(weights, ranked, axis=1), weights.sum(axis=1)
        # calls left when it is a row's turn
        left = np.ceil(capacity * size)[:, None] - np.cumsum(times, axis=1) + times
        return np.asarray(np.clip(left, 0, times) @ profit[ranked] / np.maximum(size, 1))

    return per_customer


def empc(churned: Floats, retained: Floats) -> Floats:
    """Return the expected maximum profit per customer of a campaign, in currency, one per draw.

    Verbraken, Verbeke and Baesens (2013), IEEE TKDE 25. `churned`, `retained`: how many have each
    distinct score, ascending; draws x scores. nan with one outcome only.

    The best numbers of customers to contact are corners of the convex hull of the ROC curve.
    Between two of them lies a block of an isotonic regression: contacted from the save rate on at
    which it pays.
    """
    from scipy.optimize import isotonic_regression
    from scipy.special import betaincc

    draws, width = churned.shape
    positives, negatives = churned.ravel(), retained.ravel()
    total = positives + negatives
    present = np.flatnonzero(total)
    # one draw above the other: no block reaches over two
    rates = positives[present] / total[present] + 2 * (present // width)
    begins = present[isotonic_regression(rates, weights=total[present]).blocks[:-1]]
    caught, disturbed = np.add.reduceat(positives, begins), np.add.reduceat(negatives, begins)
    incentive, contact = INCENTIVE / LIFETIME_VALUE, CONTACT / LIFETIME_VALUE
    gain, cost = (1 - incentive) * caught, contact * caught + (incentive + contact) * disturbed
    pays = cost < gain  # at some save rate: none is above 1
    gain, cost = gain[pays], cost[pays]
    rate = cost / gain  # the save rate from which on it pays
    profit = gain * ALPHA / (ALPHA + BETA) * betaincc(ALPHA + 1, BETA, rate)
    profit = profit - cost * betaincc(ALPHA, BETA, rate)
    per_draw = LIFETIME_VALUE * np.bincount(begins[pays] // width, profit, draws)
    both = (churned.sum(axis=1) > 0) & (retained.sum(axis=1) > 0)
    return np.where(both, per_draw / (churned + retained).sum(axis=1), np.nan)


def changed(costs: Costs, assumption: str, factor: float) -> Costs:
    """Return the costs with one assumption times a factor: save_rate, incentive or value."""
    changes: dict[str, dict[str, Any]] = {
        "save_rate": {
            "save_rate": min(costs.save_rate * factor, 1.0),
            "win_rates": {queue: rate * factor for queue, rate in costs.win_rates.items()},
        },
        "incentive": {"incentive": costs.incentive * factor},
        # incentive and contact cost stay the same in currency, so their shares of the value change
        "value": {"incentive": costs.incentive / factor, "contact": costs.contact / factor},
    }
    return costs.model_copy(update=changes[assumption])


def sensitivity(
    origins: list[tuple[Floats, Floats, Flags]], costs: Costs, capacity: float
) -> list[dict[str, Any]]:
    """One entry per assumption, save rate, incentive and value, halved and doubled.

    `origins`: risk, value and outcome at each. Where the changed assumption is true: `profit` of
    calling by it, `profit_as_assumed` of calling by today's, both realised at capacity in percent
    of the median value per customer; `overlap`, the share of today's calls that stay.
    """
    entries = []
    for assumption, factor in product(("save_rate", "incentive", "value"), (0.5, 2.0)):
        altered = changed(costs, assumption, factor)
        adapted, kept, same, calls = 0.0, 0.0, 0, 0
        for risk, value, defected in origins:
            now = called(expected_profit(risk, value, costs), capacity)
            then = called(expected_profit(risk, value, altered), capacity)
            gain = contact_profit(value, defected, altered) / len(value) / len(origins)
            adapted, kept = adapted + gain[then].sum(), kept + gain[now].sum()
            same, calls = same + len(np.intersect1d(now, then)), calls + len(now)
        profits = {"profit": round(adapted, 5), "profit_as_assumed": round(kept, 5)}
        overlap = round(same / calls, 5) if calls else None
        entries.append({"assumption": assumption, "factor": factor, **profits, "overlap": overlap})
    return entries
