"""When and how much a customer is used to buying."""

from features.history import first_within, spend_from
from features.ipt import whole_days
from features.kernel import kernel
from features.records import Past
from models.settings import Limits


@kernel
def habits(past: Past, days: int) -> tuple[int, int, int]:
    """Of the last so many days: purchases, and the weekday (0 Monday) and month (0 January) on
    which most of them fell.

    Of several weekdays or months the one bought on last; -1 without a purchase.
    """
    first, end = first_within(past, days), len(past.purchases)
    weekday, month = -1, -1
    for i in range(first, end):
        past.counters[(past.purchases[i].day + 3) % 7] += 1  # 1970-01-01 was a Thursday
    for i in range(end - 1, first - 1, -1):
        kind = (past.purchases[i].day + 3) % 7
        weekday = kind if weekday < 0 or past.counters[kind] > past.counters[weekday] else weekday
    past.counters[:7] = 0
    for i in range(first, end):
        past.counters[past.purchases[i].month] += 1
    for i in range(end - 1, first - 1, -1):
        kind = past.purchases[i].month
        month = kind if month < 0 or past.counters[kind] > past.counters[month] else month
    past.counters[:12] = 0
    return end - first, weekday, month


@kernel
def is_partly_gone(past: Past, expected_ipt: float, limits: Limits) -> bool:
    """Less than half the visits or the spend per own cycle of before, by the limits: slower, but
    not silent for long enough to be late.

    Partly gone is a core customer who in his last {partial_ipts} usual gaps came, or spent, less
    than {partial_ratio} times as much per gap as in the {partial_baseline_ipts} before, if he
    bought {partial_min_purchases} times or more in those. He stays core.
    """
    ipts, ipts_before = limits.partial_ipts, limits.partial_baseline_ipts
    recent = first_within(past, whole_days(ipts * expected_ipt))
    first = first_within(past, whole_days((ipts + ipts_before) * expected_ipt))
    if recent - first < limits.partial_min_purchases:
        return False
    visits, spend = len(past.purchases) - recent, spend_from(past, recent)
    floor = limits.partial_ratio * ipts / ipts_before
    return bool(
        visits < floor * (recent - first) or spend < floor * (spend_from(past, first) - spend)
    )
