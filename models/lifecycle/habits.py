"""When and how much a customer usually buys."""

from features.history import first_within, net_spend, spend_from
from features.ipt import whole_days
from features.kernel import kernel
from features.records import Past
from models.lifecycle.limits import Limits


@kernel
def habits(past: Past, days: int) -> tuple[int, int, int]:
    """Purchases in the last days, and their most frequent weekday (0 Monday) and month (0 January).

    Of equally frequent ones the one of the latest purchase; -1 without a purchase.
    """
    first, end = first_within(past, days), len(past.purchases)
    on_weekday, in_month = past.counters[:7], past.counters[7:19]
    for i in range(first, end):
        on_weekday[(past.purchases[i].day + 3) % 7] += 1  # 1970-01-01 was a Thursday
        in_month[past.purchases[i].month] += 1
    weekday, month = -1, -1
    for i in range(end - 1, first - 1, -1):
        day, of_year = (past.purchases[i].day + 3) % 7, past.purchases[i].month
        weekday = day if weekday < 0 or on_weekday[day] > on_weekday[weekday] else weekday
        month = of_year if month < 0 or in_month[of_year] > in_month[month] else month
    past.counters[:19] = 0
    return end - first, weekday, month


@kernel
def level_now(past: Past, expected_ipt: float, limits: Limits) -> tuple[float, float]:
    """Purchases and spend per IPT lately, each over its level before; 1 if there was no level."""
    ipts, ipts_before = limits.partial_ipts, limits.partial_baseline_ipts
    recent = first_within(past, whole_days(ipts * expected_ipt))
    first = first_within(past, whole_days((ipts + ipts_before) * expected_ipt))
    if recent - first < limits.partial_min_purchases:
        return 1.0, 1.0
    visits, spend = len(past.purchases) - recent, spend_from(past, recent)
    longer = ipts_before / ipts
    before = spend_from(past, first) - spend
    return longer * visits / (recent - first), longer * spend / before


@kernel
def is_partial_defection(visits: float, spend: float, limits: Limits) -> bool:
    """Whether a customer buys far less than before, though they are not overdue.

    * A core customer is in partial defection if their purchases or their spend per IPT fell below
      {partial_ratio} times the earlier level.
    * The last {partial_ipts} expected IPTs are compared with the {partial_baseline_ipts} before, if
      these hold {partial_min_purchases} purchases or more.
    * The customer stays core, with the flag `partial_defection`.
    """
    return min(visits, spend) < limits.partial_ratio


@kernel
def net_per_purchase(past: Past) -> float:
    """Return spend less returns so far, per purchase, in currency; 0 without a purchase."""
    n = len(past.purchases)
    return net_spend(past, past.snapshot - past.purchases[0].day) / n if n > 0 else 0.0


@kernel
def yearly_spend(past: Past, expected_ipt: float, limits: Limits) -> float:
    """Return net spend a year, in currency.

    * It is the spend less returns of the last 365 days.
    * Rare buyers show their value over a longer time: where {value_ipts} expected IPTs are longer
      than a year, it is the mean of a year within them.
    """
    days = max(365, whole_days(limits.value_ipts * expected_ipt))
    return net_spend(past, days) * 365 / days
