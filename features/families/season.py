"""Season: what the customer bought a year ago, in the weeks that come now."""

from features.columns import Feature, Values
from features.history import first_within
from features.kernel import kernel
from features.records import Past, Shop

ORDER = 10
YEAR = 364  # days: 52 weeks, so that a weekday falls on the same
COMING = "purchases in the {days} days from a year (52 weeks) before the snapshot on"
RATIO = "those over the purchases of the {days} days before that day, 1 added to both"
FEATURES = (
    Feature("purchases_year_ago", "count", COMING, windows="trends"),
    Feature("season_trend", "ratio", RATIO, windows="trends"),
)


@kernel
def season(past: Past, shop: Shop, values: Values) -> None:
    """Count the purchases around the day a year ago, of customers who bought before that."""
    if len(past.purchases) == 0:
        return
    year_ago = first_within(past, YEAR)
    for k in range(len(shop.trends)):
        days = shop.trends[k]
        if past.snapshot - past.purchases[0].day >= YEAR + days:
            coming = first_within(past, YEAR - days) - year_ago
            before = year_ago - first_within(past, YEAR + days)
            values.purchases_year_ago[k] = coming
            values.season_trend[k] = (coming + 1) / (before + 1)
