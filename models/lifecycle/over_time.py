"""The life cycle over time.

How many customers stand in each stage, who moves where, what they are worth, what flows in and out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import UNIT
from models.lifecycle.state_machine import POSSIBLE, STAGES
from models.settings import SMALLEST_CELL

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
RETAINED = ("first_time", "early_repeat", "core")  # who are expected to be kept ever better
QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
# What is kept of each customer and snapshot: the numbers whose quartiles are told, and when he
# mostly buys.
KEPT = np.dtype(
    [
        ("stage", np.int8),
        ("purchases", np.int32),
        ("ipt_days", np.float32),
        ("ipt_log_sd", np.float32),
        ("revenue_per_ipt", np.float64),
        ("order_value", np.float64),
        ("orders_per_ipt", np.float64),
        ("weekday", np.int8),
        ("month", np.int8),
    ]
)


def moves(states: pd.DataFrame) -> pd.DataFrame:
    """One row per customer and pair of following snapshots at which he was known; `from_*` beside
    the later state.

    `states` is sorted by customer and snapshot.
    """
    before = states.groupby("customer", sort=False)[
        ["as_of", "stage", "activity", "purchases", "revenue"]
    ].shift(1)
    return states.join(before.add_prefix("from_"))[before["as_of"].notna()]


def flows(states: pd.DataFrame, moved: pd.DataFrame, previous: pd.Series) -> pd.DataFrame:
    """One row per snapshot at which somebody came or went: how many, and the revenue that came with
    them less that which went.

    `new`: first purchase since the `previous` day of each state. `won_back`: lapsed before, bought
    again. `lapsed`: not lapsed before.
    """
    gone, was_gone = moved["activity"].eq("lapsed"), moved["from_activity"].eq("lapsed")
    # a cancellation, too, may end a lapse
    bought_again = moved["purchases"] > moved["from_purchases"]
    new = states[(states["purchases"] > 0) & (states["first_on"] >= previous)]
    won_back = moved[was_gone & ~gone & bought_again]
    lapsed = moved[(moved["from_purchases"] > 0) & gone & ~was_gone]
    told = {
        "new": new["revenue"],
        "won_back": won_back["revenue"],
        "lapsed": -lapsed["from_revenue"],
    }
    each = [
        pd.DataFrame({"as_of": states.loc[rows.index, "as_of"], flow: 1, "net_revenue": rows})
        for flow, rows in told.items()
    ]
    return (
        pd.concat(each)
        .groupby("as_of", observed=True)[[*told, "net_revenue"]]
        .sum()
        .astype("int64")
    )


def bought_again(moved: pd.DataFrame) -> pd.DataFrame:
    """One row per pair of following snapshots and stage, of buyers not lapsed at the first.

    Customers, and how many bought by the next.
    """
    asked = moved[moved["from_stage"].isin(RETAINED) & ~moved["from_activity"].eq("lapsed")]
    kept_on = asked.assign(kept=asked["purchases"] > asked["from_purchases"])
    return kept_on.groupby(["from_as_of", "as_of", "from_stage"], observed=True).agg(
        customers=("kept", "size"), kept=("kept", "sum")
    )


def out_of_order(retention: pd.DataFrame) -> str | None:
    """What to warn of where retention over all periods does not rise from first_time over
    early_repeat to core; None where it does.

    `retention`: as Tracking tells it. A stage that nobody stood in is left out.
    """
    sums = (
        retention.assign(kept=retention["retention"] * retention["customers"])
        .dropna()
        .groupby("stage", observed=True)[["customers", "kept"]]
        .sum()
    )
    shares = {
        stage: sums["kept"][stage] / sums["customers"][stage]
        for stage in RETAINED
        if stage in sums.index
    }
    if list(shares.values()) == sorted(set(shares.values())):
        return None
    told = ", ".join(f"{stage} {share:.3f}" for stage, share in shares.items())
    return f"retention does not rise from stage to stage: {told}"


def value_at_risk(scored: pd.DataFrame) -> pd.DataFrame:
    """One row per stage with a risk, and one for all: customers, value_365d and value_at_risk
    (currency), summed to the cent.

    `scored`: one row per customer of the list: stage, risk, value_365d, value_at_risk.
    """
    asked = scored[scored["risk"].notna()]
    cents = (
        asked[["value_365d", "value_at_risk"]]
        .mul(100)
        .round()
        .astype("int64")
        .assign(stage=asked["stage"].astype(str), customers=1)
    )
    sums = (
        cents.groupby("stage")
        .sum()
        .reindex([stage for stage in STAGES if stage in cents["stage"].unique()])
    )
    sums.loc["all"] = sums.sum()
    sums[["value_365d", "value_at_risk"]] /= 100
    return sums[["customers", "value_365d", "value_at_risk"]].rename_axis("stage").reset_index()


def kept(states: pd.DataFrame, known_days: pd.Series) -> npt.NDArray[Any]:
    """The KEPT of each state. All of it is of the last 365 days, or of the days since the first
    purchase where these are fewer.

    revenue_per_ipt, orders_per_ipt: of one of the customer's own cycles. order_value: of one
    purchase.
    """
    buyer, bought = states["purchases"] > 0, states["purchases_365d"]
    ipts = known_days.clip(1, 365) / states["ipt_days"]
    rows = np.empty(len(states), KEPT)
    rows["stage"] = states["stage"].cat.codes
    rows["revenue_per_ipt"] = np.where(buyer, states["net_spend_365d"] / ipts, np.nan)
    rows["orders_per_ipt"] = np.where(buyer, bought / ipts, np.nan)
    rows["order_value"] = (states["net_spend_365d"] / bought).where(bought > 0)
    for name in ("purchases", "ipt_days", "ipt_log_sd", "weekday", "month"):
        rows[name] = states[name]
    return rows


def most_common(codes: pd.Series, names: tuple[str, ...]) -> tuple[str | None, float]:
    """The name most customers have, the first of several, and their share of those who have one."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    return (
        (names[int(counts.argmax())], round(float(counts.max() / counts.sum()), 3))
        if counts.sum()
        else (None, np.nan)
    )


