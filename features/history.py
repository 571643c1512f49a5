"""One customer's past as a feature may see it.

Events before midnight of the snapshot, later dates masked.
"""

import math
from typing import Any

import numpy as np

from features.kernel import kernel
from features.records import NEVER, UNIT, Buffers, Ints, Longs, Past, Tables
from features.settings import Sla


@kernel
def rewind(tables: Tables, customer: int, buffers: Buffers, cursor: Any) -> None:
    """Before the customer's first order."""
    cursor.line = tables.line_start[customer]
    cursor.generation += 1
    cursor.purchases, cursor.bought, cursor.products, cursor.categories, cursor.orders = (
        0,
        0,
        0,
        0,
        0,
    )
    for i in range(len(buffers.calendar)):
        buffers.calendar[i] = 0


@kernel
def begin_customer(tables: Tables, customer: int, buffers: Buffers) -> None:
    """Set the cursors to the customer's first events."""
    cursor = buffers.cursor[0]
    rewind(tables, customer, buffers, cursor)
    cursor.returned = tables.return_start[customer]
    cursor.complaint = tables.complaint_start[customer]
    cursor.touch = tables.touch_start[customer]
    cursor.dated, cursor.cancels = False, False
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        if tables.lines[i].cancelled != NEVER:
            cursor.dated, cursor.cancels = True, True
        elif tables.lines[i].promised != NEVER:
            cursor.dated = True


@kernel
def open_days(day: int, later: int, opened: Ints) -> int:
    """Days from one purchase to a later day on which the shop was open.

    Silence while it is closed says nothing. At least one.
    """
    return int(later - day) if len(opened) == 0 else max(1, int(opened[later] - opened[day]))


@kernel
def insert_sorted(ascending: Ints, count: int, value: int) -> None:
    """Put a value in its place among the first `count`, which ascend."""
    place = count
    while place > 0 and ascending[place - 1] > value:
        ascending[place] = ascending[place - 1]
        place -= 1
    ascending[place] = value


@kernel
def number_of(numbers: Longs, key: int, generation: int, known: int) -> int:
    """The number a customer's product or category has, `known` being the next one; -1 for none."""
    if key < 0:
        return -1
    if numbers[key] >> 32 != generation:
        numbers[key] = generation << 32 | known
    return int(numbers[key] & 0xFFFFFFFF)


@kernel
def add_purchase(line: Any, buffers: Buffers, cursor: Any) -> None:
    """Add one paid line to the purchases and to what was bought."""
    n = cursor.purchases
    if n == 0 or buffers.purchases[n - 1].day != line.day:
        purchase = buffers.purchases[n]
        purchase.day, purchase.amount, purchase.log_gap = line.day, 0, 0
        purchase.month = buffers.months[line.day]
        weekday, month = line.day % 7, 7 + purchase.month
        buffers.calendar[weekday] += 1
        buffers.calendar[month] += 1
        purchase.total, purchase.weekday_top, purchase.month_top = (
            0,
            buffers.calendar[weekday],
            buffers.calendar[month],
        )
        if n > 0:
            before_it = buffers.purchases[n - 1]
            purchase.total = before_it.total
            purchase.weekday_top = max(purchase.weekday_top, before_it.weekday_top)
            purchase.month_top = max(purchase.month_top, before_it.month_top)
            gap = open_days(before_it.day, line.day, buffers.opened)
            insert_sorted(buffers.sorted_gaps, n - 1, gap)
            purchase.log_gap = math.log(gap)
        n += 1
        cursor.purchases = n
    purchase = buffers.purchases[n - 1]
    purchase.amount += line.amount
    purchase.total += line.amount
    purchase.spend = purchase.amount / UNIT
    bought = buffers.bought[cursor.bought]
    bought.day = line.day
    bought.product = number_of(buffers.product_number, line.sku, cursor.generation, cursor.products)
    bought.category = number_of(
        buffers.category_number, line.category, cursor.generation, cursor.categories
    )
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
    """Add one paid line to its order.

    Promised, delivered or cancelled as a whole with the last of its lines.
    """
    if (
        cursor.orders == 0
        or buffers.placed[cursor.orders - 1].basket != line.basket
        or buffers.placed[cursor.orders - 1].day != line.day
    ):
        new = buffers.placed[cursor.orders]
        new.day, new.basket, new.promised, new.delivered, new.cancelled = (
            line.day,
            line.basket,
            -1,
            -1,
            -1,
        )
        cursor.orders += 1
    order = buffers.placed[cursor.orders - 1]
    if line.promised != NEVER:
        order.promised = max(order.promised, line.promised)
    order.delivered = max(order.delivered, line.delivered)
    order.cancelled = max(order.cancelled, line.cancelled)


