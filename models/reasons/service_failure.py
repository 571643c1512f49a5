"""An important service that was not performed: a late or undelivered order, a grave complaint."""

from functools import partial

from features.columns import Feature, Values
from features.history import is_open, late_delivery_due
from features.ipt import shrunk_ipt
from features.kernel import kernel
from features.records import NEVER, Past
from models.reasons.context import Context, fade

feature = partial(Feature, unit="0..1", absent=0, monotone=1)
SINCE = "weight of the worst service failure since the last purchase, small ones included"

ORDER = 1
NEEDS = (("orders.promised_at", "orders.delivered_at"), ("orders.cancelled_at",), ("complaints",))
FEATURES = (
    feature("evidence_service_failure", meaning="evidence of a service failure"),
    feature("failure_since_purchase", meaning=SINCE),
)
FACTS = {
    "kind": ("never_delivered", "late", "major", "critical", "cancelled"),
    "on": "day",
    "days": "number",
    "id": "id",
}
BLIND = "Failures without a complaint or a date, and whether the customer cancelled the order."
NEVER_DELIVERED, LATE, MAJOR, CRITICAL, CANCELLED = range(5)


@kernel
def note(
    past: Past, at: Context, row: Values, kind: int, weight: float, on: int, days: int, place: int
) -> None:
    """Keep a failure if its evidence is the strongest so far; `place` of a complaint is below 0."""
    n = len(past.purchases)
    if on >= past.purchases[n - 1].day:
        row.failure_since_purchase = max(row.failure_since_purchase, weight)
    if weight <= at.rules.small:
        return
    expected_ipt = shrunk_ipt(past.purchases, n, at.shop)[0]
    evidence = weight * fade(past, on, past.snapshot - 1 - on, expected_ipt, at.rules)
    if evidence > row.evidence_service_failure:
        row.evidence_service_failure = evidence
        row.service_failure_kind, row.service_failure_on = kind, on
        row.service_failure_days, row.service_failure_table = days, 0 if place < 0 else 2
        row.service_failure_id = -1 - place if place < 0 else place


@kernel
def service_failure(past: Past, at: Context, row: Values) -> None:
    """The worst failure; each purchase after it, and {fade_ipts} expected IPTs, halve its evidence.

    * {never_delivered} for an order not delivered major_late days after the promised day, or a
      complaint that says so; {critical} for a critical complaint, {major} for a major one.
    * {major_late} for an order delivered later than that, {cancelled} for an order cancelled whole.
    * Core customers ignore smaller failures, which are no evidence.
    """
    rules, sla, today, n = at.rules, at.shop.sla, past.snapshot - 1, len(past.purchases)
    for i in range(len(past.complaints)):
        case = past.complaints[i]
        days = past.snapshot - case.opened if is_open(case, today) else case.resolved - case.opened
        kind, weight = NEVER_DELIVERED, rules.never_delivered
        if case.severity == 2 and rules.critical > weight or not case.unserved:
            kind, weight = CRITICAL, rules.critical
        if case.severity < 2 and not case.unserved:
            in_time = days <= sla.minor and not is_open(case, today)
            small = rules.small / 2 if in_time else rules.small
            kind, weight = MAJOR, rules.major if case.severity == 1 else small
        note(past, at, row, kind, weight, case.opened, days, -1 - i)
    for i in range(len(past.returns)):
        if past.returns[i].defect:
            note(past, at, row, LATE, rules.small, past.returns[i].day, 0, 0)
    oldest = past.purchases[max(0, n - 1 - int(10 * rules.fade_purchases))].day
    for i in range(len(past.orders) - 1, -1, -1):
        order = past.orders[i]
        if order.day < oldest:
            break
        due = late_delivery_due(order, past.snapshot, sla)
        if order.cancelled != NEVER:
            days = order.cancelled - order.day
            note(past, at, row, CANCELLED, rules.cancelled, order.cancelled, days, order.line)
        elif due != NEVER:
            days = min(order.delivered, past.snapshot) - order.promised
            kind, weight = LATE, rules.major_late if days > sla.major_late else rules.small
            if days > sla.major_late and order.delivered == NEVER:
                kind, weight = NEVER_DELIVERED, rules.never_delivered
            note(past, at, row, kind, weight, order.promised, days, order.line)
