"""Frequency: how often the customer buys, now and earlier."""

from features.columns import Feature, Values
from features.history import first_within
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 2
WINDOW_MEANING = "purchases in the last {days} days"
TREND_MEANING = "purchases of the last {days} days over those of the {days} before, 1 added to both"
FEATURES = (
    Feature("purchases", "count", "days with a purchase so far", absent=0),
    Feature("purchases_in", "count", WINDOW_MEANING, absent=0, windows="counts"),
    Feature("purchase_rate", "per day", "purchases per day since the first"),
    Feature("purchase_trend", "ratio", TREND_MEANING, windows="trends"),
    Feature("lines_per_purchase", "count", "order lines per purchase"),
)


@kernel
def frequency(past: Past, shop: Shop, values: Values) -> None:
    """Count the purchases in trailing windows and compare them with earlier ones."""
    n = len(past.purchases)
    values.purchases = n
    if n == 0:
        return
    for k in range(len(shop.counts)):
        values.purchases_in[k] = n - first_within(past, shop.counts[k])
    for k in range(len(shop.trends)):
        days = shop.trends[k]
        recent = n - first_within(past, days)
        values.purchase_trend[k] = (recent + 1) / (n - first_within(past, 2 * days) - recent + 1)
    values.purchase_rate = n / (past.snapshot - past.purchases[0].day)
    values.lines_per_purchase = len(past.bought) / n
