"""Partial defection by category: what a customer who still buys has stopped to buy, or buys less.

The spend on a category is compared with the one before, with what the customer buys of everything
else (features/category_rates.py), and with the same change over all other customers of the category
who still buy.
"""

from typing import NamedTuple

import numpy as np

from features.category_rates import CATEGORY, category_rates, expected_spend, fall_z
from features.history import begin_customer, past_before
from features.ipt import deadlines
from features.kernel import entry
from features.records import Buffers, Flags, Floats, Ints, Longs, Records, Shop, Tables, buffers_for
from features.settings import CategoryRules


class Falls(NamedTuple):
    """One entry per row of CATEGORY. `trend` and `fall` are shares: -0.1 is a tenth less.

    `expected`: spend in the latest window; `fall`: what is missing of it, below 0 for a rise.
    `listed`: fell or stopped, by the rules.
    """

    trend: Floats
    expected: Floats
    fall: Floats
    evidence: Floats
    listed: Flags


@entry
def _read(
    tables: Tables,
    snapshot: int,
    shop: Shop,
    rules: CategoryRules,
    buffers: Buffers,
    rows: Records,
    customers: Ints,
    filled: Records,
) -> int:
    """Fill `customers` and `filled` with the rows of `rates`; return their number."""
    count = 0
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        past = past_before(tables, customer, snapshot, buffers)
        cursor = buffers.cursor[0]
        if len(past.purchases) < 2 or snapshot >= deadlines(past, shop)[1]:
            continue
        own = rows[: cursor.categories]
        category_rates(past, rules, own)
        for i in range(len(past.bought)):
            if past.bought[i].category >= 0:
                line = tables.line_start[customer] + past.bought[i].line
                own[past.bought[i].category].category = tables.lines[line].category
        for c in range(len(own)):
            if own[c].before >= rules.min_purchases:
                customers[count], filled[count] = customer, own[c]
                count += 1
            own[c] = rows[len(rows) - 1]
    return count


def rates(tables: Tables, snapshot: int, shop: Shop, rules: CategoryRules) -> tuple[Ints, Records]:
    """Return the customer and the row of each category that can be compared.

    That is one with enough purchases in the window before, of a customer with two purchases or more
    who has not lapsed at the snapshot.
    """
    buffers, size = buffers_for(tables, shop.opened), len(tables.lines)
    rows, filled = np.zeros(len(buffers.category_number) + 1, CATEGORY), np.zeros(size, CATEGORY)
    customers = np.zeros(size, np.int32)
    count = _read(tables, snapshot, shop, rules, buffers, rows, customers, filled)
    return customers[:count].copy(), filled[:count].copy()


@entry
def _compare(
    rows: Records, trend: Floats, rules: CategoryRules, expected: Floats, z: Floats
) -> None:
    """Fill in the spend to expect and the fall in standard errors."""
    for i in range(len(rows)):
        expected[i] = expected_spend(rows[i], trend[i], rules)
        z[i] = fall_z(rows[i], trend[i], rules)


def log_trends(rows: Records, expected: Floats, rules: CategoryRules) -> Floats:
    """Return ln of the change of each row's category over all other rows, 0 with too few.

    `expected`: the spend that the customer's own pace lets expect.
    """
    category: Longs = rows["category"].astype(np.int64)
    others = np.bincount(category)[category] - 1
    now, before = (
        np.bincount(category, spend)[category] - spend for spend in (rows["spend_now"], expected)
    )
    enough = (others >= rules.min_others) & (now > 0)
    trends: Floats = np.log(np.divide(now, before, out=np.ones(len(rows)), where=enough))
    return trends


def falls(rows: Records, rules: CategoryRules) -> Falls:
    """Judge the rows of all customers at one snapshot."""
    expected, z, none = (np.zeros(len(rows)) for _ in range(3))
    _compare(rows, none, rules, expected, z)
    trend = log_trends(rows, expected, rules)
    _compare(rows, trend, rules, expected, z)
    fall = 1 - rows["spend_now"] / expected
    evidence = 1 / (1 + np.exp(-rules.slope * (z - rules.half_z)))
    # what stopped more than a year ago is another customer's habit
    recent = (rows["spend_365d"] > 0) & (rows["days"] <= rules.recent_days)
    listed = (fall >= rules.min_fall) & (evidence >= rules.min_evidence) & recent
    return Falls(np.exp(trend) - 1, expected, fall, evidence, listed)
