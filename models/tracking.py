"""The life cycle over time: how many customers stand in each stage, who moves where, what they are worth, what flows in and out."""

import numpy as np
import pandas as pd

from models.lifecycle import POSSIBLE, STAGES
from models.settings import SMALLEST_CELL


def stage_counts(states: pd.DataFrame) -> pd.DataFrame:
    """One row per snapshot, stage and activity, zeros included: as_of, stage, activity, customers."""
    counts = states.groupby(["as_of", "stage", "activity"], observed=True).size()
    grid = [(as_of, stage, activity) for as_of in states["as_of"].unique() for stage, activity in POSSIBLE]
    index = pd.MultiIndex.from_tuples(grid, names=["as_of", "stage", "activity"])
    return counts.reindex(index, fill_value=0).rename("customers").reset_index()


def moves(states: pd.DataFrame) -> pd.DataFrame:
    """One row per customer and pair of following snapshots at which he was known; `from_*` beside the later state.

    `states` is sorted by customer and snapshot.
    """
    before = states.groupby("customer", sort=False)[["as_of", "stage", "activity", "purchases", "net_spend_365d"]].shift(1)
    return states.join(before.add_prefix("from_"))[before["as_of"].notna()]


def transitions(moved: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of following snapshots and of stages; `share` is of the from_stage.

    from_as_of, to_as_of, from_stage, to_stage, customers, share.
    """
    keys = ["from_as_of", "as_of", "from_stage", "stage"]
    counts = moved.groupby(keys, observed=True).size().rename("customers").reset_index()
    base = counts.groupby(["from_as_of", "from_stage"], observed=True)["customers"].transform("sum")
    counts["share"] = (counts["customers"] / base).round(6)
    return counts.rename(columns={"as_of": "to_as_of", "stage": "to_stage"})


def stage_profile(states: pd.DataFrame) -> pd.DataFrame:
    """Purchasing power and pattern, one row per snapshot and stage; null where fewer than ten customers stand in it.

    revenue_per_cycle: net spend of the last 365 days over the customer's own cycles in them, quartiles.
    """
    known_days = (states["as_of_day"] - states["first_on"]).clip(1, 365)
    values = states.assign(
        revenue_per_cycle=np.where(states["purchases"] > 0, states["net_spend_365d"] * states["cycle_days"] / known_days, np.nan)
    )
    grouped = values.groupby(["as_of", "stage"], observed=True)
    profile = pd.DataFrame({"customers": grouped.size(), "revenue_365d": grouped["net_spend_365d"].sum().round(2)})
    for name, q in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
        profile[f"revenue_per_cycle_{name}"] = grouped["revenue_per_cycle"].quantile(q).round(2)
    profile["purchases_median"] = grouped["purchases"].median()
    profile["cycle_days_median"] = grouped["cycle_days"].median().round(1)
    profile["cycle_log_sd_median"] = grouped["cycle_log_sd"].median().round(3)
    profile.loc[profile["customers"] < SMALLEST_CELL, profile.columns[1:]] = np.nan
    index = pd.MultiIndex.from_product([states["as_of"].unique(), STAGES], names=["as_of", "stage"])
    profile = profile.reindex(index)
    profile["customers"] = profile["customers"].fillna(0).astype(int)
    return profile.reset_index()


def net_flow(states: pd.DataFrame, moved: pd.DataFrame, leak_periods: int) -> pd.DataFrame:
    """One row per snapshot: what came and went since the one before, in customers and in revenue of 365 days.

    `new`: first purchase in the period. `won_back`: lapsed before, bought again. `lapsed`: not lapsed before. `leak`: more lapsed than
    came, in this and the periods just before it, `leak_periods` in all.
    """
    periods = sorted(states["as_of"].unique())[1:]
    bought = moved["from_purchases"] > 0
    gone, was_gone = moved["activity"].eq("lapsed"), moved["from_activity"].eq("lapsed")
    bought_again = moved["purchases"] > moved["from_purchases"]  # a cancellation, too, may end a lapse
    previous = dict(zip(periods, sorted(states["as_of_day"].unique())[:-1], strict=True))
    new = states[(states["purchases"] > 0) & (states["first_on"] >= states["as_of"].map(previous))]
    won_back, lapsed = moved[was_gone & ~gone & bought_again], moved[bought & gone & ~was_gone]

    def per_period(rows: pd.DataFrame, column: str | None = None) -> pd.Series:
        grouped = rows.groupby("as_of", observed=True)
        found = grouped.size() if column is None else grouped[column].sum()
        return found.reindex(periods, fill_value=0)

    flow = pd.DataFrame({"new": per_period(new), "won_back": per_period(won_back), "lapsed": per_period(lapsed)})
    flow["net_customers"] = flow["new"] + flow["won_back"] - flow["lapsed"]
    inflow = per_period(new, "net_spend_365d") + per_period(won_back, "net_spend_365d")
    flow["net_revenue"] = (inflow - per_period(lapsed, "from_net_spend_365d")).round(2)
    flow["leak"] = (flow["net_customers"] < 0).astype(int).rolling(leak_periods).sum().eq(leak_periods)
    return flow.rename_axis("as_of").reset_index()
