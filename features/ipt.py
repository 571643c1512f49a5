"""A customer's own rhythm: the usual gap between purchases, and from when on silence counts as late
or lapsed.

Few own gaps prove little, so they are shrunk towards the shop's rhythm (a normal prior on the log
gap).
"""

import math

from features.history import begin_customer, past_before
from features.kernel import entry, kernel
from features.records import Buffers, Floats, Ints, Longs, Past, Records, Shop, Tables


@kernel
def shrunk_ipt(purchases: Records, n: int, shop: Shop) -> tuple[float, float]:
    """Usual gap in days and sd of the log gap after the first n purchases; the shop's own for
    customers without a gap.

    The usual gap is a customer's own usual time between two purchases, the irregularity how much it
    varies (sd of its logarithm), over his last {last_gaps} gaps. The shop's rhythm counts for
    {prior_weight} gaps beside them. Days on which the shop is shut do not count.
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
    """Linear quantile of ascending values; nan without any."""
    n = len(ascending)
    if n == 0:
        return math.nan
    place = q * (n - 1)
    low = int(place)
    high = min(low + 1, n - 1)
    return float(ascending[low] + (ascending[high] - ascending[low]) * (place - low))


@kernel
def whole_days(days: float) -> int:
    """Days rounded up, the last bits of a logarithm left out.

    Twice a usual gap of 30 is 60 days, not 61.
    """
    return math.ceil(days - 1e-6)


@kernel
def late_after(expected_ipt: float, log_sd: float, shop: Shop) -> int:
    """Days of silence from which on a customer is late.

    Late is who has been silent for longer than about five in six of his own gaps: {late_clip_low}
    usual gaps where he is regular, up to {late_clip_high} where he is not, and never less than
    {late_floor_days} days.
    """
    rule = shop.ipt
    factor = min(max(math.exp(rule.late_sigmas * log_sd), rule.late_clip_low), rule.late_clip_high)
    return max(rule.late_floor_days, whole_days(expected_ipt * factor))


@kernel
def lapsed_after(expected_ipt: float, log_sd: float, ascending_gaps: Ints, shop: Shop) -> int:
    """Days of silence from which on a customer has lapsed; longer for one who has come back from
    long silences before.

    Lapsed is who has been silent for longer than nearly all of his own gaps: {lapse_clip_low} usual
    gaps where he is regular, up to {lapse_clip_high} where he is not, and never less than
    {lapse_floor_days} days. From {own_gaps} gaps on he is given {own_factor} times the length that
    a share of {own_quantile} of his gaps did not exceed, where that is longer, but at most
    {own_limit_ipts} of the shop's usual gaps.
    """
    rule = shop.ipt
    factor = min(
        max(math.exp(rule.lapse_sigmas * log_sd), rule.lapse_clip_low), rule.lapse_clip_high
    )
    days = max(
        rule.lapse_floor_days,
        whole_days(expected_ipt * factor),
        late_after(expected_ipt, log_sd, shop) + 1,
    )
    if len(ascending_gaps) >= rule.own_gaps:
        survived = rule.own_factor * quantile(ascending_gaps, rule.own_quantile)
        days = max(days, whole_days(min(survived, rule.own_limit_ipts * shop.expected_ipt)))
    return days


@kernel
def day_after(day: int, days: int, shop: Shop) -> int:
    """The first day with so many open days since the one given.

    A shop that never closes has one every day.
    """
    later = day + days
    if len(shop.opened) > 0:
        last = len(shop.opened) - 1
        while later < last and shop.opened[later] - shop.opened[day] < days:
            later += days - (shop.opened[later] - shop.opened[day])
    return later


@kernel
def deadlines(past: Past, shop: Shop) -> tuple[int, int]:
    """The days on which the customer, silent from the last purchase on, becomes late and has
    lapsed.
    """
    n = len(past.purchases)
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    last = past.purchases[n - 1].day
    late_days, lapsed_days = (
        late_after(expected_ipt, log_sd, shop),
        lapsed_after(expected_ipt, log_sd, past.sorted_gaps, shop),
    )
    return day_after(last, late_days, shop), day_after(last, lapsed_days, shop)


@entry
def gap_statistics(
    tables: Tables, snapshot: int, buffers: Buffers, median: Floats, gaps: Longs, squares: Floats
) -> None:
    """Per customer.

    Median gap, number of gaps, and squared deviations of the log gap from its mean.
    """
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
