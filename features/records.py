"""The record types of events, of a customer's past, and of the buffers that hold it.

Days are calendar days of the business time zone, counted from 1970-01-01. An event is visible if
its day is before the snapshot. A date that is missing, or not yet known, is NEVER. Money is summed
exactly as integers (ten-thousandths) and is then a float in the shop's currency.
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
Records = npt.NDArray[Any]  # rows[i].field


def record(*fields: str) -> np.dtype[Any]:
    """Return a record type from lines of a numpy type and the names of its fields."""
    typed = [(name, kind) for kind, *names in map(str.split, fields) for name in names]
    return np.dtype((np.record, np.dtype(typed, align=True)))


# The events: one row per row of a table in data/events, one field per column. `basket` is the
# customer's own number of the order, `sku` the number of the product; -1 if the row names none.
# `unserved`: a complaint about a service or delivery that did not take place.
LINE = record("i8 amount", "f8 quantity", "i4 day basket sku category promised delivered cancelled")
RETURN = record("i8 amount", "i4 day settled basket", "? defect")
COMPLAINT = record("i4 opened resolved reopened basket", "i1 severity", "? unserved")
TOUCH = record("i4 day")
KINDS = {"orders": LINE, "returns": RETURN, "complaints": COMPLAINT, "touches": TOUCH}
TIMES = {"orders": "day", "returns": "day", "complaints": "opened", "touches": "day"}

# What the events of one customer add up to.
PURCHASE = record(
    "i8 amount total",  # of this purchase; of this and all earlier ones
    "f8 spend log_gap",  # ln of the open days since the previous purchase; 0 for the first
    "i4 day weekday_top month_top",  # purchases so far on the most frequent weekday, in the month
    "i1 month",  # 0 January
)
# `product` and `category` are numbered in the order of the customer's first purchase, -1 unnamed;
# `group` is the number that the shop gives the category, `line` the place among the customer's
# lines; `first` marks the customer's first line with this product.
BOUGHT = record("i8 amount", "i4 day product category group line", "? first")
RUN = record("i4 purchases last")
ORDER = record("i4 day basket line promised delivered cancelled")  # `line`: as above, the last
# `generation` counts customers and rewinds, so that older numbers are void. `dated`: the customer
# has a line with a promised or delivery date or a cancellation; `cancels`: with a cancellation.
CURSOR = record(
    "i8 first line returned complaint touch generation",
    "i4 purchases bought products categories orders",
    "? dated cancels",
)

# Evidence of a reason to leave: strong from day `on`, with no purchase since day `after`.
STRONG = record("i4 after on")


class Shop(NamedTuple):
    """The parameters that hold for all customers of a shop.

    `expected_ipt` is in days, `log_sd` in ln days. `opened[d]` is the number of days before day d
    on which the shop was open; it is empty for a shop that never closes. `counts` and `trends` are
    the windows in days.
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

    `<kind>_start[c]`: the first row of customer c. `known[c]`: the day they became known.
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
    """One customer's past before one snapshot.

    `purchases` (PURCHASE): one row per day with a paid line that was not cancelled by then.
    `sorted_gaps`: the inter-purchase times in open days, ascending.
    `bought` (BOUGHT): one row per line of the purchases.
    `runs[p]` (RUN): for product p, how many consecutive purchases held it, and the last of them.
    `orders` (ORDER): one row per paid order, cancelled ones included, with the dates of its last
    line; maybe empty for a customer without any such date, as it would show nothing.
    `returns`, `complaints`, `touches`: as in the tables, later dates masked.
    `counters`: zeros to count in; leave them as zeros.
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
    """Arrays for the longest past of a partition, refilled per customer, and the cursors."""

    purchases: Records
    sorted_gaps: Ints
    bought: Records
    runs: Records
    placed: Records  # orders with all dates, later ones included
    orders: Records
    returns: Records
    complaints: Records
    counters: Ints
    calendar: Ints  # purchases so far by weekday, then by month
    product_number: Longs  # per sku: generation << 32 | the customer's own number
    category_number: Longs
    months: Bytes  # month of each day
    opened: Ints
    cursor: Records


def known_pairs(tables: Tables, snapshots: Ints) -> tuple[Ints, Ints]:
    """Return customer number and day of each snapshot at which a customer is known, ascending."""
    customers, places = np.nonzero(tables.known[:, None] < snapshots)
    return customers.astype(np.int32), snapshots[places]


def buffers_for(tables: Tables, opened: Ints) -> Buffers:
    """Return buffers for any customer of the partition; `opened` as in Shop."""

    def largest(records: Records, field: str) -> int:
        return int(records[field].max(initial=0))

    longest = int(np.diff(tables.line_start).max(initial=0)) + 1
    most_returns = int(np.diff(tables.return_start).max(initial=0)) + 1
    most_complaints = int(np.diff(tables.complaint_start).max(initial=0)) + 1
    orders = 1 + max(
        largest(t, "basket") for t in (tables.lines, tables.returns, tables.complaints)
    )
    dates = np.arange(largest(tables.lines, "day") + 1).astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64) % 12
    return Buffers(
        purchases=np.empty(longest, PURCHASE),
        sorted_gaps=np.empty(longest, np.int32),
        bought=np.empty(longest, BOUGHT),
        runs=np.empty(longest, RUN),
        placed=np.empty(longest, ORDER),
        orders=np.empty(longest, ORDER),
        returns=np.empty(most_returns, RETURN),
        complaints=np.empty(most_complaints, COMPLAINT),
        counters=np.zeros(2 * longest + orders + 19, np.int32),
        calendar=np.zeros(19, np.int32),
        product_number=np.full(largest(tables.lines, "sku") + 1, -1, np.int64),
        category_number=np.full(largest(tables.lines, "category") + 1, -1, np.int64),
        months=months.astype(np.int8),
        opened=opened,
        cursor=np.zeros(1, CURSOR),
    )
