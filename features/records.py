"""What a past is made of: the records of events as they lie in data/events, and of what they come
to.

Days are whole calendar days of the business time zone, counted from 1970-01-01; an event is visible
if its day is before the snapshot's. A date that is not there, or not there yet, is NEVER. Money is
added up exactly (ten-thousandths, as integers) and then a float in the shop's currency.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.settings import IptRules, Sla

NEVER = 2**31 - 1
UNIT = 10_000.0

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
# rows[i].field: one array to hand on from kernel to kernel, not one for each field
Records = npt.NDArray[Any]


def _record(*fields: tuple[str, Any]) -> np.dtype[Any]:
    return np.dtype((np.record, np.dtype(list(fields), align=True)))


# The events as they lie in data/events, a column a field.
LINE = _record(
    ("amount", np.int64),
    ("quantity", np.float64),
    ("day", np.int32),
    ("basket", np.int32),  # number of the order among the customer's; -1 where a row names none
    ("sku", np.int32),  # number of the product, -1 where the line names none
    ("category", np.int32),
    ("promised", np.int32),
    ("delivered", np.int32),
    ("cancelled", np.int32),
)
RETURN = _record(
    ("amount", np.int64), ("day", np.int32), ("basket", np.int32), ("defect", np.bool_)
)
COMPLAINT = _record(
    ("opened", np.int32),
    ("resolved", np.int32),
    ("reopened", np.int32),
    ("basket", np.int32),
    ("severity", np.int8),
)
TOUCH = _record(("day", np.int32))
KINDS = {"orders": LINE, "returns": RETURN, "complaints": COMPLAINT, "touches": TOUCH}
TIMES = {"orders": "day", "returns": "day", "complaints": "opened", "touches": "day"}

# What a past is made of beside them.
PURCHASE = _record(
    ("amount", np.int64),
    ("total", np.int64),  # amount of this purchase and all before
    ("spend", np.float64),
    ("log_gap", np.float64),  # ln of the open days since the purchase before, 0 for the first
    ("day", np.int32),
    ("weekday_top", np.int32),  # how many purchases so far fell on the weekday on which most did
    ("month_top", np.int32),  # likewise, of the months of the year
    ("month", np.int8),  # 0 January
)
BOUGHT = _record(
    ("day", np.int32),
    # numbered in the order in which the customer first bought them; -1 unnamed
    ("product", np.int32),
    ("category", np.int32),  # likewise
    ("first", np.bool_),  # the first line ever with this product
)
RUN = _record(("purchases", np.int32), ("last", np.int32))
ORDER = _record(
    ("day", np.int32),
    ("basket", np.int32),
    ("promised", np.int32),
    ("delivered", np.int32),
    ("cancelled", np.int32),
)


class Shop(NamedTuple):
    """What holds for all customers: the rules of rhythm, the promises, the shop's usual gap (days)
    and its log-sd.

    `opened[d]`: on how many days before day d the shop was open; empty for a shop that never
    closes. `counts`, `trends`: the windows, for those who need them.
    """

    ipt: IptRules
    sla: Sla
    expected_ipt: float
    log_sd: float
    opened: Ints
    counts: Ints
    trends: Ints


class Tables(NamedTuple):
    """All events of a partition, sorted by customer and time.

    `<kind>_start[c]` is where customer c's rows begin.
    """

    known: Ints
    line_start: Longs
    lines: Records
    return_start: Longs
    returns: Records
    complaint_start: Longs
    complaints: Records
    touch_start: Longs
    touches: Records


class Past(NamedTuple):
    """What one customer did and met with before one snapshot.

    `purchases` (PURCHASE): one per day with at least one paid line not cancelled by then;
    `sorted_gaps`: open days between them, ascending. `bought` (BOUGHT): the lines they consist of.
    `runs[p]` (RUN), for product p: how many purchases in a row held it, and the last of them.
    `orders` (ORDER): paid orders, also those cancelled since, with the dates of their last lines;
    none where nothing was ever promised or cancelled. `returns`, `complaints`, `touches`: as in the
    tables. `counters`: zeros to count in, to be left as zeros.
    """

    snapshot: int
    known: int
    purchases: Records
    sorted_gaps: Ints
    bought: Records
    runs: Records
    orders: Records
    returns: Records
    complaints: Records
    touches: Records
    counters: Ints


class Buffers(NamedTuple):
    """Room for the longest past of a partition, filled anew for each customer, and the cursors into
    the tables.
    """

    purchases: Records
    sorted_gaps: Ints
    bought: Records
    runs: Records
    placed: Records  # orders, nothing masked
    orders: Records
    complaints: Records
    counters: Ints
    calendar: Ints  # purchases so far by weekday, then by month
    product_number: Longs  # by sku: whose number it is (`generation`), and the number
    category_number: Longs
    months: Bytes  # by day
    opened: Ints
    cursor: Records


CURSOR = _record(
    ("line", np.int64),
    ("returned", np.int64),
    ("complaint", np.int64),
    ("touch", np.int64),
    ("generation", np.int64),  # a new one for each customer, and for each time a past is told anew
    ("purchases", np.int32),
    ("bought", np.int32),
    ("products", np.int32),
    ("categories", np.int32),
    ("orders", np.int32),
    ("dated", np.bool_),  # a line of the customer is ever promised or cancelled
    ("cancels", np.bool_),
)


def buffers_for(tables: Tables, opened: Ints) -> Buffers:
    """Room for any customer of the partition; `opened` as in Shop."""
    longest = int(np.diff(tables.line_start).max(initial=0)) + 1
    orders = (
        max(
            int(rows["basket"].max(initial=0))
            for rows in (tables.lines, tables.returns, tables.complaints)
        )
        + 1
    )
    last_day = int(tables.lines["day"].max(initial=0))
    months = (
        np.arange(last_day + 1).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        % 12
    )
    return Buffers(
        purchases=np.empty(longest, PURCHASE),
        sorted_gaps=np.empty(longest, np.int32),
        bought=np.empty(longest, BOUGHT),
        runs=np.empty(longest, RUN),
        placed=np.empty(longest, ORDER),
        orders=np.empty(longest, ORDER),
        complaints=np.empty(int(np.diff(tables.complaint_start).max(initial=0)) + 1, COMPLAINT),
        counters=np.zeros(2 * longest + orders + 12, np.int32),
        calendar=np.zeros(19, np.int32),
        product_number=np.full(int(tables.lines["sku"].max(initial=0)) + 1, -1, np.int64),
        category_number=np.full(int(tables.lines["category"].max(initial=0)) + 1, -1, np.int64),
        months=months.astype(np.int8),
        opened=opened,
        cursor=np.zeros(1, CURSOR),
    )
