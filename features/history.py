"""One customer's past as a feature may see it: events before the snapshot, later dates masked."""

import math
from typing import Any

import numpy as np

from features.kernel import kernel
from features.records import NEVER, UNIT, Buffers, Ints, Longs, Past, Tables
from features.settings import Sla


@kernel
def rewind(tables: Tables, customer: int, buffers: Buffers, cursor: Any) -> None:
    """Set the cursor before the customer's first order line."""
    cursor.first = cursor.line = tables.line_start[customer]
    cursor.generation += 1
    cursor.purchases = cursor.bought = cursor.products = cursor.categories = cursor.orders = 0
    buffers.calendar[:] = 0


@kernel
def begin_customer(tables: Tables, customer: int, buffers: Buffers) -> None:
    """Set all cursors before the customer's first event."""
    cursor = buffers.cursor[0]
    rewind(tables, customer, buffers, cursor)
    cursor.returned = tables.return_start[customer]
    cursor.complaint = tables.complaint_start[customer]
    cursor.touch = tables.touch_start[customer]
    cursor.dated, cursor.cancels = False, False
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        if tables.lines[i].cancelled != NEVER:
            cursor.dated, cursor.cancels = True, True
        elif min(tables.lines[i].promised, tables.lines[i].delivered) != NEVER:
            cursor.dated = True


@kernel
def open_days(day: int, later: int, opened: Ints) -> int:
    """Return the open days from a purchase to a later day, at least 1: closed days say nothing."""
    return int(later - day) if len(opened) == 0 else max(1, int(opened[later] - opened[day]))


@kernel
def insert_sorted(ascending: Ints, count: int, value: int) -> None:
    """Insert a value into the first `count` values, which ascend."""
    place = count
    while place > 0 and ascending[place - 1] > value:
        ascending[place] = ascending[place - 1]
        place -= 1
    ascending[place] = value


@kernel
def number_of(numbers: Longs, key: int, generation: int, next_number: int) -> int:
    """Return the customer's own number of a key, the next one if new; -1 if the line names none."""
    if key < 0:
        return -1
    if numbers[key] >> 32 != generation:
        numbers[key] = generation << 32 | next_number
    return int(numbers[key] & 0xFFFFFFFF)


@kernel
def begin_purchase(day: int, buffers: Buffers, cursor: Any) -> None:
    """Add an empty purchase on a new day."""
    n = cursor.purchases
    purchase = buffers.purchases[n]
    purchase.day, purchase.amount, purchase.total, purchase.log_gap = day, 0, 0, 0
    purchase.month = buffers.months[day]
    weekday, month = day % 7, 7 + purchase.month
    buffers.calendar[weekday] += 1
    buffers.calendar[month] += 1
    purchase.weekday_top = buffers.calendar[weekday]
    purchase.month_top = buffers.calendar[month]
    if n > 0:
        previous = buffers.purchases[n - 1]
        purchase.total = previous.total
        purchase.weekday_top = max(purchase.weekday_top, previous.weekday_top)
        purchase.month_top = max(purchase.month_top, previous.month_top)
        gap = open_days(previous.day, day, buffers.opened)
        insert_sorted(buffers.sorted_gaps, n - 1, gap)
        purchase.log_gap = math.log(gap)
    cursor.purchases = n + 1


@kernel
def add_purchase(line: Any, buffers: Buffers, cursor: Any) -> None:
    """Add one paid line to the purchases and to the lines bought."""
    if cursor.purchases == 0 or buffers.purchases[cursor.purchases - 1].day != line.day:
        begin_purchase(line.day, buffers, cursor)
    n = cursor.purchases
    purchase = buffers.purchases[n - 1]
    purchase.amount += line.amount
    purchase.total += line.amount
    purchase.spend = purchase.amount / UNIT
    bought, owner = buffers.bought[cursor.bought], cursor.generation
    bought.day, bought.amount, bought.line = line.day, line.amount, cursor.line - cursor.first
    bought.group = line.category
    bought.product = number_of(buffers.product_number, line.sku, owner, cursor.products)
    bought.category = number_of(buffers.category_number, line.category, owner, cursor.categories)
    bought.first = bought.product == cursor.products
    cursor.bought += 1
    cursor.categories += bought.category == cursor.categories
    if bought.product >= 0:
        run = buffers.runs[bought.product]
        if bought.first or run.last < n - 2:
            run.purchases = 0
            cursor.products += bought.first
        if bought.first or run.last != n - 1:
            run.purchases += 1
        run.last = n - 1


@kernel
def add_order(line: Any, buffers: Buffers, cursor: Any) -> None:
    """Add one paid line to its order, whose dates are those of the last of its lines."""
    latest = buffers.placed[cursor.orders - 1]
    if cursor.orders == 0 or latest.basket != line.basket or latest.day != line.day:
        new = buffers.placed[cursor.orders]
        new.day, new.basket = line.day, line.basket
        new.promised = new.delivered = new.cancelled = -1
        cursor.orders += 1
    order = buffers.placed[cursor.orders - 1]
    if line.promised != NEVER:
        order.promised = max(order.promised, line.promised)
    order.delivered = max(order.delivered, line.delivered)
    order.cancelled = max(order.cancelled, line.cancelled)
    order.line = cursor.line - cursor.first


