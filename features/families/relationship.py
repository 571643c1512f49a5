"""Relationship: how long we have known each other, and how often we spoke."""

from features.columns import Column, Row
from features.kernel import kernel
from features.records import Past, Shop

TOUCHES = ("touches",)

COLUMNS = (
    Column("known_days", "days", "since the customer became known"),
    Column("tenure_days", "days", "since the first purchase"),
    Column("touches", "count", "contacts so far", absent=0, needs=TOUCHES),
    Column("touches_90d", "count", "contacts in the last 90 days", absent=0, needs=TOUCHES),
    Column("days_since_touch", "days", "since the latest contact", needs=TOUCHES),
)


@kernel
def relationship(past: Past, shop: Shop, row: Row) -> None:
    """How long we have known each other, and how often we spoke."""
    row.known_days = past.snapshot - past.known
    if len(past.purchases) > 0:
        row.tenure_days = past.snapshot - past.purchases[0].day
    count = len(past.touches)
    if count == 0:
        return
    recent = 0
    for i in range(count):
        recent += past.snapshot - past.touches[i].day <= 90
    row.touches = count
    row.touches_90d = recent
    row.days_since_touch = past.snapshot - past.touches[count - 1].day
