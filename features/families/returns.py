"""Returns: what was sent back, and whether it was our fault."""

from features.columns import Column, Row
from features.history import first_within, returned_amount, spend_from
from features.kernel import kernel
from features.records import Past, Shop

RETURNS = ("returns",)

COLUMNS = (
    Column("returns", "count", "returns so far", absent=0, needs=RETURNS),
    Column("returns_365d", "count", "returns in the last 365 days", absent=0, needs=RETURNS),
    Column(
        "defect_returns_365d",
        "count",
        "returns for a defect in the last 365 days",
        absent=0,
        needs=("returns.reason",),
    ),
    Column("returns_per_purchase", "ratio", "returns over purchases; may exceed 1", needs=RETURNS),
    Column(
        "returned_share_365d",
        "ratio",
        "amount returned over spend, both of the last 365 days; may exceed 1",
        needs=RETURNS,
    ),
    Column("days_since_return", "days", "since the latest return", needs=RETURNS),
)


@kernel
def returns(past: Past, shop: Shop, row: Row) -> None:
    """What was sent back, and whether it was our fault."""
    n, count = len(past.purchases), len(past.returns)
    year = defects = 0
    for i in range(count):
        if past.snapshot - past.returns[i].day <= 365:
            year += 1
            defects += past.returns[i].defect
    row.returns = count
    row.returns_365d = year
    row.defect_returns_365d = defects
    if n > 0:
        row.returns_per_purchase = count / n
        spent = spend_from(past, first_within(past, 365))
        if spent > 0:
            row.returned_share_365d = returned_amount(past, 365) / spent
    if count > 0:
        row.days_since_return = past.snapshot - past.returns[count - 1].day
