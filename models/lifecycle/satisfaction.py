"""Satisfaction as far as the records show it: complaints, defects, late deliveries, resolutions."""

import math
from typing import Any

from features.history import first_within, is_open, late_delivery_due, sla_days
from features.ipt import whole_days
from features.kernel import kernel
from features.records import Past, Shop
from features.settings import Sla
from models.lifecycle.limits import Limits


@kernel
def failures(past: Past, day: int, sla: Sla) -> tuple[int, int, int, int]:
    """Counts by the end of a day: complaints, returns for a defect, and of the complaints open
    then the major or critical ones and those past the SLA.
    """
    complaints = defects = grave = past_sla = 0
    for i in range(len(past.complaints)):
        case = past.complaints[i]
        complaints += case.opened <= day
        if is_open(case, day):
            grave += case.severity > 0
            past_sla += day - case.opened > sla_days(case.severity, sla)
    for i in range(len(past.returns)):
        defects += past.returns[i].day <= day and past.returns[i].defect
    return complaints, defects, grave, past_sla


@kernel
def is_unresolved(past: Past, day: int, sla: Sla) -> bool:
    """Whether a major or critical complaint is open at the end of a day, or any past its SLA."""
    _, _, grave, past_sla = failures(past, day, sla)
    return bool(grave + past_sla > 0)


@kernel
def complaint_weight(complaint: Any, day: int, shop: Shop, limits: Limits) -> int:
    """The weight of a complaint in halves: none for a minor one resolved within the SLA."""
    if complaint.severity == 1:
        return limits.satisfaction_major
    if complaint.severity > 1:
        return limits.satisfaction_critical
    days = complaint.resolved - complaint.opened
    in_time = not is_open(complaint, day) and days <= shop.sla.minor
    return 0 if in_time else limits.satisfaction_minor


@kernel
def weighed(
    past: Past, counting: int, basket: int, weight: int, day: int, half_life: float
) -> float:
    """The faded weight of a failure, in the second of two rounds.

    The first round notes the worst failure of each order, the second counts it once and clears the
    note. Failures without an order always count.
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
def weigh_failures(
    past: Past, days: int, half_life: float, shop: Shop, limits: Limits, counted: bool
) -> float:
    """The weights of the complaints, returns for a defect and late orders of the last days.

    They fade with the half-life, and are 1 each where failures are `counted`. Of several failures
    of one order only the worst is weighed.
    """
    since, total = past.snapshot - days, 0.0
    for counting in range(2):
        for i in range(len(past.complaints)):
            case = past.complaints[i]
            if case.opened >= since:
                own = complaint_weight(case, past.snapshot - 1, shop, limits)
                weight = 1 if counted else own
                total += weighed(past, counting, case.basket, weight, case.opened, half_life)
        weight = 1 if counted else limits.satisfaction_defect
        for i in range(len(past.returns)):
            back = past.returns[i]
            if back.day >= since and back.defect:
                total += weighed(past, counting, back.basket, weight, back.day, half_life)
        weight = 1 if counted else limits.satisfaction_late
        for i in range(len(past.orders)):
            due = late_delivery_due(past.orders[i], past.snapshot, shop.sla)
            if since <= due < past.snapshot:
                total += weighed(past, counting, past.orders[i].basket, weight, due, half_life)
    return total


@kernel
def satisfaction(past: Past, expected_ipt: float, shop: Shop, limits: Limits) -> float:
    """Satisfaction between 0 and 1: exp(-weights / purchases) over the last expected IPTs.

    * Satisfaction is 1 without failures and falls towards 0 with them.
    * Weights, in halves: {satisfaction_minor} for a minor complaint (0 if resolved within the SLA),
      {satisfaction_major} for a major one, {satisfaction_critical} for a critical one,
      {satisfaction_defect} for a return for a defect, {satisfaction_late} for a late order.
    * A failure weighs half after {satisfaction_half_life_ipts} expected IPTs and nothing after
      {satisfaction_ipts}.
    * Of several failures of one order only the worst counts. The sum is divided by the number of
      purchases.
    * If the shop records no complaints, satisfaction is unknown.
    """
    days = whole_days(limits.satisfaction_ipts * expected_ipt)
    purchases = len(past.purchases) - first_within(past, days)
    half_life = limits.satisfaction_half_life_ipts * expected_ipt
    total = weigh_failures(past, days, half_life, shop, limits, False)
    return math.exp(-total / 2 / max(purchases, 1))
