"""Monetary value: purchasing power, and whether it grows or shrinks against the own past."""

from features.columns import Feature, Values
from features.history import first_within, net_spend, spend_from
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 3
FEATURES = (
    Feature("spend", "currency", "paid so far", absent=0),
    Feature("spend_in", "currency", "paid in the last {days} days", absent=0, windows="counts"),
    Feature("net_spend_365d", "currency", "paid less returned in the last 365 days", absent=0),
    Feature("basket_mean", "currency", "spend per purchase"),
    Feature("basket_last_over_mean", "ratio", "the last purchase over the mean one"),
    Feature(
        "spend_trend",
        "ratio",
        "spend of the last {days} days over that of the {days} before, a mean basket added to both",
        windows="trends",
    ),
    Feature("spend_share_90d", "share", "of all spend that fell in the last 90 days"),
)


@kernel
def monetary(past: Past, shop: Shop, values: Values) -> None:
    """Purchasing power, and whether it grows or shrinks against the own past."""
    values.net_spend_365d = net_spend(past, 365)
    n = len(past.purchases)
    if n == 0:
        return
    first = n
    for k in range(len(shop.counts)):
        while first > 0 and past.snapshot - past.purchases[first - 1].day <= shop.counts[k]:
            first -= 1
        values.spend_in[k] = spend_from(past, first)
    spent = spend_from(past, 0)
    basket = spent / n
    values.spend = spent
    values.basket_mean = basket
    values.basket_last_over_mean = past.purchases[n - 1].spend / basket
    values.spend_share_90d = spend_from(past, first_within(past, 90)) / spent
    for k in range(len(shop.trends)):
        days = shop.trends[k]
        recent = spend_from(past, first_within(past, days))
        values.spend_trend[k] = (recent + basket) / (
            spend_from(past, first_within(past, 2 * days)) - recent + basket
        )
