"""The same item again and again, and nothing else."""

import math

import numpy as np
import numpy.typing as npt

from features.columns import Feature, Values
from features.history import begin_customer, past_before
from features.kernel import entry, kernel
from features.records import NEVER, Buffers, Floats, Ints, Past, Tables
from models.reasons.context import Context
from models.reasons.settings import ReasonRules

RUN = "latest purchases in a row that were one item alone"

ORDER = 3
NEEDS = (("orders.sku",),)
STEADY = True
FEATURES = (
    Feature("evidence_boredom", "0..1", "evidence of boredom", 0, ("orders.sku",), 1),
    Feature("one_item_run", "count", RUN, 0, ("orders.sku",)),
)
FACTS = {"product": "product", "run": "number", "gap_from_days": "number", "gap_to_days": "number"}
BLIND = "Boredom of customers who buy several products at once, or a shop with one product."


@kernel
def one_item_run(past: Past) -> int:
    """Return the number of the latest purchases that hold one and the same product alone."""
    i, run = len(past.bought) - 1, 0
    product = past.bought[i].product if i >= 0 else -1
    while i >= 0 and product >= 0:
        day = past.bought[i].day
        while i >= 0 and past.bought[i].day == day and past.bought[i].product == product:
            i -= 1
        if i >= 0 and past.bought[i].day == day:
            break
        run += 1
    return run


@kernel
def usual_gap(past: Past, first: int, end: int) -> float:
    """Return the geometric mean of the gaps before the purchases of these places."""
    total = 0.0
    for i in range(first, end):
        total += past.purchases[i].log_gap
    return math.exp(total / (end - first))


@kernel
def boredom(past: Past, at: Context, row: Values) -> None:
    """A run of one item alone that is long for a customer of the category.

    * Half for a run that {boredom_quantile} of the customers do not have, at least
      {boredom_min_run} purchases, and growing with the run.
    * {boredom_steady} times that unless the gaps grow: those of the later half are
      {boredom_growth} times those of the earlier one, or longer.
    """
    rules, run, n = at.rules, one_item_run(past), len(past.purchases)
    row.one_item_run = run
    if run < 2:
        return
    line = past.bought[len(past.bought) - 1]
    long_run = at.long_runs[line.group]
    evidence = 1 / (1 + math.exp((long_run - run) / rules.boredom_width))
    growing = False
    row.boredom_gap_from_days = row.boredom_gap_to_days = NEVER
    if run >= 3:
        middle = n - run // 2
        gap_from, gap_to = usual_gap(past, n - run + 1, middle), usual_gap(past, middle, n)
        growing = gap_to >= rules.boredom_growth * gap_from
        if growing and round(gap_to) > round(gap_from):
            row.boredom_gap_from_days, row.boredom_gap_to_days = round(gap_from), round(gap_to)
    row.evidence_boredom = evidence * (1.0 if growing else rules.boredom_steady)
    row.boredom_product, row.boredom_run = line.line, run


@entry
def runs(
    tables: Tables, snapshot: int, recent: int, buffers: Buffers, run: Ints, group: Ints
) -> None:
    """Fill in the run of each customer who bought in the last `recent` days, and its category.

    -1 for the others.
    """
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        past = past_before(tables, customer, snapshot, buffers)
        n = len(past.purchases)
        run[customer] = -1
        if n > 3 and snapshot - past.purchases[n - 1].day <= recent:
            run[customer] = one_item_run(past)
            group[customer] = past.bought[len(past.bought) - 1].group


def long_runs(run: Ints, group: Ints, categories: int, rules: ReasonRules) -> Floats:
    """Return by category how long a run is rare, of all customers where a category has few."""

    def rare(of: npt.NDArray[np.integer]) -> float:
        least = float(rules.boredom_min_run)
        return max(least, float(np.quantile(of, rules.boredom_quantile))) if len(of) else least

    known = run >= 0
    limits = np.full(categories + 1, rare(run[known]))
    for category in range(categories):
        own = run[known & (group == category)]
        if len(own) >= rules.boredom_min_customers:
            limits[category] = rare(own)
    return limits
