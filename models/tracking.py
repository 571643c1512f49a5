"""The life cycle over time: how many customers stand in each stage, who moves where, what they are worth, what flows in and out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import UNIT
from models.lifecycle import POSSIBLE, STAGES
from models.settings import SMALLEST_CELL

QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
# What is kept of each customer and snapshot: the numbers whose quartiles are told.
KEPT = np.dtype(
    [
        ("stage", np.int8),
        ("purchases", np.int32),
        ("cycle_days", np.float32),
        ("cycle_log_sd", np.float32),
        ("revenue_per_cycle", np.float64),
    ]
)


def moves(states: pd.DataFrame) -> pd.DataFrame:
    """One row per customer and pair of following snapshots at which he was known; `from_*` beside the later state.

    `states` is sorted by customer and snapshot.
    """
    before = states.groupby("customer", sort=False)[["as_of", "stage", "activity", "purchases", "revenue"]].shift(1)
    return states.join(before.add_prefix("from_"))[before["as_of"].notna()]


def flows(states: pd.DataFrame, moved: pd.DataFrame, previous: pd.Series) -> pd.DataFrame:
    """One row per snapshot at which somebody came or went: how many, and the revenue that came with them less that which went.

    `new`: first purchase since the `previous` day of each state. `won_back`: lapsed before, bought again. `lapsed`: not lapsed before.
    """
    gone, was_gone = moved["activity"].eq("lapsed"), moved["from_activity"].eq("lapsed")
    bought_again = moved["purchases"] > moved["from_purchases"]  # a cancellation, too, may end a lapse
    new = states[(states["purchases"] > 0) & (states["first_on"] >= previous)]
    won_back = moved[was_gone & ~gone & bought_again]
    lapsed = moved[(moved["from_purchases"] > 0) & gone & ~was_gone]
    told = {"new": new["revenue"], "won_back": won_back["revenue"], "lapsed": -lapsed["from_revenue"]}
    each = [pd.DataFrame({"as_of": states.loc[rows.index, "as_of"], flow: 1, "net_revenue": rows}) for flow, rows in told.items()]
    return pd.concat(each).groupby("as_of", observed=True)[[*told, "net_revenue"]].sum().astype("int64")


def kept(states: pd.DataFrame, known_days: pd.Series) -> npt.NDArray[Any]:
    """The KEPT of each state. revenue_per_cycle: net spend of the last 365 days over the customer's own cycles in them."""
    per_cycle = states["net_spend_365d"] * states["cycle_days"] / known_days.clip(1, 365)
    rows = np.empty(len(states), KEPT)
    rows["stage"] = states["stage"].cat.codes
    rows["revenue_per_cycle"] = np.where(states["purchases"] > 0, per_cycle, np.nan)
    for name in ("purchases", "cycle_days", "cycle_log_sd"):
        rows[name] = states[name]
    return rows


