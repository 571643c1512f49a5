"""From risks to a work list: what is at stake, in which order to work, whom to contact."""

import numpy as np
import pandas as pd

from features.records import Flags, Floats
from models.defection.profit import expected_profit, value_of, winning_profit, won_by_contact
from models.defection.risk_bands import BANDS, band
from models.lifecycle.states import STAGES
from models.settings import CallWhen, Costs

EVIDENCE_BANDS = ("none", "weak", "medium", "strong")


def values(rows: pd.DataFrame) -> pd.Series:
    """Return net spend of a year; of prospects the median of the first-time buyers, or NaN."""
    first_time = (rows["stage"] == "first_time") & (rows["purchases_365d"] > 0)
    potential = rows.loc[first_time, "yearly_spend"].median()
    return rows["yearly_spend"].mask(rows["stage"] == "prospect", potential).round(2)


def stakes(
    rows: pd.DataFrame, horizon: int, costs: Costs, thresholds: tuple[float, float]
) -> pd.DataFrame:
    """Add risk_band and value_at_risk, null where `risk` is null, expected_profit and to_win.

    All are of `value_if_retained`: predicted spend that contains the risk would count it twice. The
    last two are in currency, and null where `risk` and `chance` are. `to_win`: what a contact is
    expected to add before its costs. `rows` may have a column `save_rate`; without it the
    assumed one counts.

    Nothing is at risk of a customer who sent back more than they paid for.
    """
    scored = rows["risk"].notna().to_numpy()
    risk, chance = (rows[name].to_numpy(np.float64) for name in ("risk", "chance"))
    profit: Floats = np.full(len(rows), np.nan)
    value = value_of(rows["value_if_retained"].to_numpy(np.float64), costs)
    assumed = np.full(len(rows), costs.save_rate)
    rates = rows["save_rate"].to_numpy(np.float64) if "save_rate" in rows else assumed
    profit[scored] = expected_profit(risk[scored], value[scored], costs, rates[scored]).round(2)
    to_win = risk * rates * value
    contact = costs.contact * float(np.median(value[scored])) if scored.any() else 0.0
    for queue, rate in costs.win_rates.items():
        own = ((rows["queue"] == queue) & rows["chance"].notna()).to_numpy()
        won = chance[own], value[own], costs, rate, contact
        profit[own] = winning_profit(*won).round(2)
        to_win[own] = won_by_contact(chance[own], rate) * value[own]
    bands = pd.Series(band(risk, thresholds), rows.index, dtype=object).where(scored, None)
    at_risk = (rows["risk"] * rows["value_if_retained"].clip(lower=0) * horizon / 365).round(2)
    return rows.assign(
        risk_band=bands, value_at_risk=at_risk, expected_profit=profit, to_win=to_win
    )


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows in the order of work, with `rank` and `rank_in_stage` from 1.

    By expected profit where it is positive, then by what is to be won, then by value. Of equals the
    most recent in their stage come first. The index keeps each row's old position.
    """
    profit = rows["expected_profit"].clip(lower=0)
    keys = -rows["since"], -rows["value_365d"], -rows["to_win"], -profit
    ordered = rows.iloc[np.lexsort(keys)].copy()
    ordered["rank"] = np.arange(1, len(ordered) + 1)
    ordered["rank_in_stage"] = ordered.groupby("stage", observed=True).cumcount() + 1
    return ordered


def _from(bands: tuple[str, ...], lowest: str | None) -> tuple[str, ...]:
    """The lowest of these bands and those above it; none without one."""
    return bands[bands.index(lowest) :] if lowest else ()


def has_ground(rows: pd.DataFrame, call_when: CallWhen) -> Flags:
    """Return who has a ground to be called today: one of those that `call_when` admits."""
    grounds = [
        call_when.overdue & (rows["activity"] == "late"),
        rows["risk_band"].isin(_from(BANDS, call_when.risk)),
        rows["evidence_band"].isin(_from(EVIDENCE_BANDS, call_when.evidence)),
        call_when.category_stopped & rows["category_stopped"],
        rows["chance"].ge(np.inf if call_when.chance is None else call_when.chance),
    ]
    held: Flags = np.any(grounds, axis=0)
    return held


def worth_a_call(rows: pd.DataFrame, call_when: CallWhen) -> Flags:
    """Return whom it pays to call: with a ground and an expected profit, and they may be called."""
    pays = rows["expected_profit"].gt(0) & ~rows["do_not_contact"].astype(bool)
    return pays.to_numpy() & has_ground(rows, call_when)


def calls_a_day(rows: pd.DataFrame, capacity: float) -> int:
    """Return the calls a day: a number (int), or a share (float) of the scored customers."""
    if isinstance(capacity, int):
        return capacity
    return int(np.ceil(capacity * rows["risk"].notna().sum()))


def contacts(
    rows: pd.DataFrame, call_when: CallWhen, capacity: float, control: Flags, resting: Flags
) -> np.ndarray:
    """Return call, hold_out, do_not_contact or none for ranked rows.

    The most profitable of those worth a call are called, up to `calls_a_day`. `control`: the
    control group; it stands where it would have been called and takes nobody's place. `resting`:
    contacted a short while ago, so not again today.
    """
    worth = worth_a_call(rows, call_when) & ~resting
    called = worth & ~control
    before_the_last = np.cumsum(called) - called < calls_a_day(rows, capacity)
    contact = np.where(rows["do_not_contact"].astype(bool), "do_not_contact", "none").astype(object)
    contact[called & before_the_last] = "call"
    contact[worth & control & before_the_last] = "hold_out"
    return contact


def value_at_risk(scored: pd.DataFrame) -> pd.DataFrame:
    """One row per stage with a risk, and one for all: customers, value_365d and value_at_risk.

    `scored`: one row per customer of the list: stage, risk, value_365d, value_at_risk. The sums are
    exact to the cent.
    """
    at_risk, money = scored[scored["risk"].notna()], ["value_365d", "value_at_risk"]
    cents = at_risk[money].mul(100).round().astype("int64")
    cents = cents.assign(stage=at_risk["stage"].astype(str), customers=1)
    sums = cents.groupby("stage").sum()
    sums = sums.reindex([stage for stage in STAGES if stage in sums.index])
    sums.loc["all"] = sums.sum()
    sums[money] /= 100
    return sums[["customers", *money]].rename_axis("stage").reset_index()
