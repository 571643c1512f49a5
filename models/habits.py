"""When and how much a customer is used to buying."""

from features.cycle import whole_days
from features.kernel import kernel
from features.records import Ints, Past
from models.settings import Limits


@kernel
def most_frequent(tally: Ints) -> int:
    """The kind counted most often, of several the first; -1 when nothing was counted. The tally is left as zeros."""
    best, most = -1, 0
    for kind in range(len(tally)):
        if tally[kind] > most:
            best, most = kind, tally[kind]
        tally[kind] = 0
    return best


@kernel
def habits(past: Past, days: int) -> tuple[int, int, int]:
    """Of the last so many days: purchases, and the weekday (0 Monday) and month (0 January) on which most of them fell, -1 without any."""
    first = len(past.purchases)
    while first > 0 and past.purchases[first - 1].day >= past.snapshot - days:
        first -= 1
    for i in range(first, len(past.purchases)):
        past.tally[(past.purchases[i].day + 3) % 7] += 1  # 1970-01-01 was a Thursday
    weekday = most_frequent(past.tally[:7])
    for i in range(first, len(past.purchases)):
        past.tally[past.purchases[i].month] += 1
    return len(past.purchases) - first, weekday, most_frequent(past.tally[:12])


@kernel
def is_partly_gone(past: Past, usual_gap: float, limits: Limits) -> bool:
    """Less than half the visits or the spend per own cycle of before, by the limits: slower, but not silent for long enough to be late."""
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