@kernel
def advance(tables: Tables, customer: int, snapshot: int, buffers: Buffers, cursor: Any) -> None:
    """Take in the order lines before the snapshot."""
    end = tables.line_start[customer + 1]
    while cursor.line < end and tables.lines[cursor.line].day < snapshot:
        line = tables.lines[cursor.line]
        if line.quantity > 0 and line.amount > 0:
            if line.cancelled >= snapshot:
                add_purchase(line, buffers, cursor)
            if cursor.dated:
                add_order(line, buffers, cursor)
        cursor.line += 1


@kernel
def first_from(days: Ints, place: int, end: int, snapshot: int) -> int:
    """Return the place of the first of ascending days from a place on that is not before it."""
    while place < end and days[place] < snapshot:
        place += 1
    return place


@kernel
def masked(day: int, snapshot: int) -> int:
    """Return a date as it is known at the snapshot."""
    return day if day < snapshot else NEVER


@kernel
def past_before(tables: Tables, customer: int, snapshot: int, buffers: Buffers) -> Past:
    """Return the customer's past at a snapshot.

    Call it after `begin_customer`, with the snapshots of one customer in ascending order.
    """
    cursor, after = buffers.cursor[0], customer + 1
    if cursor.cancels:
        # A cancellation takes a purchase back: purchases of an earlier snapshot may be void now.
        rewind(tables, customer, buffers, cursor)
    advance(tables, customer, snapshot, buffers, cursor)
    for i in range(cursor.orders):
        buffers.orders[i] = buffers.placed[i]
        order = buffers.orders[i]
        order.promised = order.promised if order.promised >= 0 else NEVER
        order.delivered = masked(order.delivered, snapshot)
        order.cancelled = masked(order.cancelled, snapshot)
    cursor.returned = first_from(
        tables.returns["day"], cursor.returned, tables.return_start[after], snapshot
    )
    cursor.complaint = first_from(
        tables.complaints["opened"], cursor.complaint, tables.complaint_start[after], snapshot
    )
    cursor.touch = first_from(
        tables.touches["day"], cursor.touch, tables.touch_start[after], snapshot
    )
    first = tables.return_start[customer]
    for i in range(cursor.returned - first):
        buffers.returns[i] = tables.returns[first + i]
        buffers.returns[i].settled = masked(buffers.returns[i].settled, snapshot)
    returns = buffers.returns[: cursor.returned - first]
    first = tables.complaint_start[customer]
    for i in range(cursor.complaint - first):
        buffers.complaints[i] = tables.complaints[first + i]
        complaint = buffers.complaints[i]
        complaint.resolved = masked(complaint.resolved, snapshot)
        complaint.reopened = masked(complaint.reopened, snapshot)
    n = cursor.purchases
    # Of one type for every caller, so that what reads a past is compiled once.
    midnight: Any = np.int32(snapshot)
    return Past(
        midnight,
        tables.known[customer],
        buffers.purchases[:n],
        buffers.sorted_gaps[: max(n - 1, 0)],
        buffers.bought[: cursor.bought],
        buffers.runs[: cursor.products],
        buffers.orders[: cursor.orders],
        returns,
        buffers.complaints[: cursor.complaint - first],
        tables.touches[tables.touch_start[customer] : cursor.touch],
        buffers.counters,
    )


@kernel
def first_within(past: Past, days: int) -> int:
    """Return the place of the first purchase in the last `days` days; their number without one."""
    i = len(past.purchases)
    while i > 0 and past.snapshot - past.purchases[i - 1].day <= days:
        i -= 1
    return i


@kernel
def spend_from(past: Past, first: int) -> float:
    """Return the spend of the purchases from a place on, in currency."""
    n = len(past.purchases)
    if first >= n:
        return 0.0
    earlier = past.purchases[first - 1].total if first > 0 else 0
    return float((past.purchases[n - 1].total - earlier) / UNIT)


@kernel
def net_spend(past: Past, days: int) -> float:
    """Return spend less returns of the last `days` days, in currency."""
    return spend_from(past, first_within(past, days)) - returned_amount(past, days)


@kernel
def returned_amount(past: Past, days: int) -> float:
    """Return the amount sent back in the last `days` days, in currency."""
    amount = 0
    for i in range(len(past.returns)):
        if past.returns[i].day >= past.snapshot - days:
            amount += past.returns[i].amount
    return amount / UNIT


@kernel
def is_open(complaint: Any, day: int) -> bool:
    """Return whether a complaint is unresolved, or open again after the repair, when a day ends."""
    return bool(
        complaint.opened <= day
        and (complaint.resolved > day or complaint.resolved <= complaint.reopened <= day)
    )


@kernel
def late_delivery_due(order: Any, snapshot: int, sla: Sla) -> int:
    """The last day within grace of an order that came later or has not come, or NEVER.

    * An order is late if it is not delivered {delivery_grace} days after the promised day. An order
      cancelled by then is not late.
    """
    if order.promised == NEVER:
        return NEVER
    due = order.promised + sla.delivery_grace
    return int(due) if due < snapshot and order.cancelled > due and order.delivered > due else NEVER


@kernel
def sla_days(severity: int, sla: Sla) -> float:
    """Days within which a complaint of this severity has to be resolved.

    * A minor complaint has to be resolved within {minor} days, a major one within {major}, a
      critical one within {critical}.
    * A complaint that is reopened counts as open since its first day.
    """
    if severity == 0:
        return sla.minor
    if severity == 1:
        return sla.major
    return sla.critical
