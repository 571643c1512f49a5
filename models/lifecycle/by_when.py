"""The dates by which something is due to a customer, and how often it went wrong lately."""

import math

from features.history import is_open, sla_days
from features.ipt import whole_days
from features.kernel import kernel
from features.records import NEVER, Past, Shop
from features.settings import Sla
from models.lifecycle.limits import Limits
from models.lifecycle.satisfaction import weigh_failures


@kernel
def complaint_due_first(past: Past, sla: Sla) -> tuple[int, int]:
    """Return the day on which the open complaint that is due first was opened, and its due day.

    Due is the last day within the SLA. NEVER without an open complaint.
    """
    opened, due = NEVER, NEVER
    for i in range(len(past.complaints)):
        case = past.complaints[i]
        last = case.opened + math.floor(sla_days(case.severity, sla))
        if is_open(case, past.snapshot - 1) and last < due:
            opened, due = case.opened, last
    return opened, due


@kernel
def last_delivery(past: Past) -> int:
    """Return the day of the last order's delivery, NEVER if it has not come.

    Without any recorded date it is the day of the purchase.
    """
    for i in range(len(past.orders) - 1, -1, -1):
        if past.orders[i].cancelled >= past.snapshot:
            dated = past.orders[i].promised != NEVER or past.orders[i].delivered != NEVER
            return int(past.orders[i].delivered if dated else past.orders[i].day)
    return int(past.purchases[len(past.purchases) - 1].day)


@kernel
def recent_failures(past: Past, expected_ipt: float, shop: Shop, limits: Limits) -> int:
    """Service failures within the last {second_failure_ipts} expected IPTs.

    * Complaints, returns for a defect and late deliveries count, and of one order only one of them.
    * From the second on a manager calls.
    """
    days = whole_days(limits.second_failure_ipts * expected_ipt)
    return round(weigh_failures(past, days, math.inf, shop, limits, True))
