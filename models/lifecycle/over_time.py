"""The life cycle over time: customers per stage, transitions, purchasing power, flows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import UNIT, record
from models.lifecycle.states import POSSIBLE, STAGES
from models.settings import SMALLEST_CELL

WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = (
    "january february march april may june july august september october november december".split()
)
RETAINED = ("first_time", "early_repeat", "core")  # stages in which retention should rise
QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
# of each column, rounded to so many digits
MEDIANS = {"order_value": 2, "orders_per_ipt": 3, "purchases": 6, "ipt_days": 1, "ipt_log_sd": 3}
HABIT = record(
    "i1 stage weekday month",
    "i4 purchases",
    "f4 ipt_days ipt_log_sd",
    "f8 revenue_per_ipt order_value orders_per_ipt",
)
"""What a profile is made of: one row per customer and snapshot."""


def moves(states: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of consecutive, sorted states of a customer; `from_*` is the earlier."""
    columns = ["as_of", "stage", "activity", "purchases", "revenue"]
    before = states.groupby("customer", sort=False)[columns].shift(1)
    return states.join(before.add_prefix("from_"))[before["as_of"].notna()]


def flows(states: pd.DataFrame, moved: pd.DataFrame, previous: pd.Series) -> pd.DataFrame:
    """One row per snapshot with a flow: customers by flow, and net_revenue.

    `new`: first purchase since the `previous` day of each state. `won_back`: lapsed before, bought
    again. `lapsed`: not lapsed before. The revenue of lapsed customers counts negative.
    """
    lapsed, was_lapsed = moved["activity"].eq("lapsed"), moved["from_activity"].eq("lapsed")
    # A cancellation may end a lapse, too: that is no purchase.
    bought = moved["purchases"] > moved["from_purchases"]
    new = states["purchases"].gt(0) & states["first_on"].ge(previous)
    revenue = {
        "new": states.loc[new, "revenue"],
        "won_back": moved.loc[was_lapsed & ~lapsed & bought, "revenue"],
        "lapsed": -moved.loc[moved["from_purchases"].gt(0) & lapsed & ~was_lapsed, "from_revenue"],
    }
    each = [
        pd.DataFrame({"as_of": states.loc[rows.index, "as_of"], flow: 1, "net_revenue": rows})
        for flow, rows in revenue.items()
    ]
    by_snapshot = pd.concat(each).groupby("as_of", observed=True)
    return by_snapshot[[*revenue, "net_revenue"]].sum().astype("int64")


