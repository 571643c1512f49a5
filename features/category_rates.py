"""How much of each category a customer buys: lately, and before."""

import math
from typing import Any

from features.kernel import kernel
from features.records import UNIT, Past, Records, record
from features.settings import CategoryRules

CATEGORY = record(
    "f8 spend_now spend_before squares_before spend_365d",  # squares: of its spend per purchase
    "f8 gap_squares",  # of the days between two purchases of it
    "f8 amount",  # of the day that is being read
    "i4 category",  # its number in the shop
    "i4 bought now before",  # purchases that held it: within `history_days`, in the two windows
    "i4 others_now others_before",  # purchases in the windows that held anything else
    "i4 days days_before",  # length of the windows
    "i4 since",  # the latest window begins after this day
    "i4 first_on last_on day",  # within `history_days`; the day that is being read
)
"""One row per category of a customer. A purchase is a day with a paid line."""


@kernel
def purchases_after(past: Past, day: int) -> int:
    """Return the number of purchases after a day."""
    low, high = 0, len(past.purchases)
    while low < high:
        middle = (low + high) // 2
        if past.purchases[middle].day > day:
            high = middle
        else:
            low = middle + 1
    return len(past.purchases) - low


@kernel
def _windows(past: Past, rules: CategoryRules, rows: Records) -> None:
    """Fill in when and how often each category was bought, and the windows that follow."""
    last, i = past.purchases[len(past.purchases) - 1].day, len(past.bought) - 1
    while i >= 0 and last - past.bought[i].day <= rules.history_days:
        line = past.bought[i]
        if line.category >= 0:
            row = rows[line.category]
            row.last_on = line.day if row.bought == 0 else row.last_on
            if row.bought == 0 or row.first_on != line.day:
                row.gap_squares += (row.first_on - line.day) ** 2 if row.bought > 0 else 0
                row.bought += 1
            row.first_on = line.day
            if past.snapshot - line.day <= 365:
                row.spend_365d += line.amount / UNIT
        i -= 1
    for c in range(len(rows)):
        row = rows[c]
        if row.bought > 1:
            usual = (row.last_on - row.first_on) / (row.bought - 1)
            usual_days = math.ceil(rules.usual_purchases * usual - 1e-6)
            row.days = max(usual_days, last - row.last_on)
            row.since = last - row.days
            known = max(0, row.since - past.purchases[0].day + 1)
            row.days_before = min(rules.before_windows * usual_days, known)
            row.others_now = purchases_after(past, row.since)
            row.others_before = purchases_after(past, row.since - row.days_before) - row.others_now


@kernel
def _close_day(row: Any, alone: bool) -> None:
    """Add a day's spend on a category to its window; `alone`: nothing else was bought that day."""
    if row.amount > 0 and row.day > row.since:
        row.now += 1
        row.others_now -= alone
        row.spend_now += row.amount
    elif row.amount > 0 and row.day > row.since - row.days_before:
        row.before += 1
        row.others_before -= alone
        row.spend_before += row.amount
        row.squares_before += row.amount**2
    row.amount = 0.0


@kernel
def category_rates(past: Past, rules: CategoryRules, rows: Records) -> None:
    """Fill the rows, zeros so far, one per category by the customer's own number.

    * The latest window of a category ends with the last purchase of anything. It is as long as the
      customer usually takes to buy the category {usual_purchases} times, or as long as they have
      bought other categories since.
    * The window before is {before_windows} times as long as they usually take, or as their past.
    * How often is usual follows from the last {history_days} days.
    """
    if len(past.purchases) == 0:
        return
    _windows(past, rules, rows)
    earliest = past.snapshot
    for c in range(len(rows)):
        earliest = min(earliest, rows[c].since - rows[c].days_before)
    end = len(past.bought)
    while end > 0 and past.bought[end - 1].day > earliest:
        day, start, first = past.bought[end - 1].day, end - 1, past.bought[end - 1].category
        alone = True
        while start >= 0 and past.bought[start].day == day:
            line = past.bought[start]
            alone = alone and line.category == first
            if line.category >= 0:
                rows[line.category].amount += line.amount / UNIT
                rows[line.category].day = day
            start -= 1
        for i in range(start + 1, end):
            if past.bought[i].category >= 0:
                _close_day(rows[past.bought[i].category], alone)
        end = start + 1


@kernel
def expected_spend(row: Any, trend: float, rules: CategoryRules) -> float:
    """The spend of the latest window at the rate before, the trend and the customer's own pace.

    * A customer who buys less often of everything else as well is expected to buy less of the
      category, too. {shop_weight} purchases at the pace before are added to those seen.
    """
    usual = row.others_before / row.days_before * row.days
    pace = min(1.0, (row.others_now + rules.shop_weight) / (usual + rules.shop_weight))
    return float(row.spend_before / row.days_before * row.days * pace * math.exp(trend))


@kernel
def squared_variation(
    squares: float, total: float, count: int, prior: float, weight: float
) -> float:
    """Return the squared coefficient of variation, of which `weight` values more have the prior."""
    own = count * squares / total**2 - 1
    return (count * own + weight * prior**2) / (count + weight)


@kernel
def fall_z(row: Any, trend: float, rules: CategoryRules) -> float:
    """Return how many standard errors the spend on a category fell, 0 where it did not fall.

    `trend`: ln of the change to expect. The window before must hold a purchase of the category.

    * Spend is counted in units of its variance over its mean, which vary like counts. The variance
      is that of the spend per purchase and of the days between purchases (renewal theory).
    * Their coefficients of variation are the customer's own and, like {shop_weight} purchases more,
      {spend_variation} and {gap_variation}.
    * The units are split between the windows by chance, in the ratio of the spend to expect: the
      signed root of the deviance of that split, half a unit nearer to no fall.
    * The spend per purchase of the category varies less, so its fall counts where it is the larger.
    """
    weight, gaps = rules.shop_weight, row.bought - 1
    of_spend = squared_variation(
        row.squares_before, row.spend_before, row.before, rules.spend_variation, weight
    )
    of_gaps = squared_variation(
        row.gap_squares, row.last_on - row.first_on, gaps, rules.gap_variation, weight
    )
    mean = row.spend_before / row.before
    per_purchase = 0.0
    if row.now > 0:
        change = math.log(row.spend_now / row.now / mean) - min(0.0, trend)
        per_purchase = max(0.0, -change / math.sqrt(of_spend * (1 / row.now + 1 / row.before)))
    unit = mean * (of_spend + of_gaps)
    expected_now = expected_spend(row, trend, rules)
    now, before = row.spend_now / unit + 0.5, row.spend_before / unit - 0.5
    total = now + before
    expected = total * expected_now / (expected_now + row.spend_before)
    if now >= expected:
        return 0.0
    rest = before * math.log(before / (total - expected))
    return max(per_purchase, math.sqrt(2 * (now * math.log(now / expected) + rest)))