@kernel
def advance(tables: Tables, customer: int, snapshot: int, buffers: Buffers, cursor: Any) -> None:
    """Take in the order lines up to the snapshot."""
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
def masked(day: int, snapshot: int) -> int:
    """A date as known at the snapshot."""
    return day if day < snapshot else NEVER


@kernel
def past_before(tables: Tables, customer: int, snapshot: int, buffers: Buffers) -> Past:
    """The customer's past at a snapshot.

    Snapshots of one customer are asked for in ascending order after `begin`.
    """
    cursor = buffers.cursor[0]
    if cursor.cancels:
        # A cancellation takes a purchase back, so what was counted at an earlier snapshot may not
        # count now.
        rewind(tables, customer, buffers, cursor)
    advance(tables, customer, snapshot, buffers, cursor)
    for i in range(cursor.orders):
        placed, order = buffers.placed[i], buffers.orders[i]
        order.day, order.basket, order.promised = (
            placed.day,
            placed.basket,
            placed.promised if placed.promised >= 0 else NEVER,
        )
        order.delivered, order.cancelled = (
            masked(placed.delivered, snapshot),
            masked(placed.cancelled, snapshot),
        )

    while (
        cursor.returned < tables.return_start[customer + 1]
        and tables.returns[cursor.returned].day < snapshot
    ):
        cursor.returned += 1
    while (
        cursor.complaint < tables.complaint_start[customer + 1]
        and tables.complaints[cursor.complaint].opened < snapshot
    ):
        cursor.complaint += 1
    while (
        cursor.touch < tables.touch_start[customer + 1]
        and tables.touches[cursor.touch].day < snapshot
    ):
        cursor.touch += 1
    first = tables.complaint_start[customer]
    for i in range(first, cursor.complaint):
        case, seen = tables.complaints[i], buffers.complaints[i - first]
        seen.opened, seen.basket, seen.severity = case.opened, case.basket, case.severity
        seen.resolved, seen.reopened = (
            masked(case.resolved, snapshot),
            masked(case.reopened, snapshot),
        )
    n = cursor.purchases
    # of one type whoever asks: all that reads a past is compiled once
    midnight: Any = np.int32(snapshot)
    return Past(
        midnight,
        tables.known[customer],
        buffers.purchases[:n],
        buffers.sorted_gaps[: max(n - 1, 0)],
        buffers.bought[: cursor.bought],
        buffers.runs[: cursor.products],
        buffers.orders[: cursor.orders],
        tables.returns[tables.return_start[customer] : cursor.returned],
        buffers.complaints[: cursor.complaint - first],
        tables.touches[tables.touch_start[customer] : cursor.touch],
        buffers.counters,
    )


@kernel
def first_within(past: Past, days: int) -> int:
    """The place of the first purchase of the last so many days.

    The number of purchases where there is none.
    """
    i = len(past.purchases)
    while i > 0 and past.snapshot - past.purchases[i - 1].day <= days:
        i -= 1
    return i


@kernel
def spend_from(past: Past, first: int) -> float:
    """What was paid for the purchases from a place on, in currency."""
    n = len(past.purchases)
    if first >= n:
        return 0.0
    earlier = past.purchases[first - 1].total if first > 0 else 0
    return float((past.purchases[n - 1].total - earlier) / UNIT)


@kernel
def net_spend(past: Past, days: int) -> float:
    """Spend less returns over the last so many days, in currency."""
    return spend_from(past, first_within(past, days)) - returned_amount(past, days)


@kernel
def returned_amount(past: Past, days: int) -> float:
    """What was sent back over the last so many days, in currency."""
    back = 0
    for j in range(len(past.returns)):
        if past.returns[j].day >= past.snapshot - days:
            back += past.returns[j].amount
    return back / UNIT


@kernel
def is_open(complaint: Any, day: int) -> bool:
    """Whether a complaint waits for its repair at the end of a day.

    One that came back after the repair waits again, from the first on.
    """
    return bool(
        complaint.opened <= day
        and (complaint.resolved > day or complaint.resolved <= complaint.reopened <= day)
    )


@kernel
def late_delivery_due(order: Any, snapshot: int, sla: Sla) -> int:
    """The last day, grace included, for an order that came later or has not come; NEVER where the
    promise was or may yet be kept.

    An order is late when it has not come {delivery_grace} days after the day it was promised for;
    one cancelled by then was not owed.
    """
    if order.promised == NEVER:
        return NEVER
    due = order.promised + sla.delivery_grace
    return int(due) if due < snapshot and order.cancelled > due and order.delivered > due else NEVER


@kernel
def sla_days(severity: int, sla: Sla) -> float:
    """Days within which a complaint of this severity is to be mended.

    A complaint is to be mended within {minor} days if it is minor, {major} if it is major and
    {critical} if it is critical; the last two are grave. One that comes back after the repair is
    open again, from its first day on.
    """
    if severity == 0:
        return sla.minor
    if severity == 1:
        return sla.major
    return sla.critical
