"""Complaints: what went wrong between the customer and us, and how fast it was mended."""

from features.columns import Feature, Values
from features.history import is_open, sla_days
from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop

COMPLAINTS = ("complaints",)
# a second failure so soon is judged more harshly than two apart (Maxham and Netemeyer 2002)
REPEATED_WITHIN_IPTS = 4
LAST_BITS = 1e-6  # days; of a logarithm, left out: four cycles of 14 days are 56

ORDER = 7
FEATURES = (
    Feature("complaints", "count", "complaints so far", absent=0, needs=COMPLAINTS),
    Feature(
        "complaints_90d",
        "count",
        "complaints opened in the last 90 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Feature(
        "complaints_365d",
        "count",
        "complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Feature(
        "complaints_per_purchase",
        "ratio",
        "complaints over purchases; may exceed 1",
        needs=COMPLAINTS,
    ),
    Feature(
        "complaints_minor_365d",
        "count",
        "minor complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Feature(
        "complaints_major_365d",
        "count",
        "major or critical complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Feature(
        "complaints_open",
        "count",
        "complaints opened before the snapshot and not resolved by then",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Feature(
        "complaints_past_sla",
        "count",
        "complaints of the last 365 days whose repair takes longer than promised",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Feature(
        "oldest_open_days", "days", "age of the oldest open complaint", absent=0, needs=COMPLAINTS
    ),
    Feature(
        "open_over_sla",
        "ratio",
        "longest wait of an open complaint over the time promised",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Feature(
        "longest_repair_ratio",
        "ratio",
        "longest time to repair, finished or not, over the time promised, last 365 days",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Feature(
        "days_since_complaint", "days", "since the latest complaint was opened", needs=COMPLAINTS
    ),
    Feature(
        "complaint_repeated",
        "0 or 1",
        "a complaint of the last 365 days came within four own cycles of the one before",
        absent=0,
        needs=COMPLAINTS,
    ),
)


@kernel
def complaints(past: Past, shop: Shop, values: Values) -> None:
    """What went wrong between the customer and us, and how fast it was mended."""
    count, n = len(past.complaints), len(past.purchases)
    values.complaints = count
    if n > 0:
        values.complaints_per_purchase = count / n
    if count == 0:
        return
    quarter = year = minor = major = still_open = late = oldest = repeated = 0
    waiting = longest = 0.0
    soon = REPEATED_WITHIN_IPTS * shrunk_ipt(past.purchases, n, shop)[0] + LAST_BITS
    for i in range(count):
        case = past.complaints[i]
        age = past.snapshot - case.opened
        unresolved = is_open(case, past.snapshot - 1)
        took = age if unresolved else case.resolved - case.opened
        ratio = took / sla_days(case.severity, shop.sla)
        if unresolved:
            still_open += 1
            oldest = max(oldest, age)
            waiting = max(waiting, ratio)
        if age <= 365:
            year += 1
            quarter += age <= 90
            minor += case.severity == 0
            major += case.severity > 0
            late += ratio > 1
            longest = max(longest, ratio)
            if i > 0 and case.opened - past.complaints[i - 1].opened <= soon:
                repeated = 1
    values.complaints_90d = quarter
    values.complaints_365d = year
    values.complaints_minor_365d = minor
    values.complaints_major_365d = major
    values.complaints_open = still_open
    values.complaints_past_sla = late
    values.oldest_open_days = oldest
    values.open_over_sla = waiting
    values.longest_repair_ratio = longest
    values.days_since_complaint = past.snapshot - past.complaints[count - 1].opened
    values.complaint_repeated = repeated
