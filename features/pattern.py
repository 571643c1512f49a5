"""Pattern: whether the customer keeps to certain days, certain months, and one interval."""

from features.columns import Column, Row
from features.cycle import quantile
from features.kernel import kernel
from features.records import Past, Shop

COLUMNS = (
    Column("weekday_top_share", "share", "of purchases on the customer's commonest weekday"),
    Column("month_top_share", "share", "of purchases in the customer's commonest month of the year"),
    Column("gap_regular_share", "share", "of gaps within a quarter of the median gap"),
)


@kernel
def pattern(past: Past, shop: Shop, row: Row) -> None:
    """Whether the customer keeps to certain days, certain months, and one interval."""
    n = len(past.purchases)
    if n == 0:
        return
    top = 0
    for i in range(n):
        weekday = past.purchases[i].day % 7
        past.tally[weekday] += 1
        top = max(top, past.tally[weekday])
    for i in range(7):
        past.tally[i] = 0
    row.weekday_top_share = top / n
    top = 0
    for i in range(n):
        month = past.purchases[i].month
        past.tally[month] += 1
        top = max(top, past.tally[month])
    for i in range(12):
        past.tally[i] = 0
    row.month_top_share = top / n
    if n == 1:
        return
    median, regular = quantile(past.sorted_gaps, 0.5), 0
    for i in range(n - 1):
        regular += 0.75 * median <= past.sorted_gaps[i] <= 1.25 * median
    row.gap_regular_share = regular / (n - 1)
