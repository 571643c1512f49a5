"""Monetary value: purchasing power, and whether it grows or shrinks against the own past."""

from features.columns import Column, Row
from features.history import Past, Shop, net_spend
from features.kernel import kernel

COLUMNS = (
    Column("spend", "currency", "paid so far", absent=0),
    Column("spend_30d", "currency", "paid in the last 30 days", absent=0),
    Column("spend_90d", "currency", "paid in the last 90 days", absent=0),
    Column("spend_180d", "currency", "paid in the last 180 days", absent=0),
    Column("net_spend_365d", "currency", "paid less returned in the last 365 days", absent=0),
    Column("basket_mean", "currency", "spend per purchase"),
    Column("basket_last_over_mean", "ratio", "the last purchase over the mean one"),
    Column("spend_trend_90d", "ratio", "spend of the last 90 days over that of the 90 before, a mean basket added to both"),
    Column("spend_share_90d", "share", "of all spend that fell in the last 90 days"),
    Column("returns_365d", "count", "returns in the last 365 days", absent=0, needs="returns"),
    Column("return_share", "ratio", "returns over purchases; may exceed 1", needs="returns"),
)


@kernel
def monetary(past: Past, shop: Shop, row: Row) -> None:
    """Purchasing power, and whether it grows or shrinks against the own past."""
    n = len(past.day)
    recent_returns = 0
    for j in range(len(past.returned)):
        recent_returns += past.snapshot - past.returned[j] <= 365
    row.returns_365d = recent_returns
    row.net_spend_365d = net_spend(past, 365)
    if n == 0:
        return
    spent = d30 = d90 = d180 = 0.0
    for i in range(n):
        age = past.snapshot - past.day[i]
        value = past.spend[i]
        spent += value
        if age <= 180:
            d180 += value
        if age <= 90:
            d90 += value
        if age <= 30:
            d30 += value
    basket = spent / n
    row.spend = spent
    row.spend_30d = d30
    row.spend_90d = d90
    row.spend_180d = d180
    row.basket_mean = basket
    row.basket_last_over_mean = past.spend[n - 1] / basket
    row.spend_trend_90d = (d90 + basket) / (d180 - d90 + basket)
    row.spend_share_90d = d90 / spent
    row.return_share = len(past.returned) / n