class Tracking:
    """What is told of the life cycle over time, added up over the partitions of the customers.

    Counts and sums of money stay as they are whatever the partitions, money being added up in whole
    ten-thousandths.
    """

    def __init__(self, days: Mapping[str, int]) -> None:
        """`days`: the snapshots in order, as ISO dates and as day numbers."""
        self.days = pd.Series(days)
        self._stages: list[pd.DataFrame] = []
        self._moves: list[pd.Series] = []
        self._flows: list[pd.DataFrame] = []
        self._bought_again: list[pd.DataFrame] = []
        self._kept: dict[str, list[npt.NDArray[Any]]] = {as_of: [] for as_of in days}

    def add(self, states: pd.DataFrame) -> None:
        """Take in one row per customer and snapshot at which he is known, sorted by both, of
        customers not taken in before.

        customer, as_of (ISO), stage and activity as categories, purchases, first_on, ipt_days,
        ipt_log_sd, net_spend_365d, purchases_365d, weekday, month.
        """
        states = states.assign(revenue=np.rint(states["net_spend_365d"] * UNIT).astype("int64"))
        moved = moves(states)
        where = states.groupby(["as_of", "stage", "activity"], observed=True)
        self._stages.append(where.agg(customers=("customer", "size"), revenue=("revenue", "sum")))
        self._moves.append(
            moved.groupby(["from_as_of", "as_of", "from_stage", "stage"], observed=True).size()
        )
        # nobody is new at the first snapshot
        previous = states["as_of"].map(self.days.shift(1)).astype(float)
        self._bought_again.append(bought_again(moved))
        self._flows.append(flows(states, moved, previous))
        rows = kept(states, states["as_of"].map(self.days).astype(int) - states["first_on"])
        for as_of, places in states.groupby("as_of", observed=True).indices.items():
            self._kept[str(as_of)].append(rows[places])

    def stage_counts(self) -> pd.DataFrame:
        """One row per snapshot, stage and activity, zeros included.

        As_of, stage, activity, customers.
        """
        counts = pd.concat(self._stages)["customers"].groupby(level=[0, 1, 2], observed=True).sum()
        grid = [
            (as_of, stage, activity) for as_of in self.days.index for stage, activity in POSSIBLE
        ]
        index = pd.MultiIndex.from_tuples(grid, names=["as_of", "stage", "activity"])
        return counts.reindex(index, fill_value=0).reset_index()

    def transitions(self) -> pd.DataFrame:
        """One row per pair of following snapshots and of stages; `share` is of the from_stage.

        from_as_of, to_as_of, from_stage, to_stage, customers, share.
        """
        moved = pd.concat(self._moves).groupby(level=[0, 1, 2, 3], observed=True).sum()
        counts: pd.DataFrame = moved.rename("customers").reset_index()
        base = counts.groupby(["from_as_of", "from_stage"], observed=True)["customers"].transform(
            "sum"
        )
        counts["share"] = (counts["customers"] / base).round(6)
        return counts.rename(columns={"as_of": "to_as_of", "stage": "to_stage"})

    def stage_profile(self) -> pd.DataFrame:
        """Purchasing power and pattern, one row per snapshot and stage; null where fewer than ten
        customers stand in it.

        `weekday` and `month`: on which most customers mostly buy, and the share who do; each counts
        once, whatever he buys.
        """
        sums = pd.concat(self._stages).groupby(level=[0, 1], observed=True).sum()
        profile = pd.DataFrame(
            {"customers": sums["customers"], "revenue_365d": (sums["revenue"] / UNIT).round(2)}
        )
        index = pd.MultiIndex.from_product([self.days.index, STAGES], names=["as_of", "stage"])
        quartiles = pd.concat(
            {as_of: self._quartiles(as_of) for as_of in self.days.index}, names=["as_of", "stage"]
        )
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
            {
                f"revenue_per_ipt_{name}": grouped["revenue_per_ipt"].quantile(q)
                for name, q in QUARTILES.items()
            }
        ).round(2)
        for name, digits in (("order_value", 2), ("orders_per_ipt", 3)):
            found[f"{name}_median"] = grouped[name].median().round(digits)
        found["purchases_median"] = grouped["purchases"].median()
        found["ipt_days_median"] = grouped["ipt_days"].median().round(1)
        found["ipt_log_sd_median"] = grouped["ipt_log_sd"].median().round(3)
        for name, names in (("weekday", WEEKDAYS), ("month", MONTHS)):
            top = {stage: most_common(codes, names) for stage, codes in grouped[name]}
            found[name] = pd.Series({stage: told for stage, (told, _) in top.items()}, dtype=object)
            found[f"{name}_share"] = pd.Series(
                {stage: share for stage, (_, share) in top.items()}, dtype=float
            )
        return found

    def retention(self) -> pd.DataFrame:
        """One row per pair of following snapshots and stage: of the customers not lapsed at the
        first, the share who bought by the next.

        from_as_of, to_as_of, stage, customers, retention; null where fewer than ten were asked.
        """
        sums = pd.concat(self._bought_again).groupby(level=[0, 1, 2], observed=True).sum()
        sums["retention"] = (
            (sums["kept"] / sums["customers"]).round(6).where(sums["customers"] >= SMALLEST_CELL)
        )
        told: pd.DataFrame = (
            sums.drop(columns="kept")
            .reset_index()
            .rename(columns={"as_of": "to_as_of", "from_stage": "stage"})
        )
        return told

    def net_flow(self, leak_periods: int) -> pd.DataFrame:
        """One row per snapshot: what came and went since the one before, in customers and in
        revenue of 365 days.

        as_of, new, won_back, lapsed, net_customers, net_revenue, leak.

        The leak alarm rings where in {leak_periods} periods running more customers have lapsed than
        were new or won back.
        """
        flow = (
            pd.concat(self._flows)
            .groupby(level=0, observed=True)
            .sum()
            .reindex(self.days.index[1:], fill_value=0)
        )
        flow.insert(3, "net_customers", flow["new"] + flow["won_back"] - flow["lapsed"])
        flow["net_revenue"] = (flow["net_revenue"] / UNIT).round(2)
        flow["leak"] = (
            (flow["net_customers"] < 0).astype(int).rolling(leak_periods).sum().eq(leak_periods)
        )
        return flow.rename_axis("as_of").reset_index()