class Tracking:
    """What is told of the life cycle over time, added up over the partitions of the customers.

    Counts and sums of money stay as they are whatever the partitions, money being added up in whole ten-thousandths.
    """

    def __init__(self, days: Mapping[str, int]) -> None:
        """`days`: the snapshots in order, as ISO dates and as day numbers."""
        self.days = pd.Series(days)
        self._stages: list[pd.DataFrame] = []
        self._moves: list[pd.Series] = []
        self._flows: list[pd.DataFrame] = []
        self._kept: dict[str, list[npt.NDArray[Any]]] = {as_of: [] for as_of in days}

    def add(self, states: pd.DataFrame) -> None:
        """Take in one row per customer and snapshot at which he is known, sorted by both, of customers not taken in before.

        customer, as_of (ISO), stage and activity as categories, purchases, first_on, cycle_days, cycle_log_sd, net_spend_365d.
        """
        states = states.assign(revenue=np.rint(states["net_spend_365d"] * UNIT).astype("int64"))
        moved = moves(states)
        where = states.groupby(["as_of", "stage", "activity"], observed=True)
        self._stages.append(where.agg(customers=("customer", "size"), revenue=("revenue", "sum")))
        self._moves.append(moved.groupby(["from_as_of", "as_of", "from_stage", "stage"], observed=True).size())
        previous = states["as_of"].map(self.days.shift(1)).astype(float)  # nobody is new at the first snapshot
        self._flows.append(flows(states, moved, previous))
        rows = kept(states, states["as_of"].map(self.days).astype(int) - states["first_on"])
        for as_of, places in states.groupby("as_of", observed=True).indices.items():
            self._kept[str(as_of)].append(rows[places])

    def stage_counts(self) -> pd.DataFrame:
        """One row per snapshot, stage and activity, zeros included: as_of, stage, activity, customers."""
        counts = pd.concat(self._stages)["customers"].groupby(level=[0, 1, 2], observed=True).sum()
        grid = [(as_of, stage, activity) for as_of in self.days.index for stage, activity in POSSIBLE]
        index = pd.MultiIndex.from_tuples(grid, names=["as_of", "stage", "activity"])
        return counts.reindex(index, fill_value=0).reset_index()

    def transitions(self) -> pd.DataFrame:
        """One row per pair of following snapshots and of stages; `share` is of the from_stage.

        from_as_of, to_as_of, from_stage, to_stage, customers, share.
        """
        moved = pd.concat(self._moves).groupby(level=[0, 1, 2, 3], observed=True).sum()
        counts: pd.DataFrame = moved.rename("customers").reset_index()
        base = counts.groupby(["from_as_of", "from_stage"], observed=True)["customers"].transform("sum")
        counts["share"] = (counts["customers"] / base).round(6)
        return counts.rename(columns={"as_of": "to_as_of", "stage": "to_stage"})

    def stage_profile(self) -> pd.DataFrame:
        """Purchasing power and pattern, one row per snapshot and stage; null where fewer than ten customers stand in it."""
        sums = pd.concat(self._stages).groupby(level=[0, 1], observed=True).sum()
        profile = pd.DataFrame({"customers": sums["customers"], "revenue_365d": (sums["revenue"] / UNIT).round(2)})
        index = pd.MultiIndex.from_product([self.days.index, STAGES], names=["as_of", "stage"])
        quartiles = pd.concat({as_of: self._quartiles(as_of) for as_of in self.days.index}, names=["as_of", "stage"])
        profile = profile.reindex(index).join(quartiles.reindex(index))
        profile["customers"] = profile["customers"].fillna(0).astype(int)
        profile.loc[profile["customers"] < SMALLEST_CELL, profile.columns[1:]] = np.nan
        told: pd.DataFrame = profile.reset_index()
        return told

    def _quartiles(self, as_of: str) -> pd.DataFrame:
        """One row per stage of one snapshot."""
        rows = pd.DataFrame(np.concatenate([np.empty(0, KEPT), *self._kept[as_of]]))
        rows["stage"] = pd.Categorical.from_codes(rows["stage"], pd.Index(STAGES))
        grouped = rows.groupby("stage", observed=True)
        found = pd.DataFrame(
            {f"revenue_per_cycle_{name}": grouped["revenue_per_cycle"].quantile(q) for name, q in QUARTILES.items()}
        ).round(2)
        found["purchases_median"] = grouped["purchases"].median()
        found["cycle_days_median"] = grouped["cycle_days"].median().round(1)
        found["cycle_log_sd_median"] = grouped["cycle_log_sd"].median().round(3)
        return found

    def net_flow(self, leak_periods: int) -> pd.DataFrame:
        """One row per snapshot: what came and went since the one before, in customers and in revenue of 365 days.

        as_of, new, won_back, lapsed, net_customers, net_revenue, leak: more lapsed than came, in this and the periods just before
        it, `leak_periods` in all.
        """
        flow = pd.concat(self._flows).groupby(level=0, observed=True).sum().reindex(self.days.index[1:], fill_value=0)
        flow.insert(3, "net_customers", flow["new"] + flow["won_back"] - flow["lapsed"])
        flow["net_revenue"] = (flow["net_revenue"] / UNIT).round(2)
        flow["leak"] = (flow["net_customers"] < 0).astype(int).rolling(leak_periods).sum().eq(leak_periods)
        return flow.rename_axis("as_of").reset_index()
