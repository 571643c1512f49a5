"""What core needs, each condition by its name, so that who is refused can be told why."""

from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop
from models.lifecycle.satisfaction import failures
from models.settings import Limits

# C1, twice C2, twice C3, four times C4, C5
NEEDS = (
    "purchases",
    "days",
    "pace",
    "regularity",
    "repair",
    "sla",
    "few_complaints",
    "few_defects",
    "staying",
)


@kernel
def lacking(past: Past, n: int, probation: int, shop: Shop, limits: Limits) -> int:
    """What the n-th purchase still lacks to lead into core, a bit for each of NEEDS in their order;
    0: it does lead there.

    Core becomes who has bought {core_min_purchases} times or more (C1), over {core_min_days} days
    and {core_min_ipts} of the shop's usual gaps or more (C2); whose usual gap is at most
    {core_max_ipt_ratio} times the shop's, and his irregularity at most {core_max_log_sd} (C3); who
    has no grave complaint open and none past its promise, at most
    {core_max_complaints_per_purchase} complaints and {core_max_defect_returns} defects returned per
    purchase (C4); and who is not on probation after a lapse (C5). All of it is asked only at a
    purchase, as of the end of its day.
    """
    day = past.purchases[n - 1].day
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    complaints, defects, grave, overdue = failures(past, day, shop.sla)
    lacks = 0
    lacks |= (n < limits.core_min_purchases) << 0
    lacks |= (
        day - past.purchases[0].day
        < max(limits.core_min_days, limits.core_min_ipts * shop.expected_ipt)
    ) << 1
    lacks |= (expected_ipt > limits.core_max_ipt_ratio * shop.expected_ipt) << 2
    lacks |= (log_sd > limits.core_max_log_sd) << 3
    lacks |= (grave > 0) << 4
    lacks |= (overdue > 0) << 5
    lacks |= (complaints / n > limits.core_max_complaints_per_purchase) << 6
    lacks |= (defects / n > limits.core_max_defect_returns) << 7
    lacks |= (probation > 0) << 8
    return int(lacks)
