"""Variety and boredom: how many different things the customer buys, and for how long the same."""

from features.columns import Feature, Values
from features.kernel import kernel
from features.records import Ints, Past, Shop

PRODUCTS, CATEGORIES = ("orders.sku",), ("orders.category",)

ORDER = 5
FEATURES = (
    Feature(
        "products_365d",
        "count",
        "different products bought in the last 365 days",
        absent=0,
        needs=PRODUCTS,
    ),
    Feature(
        "categories_365d",
        "count",
        "different categories bought in the last 365 days",
        absent=0,
        needs=CATEGORIES,
    ),
    Feature(
        "product_concentration_365d",
        "share",
        "Herfindahl index of the products in the lines of the last 365 days; 1: always one",
        needs=PRODUCTS,
    ),
    Feature(
        "category_concentration_365d",
        "share",
        "Herfindahl index of the categories in the lines of the last 365 days",
        needs=CATEGORIES,
    ),
    Feature(
        "same_item_run",
        "count",
        "purchases in a row, the last one included, that hold the same product",
        absent=0,
        needs=PRODUCTS,
    ),
    Feature(
        "new_item_share_365d",
        "share",
        "of the lines of the last 365 days whose product was bought for the first time ever",
        needs=PRODUCTS,
    ),
    Feature(
        "days_since_new_item",
        "days",
        "since a product was bought for the first time",
        needs=PRODUCTS,
    ),
)


@kernel
def variety(past: Past, shop: Shop, values: Values) -> None:
    """How many different things the customer buys, and for how long the same."""
    n = len(past.purchases)
    if n == 0:
        return
    first = len(past.bought)
    while first > 0 and past.snapshot - past.bought[first - 1].day <= 365:
        first -= 1
    lines = products = new = squares = 0
    grouped = categories = category_squares = 0
    categories_from = len(past.runs)  # one buffers for both tallies
    for i in range(first, len(past.bought)):
        product, category = past.bought[i].product, past.bought[i].category
        if product >= 0:
            lines += 1
            new += past.bought[i].first
            squares += add(past.counters, product)
            products += past.counters[product] == 1
        if category >= 0:
            grouped += 1
            category_squares += add(past.counters, categories_from + category)
            categories += past.counters[categories_from + category] == 1
    for i in range(first, len(past.bought)):
        past.counters[max(past.bought[i].product, 0)] = 0
        past.counters[categories_from + max(past.bought[i].category, 0)] = 0
    values.products_365d = products
    values.categories_365d = categories
    if lines > 0:
        values.product_concentration_365d = squares / lines**2
        values.new_item_share_365d = new / lines
    if grouped > 0:
        values.category_concentration_365d = category_squares / grouped**2
    longest = 0
    i = len(past.bought) - 1
    while i >= 0 and past.bought[i].day == past.purchases[n - 1].day:
        if past.bought[i].product >= 0:
            longest = max(longest, past.runs[past.bought[i].product].purchases)
        i -= 1
    values.same_item_run = longest
    for i in range(len(past.bought) - 1, -1, -1):
        if past.bought[i].first:
            values.days_since_new_item = past.snapshot - past.bought[i].day
            break


@kernel
def add(counters: Ints, place: int) -> int:
    """Count one more; the growth of the sum of squared counts."""
    counters[place] += 1
    return int(2 * counters[place] - 1)
