"""Complaints: how many, how grave, and whether they were resolved within the SLA."""

from functools import partial

from features.columns import Feature, Values
from features.history import is_open, sla_days
from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import Past, Shop

# A second failure so soon is judged more harshly than two apart (Maxham and Netemeyer 2002).
REPEATED_WITHIN_IPTS = 4
LAST_BITS = 1e-6  # days; of a logarithm, left out: four IPTs of 14 days are 56

feature = partial(Feature, needs=("complaints",), reason="service_failure")
count = partial(feature, unit="count", absent=0)
open_feature = partial(feature, reason="unrepaired", absent=0)
MAJOR = "major or critical complaints opened in the last 365 days"
BREACHED = "complaints of the last 365 days that were or are open for longer than the SLA"
WAITING = "longest time an open complaint has been open, over its SLA"
REPAIR = "longest time to resolution, finished or not, over the SLA, last 365 days"
REPEATED = "a complaint of the last 365 days came within four expected IPTs of the previous one"

ORDER = 7
FEATURES = (
    count("complaints", meaning="complaints so far"),
    count("complaints_90d", meaning="complaints opened in the last 90 days"),
    count("complaints_365d", meaning="complaints opened in the last 365 days"),
    feature("complaints_per_purchase", "ratio", "complaints over purchases; may exceed 1"),
    count("complaints_minor_365d", meaning="minor complaints opened in the last 365 days"),
    count("complaints_major_365d", meaning=MAJOR),
    open_feature("complaints_open", "count", "unresolved complaints at the snapshot", monotone=1),
    open_feature("complaints_past_sla", "count", BREACHED, monotone=1),
    open_feature("oldest_open_days", "days", "age of the oldest open complaint"),
    open_feature("open_over_sla", "ratio", WAITING, monotone=1),
    open_feature("longest_repair_ratio", "ratio", REPAIR, monotone=1),
    feature("days_since_complaint", "days", "since the latest complaint was opened"),
    feature("complaint_repeated", "0 or 1", REPEATED, absent=0),
)


@kernel
def complaints(past: Past, shop: Shop, values: Values) -> None:
    """Count the complaints by age and severity, and compare their open time with the SLA."""
    count, n = len(past.complaints), len(past.purchases)
    values.complaints = count
    if n > 0:
        values.complaints_per_purchase = count / n
    if count == 0:
        return
    soon = REPEATED_WITHIN_IPTS * shrunk_ipt(past.purchases, n, shop)[0] + LAST_BITS
    for i in range(count):
        complaint = past.complaints[i]
        age = past.snapshot - complaint.opened
        unresolved = is_open(complaint, past.snapshot - 1)
        took = age if unresolved else complaint.resolved - complaint.opened
        ratio = took / sla_days(complaint.severity, shop.sla)
        if unresolved:
            values.complaints_open += 1
            values.oldest_open_days = max(values.oldest_open_days, age)
            values.open_over_sla = max(values.open_over_sla, ratio)
        if age <= 365:
            values.complaints_365d += 1
            values.complaints_90d += age <= 90
            values.complaints_minor_365d += complaint.severity == 0
            values.complaints_major_365d += complaint.severity > 0
            values.complaints_past_sla += ratio > 1
            values.longest_repair_ratio = max(values.longest_repair_ratio, ratio)
            if i > 0 and complaint.opened - past.complaints[i - 1].opened <= soon:
                values.complaint_repeated = 1
    values.days_since_complaint = past.snapshot - past.complaints[count - 1].opened
