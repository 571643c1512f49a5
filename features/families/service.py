"""Service: orders delivered late, not delivered, or cancelled."""

from functools import partial

from features.columns import Feature, Values
from features.history import late_delivery_due
from features.kernel import kernel
from features.records import NEVER, Past, Shop

delivery_feature = partial(
    Feature, needs=("orders.promised_at", "orders.delivered_at"), reason="service_failure"
)
cancellation_feature = partial(Feature, needs=("orders.cancelled_at",), reason="service_failure")
LATE = "orders due in the last 365 days, grace included, that arrived later or have not arrived"
UNDELIVERED = "orders overdue, grace included, and neither delivered nor cancelled"
DELAY = "longest delay past the promised day, of the orders due in the last 365 days"
CANCELLED = "orders cancelled completely in the last 365 days"

ORDER = 8
FEATURES = (
    delivery_feature("late_orders_365d", "count", LATE, absent=0),
    delivery_feature("late_share_365d", "share", f"of the {LATE}"),
    delivery_feature("undelivered", "count", UNDELIVERED, absent=0),
    delivery_feature("longest_delay_days_365d", "days", DELAY, absent=0),
    delivery_feature("days_since_late", "days", "since the latest due day, grace included, missed"),
    cancellation_feature("cancelled_orders_365d", "count", CANCELLED, absent=0),
)


@kernel
def service(past: Past, shop: Shop, values: Values) -> None:
    """Count the late, undelivered and cancelled orders; an order cancelled in time is not late."""
    due_orders = late = waiting = longest = cancelled = 0
    latest = -1
    for i in range(len(past.orders)):
        order = past.orders[i]
        cancelled += order.cancelled != NEVER and past.snapshot - order.cancelled <= 365
        if order.promised == NEVER:
            continue
        due = order.promised + shop.sla.delivery_grace
        if due >= past.snapshot or order.cancelled <= due:
            continue
        broken = late_delivery_due(order, past.snapshot, shop.sla) != NEVER
        waiting += order.delivered == NEVER and order.cancelled == NEVER
        if broken:
            latest = max(latest, due)
        if past.snapshot - due <= 365:
            due_orders += 1
            late += broken
            longest = max(
                longest, min(order.delivered, order.cancelled, past.snapshot) - order.promised
            )
    values.cancelled_orders_365d = cancelled
    values.undelivered = waiting
    values.late_orders_365d = late
    values.longest_delay_days_365d = max(longest, 0)
    if due_orders > 0:
        values.late_share_365d = late / due_orders
    if latest >= 0:
        values.days_since_late = past.snapshot - latest
