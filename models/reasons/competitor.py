"""Spend in one category fell against the customer's own past: a competitor may have it."""

import math
from typing import Any

from features.columns import Feature, Values
from features.ipt import shrunk_ipt, whole_days
from features.kernel import kernel
from features.records import NEVER, Past
from models.reasons.context import SPEND, VISITS, WEEK, Context

NEEDED = ("orders.category",)

ORDER = 2
NEEDS = (NEEDED,)
STEADY = True
FEATURES = (
    Feature("evidence_competitor", "0..1", "evidence of a competitor", 0, NEEDED, 1),
    Feature("category_drop", "log ratio", "largest fall of a main category's spend", 0, NEEDED),
)
FACTS = {"category": "category", "drop": "ratio", "from_on": "day", "event_on": "day"}
BLIND = "Why the spend fell: a competitor is the usual cause, a full larder is another."


@kernel
def settle(tally: Any, since: int) -> None:
    """Add the spend of a day in a category to the time before `since` or to the time from then."""
    if tally.amount > 0 and tally.day < since:
        tally.before += 1
        tally.log_before += math.log(tally.amount)
        tally.total += tally.amount
    elif tally.amount > 0:
        tally.now += 1
        tally.log_now += math.log(tally.amount)
    tally.amount = 0


@kernel
def tally_lines(past: Past, first_day: int, since: int, at: Context) -> int:
    """Sum up the lines from a day on by the customer's own categories; return how many these are.

    The spend of one day in one category counts as one purchase, whatever its lines.
    """
    count, i = 0, len(past.bought) - 1
    while i >= 0 and past.bought[i].day >= first_day:
        line = past.bought[i]
        while count <= line.category:
            fresh = at.tallies[count]
            fresh.amount = fresh.total = fresh.before = fresh.now = 0
            fresh.log_before = fresh.log_now = 0
            count += 1
        if line.category >= 0:
            tally = at.tallies[line.category]
            if tally.day != line.day:
                settle(tally, since)
            tally.day, tally.group, tally.line = line.day, line.group, line.line
            tally.amount += line.amount
        i -= 1
    for k in range(count):
        settle(at.tallies[k], since)
    return count


@kernel
def trend(at: Context, category: int, kind: int, per: int, days: tuple[int, int, int]) -> float:
    """Return ln of the change of a category among all customers, per visit of category `per`.

    It compares the time from the second to the third day with that from the first to the second,
    and knows events before the third day alone.
    """
    last = at.trends.shape[2] - 1
    a = min(max((days[0] - at.first_day) // WEEK, 0), last)
    b = min(max((days[1] - at.first_day) // WEEK, 0), last)
    c = min(max((days[2] - at.first_day) // WEEK, 0), last)
    values, visits = at.trends[category, kind], at.trends[per, VISITS]
    before, now = values[b] - values[a], values[c] - values[b]
    visits_before, visits_now = visits[b] - visits[a], visits[c] - visits[b]
    if before <= 0 or now <= 0 or visits_before <= 0 or visits_now <= 0:
        return 0.0
    return math.log(now / visits_now) - math.log(before / visits_before)


@kernel
def compare_spend(
    past: Past,
    at: Context,
    row: Values,
    since: int,
    only: int,
    event_on: int,
    prior: float,
    most: float,
) -> None:
    """Compare each category's spend since a day with the time before; keep the strongest fall."""
    rules, n = at.rules, len(past.purchases)
    expected_ipt, last = shrunk_ipt(past.purchases, n, at.shop)[0], past.purchases[n - 1].day
    first = since - whole_days(rules.competitor_baseline_ipts * expected_ipt)
    purchases_before = purchases_now = 0
    for i in range(n - 1, -1, -1):
        if past.purchases[i].day < first:
            break
        purchases_now += past.purchases[i].day >= since
        purchases_before += past.purchases[i].day < since
    if purchases_before < rules.competitor_min_purchases:
        return
    count = tally_lines(past, first, since, at)
    spend = 0
    for k in range(count):
        spend += at.tallies[k].total
    fall, days = math.log(rules.competitor_kept), (first, since, last + 1)
    for k in range(count):
        tally = at.tallies[k]
        if tally.before < rules.competitor_min_purchases or (only >= 0 and tally.group != only):
            continue
        if tally.now > 0:
            change = tally.log_now / tally.now - tally.log_before / tally.before
            noise = rules.competitor_log_sd**2 * (1 / tally.before + 1 / tally.now)
            adjusted = change - trend(at, tally.group, SPEND, tally.group, days)
            smaller = max(change, adjusted)
            support = (fall * adjusted - fall**2 / 2) / noise
        else:
            usual = tally.before / purchases_before * purchases_now
            usual *= math.exp(trend(at, tally.group, VISITS, len(at.trends) - 1, days))
            change = smaller = -NEVER
            support = (1 - rules.competitor_kept) * usual
        share = min(1.0, tally.total / spend / rules.competitor_full_share)
        odds = support + math.log(prior / (1 - prior))
        evidence = most * share / (1 + math.exp(-odds))
        row.category_drop = max(row.category_drop, -max(change, -3.0) * share)
        if (
            smaller < math.log(1 - rules.competitor_least_fall)
            and evidence > row.evidence_competitor
        ):
            row.evidence_competitor = evidence
            row.competitor_category, row.competitor_from_on = tally.line, since
            row.competitor_event_on = event_on
            row.competitor_drop = max(0.0, 1 - math.exp(max(change, -30.0)))


@kernel
def competitor(past: Past, at: Context, row: Values) -> None:
    """A category on which the customer spends less per purchase than before.

    * The spend of a purchase in the category since the start of a market event, or else in the
      last {competitor_recent_ipts} expected IPTs, is compared with the {competitor_baseline_ipts}
      before, less the change of the category among all customers.
    * The evidence is the chance that it fell to {competitor_kept} rather than not at all. Before
      the comparison this chance is {competitor_prior_event} in an event, else {competitor_prior}.
    * There is none unless the spend, with and without that change, fell by {competitor_least_fall}.
    * It counts fully for a category with {competitor_full_share} of the spend, less for others.
    * Without an event it is at most {competitor_without_event}, or
      {competitor_without_market} where the shop records no market events.
    """
    rules, n = at.rules, len(past.purchases)
    last = past.purchases[n - 1].day
    expected_ipt = shrunk_ipt(past.purchases, n, at.shop)[0]
    since = last + 1 - whole_days(rules.competitor_recent_ipts * expected_ipt)
    most = rules.competitor_without_event if at.market else rules.competitor_without_market
    compare_spend(past, at, row, since, -1, NEVER, rules.competitor_prior, most)
    for i in range(len(at.launches)):
        event = at.launches[i]
        if event.starts <= last < event.ends:
            start, prior = event.starts, rules.competitor_prior_event
            compare_spend(past, at, row, start, event.category, start, prior, 1.0)
