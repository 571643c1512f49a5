"""Monetary value: what the customer spends, now and earlier."""

from features.columns import Feature, Values
from features.history import first_within, net_spend, spend_from
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 3
TREND_MEANING = (
    "spend of the last {days} days over that of the {days} before, a mean basket added to both"
)
FEATURES = (
    Feature("spend", "currency", "spend so far", absent=0),
    Feature("spend_in", "currency", "spend in the last {days} days", absent=0, windows="counts"),
    Feature("net_spend_365d", "currency", "spend less returns in the last 365 days", absent=0),
    Feature("basket_mean", "currency", "spend per purchase"),
    Feature("basket_last_over_mean", "ratio", "spend of the last purchase over the mean"),
    Feature("spend_trend", "ratio", TREND_MEANING, windows="trends"),
    Feature("spend_share_90d", "share", "of all spend that fell in the last 90 days"),
)


@kernel
def monetary(past: Past, shop: Shop, values: Values) -> None:
    """Sum the spend in trailing windows and compare it with earlier spend."""
    values.net_spend_365d = net_spend(past, 365)
    n = len(past.purchases)
    if n == 0:
        return
    for k in range(len(shop.counts)):
        values.spend_in[k] = spend_from(past, first_within(past, shop.counts[k]))
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
