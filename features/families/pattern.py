"""Pattern: whether the customer keeps to certain days, certain months, and one interval."""

from features.columns import Column, Row
from features.ipt import quantile
from features.kernel import kernel
from features.records import Past, Shop

COLUMNS = (
    Column("weekday_top_share", "share", "of purchases on the customer's commonest weekday"),
    Column(
        "month_top_share", "share", "of purchases in the customer's commonest month of the year"
    ),
    Column("gap_regular_share", "share", "of gaps within a quarter of the median gap"),
)


@kernel
def pattern(past: Past, shop: Shop, row: Row) -> None:
    """Whether the customer keeps to certain days, certain months, and one interval."""
    n = len(past.purchases)
    if n == 0:
        return
    row.weekday_top_share = past.purchases[n - 1].weekday_top / n
    row.month_top_share = past.purchases[n - 1].month_top / n
    if n == 1:
        return
    median, regular = quantile(past.sorted_gaps, 0.5), 0
    for i in range(n - 1):
        regular += 0.75 * median <= past.sorted_gaps[i] <= 1.25 * median
    row.gap_regular_share = regular / (n - 1)
