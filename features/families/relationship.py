"""Relationship: how long we have known each other, and how often we spoke."""

from features.columns import Feature, Values
from features.kernel import kernel
from features.records import Past, Shop

TOUCHES = ("touches",)

ORDER = 9
FEATURES = (
    Feature("known_days", "days", "since the customer became known"),
    Feature("tenure_days", "days", "since the first purchase"),
    Feature("touches", "count", "contacts so far", absent=0, needs=TOUCHES),
    Feature("touches_90d", "count", "contacts in the last 90 days", absent=0, needs=TOUCHES),
    Feature("days_since_touch", "days", "since the latest contact", needs=TOUCHES),
)


@kernel
def relationship(past: Past, shop: Shop, values: Values) -> None:
    """How long we have known each other, and how often we spoke."""
    values.known_days = past.snapshot - past.known
    if len(past.purchases) > 0:
        values.tenure_days = past.snapshot - past.purchases[0].day
    count = len(past.touches)
    if count == 0:
        return
    recent = 0
    for i in range(count):
        recent += past.snapshot - past.touches[i].day <= 90
    values.touches = count
    values.touches_90d = recent
    values.days_since_touch = past.snapshot - past.touches[count - 1].day
