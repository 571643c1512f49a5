"""The true chance of every outcome that the shop sees, from the ground truth of the simulated shop.

The oracle knows the chance of each cause to end the relation at a purchase, and the distribution of
the next IPT. It does not know which cause ended the relation, nor the day of the next purchase.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, gammaincc, gammaincinv

from features.records import Floats
from pipeline.demo.life import CAUSES, CORE, MOST_LINES, STAGES, bored, seasons
from pipeline.demo.prospects import CATEGORIES
from pipeline.engine.rows import query
from pipeline.runtime.demo_section import Simulate
from pipeline.runtime.resources import read_queries
from pipeline.runtime.store import Folder

SQL = read_queries(__file__, "ground_truth.sql")
FAVOURITE = 0.5 + 0.5 / len(CATEGORIES)  # chance that a line is of the favourite category
GAPS = 16  # equally likely gaps that stand for the whole distribution


def has_ground_truth(truth: Folder) -> bool:
    """Whether the folder holds a ground truth: it is empty for every shop but the demo."""
    return truth.has("order.parquet") or truth.has("order")


def _files(truth: Folder, name: str) -> str:
    """Path of one file, or of a folder of files where customers were made in several blocks."""
    file = f"{name}.parquet"
    return str(truth.path / (file if truth.has(file) else f"{name}/*.parquet"))


def true_orders(truth: Folder, customers: pd.Series) -> pd.DataFrame:
    """One row per order of these customers: customer_id, day, and the ground truth about both."""
    orders, people = _files(truth, "order"), _files(truth, "customer")
    wanted = customers.unique().tolist()
    return query(SQL["orders"], orders=orders, customers=people, wanted=wanted)


def true_prospects(truth: Folder) -> pd.DataFrame:
    """One row per customer: whether expectations were met and whether a limit was missed."""
    return query(SQL["prospects"], customers=_files(truth, "customer"))


def _reason_days(rows: pd.DataFrame, p: Simulate) -> Floats:
    """Days after the purchase for which each of CAUSES (columns) would hold, had it ended it."""
    # a failure without a complaint is never resolved
    resolved = (rows["resolved"] - rows["day"]).fillna(np.inf).to_numpy(np.float64)
    until = rows["competitor_until"]
    # of a launch that the shop does not see, half is assumed to be over
    competitor = np.where(until > rows["day"], until - rows["day"], p.competitor_days / 2)
    nothing, forever = np.zeros(len(rows)), np.full(len(rows), np.inf)
    days = {"base": nothing, "mishap": resolved, "unrepaired": resolved, "competitor": competitor}
    return np.column_stack([days.get(cause, forever) for cause in CAUSES])


def no_purchase(rows: pd.DataFrame, days: Any, p: Simulate) -> Floats:
    """Return the chance of no purchase in the `days` (one number, or one per row) after a purchase.

    `rows`: the columns of `true_orders`, `resolved` (NEVER while it is not) and `competitor_until`.
    A customer who left comes back no sooner than the next purchase would have come: the mean over
    equally likely gaps.
    """
    waited: Floats = np.broadcast_to(np.asarray(days, np.float64), len(rows))
    rate = -np.log1p(-rows[[f"hazard_{cause}" for cause in CAUSES]].to_numpy(np.float64))
    total = rate.sum(axis=1)
    boredom = bored(rows["true_run"].to_numpy(np.float64), p)
    stretch = np.where(rows["true_stage"] == STAGES[CORE], 1 + boredom, 1)
    start = np.datetime64(p.end_date).astype(np.int64) - p.timing.days
    gap = rows["ipt_days"].to_numpy() * stretch / seasons(p)[rows["day"].to_numpy() - start]
    shape = rows["gamma_shape"].to_numpy()
    # gaps are whole days, at least one
    still_due = np.where(waited < 1, 1.0, gammaincc(shape, shape * (waited + 0.5) / gap))
    share = rate / np.where(total > 0, total, 1)[:, None]
    holds = _reason_days(rows, p)
    shapes, row = np.unique(shape, return_inverse=True)  # few, to two digits
    away = np.zeros(len(rows))
    for quantile in (np.arange(GAPS) + 0.5) / GAPS:
        due = gap * gammaincinv(shapes, quantile)[row] / shape
        over = np.maximum(waited - due, 0)[:, None]
        held = np.minimum(over, np.maximum(holds - due[:, None], 0))
        slowed = held * p.winback_reason_factor + over - held
        away += (share * np.exp(-p.winback_per_day * slowed)).sum(axis=1) / GAPS
    chance: Floats = np.exp(-total) * still_due - np.expm1(-total) * away
    return chance


def no_purchase_after(rows: pd.DataFrame, waited: Any, days: Any, p: Simulate) -> Floats:
    """Return the chance of no purchase in further `days`, given none in the days `waited`."""
    return no_purchase(rows, waited + days, p) / no_purchase(rows, waited, p)


def conversion(rows: pd.DataFrame, p: Simulate) -> Floats:
    """Return the chance to buy; `rows`: the columns of `true_prospects`, and `touches`."""
    met, missed = rows["expectations_met"].to_numpy(), rows["cutoff_missed"].to_numpy()
    score = p.convert_base + p.convert_touch * np.log1p(rows["touches"].to_numpy(np.float64))
    score += p.convert_expectations_met * met + p.convert_cutoff_missed * missed
    chance: Floats = expit(score)
    return chance


def _further_line(rows: pd.DataFrame, p: Simulate) -> Floats:
    early = rows["early"].to_numpy(np.float64)
    chance: Floats = np.minimum(0.9, p.further_line + p.early_growth * early)
    return chance


def spend(rows: pd.DataFrame, p: Simulate) -> Floats:
    """Return the expected value of an order, in the price of a usual line."""
    habit, early = rows["true_run"] > 0, rows["early"].to_numpy()
    # a habitual order has one line of twice as many pieces
    lines = np.where(habit, 2, 1 + (MOST_LINES - 1) * _further_line(rows, p))
    reduced = 1 - (1 - p.competitor_shrink) * np.where(habit, 1, FAVOURITE)
    drawn = np.where(rows["contested"], reduced, 1)
    value: Floats = rows["spend_level"].to_numpy() * (1 + p.early_growth * early) * lines * drawn
    return value


def categories(rows: pd.DataFrame, p: Simulate) -> Floats:
    """Return the expected number of different categories in an order."""
    others = len(CATEGORIES) - 1
    rest = (1 - FAVOURITE) / others
    further = _further_line(rows, p)
    shares = (FAVOURITE, *[rest] * others)
    present = [1 - (1 - s) * (1 - further * s) ** (MOST_LINES - 1) for s in shares]
    count: Floats = np.where(rows["true_run"] > 0, 1, np.sum(present, axis=0))
    return count
