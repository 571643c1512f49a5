"""Complaints: what went wrong between the customer and us, and how fast it was mended."""

from features.columns import Column, Row
from features.history import is_open, sla_days
from features.ipt import own_ipt
from features.kernel import kernel
from features.records import Past, Shop

COMPLAINTS = ("complaints",)
# a second failure so soon is judged more harshly than two apart (Maxham and Netemeyer 2002)
REPEATED_WITHIN_IPTS = 4
LAST_BITS = 1e-6  # days; of a logarithm, left out: four cycles of 14 days are 56

COLUMNS = (
    Column("complaints", "count", "complaints so far", absent=0, needs=COMPLAINTS),
    Column(
        "complaints_90d",
        "count",
        "complaints opened in the last 90 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Column(
        "complaints_365d",
        "count",
        "complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Column(
        "complaints_per_purchase",
        "ratio",
        "complaints over purchases; may exceed 1",
        needs=COMPLAINTS,
    ),
    Column(
        "complaints_minor_365d",
        "count",
        "minor complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Column(
        "complaints_major_365d",
        "count",
        "major or critical complaints opened in the last 365 days",
        absent=0,
        needs=COMPLAINTS,
    ),
    Column(
        "complaints_open",
        "count",
        "complaints opened before the snapshot and not resolved by then",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Column(
        "complaints_past_sla",
        "count",
        "complaints of the last 365 days whose repair takes longer than promised",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Column(
        "oldest_open_days", "days", "age of the oldest open complaint", absent=0, needs=COMPLAINTS
    ),
    Column(
        "open_over_sla",
        "ratio",
        "longest wait of an open complaint over the time promised",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Column(
        "longest_repair_ratio",
        "ratio",
        "longest time to repair, finished or not, over the time promised, last 365 days",
        absent=0,
        needs=COMPLAINTS,
        monotone=1,
    ),
    Column(
        "days_since_complaint", "days", "since the latest complaint was opened", needs=COMPLAINTS
    ),
    Column(
        "complaint_repeated",
        "0 or 1",
        "a complaint of the last 365 days came within four own cycles of the one before",
        absent=0,
        needs=COMPLAINTS,
    ),
)


@kernel
def complaints(past: Past, shop: Shop, row: Row) -> None:
    """What went wrong between the customer and us, and how fast it was mended."""
    count, n = len(past.complaints), len(past.purchases)
    row.complaints = count
    if n > 0:
        row.complaints_per_purchase = count / n
    if count == 0:
        return
    quarter = year = minor = major = still_open = late = oldest = repeated = 0
    waiting = longest = 0.0
    soon = REPEATED_WITHIN_IPTS * own_ipt(past.purchases, n, shop)[0] + LAST_BITS
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
    row.complaints_90d = quarter
    row.complaints_365d = year
    row.complaints_minor_365d = minor
    row.complaints_major_365d = major
    row.complaints_open = still_open
    row.complaints_past_sla = late
    row.oldest_open_days = oldest
    row.open_over_sla = waiting
    row.longest_repair_ratio = longest
    row.days_since_complaint = past.snapshot - past.complaints[count - 1].opened
    row.complaint_repeated = repeated
