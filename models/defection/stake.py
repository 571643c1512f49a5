"""Which value the calls are ranked by: what a customer spends if retained, not what is expected.

Risk times expected spend counts churn twice, since the expected spend contains the chance to leave.
What a call can keep is the spend of a customer who stays. The churned do not show theirs. Retained
customers of the same risk show it: each stands for risk / (1 - risk) churned ones, the weights of
the effect on the treated (Hirano, Imbens and Ridder 2003).
"""

from typing import Any

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection.profit import expected_profit, value_of
from models.defection.selection import Z
from models.defection.value import PAST_YEAR
from models.settings import Costs

CERTAIN = 0.95  # of a higher risk one retained customer would stand for more than 19


def measure_stake(
    rows: pd.DataFrame, values: dict[str, Floats], costs: Costs, capacity: float
) -> dict[str, Any]:
    """Return how much spend the top share by expected profit could keep, by each value.

    Each value calls as many, also at an expected loss: the one that calls more is not better.
    `rows`: origin, customer, model (the risk), defected, spend_within (the horizon). `stake_at_10`:
    mean spend at stake of the called over that of all. `delta`: that of a predicted value less that
    of the last year, with 95 % interval. `realised_at_10`: the same of realised spend, 0 of
    customers who churn; `churned_at_10`: their share of the called. `selected`: the best value that
    beats the last year's at stake by more than chance, and whose called spend no less, else the
    last year's: it needs no model.
    """
    risk = np.minimum(rows["model"].to_numpy(np.float64), CERTAIN)
    realised = rows["spend_within"].to_numpy(np.float64)
    retained = ~rows["defected"].to_numpy(bool)
    stake = np.where(retained, risk / (1 - risk) * np.maximum(realised, 0), 0)
    customers = np.unique(rows["customer"], return_inverse=True)[1]
    figures, gains = {}, {}
    for name, value in values.items():
        chosen = np.zeros(len(rows))
        for at in rows.groupby("origin").indices.values():
            order = expected_profit(risk[at], value_of(value[at], costs), costs)
            top = np.argsort(-order, kind="stable")[: int(np.ceil(capacity * len(at)))]
            chosen[at[top]] = 1
        gains[name] = np.bincount(customers, chosen * stake) / max(capacity * stake.sum(), 1e-9)
        gains[name] *= len(gains[name])  # so that the mean is the figure
        mean, churned = (of @ chosen / max(chosen.sum(), 1) for of in (realised, ~retained))
        figures[name] = {
            "stake_at_10": round(float(gains[name].mean()), 4),
            "realised_at_10": round(float(mean / max(realised.mean(), 1e-9)), 4),
            "churned_at_10": round(float(churned), 4),
        }
    past = gains.pop(PAST_YEAR)
    delta = {name: _difference(gain - past) for name, gain in gains.items()}
    least = figures[PAST_YEAR]["realised_at_10"]
    better = [
        name
        for name, (_, low, _) in delta.items()
        if low > 0 and figures[name]["realised_at_10"] >= least
    ]
    selected = max(better, key=lambda name: figures[name]["stake_at_10"], default=PAST_YEAR)
    return {"selected": selected, **figures.pop("model"), "baselines": figures, "delta": delta}


def _difference(gains: Floats) -> list[float]:
    middle, error = float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))
    return [round(value, 4) for value in (middle, middle - Z * error, middle + Z * error)]
