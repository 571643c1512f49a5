"""Whom it pays to call: expected and realised profit of a contact. The assumptions are `Costs`; none of them is measured yet."""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.settings import Costs

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Of EMPC, as published: gamma is beta (6, 14) distributed, so .3 at the mean; the others are in one currency.
ALPHA, BETA, LIFETIME_VALUE, INCENTIVE, CONTACT = 6, 14, 200, 10, 1


def value_of(net_spend_365d: Floats, costs: Costs) -> Floats:
    """What keeping a customer is worth, in currency: the margin on the part of a year's spend that is kept."""
    return costs.margin * costs.kept_share * np.maximum(net_spend_365d, 0)


def expected_profit(risk: Floats, value: Floats, costs: Costs) -> Floats:
    """Profit expected of a contact, in currency: p*gamma*(V - d) - (1 - p)*d - f, with d and f shares of the median value.

    A contact saves a leaver with chance gamma; a stayer takes the incentive and would have bought anyway.
    """
    median = float(np.median(value)) if len(value) else 0.0
    incentive, contact = costs.incentive * median, costs.contact * median
    return np.asarray(risk * costs.gamma * (value - incentive) - (1 - risk) * incentive - contact)


def called(order: Floats, capacity: float) -> npt.NDArray[np.int64]:
    """Rows of the top `capacity` share by `order`, and of these only where it is positive: nobody is called at an expected loss."""
    top = np.argsort(-order, kind="stable")[: int(np.ceil(capacity * len(order)))]
    return top[order[top] > 0]


def realised_profit(chosen: npt.NDArray[np.int64], value: Floats, defected: Flags, costs: Costs) -> float:
    """Profit of calling the chosen rows, in percent of the median value per customer of the population; 0 where that is nothing."""
    median = float(np.median(value))
    if median <= 0:
        return 0.0
    incentive, contact = costs.incentive * median, costs.contact * median
    gain = np.where(defected[chosen], costs.gamma * (value[chosen] - incentive), -incentive) - contact
    return float(100 * gain.sum() / median / len(value))


def empc(scores: Floats, defected: Flags) -> float:
    """Expected maximum profit per customer of a campaign, in currency (Verbraken, Verbeke and Baesens 2013, IEEE TKDE 25).

    How many are called is the best number for each gamma, and gamma is uncertain. The best numbers are corners of the hull of the ROC
    curve: at each of them the profit is integrated over the gammas for which it is the best. nan with one outcome only.
    """
    from scipy.special import betainc

    share = defected.mean()
    if share in {0, 1}:
        return float("nan")
    leavers, stayers = _hull(scores, defected)
    incentive, contact = INCENTIVE / LIFETIME_VALUE, CONTACT / LIFETIME_VALUE
    found, spent = share * leavers, contact * share * leavers + (incentive + contact) * (1 - share) * stayers
    # From this gamma on the next corner is better than the one before it.
    bounds = np.clip(np.diff(spent) / ((1 - incentive) * np.diff(found)), 0, 1) if len(found) > 1 else np.zeros(0)
    mass, mean = betainc(ALPHA, BETA, [0, *bounds, 1]), betainc(ALPHA + 1, BETA, [0, *bounds, 1])
    won = (1 - incentive) * found * np.diff(mean) * ALPHA / (ALPHA + BETA)
    return float(LIFETIME_VALUE * (won - spent * np.diff(mass)).sum())


def _hull(scores: Floats, defected: Flags) -> tuple[Floats, Floats]:
    """Corners of the ROC curve's convex hull, the riskiest first: shares of the leavers and of the stayers called."""
    _, code = np.unique(-scores, return_inverse=True)
    leavers = np.cumsum(np.bincount(code, defected)) / defected.sum()
    stayers = np.cumsum(np.bincount(code, ~defected)) / (~defected).sum()
    corners = [(0.0, 0.0)]
    for x, y in zip(stayers.tolist(), leavers.tolist(), strict=True):
        while len(corners) > 1 and (y - corners[-1][1]) * (corners[-1][0] - corners[-2][0]) >= (corners[-1][1] - corners[-2][1]) * (
            x - corners[-1][0]
        ):
            corners.pop()
        if y > corners[-1][1]:
            corners.append((x, y))
    return np.array([y for _, y in corners]), np.array([x for x, _ in corners])


def _changed(costs: Costs, assumption: str, factor: float) -> Costs:
    if assumption == "gamma":
        return costs.model_copy(update={"gamma": min(costs.gamma * factor, 1.0)})
    if assumption == "incentive":
        return costs.model_copy(update={"incentive": costs.incentive * factor})
    # d and f are shares of the median V: kept in currency while V changes, their shares change the other way.
    return costs.model_copy(update={"incentive": costs.incentive / factor, "contact": costs.contact / factor})


def sensitivity(origins: list[tuple[Floats, Floats, Flags]], costs: Costs, capacity: float) -> list[dict[str, Any]]:
    """How much hangs on an assumption: one entry for gamma, d and V each halved and doubled. `origins`: risk, value and outcome at each.

    In a world where that is the truth: `profit` of choosing by it, `profit_as_assumed` of choosing as if nothing had changed, both realised
    at capacity in percent of that world's median value per customer; `overlap`, the share of today's calls that would still be made.
    """
    entries = []
    for assumption in ("gamma", "incentive", "value"):
        for factor in (0.5, 2.0):
            world = _changed(costs, assumption, factor)
            adapted, kept, same, calls = 0.0, 0.0, 0, 0
            for risk, value, defected in origins:
                now = called(expected_profit(risk, value, costs), capacity)
                then = called(expected_profit(risk, value, world), capacity)
                adapted += realised_profit(then, value, defected, world) / len(origins)
                kept += realised_profit(now, value, defected, world) / len(origins)
                same, calls = same + len(np.intersect1d(now, then)), calls + len(now)
            found = {"profit": round(adapted, 5), "profit_as_assumed": round(kept, 5), "overlap": round(same / calls, 5) if calls else None}
            entries.append({"assumption": assumption, "factor": factor, **found})
    return entries
