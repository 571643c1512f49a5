"""What a customer spends on each category per purchase: lately, and before."""

import math
from typing import Any

from features.kernel import kernel
from features.records import UNIT, Past, Records, record
from features.settings import CategoryRules

CATEGORY = record(
    "f8 spend_now spend_before squares_before spend_365d",  # squares: of its spend per purchase
    "f8 amount",  # of the purchase that is being read
    "i4 category",  # its number in the shop
    "i4 bought now before",  # purchases that held it: within `history_days`, in the two windows
    "i4 window window_before",  # length of the windows, in purchases of anything
    "i4 first_on last_on window_from",
    "i4 oldest newest visit",  # purchases since the first and the last that held it, since this one
)
"""One row per category of a customer. A purchase is a day with a paid line of any category."""


@kernel
def _count(past: Past, rules: CategoryRules, rows: Records) -> None:
    """Fill in how often and when each category was bought, and the windows that follow."""
    n = len(past.purchases)
    visit, i = n - 1, len(past.bought) - 1
    last = past.purchases[visit].day
    while i >= 0 and last - past.bought[i].day <= rules.history_days:
        line = past.bought[i]
        while past.purchases[visit].day != line.day:
            visit -= 1
        if line.category >= 0:
            row, ago = rows[line.category], n - 1 - visit
            if row.bought == 0:
                row.last_on, row.newest = line.day, ago
            row.bought += row.bought == 0 or row.oldest != ago
            row.oldest, row.first_on = ago, line.day
            if past.snapshot - line.day <= 365:
                row.spend_365d += line.amount / UNIT
        i -= 1
    for c in range(len(rows)):
        row = rows[c]
        if row.bought > 0:
            usual = rules.usual_purchases * (row.oldest - row.newest + 1) / row.bought
            length = math.ceil(usual - 1e-6)
            row.window = min(max(length, row.newest), n)
            row.window_before = min(rules.before_windows * length, n - row.window)
            row.window_from = past.purchases[n - row.window].day


@kernel
def _close(row: Any) -> None:
    """Add the spend of the purchase that was read to the window it lies in."""
    if row.amount > 0 and row.visit < row.window:
        row.now += 1
        row.spend_now += row.amount
    elif row.amount > 0 and row.visit < row.window + row.window_before:
        row.before += 1
        row.spend_before += row.amount
        row.squares_before += row.amount**2
    row.amount = 0.0


@kernel
def category_rates(past: Past, rules: CategoryRules, rows: Records) -> None:
    """Fill the rows, zeros so far, one per category by the customer's own number.

    * The latest window of a category is as many purchases as usually hold it {usual_purchases}
      times, or all since its last one, if these are more.
    * The window before is {before_windows} times as many as usually hold it that often, or fewer in
      a shorter past.
    * How usual a category is follows from the purchases between its first and its last one, within
      {history_days} days before the last purchase of anything.
    """
    n = len(past.purchases)
    if n == 0:
        return
    _count(past, rules, rows)
    longest = 0
    for c in range(len(rows)):
        longest = max(longest, rows[c].window + rows[c].window_before)
    visit, i = n - 1, len(past.bought) - 1
    while i >= 0:
        line = past.bought[i]
        while past.purchases[visit].day != line.day:
            visit -= 1
        ago = n - 1 - visit
        if ago >= longest:
            break
        if line.category >= 0:
            row = rows[line.category]
            if row.visit != ago:
                _close(row)
                row.visit = ago
            row.amount += line.amount / UNIT
        i -= 1
    for c in range(len(rows)):
        _close(rows[c])


@kernel
def expected_spend(row: Any, trend: float) -> float:
    """The spend of the latest window at the rate before and the trend of the category."""
    return float(row.spend_before / row.window_before * math.exp(trend) * row.window)


@kernel
def fall_z(row: Any, trend: float, rules: CategoryRules) -> float:
    """Return how many standard errors the spend on a category fell, 0 where it did not fall.

    `trend`: ln of the change to expect. The window before must hold a purchase of the category.

    * A spend counts as so many units: its sum over its variance-to-mean ratio, which makes units as
      variable as counts. The variance is that of the customer, and of the shop for {shop_weight}
      purchases, whose coefficient of variation is {shop_variation}.
    * The units of both windows, split by chance in proportion to their length and the trend: the
      signed root of the deviance of that binomial, half a unit nearer to no fall.
    """
    mean = row.spend_before / row.before
    own = row.squares_before / row.before / mean**2 - 1
    weight = rules.shop_weight
    squared = (row.before * own + weight * rules.shop_variation**2) / (row.before + weight)
    unit = mean * (1 + squared - (row.before + 0.5) / (row.window_before + 1))
    now, before = row.spend_now / unit + 0.5, row.spend_before / unit - 0.5
    length = row.window * math.exp(trend)
    share = length / (length + row.window_before)
    expected = (now + before) * share
    if now >= expected:
        return 0.0
    more = now * math.log(now / expected)
    return math.sqrt(2 * (more + before * math.log(before / (now + before - expected))))
