"""Frequency: how often the customer buys, in trailing windows and against the own past."""

from features.columns import Column, Row
from features.history import Past, Shop
from features.kernel import kernel

COLUMNS = (
    Column("purchases", "count", "days with a purchase so far", absent=0),
    Column("purchases_14d", "count", "purchases in the last 14 days", absent=0),
    Column("purchases_30d", "count", "purchases in the last 30 days", absent=0),
    Column("purchases_60d", "count", "purchases in the last 60 days", absent=0),
    Column("purchases_90d", "count", "purchases in the last 90 days", absent=0),
    Column("purchases_180d", "count", "purchases in the last 180 days", absent=0),
    Column("purchases_365d", "count", "purchases in the last 365 days", absent=0),
    Column("purchase_rate", "per day", "purchases per day since the first"),
    Column("purchase_trend_90d", "ratio", "purchases of the last 90 days over those of the 90 before, one added to both"),
    Column("purchase_trend_30d", "ratio", "purchases of the last 30 days over those of the 30 before, one added to both"),
    Column("lines_per_purchase", "count", "order lines per purchase"),
)


@kernel
def frequency(past: Past, shop: Shop, row: Row) -> None:
    """How often the customer buys, in trailing windows and against the own past."""
    n = len(past.day)
    row.purchases = n
    if n == 0:
        return
    d14 = d30 = d60 = d90 = d180 = d365 = 0
    i = n - 1
    while i >= 0:
        age = past.snapshot - past.day[i]
        if age > 365:
            break
        d365 += 1
        d180 += age <= 180
        d90 += age <= 90
        d60 += age <= 60
        d30 += age <= 30
        d14 += age <= 14
        i -= 1
    row.purchases_14d = d14
    row.purchases_30d = d30
    row.purchases_60d = d60
    row.purchases_90d = d90
    row.purchases_180d = d180
    row.purchases_365d = d365
    row.purchase_rate = n / (past.snapshot - past.day[0])
    row.purchase_trend_90d = (d90 + 1) / (d180 - d90 + 1)
    row.purchase_trend_30d = (d30 + 1) / (d60 - d30 + 1)
    lines = 0
    for k in range(n):
        lines += past.lines[k]
    row.lines_per_purchase = lines / n
