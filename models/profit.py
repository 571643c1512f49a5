"""Whom it pays to call: expected and realised profit of a contact. The assumptions are `Costs`; none of them is measured yet."""

import numpy as np
import numpy.typing as npt

from models.settings import Costs

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


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


def realised_profit(order: Floats, value: Floats, defected: Flags, costs: Costs, capacity: float) -> float:
    """Profit of calling the top `capacity` share by `order`, in percent of the median value per customer of the population."""
    median = float(np.median(value))
    if median <= 0:
        return 0.0
    called = np.argsort(-order, kind="stable")[: int(np.ceil(capacity * len(order)))]
    incentive, contact = costs.incentive * median, costs.contact * median
    gain = np.where(defected[called], costs.gamma * (value[called] - incentive), -incentive) - contact
    return float(100 * gain.sum() / median / len(order))