def bought_again(moved: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of consecutive snapshots and stage: customers, and how many were `kept`.

    Of the buyers who are not lapsed at the first snapshot, those who bought by the next are kept.
    """
    at_stake = moved[moved["from_stage"].isin(RETAINED) & ~moved["from_activity"].eq("lapsed")]
    rows = at_stake.assign(kept=at_stake["purchases"] > at_stake["from_purchases"])
    return rows.groupby(["from_as_of", "as_of", "from_stage"], observed=True).agg(
        customers=("kept", "size"), kept=("kept", "sum")
    )


def retention_warning(retention: pd.DataFrame) -> str | None:
    """Return a warning if the retention, pooled over periods, does not rise from stage to stage."""
    rows = retention.assign(kept=retention["retention"] * retention["customers"]).dropna()
    sums = rows.groupby("stage", observed=True)[["customers", "kept"]].sum()
    share = sums["kept"] / sums["customers"]
    shares = {stage: share[stage] for stage in RETAINED if stage in sums.index}
    if list(shares.values()) == sorted(set(shares.values())):
        return None
    listed = ", ".join(f"{stage} {value:.3f}" for stage, value in shares.items())
    return f"retention does not rise from stage to stage: {listed}"


def buying_habits(states: pd.DataFrame, known_days: pd.Series) -> npt.NDArray[Any]:
    """One HABIT per state, of the last 365 days or of all days since the first purchase.

    `revenue_per_ipt`, `orders_per_ipt`: per expected IPT of the customer. `order_value`: per
    purchase.
    """
    is_buyer, bought = states["purchases"] > 0, states["purchases_365d"]
    ipts = known_days.clip(1, 365) / states["ipt_days"]
    rows = np.empty(len(states), HABIT)
    rows["stage"] = states["stage"].cat.codes
    rows["revenue_per_ipt"] = np.where(is_buyer, states["net_spend_365d"] / ipts, np.nan)
    rows["orders_per_ipt"] = np.where(is_buyer, bought / ipts, np.nan)
    rows["order_value"] = (states["net_spend_365d"] / bought).where(bought > 0)
    for name in ("purchases", "ipt_days", "ipt_log_sd", "weekday", "month"):
        rows[name] = states[name]
    return rows


def most_common(codes: pd.Series, names: list[str]) -> tuple[str | None, float]:
    """Return the most frequent name and its share among the codes that are not negative."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    if not counts.sum():
        return None, np.nan
    return names[int(counts.argmax())], round(float(counts.max() / counts.sum()), 3)


def profile(habits: npt.NDArray[Any]) -> pd.DataFrame:
    """One row per stage of one snapshot: quartiles, medians, most frequent weekday and month."""
    rows = pd.DataFrame(habits)
    rows["stage"] = pd.Categorical.from_codes(rows["stage"], pd.Index(STAGES))
    by_stage = rows.groupby("stage", observed=True)
    revenue = by_stage["revenue_per_ipt"]
    columns = {f"revenue_per_ipt_{q}": revenue.quantile(p).round(2) for q, p in QUARTILES.items()}
    columns |= {f"{c}_median": by_stage[c].median().round(d) for c, d in MEDIANS.items()}
    table = pd.DataFrame(columns)
    for name, names in (("weekday", WEEKDAYS), ("month", MONTHS)):
        top = {stage: most_common(codes, names) for stage, codes in by_stage[name]}
        table[name] = pd.Series({stage: most for stage, (most, _) in top.items()}, dtype=object)
        shares = {stage: share for stage, (_, share) in top.items()}
        table[f"{name}_share"] = pd.Series(shares, dtype=float)
    return table


class LifecycleOverTime:
    """Counts of the life cycle, added up over the partitions of the customers.

    The result does not depend on the partitions: money is added up in whole ten-thousandths.
    """

    def __init__(self, days: Mapping[str, int]) -> None:
        """`days`: the snapshots in order, as ISO dates and as day numbers."""
        self.days = pd.Series(days)
        self._stages: list[pd.DataFrame] = []
        self._moves: list[pd.Series] = []
        self._flows: list[pd.DataFrame] = []
        self._bought_again: list[pd.DataFrame] = []
        self._habits: dict[str, list[npt.NDArray[Any]]] = {as_of: [] for as_of in days}

    def add(self, states: pd.DataFrame) -> None:
        """Add customers that were not added before.

        One row per customer and snapshot, sorted by both: customer, as_of (ISO), stage and activity
        (categories), purchases, first_on, ipt_days, ipt_log_sd, net_spend_365d, purchases_365d,
        weekday, month.
        """
        states = states.assign(revenue=np.rint(states["net_spend_365d"] * UNIT).astype("int64"))
        moved = moves(states)
        by_state = states.groupby(["as_of", "stage", "activity"], observed=True)
        sums = by_state.agg(customers=("customer", "size"), revenue=("revenue", "sum"))
        self._stages.append(sums)
        pairs = ["from_as_of", "as_of", "from_stage", "stage"]
        self._moves.append(moved.groupby(pairs, observed=True).size())
        # Nobody is new at the first snapshot.
        previous = states["as_of"].map(self.days.shift(1)).astype(float)
        self._bought_again.append(bought_again(moved))
        self._flows.append(flows(states, moved, previous))
        known_days = states["as_of"].map(self.days).astype(int) - states["first_on"]
        rows = buying_habits(states, known_days)
        for as_of, places in states.groupby("as_of", observed=True).indices.items():
            self._habits[str(as_of)].append(rows[places])

    def stage_counts(self) -> pd.DataFrame:
        """One row per snapshot, stage and activity, zeros included: customers."""
        counts = pd.concat(self._stages)["customers"].groupby(level=[0, 1, 2], observed=True).sum()
        grid = [(as_of, *state) for as_of in self.days.index for state in POSSIBLE]
        index = pd.MultiIndex.from_tuples(grid, names=["as_of", "stage", "activity"])
        return counts.reindex(index, fill_value=0).reset_index()

    def transitions(self) -> pd.DataFrame:
        """One row per pair of consecutive snapshots and of stages: customers, share.

        Columns: from_as_of, to_as_of, from_stage, to_stage. `share` is of all in the from_stage.
        """
        sums = pd.concat(self._moves).groupby(level=[0, 1, 2, 3], observed=True).sum()
        counts: pd.DataFrame = sums.rename("customers").reset_index()
        by_stage = counts.groupby(["from_as_of", "from_stage"], observed=True)["customers"]
        counts["share"] = (counts["customers"] / by_stage.transform("sum")).round(6)
        return counts.rename(columns={"as_of": "to_as_of", "stage": "to_stage"})

    def stage_profile(self) -> pd.DataFrame:
        """One row per snapshot and stage: purchasing power and pattern.

        Null for stages with fewer than ten customers. `weekday`, `month`: the one on which most
        customers buy most often, and their share.
        """
        sums = pd.concat(self._stages).groupby(level=[0, 1], observed=True).sum()
        revenue = (sums["revenue"] / UNIT).round(2)
        totals = pd.DataFrame({"customers": sums["customers"], "revenue_365d": revenue})
        names = ["as_of", "stage"]
        empty = np.empty(0, HABIT)
        profiles = {a: profile(np.concatenate([empty, *rows])) for a, rows in self._habits.items()}
        index = pd.MultiIndex.from_product([self.days.index, STAGES], names=names)
        table = totals.reindex(index).join(pd.concat(profiles, names=names).reindex(index))
        table["customers"] = table["customers"].fillna(0).astype(int)
        table.loc[table["customers"] < SMALLEST_CELL, table.columns[1:]] = np.nan
        return pd.DataFrame(table.reset_index())

    def retention(self) -> pd.DataFrame:
        """One row per pair of consecutive snapshots and stage: customers, retention.

        Columns: from_as_of, to_as_of, stage. `retention` is the share of the customers not lapsed
        who bought by the next snapshot; null for fewer than ten customers.
        """
        sums = pd.concat(self._bought_again).groupby(level=[0, 1, 2], observed=True).sum()
        share = (sums["kept"] / sums["customers"]).round(6)
        sums["retention"] = share.where(sums["customers"] >= SMALLEST_CELL)
        table: pd.DataFrame = sums.drop(columns="kept").reset_index()
        return table.rename(columns={"as_of": "to_as_of", "from_stage": "stage"})

    def net_flow(self, leak_periods: int) -> pd.DataFrame:
        """One row per snapshot: new, won_back, lapsed, net_customers, net_revenue, leak.

        * `leak` is true when customers were lost in each of the last {leak_periods} periods: more
          lapsed than were new or won back.
        """
        flow = pd.concat(self._flows).groupby(level=0, observed=True).sum()
        flow = flow.reindex(self.days.index[1:], fill_value=0)
        net = flow["new"] + flow["won_back"] - flow["lapsed"]
        flow.insert(3, "net_customers", net)
        flow["net_revenue"] = (flow["net_revenue"] / UNIT).round(2)
        flow["leak"] = net.lt(0).astype(int).rolling(leak_periods).sum().eq(leak_periods)
        return flow.rename_axis("as_of").reset_index()
