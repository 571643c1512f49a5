"""Returns: what the customer sent back, and whether it was defective."""

from functools import partial

from features.columns import Feature, Values
from features.history import first_within, returned_amount, spend_from
from features.kernel import kernel
from features.records import Past, Shop

feature = partial(Feature, needs=("returns",))
defect_feature = partial(Feature, needs=("returns.reason",))
DEFECTS = "returns for a defect in the last 365 days"
AMOUNT_SHARE = "amount returned over spend, both of the last 365 days; may exceed 1"

ORDER = 6
FEATURES = (
    feature("returns", "count", "returns so far", absent=0),
    feature("returns_365d", "count", "returns in the last 365 days", absent=0),
    defect_feature("defect_returns_365d", "count", DEFECTS, absent=0),
    feature("returns_per_purchase", "ratio", "returns over purchases; may exceed 1"),
    feature("returned_share_365d", "ratio", AMOUNT_SHARE),
    feature("days_since_return", "days", "since the latest return"),
)


@kernel
def returns(past: Past, shop: Shop, values: Values) -> None:
    """Count the returns and the defective ones, and sum what was returned."""
    n, count = len(past.purchases), len(past.returns)
    values.returns = count
    for i in range(count):
        if past.snapshot - past.returns[i].day <= 365:
            values.returns_365d += 1
            values.defect_returns_365d += past.returns[i].defect
    if n > 0:
        values.returns_per_purchase = count / n
        spent = spend_from(past, first_within(past, 365))
        if spent > 0:
            values.returned_share_365d = returned_amount(past, 365) / spent
    if count > 0:
        values.days_since_return = past.snapshot - past.returns[count - 1].day
