"""From risks to a list.

What is at stake with each customer, in which order to work, whom to contact.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.defection.profit import expected_profit, value_of
from models.defection.risk_bands import band
from models.settings import Costs


def values(rows: pd.DataFrame) -> pd.Series:
    """Net spend of 365 days.

    A prospect's is the median of who bought once, in these days: he may become one. NaN if nobody
    did.
    """
    potential = rows.loc[
        (rows["stage"] == "first_time") & (rows["purchases_365d"] > 0), "net_spend_365d"
    ].median()
    return rows["net_spend_365d"].mask(rows["stage"] == "prospect", potential).round(2)


def held_out(ids: pd.Series, share: float, seed: str) -> npt.NDArray[np.bool_]:
    """A fixed random share of customers who are left alone, so that the effect of calling the
    others can be measured.
    """
    draws = [
        int.from_bytes(hashlib.sha256(f"{seed}|{i}".encode()).digest()[:8], "big") / 2**64
        for i in ids
    ]
    return np.array(draws) < share


def stakes(
    rows: pd.DataFrame, horizon: int, costs: Costs, cuts: tuple[float, float]
) -> pd.DataFrame:
    """The rows with risk_band, value_at_risk and expected_profit (currency), null where `risk` is."""
    scored = rows["risk"].notna().to_numpy()
    risk = rows["risk"].to_numpy(np.float64)
    profit = np.full(len(rows), np.nan)
    value = value_of(rows["value_365d"].to_numpy(np.float64)[scored], costs)
    profit[scored] = expected_profit(risk[scored], value, costs).round(2)
    named = pd.Series(band(risk, cuts), rows.index, dtype=object).where(scored, None)
    at_risk = (rows["risk"] * rows["value_365d"] * horizon / 365).round(2)
    return rows.assign(risk_band=named, value_at_risk=at_risk, expected_profit=profit)


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of work with `rank` and `rank_in_stage` from 1: by expected profit,
    those without by value.

    Of equals, as all prospects are, who stands longest in his stage comes last. The index tells
    where each row was.
    """
    ordered = rows.iloc[
        np.lexsort((-rows["since"], -rows["value_365d"], -rows["expected_profit"]))
    ].copy()
    ordered["rank"] = np.arange(1, len(ordered) + 1)
    ordered["rank_in_stage"] = ordered.groupby("stage", observed=True).cumcount() + 1
    return ordered


def contacts(
    rows: pd.DataFrame, capacity: float, hold_out: float, seed: str
) -> npt.NDArray[np.object_]:
    """call, hold_out, do_not_contact or none for ranked rows: the most profitable up to capacity,
    and only where profit is expected.

    `capacity` is a share of the scored customers. A hold-out takes a place of the capacity: he
    would have been called.
    """
    places = int(np.ceil(capacity * rows["risk"].notna().sum()))
    contactable = ~rows["do_not_contact"].to_numpy(bool)
    worth = (rows["expected_profit"] > 0).to_numpy() & contactable
    chosen = worth & (np.cumsum(worth) <= places)
    named = np.where(contactable, "none", "do_not_contact").astype(object)
    named[chosen] = np.where(
        held_out(rows["customer_id"][chosen], hold_out, seed), "hold_out", "call"
    )
    return named
