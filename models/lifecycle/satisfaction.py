"""How content a customer can be, as far as records tell.

Complaints, defects and broken promises, and how they were mended.
"""

import math
from typing import Any

from features.history import first_within, is_open, late_delivery_due, sla_days
from features.ipt import whole_days
from features.kernel import kernel
from features.records import Past, Shop
from features.settings import Sla
from models.settings import Limits


@kernel
def past_sla(past: Past, day: int, sla: Sla) -> int:
    """Complaints not mended on a day, by when they have been open for longer than promised."""
    count = 0
    for i in range(len(past.complaints)):
        case = past.complaints[i]
        if is_open(case, day) and day - case.opened > sla_days(case.severity, sla):
            count += 1
    return count


@kernel
def failures(past: Past, day: int, sla: Sla) -> tuple[int, int, int, int]:
    """By the end of a day.

    Complaints made, defects returned; of the complaints open then, the grave ones and those past
    promise.
    """
    complaints, defects, grave = 0, 0, 0
    for i in range(len(past.complaints)):
        case = past.complaints[i]
        complaints += case.opened <= day
        grave += case.severity > 0 and is_open(case, day)
    for i in range(len(past.returns)):
        defects += past.returns[i].day <= day and past.returns[i].defect
    return complaints, defects, grave, past_sla(past, day, sla)


@kernel
def is_let_down(past: Past, day: int, sla: Sla) -> bool:
    """Whether anything grave is open at the end of a day, or anything at all past its promise."""
    _, _, grave, overdue = failures(past, day, sla)
    return bool(grave + overdue > 0)


@kernel
def complaint_weight(complaint: Any, day: int, shop: Shop, limits: Limits) -> int:
    """What a complaint takes from satisfaction, in halves.

    Nothing when it was small and mended within the promise.
    """
    if complaint.severity > 0:
        return (
            limits.satisfaction_major if complaint.severity == 1 else limits.satisfaction_critical
        )
    in_time = (
        not is_open(complaint, day) and complaint.resolved - complaint.opened <= shop.sla.minor
    )
    return 0 if in_time else limits.satisfaction_minor


@kernel
def weighed(
    past: Past, counting: int, basket: int, weight: int, day: int, half_life: float
) -> float:
    """First round.

    Note an order's worst failure. Second round: its faded weight, once, and no note is left;
    without an order always.
    """
    if counting == 0:
        if basket >= 0:
            past.counters[basket] = max(past.counters[basket], weight)
        return 0.0
    if basket >= 0:
        if past.counters[basket] != weight:
            return 0.0
        past.counters[basket] = 0
    return float(weight * 2.0 ** (-(past.snapshot - day) / half_life))


@kernel
def satisfaction(past: Past, expected_ipt: float, shop: Shop, limits: Limits) -> float:
    """Satisfaction as far as records tell, 1 (nothing went wrong) to 0: what failed in the last own
    cycles, fading, per purchase in them.

    Satisfaction is 1 where nothing went wrong, and falls towards 0 with what did: a minor complaint
    weighs {satisfaction_minor}, unless it was mended within its promise, a major one
    {satisfaction_major}, a critical one {satisfaction_critical}, a return for a defect
    {satisfaction_defect}, a late order {satisfaction_late}; half as much after
    {satisfaction_half_life_ipts} usual gaps, and nothing after {satisfaction_ipts}. Of the failures
    of one order only the worst counts, and all count per purchase. Where complaints are not
    recorded it is unknown.
    """
    days = whole_days(limits.satisfaction_ipts * expected_ipt)
    since, purchases = past.snapshot - days, len(past.purchases) - first_within(past, days)
    half_life = limits.satisfaction_half_life_ipts * expected_ipt
    # What an order's worst failure weighs; of several as bad the first is counted.
    total = 0.0
    for counting in range(2):
        for i in range(len(past.complaints)):
            case = past.complaints[i]
            if case.opened >= since:
                weight = complaint_weight(case, past.snapshot - 1, shop, limits)
                total += weighed(past, counting, case.basket, weight, case.opened, half_life)
        for i in range(len(past.returns)):
            if past.returns[i].day >= since and past.returns[i].defect:
                total += weighed(
                    past,
                    counting,
                    past.returns[i].basket,
                    limits.satisfaction_defect,
                    past.returns[i].day,
                    half_life,
                )
        for i in range(len(past.orders)):
            broken_on = late_delivery_due(past.orders[i], past.snapshot, shop.sla)
            if since <= broken_on < past.snapshot:
                total += weighed(
                    past,
                    counting,
                    past.orders[i].basket,
                    limits.satisfaction_late,
                    broken_on,
                    half_life,
                )
    return math.exp(-total / 2 / max(purchases, 1))
