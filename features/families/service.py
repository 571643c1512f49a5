"""Service: what we did not deliver as promised."""

from features.columns import Feature, Values
from features.history import late_delivery_due
from features.kernel import kernel
from features.records import NEVER, Past, Shop

DELIVERIES, CANCELLATIONS = ("orders.promised_at", "orders.delivered_at"), ("orders.cancelled_at",)

ORDER = 8
FEATURES = (
    Feature(
        "late_orders_365d",
        "count",
        "orders due in the last 365 days, grace included, that came later or have not come",
        absent=0,
        needs=DELIVERIES,
    ),
    Feature(
        "late_share_365d",
        "share",
        "of the orders due in the last 365 days, grace included, that came later or have not come",
        needs=DELIVERIES,
    ),
    Feature(
        "undelivered",
        "count",
        "orders overdue, grace included, and neither delivered nor cancelled",
        absent=0,
        needs=DELIVERIES,
    ),
    Feature(
        "longest_delay_days_365d",
        "days",
        "longest delay over the promise of an order due in the last 365 days",
        absent=0,
        needs=DELIVERIES,
    ),
    Feature(
        "days_since_late",
        "days",
        "since the promise, grace included, was last broken",
        needs=DELIVERIES,
    ),
    Feature(
        "cancelled_orders_365d",
        "count",
        "orders wholly cancelled in the last 365 days",
        absent=0,
        needs=CANCELLATIONS,
    ),
)


@kernel
def service(past: Past, shop: Shop, values: Values) -> None:
    """What we did not deliver as promised; an order that was cancelled in time was not owed."""
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
