"""Variety and boredom: how many products the customer buys, and how often the same."""

from functools import partial

from features.columns import Feature, Values
from features.kernel import kernel
from features.records import Ints, Past, Shop

product_feature = partial(Feature, needs=("orders.sku",), reason="boredom")
category_feature = partial(Feature, needs=("orders.category",), reason="competitor")
PRODUCT_INDEX = "Herfindahl index of the products in the lines of the last 365 days; 1: always one"
CATEGORY_INDEX = "Herfindahl index of the categories in the lines of the last 365 days"
PRODUCT_COUNT = "different products bought in the last 365 days"
CATEGORY_COUNT = "different categories bought in the last 365 days"
RUN = "consecutive purchases, up to the last, that hold the same product"
NEW = "of the lines of the last 365 days with a product bought for the first time ever"

ORDER = 5
FEATURES = (
    product_feature("products_365d", "count", PRODUCT_COUNT, absent=0),
    category_feature("categories_365d", "count", CATEGORY_COUNT, absent=0),
    product_feature("product_concentration_365d", "share", PRODUCT_INDEX),
    category_feature("category_concentration_365d", "share", CATEGORY_INDEX),
    product_feature("same_item_run", "count", RUN, absent=0),
    product_feature("new_item_share_365d", "share", NEW),
    product_feature("days_since_new_item", "days", "since a product was bought for the first time"),
)


@kernel
def variety(past: Past, shop: Shop, values: Values) -> None:
    """Count the products and categories, the new ones and the repeated ones."""
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
            squares += count_one(past.counters, product)
            products += past.counters[product] == 1
        if category >= 0:
            grouped += 1
            category_squares += count_one(past.counters, categories_from + category)
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
def count_one(counters: Ints, place: int) -> int:
    """Count one more, and return the growth of the sum of squared counts."""
    counters[place] += 1
    return int(2 * counters[place] - 1)
