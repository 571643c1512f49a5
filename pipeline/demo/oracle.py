"""What the truth of the demo world says of rows that the shop sees: the chance of what came after,
the spend to be expected.

The oracle knows of a purchase the chance of each cause to end the relation there (after a call, if
there was one), and of the buyer his true cycle, regularity, boredom and season: the law of his next
gap. It does not know what fired, nor when he will buy.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, gammaincc, gammaincinv

from features.records import Floats
from pipeline.demo.life import CAUSES, CORE, MOST_LINES, STAGES, bored, seasons
from pipeline.demo.world import CATEGORIES
from pipeline.engine.rows import query
from pipeline.runtime.params import Simulate
from pipeline.runtime.store import Folder

ORDERS = """
    select customer_id, ordered_at::date - date '1970-01-01' as day, o.stage as true_stage, o.run as true_run, contested, fired,
           columns('hazard_.*'), ipt_days, gamma_shape, spend_level,
           count(*) filter (o.stage = 'early_repeat') over (partition by customer_id order by number
               rows between unbounded preceding and 1 preceding) as early
    from read_parquet($orders) o join read_parquet($customers) using (customer_id)
    where customer_id in (select unnest($asked::varchar[]))
"""
FAVOURITE = 0.5 + 0.5 / len(CATEGORIES)  # chance that a line is of the favourite category
GAPS = 16  # equally likely ones, in place of all
PROSPECTS = "select customer_id, expectations_met, cutoff_missed from read_parquet($customers)"


def known(truth: Folder) -> bool:
    """Whether there is a truth: that folder is empty for every shop but the demo."""
    return truth.has("order.parquet") or truth.has("order")


def _files(truth: Folder, name: str) -> str:
    """One file, or a folder of them where customers were made in several blocks."""
    return str(
        truth.path / (f"{name}.parquet" if truth.has(f"{name}.parquet") else f"{name}/*.parquet")
    )


def true_orders(truth: Folder, customers: pd.Series) -> pd.DataFrame:
    """One row per order of these customers, by customer_id and day.

    The truth about it and about its buyer.
    """
    asked = customers.unique().tolist()
    return query(
        ORDERS, orders=_files(truth, "order"), customers=_files(truth, "customer"), asked=asked
    )


def true_prospects(truth: Folder) -> pd.DataFrame:
    """One row per customer: whether his expectations were met and a limit of his missed."""
    return query(PROSPECTS, customers=_files(truth, "customer"))


def _holds(rows: pd.DataFrame, p: Simulate) -> Floats:
    """For how many days after the purchase each cause, had it ended the relation, would hold.

    One column for each of CAUSES.
    """
    # what nobody complained of is never mended
    mended = (rows["resolved"] - rows["day"]).fillna(np.inf).to_numpy(np.float64)
    gone_by = np.where(
        rows["rival_ends"] > rows["day"], rows["rival_ends"] - rows["day"], p.competitor_days / 2
    )
    nothing, forever = np.zeros(len(rows)), np.full(len(rows), np.inf)
    lasts = {"base": nothing, "mishap": mended, "unrepaired": mended, "competitor": gone_by}
    return np.column_stack([lasts.get(cause, forever) for cause in CAUSES])


def silence(rows: pd.DataFrame, days: Any, p: Simulate) -> Floats:
    """The chance of no purchase in so many days (a number, or one for each row) after that of the
    row.

    `rows`: the columns of `true_orders`, and what the shop sees of how long a reason holds:
    `resolved`, NEVER while it is not, and `rival_ends`; of a rival who draws a customer away
    without being seen in his orders, half the time is assumed to be over. Who has left comes back
    no sooner than he would have come had he stayed: the mean over equally likely gaps.
    """
    waited: Floats = np.broadcast_to(np.asarray(days, np.float64), len(rows))
    rate = -np.log1p(-rows[[f"hazard_{cause}" for cause in CAUSES]].to_numpy(np.float64))
    total = rate.sum(axis=1)
    stretch = np.where(
        rows["true_stage"] == STAGES[CORE], 1 + bored(rows["true_run"].to_numpy(np.float64), p), 1
    )
    since_start = rows["day"].to_numpy() - (
        np.datetime64(p.end_date).astype(np.int64) - p.timing.days
    )
    gap = rows["ipt_days"].to_numpy() * stretch / seasons(p)[since_start]
    shape = rows["gamma_shape"].to_numpy()
    # gaps are whole days, at least one
    still_coming = np.where(waited < 1, 1.0, gammaincc(shape, shape * (waited + 0.5) / gap))
    share = rate / np.where(total > 0, total, 1)[:, None]
    holds = _holds(rows, p)
    away = np.zeros(len(rows))
    for quantile in (np.arange(GAPS) + 0.5) / GAPS:
        due = gap * gammaincinv(shape, quantile) / shape
        over = np.maximum(waited - due, 0)[:, None]
        held = np.minimum(over, np.maximum(holds - due[:, None], 0))
        away += (
            share * np.exp(-p.winback_per_day * (held * p.winback_reason_factor + over - held))
        ).sum(axis=1) / GAPS
    found: Floats = np.exp(-total) * still_coming - np.expm1(-total) * away
    return found


def silence_after(rows: pd.DataFrame, waited: Any, days: Any, p: Simulate) -> Floats:
    """The chance of no purchase in so many further days for one who has not bought in the days
    `waited` since the purchase of the row.
    """
    return silence(rows, waited + days, p) / silence(rows, waited, p)


def conversion(rows: pd.DataFrame, p: Simulate) -> Floats:
    """The chance to buy; `rows`: the columns of PROSPECTS, and `touches`."""
    score = p.convert_base + p.convert_touch * np.log1p(rows["touches"].to_numpy(np.float64))
    score += (
        p.convert_expectations_met * rows["expectations_met"]
        + p.convert_cutoff_missed * rows["cutoff_missed"]
    )
    chance: Floats = expit(score.to_numpy(np.float64))
    return chance


def _further(rows: pd.DataFrame, p: Simulate) -> Floats:
    chance: Floats = np.minimum(
        0.9, p.further_line + p.early_growth * rows["early"].to_numpy(np.float64)
    )
    return chance


def spend(rows: pd.DataFrame, p: Simulate) -> Floats:
    """What was to be expected of an order's value, in the price of a usual line.

    Who buys out of habit buys one, twice as many pieces.
    """
    lines = np.where(rows["true_run"] > 0, 2, 1 + (MOST_LINES - 1) * _further(rows, p))
    drawn = np.where(
        rows["contested"],
        1 - (1 - p.competitor_shrink) * np.where(rows["true_run"] > 0, 1, FAVOURITE),
        1,
    )
    value: Floats = (
        rows["spend_level"].to_numpy()
        * (1 + p.early_growth * rows["early"].to_numpy())
        * lines
        * drawn
    )
    return value


def facets(rows: pd.DataFrame, p: Simulate) -> Floats:
    """The number of different categories to be expected in an order.

    Each is in it unless no line is of it.
    """
    rest = (1 - FAVOURITE) / (len(CATEGORIES) - 1)
    further = _further(rows, p)
    there = [
        1 - (1 - one) * (1 - further * one) ** (MOST_LINES - 1)
        for one in (FAVOURITE, *[rest] * (len(CATEGORIES) - 1))
    ]
    count: Floats = np.where(rows["true_run"] > 0, 1, np.sum(there, axis=0))
    return count
