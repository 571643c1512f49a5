"""Pattern: how much the customer keeps to certain weekdays, months and IPTs."""

from features.columns import Feature, Values
from features.ipt import quantile
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 4
FEATURES = (
    Feature("weekday_top_share", "share", "of purchases on the most frequent weekday"),
    Feature("month_top_share", "share", "of purchases in the most frequent month of the year"),
    Feature("gap_regular_share", "share", "of IPTs within a quarter of the median IPT"),
)


@kernel
def pattern(past: Past, shop: Shop, values: Values) -> None:
    """Measure how much the customer keeps to certain weekdays, months and IPTs."""
    n = len(past.purchases)
    if n == 0:
        return
    values.weekday_top_share = past.purchases[n - 1].weekday_top / n
    values.month_top_share = past.purchases[n - 1].month_top / n
    if n == 1:
        return
    median, regular = quantile(past.sorted_gaps, 0.5), 0
    for i in range(n - 1):
        regular += 0.75 * median <= past.sorted_gaps[i] <= 1.25 * median
    values.gap_regular_share = regular / (n - 1)
