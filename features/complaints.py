"""Complaints: what went wrong between the customer and us, and how fast it was mended."""

from features.columns import Column, Row
from features.history import NEVER, Past, Shop, promised_days
from features.kernel import kernel


def _column(name: str, unit: str, meaning: str, absent: float = float("nan")) -> Column:
    return Column(name, unit, meaning, absent, needs="complaints")


COLUMNS = (
    _column("complaints", "count", "complaints so far", absent=0),
    _column("complaints_90d", "count", "complaints opened in the last 90 days", absent=0),
    _column("complaints_365d", "count", "complaints opened in the last 365 days", absent=0),
    _column("complaints_per_purchase", "ratio", "complaints over purchases"),
    _column("complaints_minor_365d", "count", "minor complaints opened in the last 365 days", absent=0),
    _column("complaints_major_365d", "count", "major or critical complaints opened in the last 365 days", absent=0),
    _column("complaints_open", "count", "complaints opened before the snapshot and not resolved by then", absent=0),
    _column(
        "complaints_past_promise",
        "count",
        "complaints of the last 365 days whose repair takes longer than promised",
        absent=0,
    ),
    _column("oldest_open_days", "days", "age of the oldest open complaint", absent=0),
    _column("open_over_promise", "ratio", "longest wait of an open complaint over the time promised", absent=0),
    _column("longest_repair_ratio", "ratio", "longest time to repair, finished or not, over the time promised, last 365 days", absent=0),
    _column("days_since_complaint", "days", "since the latest complaint was opened"),
)


@kernel
def complaints(past: Past, shop: Shop, row: Row) -> None:
    """What went wrong between the customer and us, and how fast it was mended."""
    count = len(past.opened)
    row.complaints = count
    if len(past.day) > 0:
        row.complaints_per_purchase = count / len(past.day)
    if count == 0:
        return
    quarter = year = minor = major = still_open = late = oldest = 0
    waiting = longest = 0.0
    for i in range(count):
        age = past.snapshot - past.opened[i]
        unresolved = past.resolved[i] == NEVER
        took = age if unresolved else past.resolved[i] - past.opened[i]
        ratio = took / promised_days(past.severity[i], shop.promise)
        if unresolved:
            still_open += 1
            oldest = max(oldest, age)
            waiting = max(waiting, ratio)
        if age <= 365:
            year += 1
            quarter += age <= 90
            minor += past.severity[i] == 0
            major += past.severity[i] > 0
            late += ratio > 1
            longest = max(longest, ratio)
    row.complaints_90d = quarter
    row.complaints_365d = year
    row.complaints_minor_365d = minor
    row.complaints_major_365d = major
    row.complaints_open = still_open
    row.complaints_past_promise = late
    row.oldest_open_days = oldest
    row.open_over_promise = waiting
    row.longest_repair_ratio = longest
    row.days_since_complaint = past.snapshot - past.opened[count - 1]
