"""When and how much a customer is used to buying."""

from features.cycle import whole_days
from features.kernel import kernel
from features.records import Past
from models.settings import Limits


@kernel
def habits(past: Past, days: int) -> tuple[int, int, int]:
    """Of the last so many days: purchases, and the weekday (0 Monday) and month (0 January) on which most of them fell.

    Of several weekdays or months the one bought on last; -1 without a purchase.
    """
    end = len(past.purchases)
    first = end
    while first > 0 and past.purchases[first - 1].day >= past.snapshot - days:
        first -= 1
    weekday, month = -1, -1
    for i in range(first, end):
        past.tally[(past.purchases[i].day + 3) % 7] += 1  # 1970-01-01 was a Thursday
    for i in range(end - 1, first - 1, -1):
        kind = (past.purchases[i].day + 3) % 7
        weekday = kind if weekday < 0 or past.tally[kind] > past.tally[weekday] else weekday
    past.tally[:7] = 0
    for i in range(first, end):
        past.tally[past.purchases[i].month] += 1
    for i in range(end - 1, first - 1, -1):
        kind = past.purchases[i].month
        month = kind if month < 0 or past.tally[kind] > past.tally[month] else month
    past.tally[:12] = 0
    return end - first, weekday, month


@kernel
def is_partly_gone(past: Past, usual_gap: float, limits: Limits) -> bool:
    """Less than half the visits or the spend per own cycle of before, by the limits: slower, but not silent for long enough to be late.

    Partly gone is a core customer who in his last {partial_cycles} usual gaps came, or spent, less than {partial_ratio} times as much per
    gap as in the {partial_baseline_cycles} before, if he bought {partial_min_purchases} times or more in those. He stays core.
    """
    recent_days = whole_days(limits.partial_cycles * usual_gap)
    all_days = whole_days((limits.partial_cycles + limits.partial_baseline_cycles) * usual_gap)
    visits, baseline = 0, 0
    spend, baseline_spend = 0.0, 0.0
    i = len(past.purchases) - 1
    while i >= 0 and past.snapshot - past.purchases[i].day <= all_days:
        if past.snapshot - past.purchases[i].day <= recent_days:
            visits += 1
            spend += past.purchases[i].spend
        else:
            baseline += 1
            baseline_spend += past.purchases[i].spend
        i -= 1
    if baseline < limits.partial_min_purchases:
        return False
    floor = limits.partial_ratio * limits.partial_cycles / limits.partial_baseline_cycles
    return visits < floor * baseline or spend < floor * baseline_spend
