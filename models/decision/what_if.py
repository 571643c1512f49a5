"""How much of today's calls hangs on the assumptions: capacity, margin and save rate."""

from itertools import product

import pandas as pd

from models.decision.worklist import calls_a_day, contacts, ranked, stakes, worth_a_call
from models.defection.profit import changed
from models.settings import CallWhen, Costs

FACTORS = (0.5, 1.0, 2.0)


def what_if(
    rows: pd.DataFrame,
    horizon: int,
    costs: Costs,
    thresholds: tuple[float, float],
    call_when: CallWhen,
    capacity: float,
) -> pd.DataFrame:
    """One row per combination of capacity, margin and save rate, each halved, as is and doubled.

    `rows`: the decided rows, with `contact`, `control` and `resting`. `calls` and `profit`
    (currency, expected) are of the calls chosen by the changed assumptions; `profit_of_todays` of
    today's calls if those assumptions were true; `overlap` is the share of today's calls that stay.
    Incentive and contact cost stay the same in currency.
    """
    today, calls = rows.index[rows["contact"] == "call"], calls_a_day(rows, capacity)
    entries = {}
    for margin, save_rate in product(FACTORS, FACTORS):
        assumed = changed(changed(costs, "value", margin), "save_rate", save_rate)
        assumed = assumed.model_copy(update={"margin": min(costs.margin * margin, 1.0)})
        then = stakes(rows, horizon, assumed, thresholds)
        of_todays = round(float(then.loc[today, "expected_profit"].sum()), 2)
        # the order of the few who are worth a call does not depend on the others
        worth = ranked(then[worth_a_call(then, call_when) & ~then["resting"].to_numpy(bool)])
        flags = [worth[name].to_numpy(bool) for name in ("control", "resting")]
        for more in FACTORS:
            some = round(calls * more)
            called = worth[contacts(worth, call_when, some, *flags) == "call"]
            kept = len(today.intersection(called.index))
            entries[more, margin, save_rate] = {
                "capacity": some,
                "margin": round(assumed.margin, 4),
                "save_rate": round(assumed.save_rate, 4),
                "calls": len(called),
                "profit": round(float(called["expected_profit"].sum()), 2),
                "profit_of_todays": of_todays,
                "overlap": round(kept / len(today), 4) if len(today) else None,
            }
    return pd.DataFrame([entries[factors] for factors in sorted(entries)])
