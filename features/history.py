"""One customer's past as a feature may see it: events before midnight of the snapshot, later dates masked.

Days are whole calendar days of the business time zone, counted from 1970-01-01; an event is visible if its day is before the
snapshot's. Money is a float in the shop's currency, added up exactly before (ten-thousandths, as integers).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.kernel import kernel
from features.settings import Cycle, Promise

NEVER = 2**31 - 1
UNIT = 10_000.0

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]


class Shop(NamedTuple):
    """What holds for all customers: the rules of rhythm, the promises, the shop's usual gap (days) and its spread (sd of ln gap)."""

    cycle: Cycle
    promise: Promise
    usual_gap: float
    log_sd: float


class Tables(NamedTuple):
    """All events of a partition, sorted by customer and day; `<table>_start[c]` is where customer c's rows begin."""

    known: Ints
    line_start: Longs
    line_day: Ints
    line_amount: Longs
    line_quantity: Floats
    line_cancelled: Ints
    return_start: Longs
    return_day: Ints
    return_amount: Longs
    return_defect: Flags
    complaint_start: Longs
    complaint_opened: Ints
    complaint_severity: Bytes
    complaint_resolved: Ints
    touch_start: Longs
    touch_day: Ints


class Past(NamedTuple):
    """What one customer did and met with before one snapshot.

    `day`, `spend`, `lines`: one entry per purchase, that is per day with at least one paid line not cancelled by then.
    `sorted_gaps`: days between purchases, ascending. `resolved` is NEVER where the repair came later than the snapshot.
    """

    snapshot: int
    known: int
    day: Ints
    spend: Floats
    lines: Ints
    sorted_gaps: Ints
    returned: Ints
    returned_amount: Longs
    returned_defect: Flags
    opened: Ints
    severity: Bytes
    resolved: Ints
    touched: Ints


class Scratch(NamedTuple):
    """Room for the longest past of a partition, filled anew for each customer, and the cursors into the tables."""

    day: Ints
    amount: Longs
    spend: Floats
    lines: Ints
    sorted_gaps: Ints
    resolved: Ints
    cursor: Longs  # next line, purchases so far, next return, next complaint, next touch, 1 if a line is ever cancelled


def scratch(tables: Tables) -> Scratch:
    """Room for any customer of the partition."""
    longest = int(np.diff(tables.line_start).max(initial=0)) + 1
    complaints = int(np.diff(tables.complaint_start).max(initial=0)) + 1
    return Scratch(
        day=np.empty(longest, np.int32),
        amount=np.empty(longest, np.int64),
        spend=np.empty(longest, np.float64),
        lines=np.empty(longest, np.int32),
        sorted_gaps=np.empty(longest, np.int32),
        resolved=np.empty(complaints, np.int32),
        cursor=np.zeros(6, np.int64),
    )


@kernel
def begin(tables: Tables, customer: int, room: Scratch) -> None:
    """Set the cursors to the customer's first events."""
    cursor = room.cursor
    cursor[0] = tables.line_start[customer]
    cursor[1] = 0
    cursor[2] = tables.return_start[customer]
    cursor[3] = tables.complaint_start[customer]
    cursor[4] = tables.touch_start[customer]
    cursor[5] = 0
    for line in range(tables.line_start[customer], tables.line_start[customer + 1]):
        if tables.line_cancelled[line] != NEVER:
            cursor[5] = 1
            break


@kernel
def insert(ascending: Ints, count: int, value: int) -> None:
    """Put a value in its place among the first `count`, which ascend."""
    place = count
    while place > 0 and ascending[place - 1] > value:
        ascending[place] = ascending[place - 1]
        place -= 1
    ascending[place] = value


@kernel
def add_purchase(tables: Tables, line: int, n: int, room: Scratch) -> int:
    """Add one paid line to the purchases; the new number of them."""
    day = tables.line_day[line]
    if n == 0 or room.day[n - 1] != day:
        if n > 0:
            insert(room.sorted_gaps, n - 1, day - room.day[n - 1])
        room.day[n] = day
        room.amount[n] = 0
        room.lines[n] = 0
        n += 1
    room.amount[n - 1] += tables.line_amount[line]
    room.spend[n - 1] = room.amount[n - 1] / UNIT
    room.lines[n - 1] += 1
    return n


@kernel
def before(tables: Tables, customer: int, snapshot: int, room: Scratch) -> Past:
    """The customer's past at a snapshot. Snapshots of one customer are asked for in ascending order after `begin`."""
    cursor = room.cursor
    line, n = cursor[0], cursor[1]
    if cursor[5]:
        # A cancellation takes a purchase back, so what was counted at an earlier snapshot may not count now.
        line, n = tables.line_start[customer], 0
    end = tables.line_start[customer + 1]
    while line < end and tables.line_day[line] < snapshot:
        if tables.line_quantity[line] > 0 and tables.line_amount[line] > 0 and tables.line_cancelled[line] >= snapshot:
            n = add_purchase(tables, line, n, room)
        line += 1
    cursor[0], cursor[1] = line, n

    while cursor[2] < tables.return_start[customer + 1] and tables.return_day[cursor[2]] < snapshot:
        cursor[2] += 1
    while cursor[3] < tables.complaint_start[customer + 1] and tables.complaint_opened[cursor[3]] < snapshot:
        cursor[3] += 1
    while cursor[4] < tables.touch_start[customer + 1] and tables.touch_day[cursor[4]] < snapshot:
        cursor[4] += 1
    returns, complaints, touches = tables.return_start[customer], tables.complaint_start[customer], tables.touch_start[customer]
    for i in range(complaints, cursor[3]):
        resolved = tables.complaint_resolved[i]
        room.resolved[i - complaints] = resolved if resolved < snapshot else NEVER
    return Past(
        snapshot,
        tables.known[customer],
        room.day[:n],
        room.spend[:n],
        room.lines[:n],
        room.sorted_gaps[: max(n - 1, 0)],
        tables.return_day[returns : cursor[2]],
        tables.return_amount[returns : cursor[2]],
        tables.return_defect[returns : cursor[2]],
        tables.complaint_opened[complaints : cursor[3]],
        tables.complaint_severity[complaints : cursor[3]],
        room.resolved[: cursor[3] - complaints],
        tables.touch_day[touches : cursor[4]],
    )


@kernel
def net_spend(past: Past, days: int) -> float:
    """Spend less returns over the last so many days, in currency."""
    since = past.snapshot - days
    total = 0.0
    i = len(past.day) - 1
    while i >= 0 and past.day[i] >= since:
        total += past.spend[i]
        i -= 1
    back = 0
    for j in range(len(past.returned)):
        if past.returned[j] >= since:
            back += past.returned_amount[j]
    return total - back / UNIT


@kernel
def promised_days(severity: int, promise: Promise) -> float:
    """Days within which a complaint of this severity is to be mended."""
    if severity == 0:
        return promise.minor
    if severity == 1:
        return promise.major
    return promise.critical
