"""Relationship: how long the customer has been known, and how often contacted."""

from functools import partial

from features.columns import Feature, Values
from features.kernel import kernel
from features.records import Past, Shop

touch_feature = partial(Feature, needs=("touches",))

ORDER = 9
FEATURES = (
    Feature("known_days", "days", "since the customer became known"),
    Feature("tenure_days", "days", "since the first purchase"),
    touch_feature("touches", "count", "contacts so far", absent=0),
    touch_feature("touches_90d", "count", "contacts in the last 90 days", absent=0),
    touch_feature("days_since_touch", "days", "since the latest contact"),
)


@kernel
def relationship(past: Past, shop: Shop, values: Values) -> None:
    """Count the days since the customer became known, and the contacts."""
    values.known_days = past.snapshot - past.known
    if len(past.purchases) > 0:
        values.tenure_days = past.snapshot - past.purchases[0].day
    count = len(past.touches)
    if count == 0:
        return
    values.touches = count
    for i in range(count):
        values.touches_90d += past.snapshot - past.touches[i].day <= 90
    values.days_since_touch = past.snapshot - past.touches[count - 1].day
