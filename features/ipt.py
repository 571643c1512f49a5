"""A customer's inter-purchase time (IPT), and when the customer is overdue or has lapsed.

A few IPTs are weak evidence, so the estimate is shrunk towards the shop's, by a normal prior on
ln IPT.
"""

import math

from features.history import begin_customer, past_before
from features.kernel import entry, kernel
from features.records import Buffers, Floats, Ints, Longs, Past, Records, Shop, Tables


@kernel
def shrunk_ipt(purchases: Records, n: int, shop: Shop) -> tuple[float, float]:
    """Expected IPT in days and log-sd of the IPT after n purchases; the shop's own for n = 1.

    * The expected IPT is the geometric mean of the customer's last {last_gaps} IPTs and of the
      shop's IPT, which counts like {prior_weight} of them. The log-sd is computed likewise.
    * Days on which the shop is closed do not count.
    """
    gaps = min(n - 1, shop.ipt.last_gaps)
    if gaps <= 0:
        return shop.expected_ipt, shop.log_sd
    prior = shop.ipt.prior_weight
    total = 0.0
    for i in range(n - gaps, n):
        total += purchases[i].log_gap
    mean = (prior * math.log(shop.expected_ipt) + total) / (prior + gaps)
    squares = prior * shop.log_sd**2
    for i in range(n - gaps, n):
        squares += (purchases[i].log_gap - mean) ** 2
    return math.exp(mean), math.sqrt(squares / (prior + gaps))


@kernel
def quantile(ascending: Ints, q: float) -> float:
    """Return the linear quantile of ascending values; nan without any."""
    n = len(ascending)
    if n == 0:
        return math.nan
    place = q * (n - 1)
    low = int(place)
    high = min(low + 1, n - 1)
    return float(ascending[low] + (ascending[high] - ascending[low]) * (place - low))


@kernel
def whole_days(days: float) -> int:
    """Return days rounded up, but for a logarithm's last bits: twice 30 days is 60, not 61."""
    return math.ceil(days - 1e-6)


@kernel
def late_after(expected_ipt: float, log_sd: float, shop: Shop) -> int:
    """Days since the last purchase from which a customer is overdue.

    * A customer is overdue when the days since the last purchase exceed about 84 % of their IPTs.
    * That is {late_clip_low} expected IPTs for a regular customer, up to {late_clip_high} for an
      irregular one, and at least {late_floor_days} days.
    """
    rule = shop.ipt
    factor = min(max(math.exp(rule.late_sigmas * log_sd), rule.late_clip_low), rule.late_clip_high)
    return max(rule.late_floor_days, whole_days(expected_ipt * factor))


@kernel
def lapsed_after(expected_ipt: float, log_sd: float, ascending_gaps: Ints, shop: Shop) -> int:
    """Days since the last purchase from which a customer has lapsed.

    * A customer has lapsed when the days since the last purchase exceed about 98 % of their IPTs.
    * That is {lapse_clip_low} expected IPTs for a regular customer, up to {lapse_clip_high} for an
      irregular one, and at least {lapse_floor_days} days.
    * A customer with {own_gaps} IPTs or more who came back after long gaps before gets more time:
      {own_factor} times the {own_quantile} quantile of their IPTs, but at most {own_limit_ipts} of
      the shop's expected IPTs.
    """
    rule = shop.ipt
    factor = max(math.exp(rule.lapse_sigmas * log_sd), rule.lapse_clip_low)
    usual = whole_days(expected_ipt * min(factor, rule.lapse_clip_high))
    days = max(rule.lapse_floor_days, usual, late_after(expected_ipt, log_sd, shop) + 1)
    if len(ascending_gaps) >= rule.own_gaps:
        longest = rule.own_factor * quantile(ascending_gaps, rule.own_quantile)
        days = max(days, whole_days(min(longest, rule.own_limit_ipts * shop.expected_ipt)))
    return days


@kernel
def day_after(day: int, days: int, shop: Shop) -> int:
    """Return the first day with so many open days since the given day."""
    later = day + days
    if len(shop.opened) > 0:
        last = len(shop.opened) - 1
        while later < last and shop.opened[later] - shop.opened[day] < days:
            later += days - (shop.opened[later] - shop.opened[day])
    return later


@kernel
def deadlines(past: Past, shop: Shop) -> tuple[int, int]:
    """Return the days on which a customer who does not buy again is overdue and has lapsed."""
    return deadlines_by(past, shrunk_ipt(past.purchases, len(past.purchases), shop), shop)


@kernel
def deadlines_by(past: Past, ipt: tuple[float, float], shop: Shop) -> tuple[int, int]:
    """Return the same, where expected IPT and log-sd are known already."""
    last, (expected_ipt, log_sd) = past.purchases[len(past.purchases) - 1].day, ipt
    late_days = late_after(expected_ipt, log_sd, shop)
    lapsed_days = lapsed_after(expected_ipt, log_sd, past.sorted_gaps, shop)
    return day_after(last, late_days, shop), day_after(last, lapsed_days, shop)


@entry
def gap_statistics(
    tables: Tables, snapshot: int, buffers: Buffers, median: Floats, gaps: Longs, squares: Floats
) -> None:
    """Fill in one value per customer: median and number of IPTs, squared deviations of ln IPT."""
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        past = past_before(tables, customer, snapshot, buffers)
        n = len(past.sorted_gaps)
        gaps[customer] = n
        if n == 0:
            continue
        mean = 0.0
        for i in range(n):
            mean += math.log(past.sorted_gaps[i]) / n
        total = 0.0
        for i in range(n):
            total += (math.log(past.sorted_gaps[i]) - mean) ** 2
        squares[customer] = total
        median[customer] = (past.sorted_gaps[(n - 1) // 2] + past.sorted_gaps[n // 2]) / 2
