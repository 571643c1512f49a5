"""Evidence of reasons to leave for all customers: at snapshots, and the days it becomes strong."""

from typing import Any

import numpy as np

from features.history import begin_customer, is_open, past_before
from features.ipt import deadlines
from features.kernel import entry, kernel, one_after_another
from features.records import (
    NEVER,
    STRONG,
    Buffers,
    Ints,
    Longs,
    Past,
    Records,
    Singles,
    Tables,
    buffers_for,
    known_pairs,
)
from models.reasons.catalogue import ABSENT, CATALOGUE, EVIDENCE, REASONS
from models.reasons.context import TALLY, Context

by_purchase = one_after_another([each.kernel for each in CATALOGUE if each.by_purchase])
by_day = one_after_another([each.kernel for each in CATALOGUE if not each.by_purchase])
CELLS = tuple(dict(EVIDENCE.fields or {})[f"evidence_{name}"][1] // 4 for name in REASONS)


@kernel
def later_on(past: Past, day: int) -> Past:
    """Return the same past on a later day, if nothing happens until then."""
    midnight: Any = np.int32(day)
    return Past(
        midnight,
        past.known,
        past.purchases,
        past.sorted_gaps,
        past.bought,
        past.runs,
        past.orders,
        past.returns,
        past.complaints,
        past.touches,
        past.counters,
    )


@kernel
def is_waiting(past: Past) -> bool:
    """Return whether a case is open or an order of the last purchase is not delivered."""
    for i in range(len(past.complaints)):
        if is_open(past.complaints[i], past.snapshot - 1):
            return True
    for i in range(len(past.returns)):
        if past.returns[i].settled == NEVER:
            return True
    i, last = len(past.orders) - 1, past.purchases[len(past.purchases) - 1].day
    while i >= 0 and past.orders[i].day >= last:
        if past.orders[i].promised != NEVER and past.orders[i].delivered == NEVER:
            return True
        i -= 1
    return False


@kernel
def is_strong(past: Past, at: Context, work: Records, cells: Singles) -> bool:
    """Return whether any evidence is strong, with that of `by_purchase` in the first row of `work`.

    It computes in the second row; `cells` is that row seen as float32.
    """
    work[1] = work[0]
    by_day(past, at, work[1])
    strongest = 0.0
    for place in CELLS:
        strongest = max(strongest, cells[place])
    return strongest >= at.rules.defecting


@kernel
def strong_ahead(past: Past, at: Context, work: Records, cells: Singles) -> int:
    """Return the first day, overdue and before the lapse, with strong evidence if nothing happens.

    NEVER without one.
    """
    first, lapses_on = deadlines(past, at.shop)
    first = max(first, past.snapshot)
    last = lapses_on - 1 if is_waiting(past) else min(first, lapses_on - 1)
    for day in range(first, last + 1):
        if is_strong(later_on(past, day), at, work, cells):
            return day
    return NEVER


@entry
def judge_all(
    tables: Tables,
    snapshots: Ints,
    at: Context,
    buffers: Buffers,
    absent: Any,
    work: Records,
    cells: Singles,
    rows: Records,
    ahead: Ints,
) -> None:
    """Fill one EVIDENCE row and one day of `strong_ahead` per pair, computing in `work`."""
    count = 0
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        purchases = 0
        work[0] = absent[0]
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            past = past_before(tables, customer, snapshots[k], buffers)
            n = len(past.purchases)
            if n > 0 and (n != purchases or buffers.cursor[0].cancels):
                work[0] = absent[0]
                by_purchase(past, at, work[0])
                purchases = n
            rows[count] = work[0] if n > 0 else absent[0]
            ahead[count] = NEVER
            if n > 0:
                by_day(past, at, rows[count])
            if n > 1:
                ahead[count] = strong_ahead(past, at, work, cells)
            count += 1


@kernel
def is_unsettled(tables: Tables, customer: int, first: int, last: int) -> bool:
    """Return whether anything but a purchase may change the evidence between two days.

    It looks ahead, only to spare days on which nothing happens.
    """
    for i in range(tables.complaint_start[customer], tables.complaint_start[customer + 1]):
        case = tables.complaints[i]
        if case.opened < last and (case.resolved >= first or first <= case.reopened < NEVER):
            return True
    for i in range(tables.return_start[customer], tables.return_start[customer + 1]):
        if tables.returns[i].day < last and tables.returns[i].settled >= first:
            return True
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        line = tables.lines[i]
        if line.day < last and (
            first <= line.cancelled < last or (line.promised < last and line.delivered >= first)
        ):
            return True
    return False


@kernel
def next_purchase(tables: Tables, place: int, end: int) -> int:
    """Return the place of the next paid line of a later day."""
    day = tables.lines[place].day
    while place < end and (
        tables.lines[place].day == day
        or tables.lines[place].amount <= 0
        or tables.lines[place].quantity <= 0
    ):
        place += 1
    return place


@kernel
def strong_from(
    tables: Tables,
    customer: int,
    after: int,
    first: int,
    last: int,
    at: Context,
    buffers: Buffers,
    absent: Any,
    work: Records,
    cells: Singles,
) -> int:
    """Return the first of these days with strong evidence and no purchase since, or NEVER."""
    last = last if is_unsettled(tables, customer, first, last) else first
    for day in range(first, last + 1):
        past = past_before(tables, customer, day, buffers)
        n = len(past.purchases)
        if n == 0 or past.purchases[n - 1].day != after:
            continue
        work[0] = absent[0]
        by_purchase(past, at, work[0])
        if is_strong(past, at, work, cells):
            return day
    return NEVER


@entry
def strong_days(
    tables: Tables,
    until: int,
    at: Context,
    buffers: Buffers,
    absent: Any,
    work: Records,
    cells: Singles,
    start: Longs,
    strong: Records,
) -> int:
    """Fill in the STRONG rows of each customer from `start` on, and return their number.

    Each time after a purchase is looked at from the day the customer is overdue to the day before
    they lapse or, if earlier, the next purchase.
    """
    count = 0
    for customer in range(len(tables.known)):
        start[customer] = count
        begin_customer(tables, customer, buffers)
        cancels, end = buffers.cursor[0].cancels, tables.line_start[customer + 1]
        place = tables.line_start[customer]
        while place < end and tables.lines[place].day < until:
            after, place = tables.lines[place].day, next_purchase(tables, place, end)
            if cancels:  # the next purchase may be void: look at all days before the lapse
                begin_customer(tables, customer, buffers)
            past = past_before(tables, customer, after + 1, buffers)
            n = len(past.purchases)
            if n < 2 or past.purchases[n - 1].day != after:
                continue
            first, lapses_on = deadlines(past, at.shop)
            last = min(until, lapses_on - 1)
            if place < end and not cancels:
                last = min(last, tables.lines[place].day)
            if first <= last:
                day = strong_from(
                    tables, customer, after, first, last, at, buffers, absent, work, cells
                )
                if day != NEVER:
                    strong[count].after, strong[count].on = after, day
                    count += 1
    start[len(tables.known)] = count
    return count


def with_room(tables: Tables, at: Context) -> Context:
    """Return the context with room for the categories of any customer of these tables."""
    most = int(tables.lines["category"].max(initial=0)) + 1
    return at._replace(tallies=np.zeros(most, TALLY))


def _work() -> tuple[Records, Singles]:
    """Return two rows to compute in, and the second of them as float32."""
    work = np.repeat(ABSENT, 2)
    return work, work.view(np.float32).reshape(2, -1)[1]


def evidence_at(tables: Tables, snapshots: Ints, at: Context) -> tuple[Ints, Ints, Records, Ints]:
    """Return `known_pairs`, one EVIDENCE row per pair, and its `strong_ahead`. Snapshots ascend."""
    customers, days = known_pairs(tables, snapshots)
    rows, ahead = np.empty(len(days), EVIDENCE), np.empty(len(days), np.int32)
    at, buffers = with_room(tables, at), buffers_for(tables, at.shop.opened)
    judge_all(tables, snapshots, at, buffers, ABSENT, *_work(), rows, ahead)
    return customers, days, rows, ahead


def strong_evidence(tables: Tables, until: int, at: Context) -> tuple[Longs, Records]:
    """Return where each customer's STRONG rows begin, and the rows, of the days up to `until`."""
    start, strong = np.zeros(len(tables.known) + 1, np.int64), np.empty(len(tables.lines), STRONG)
    at, buffers = with_room(tables, at), buffers_for(tables, at.shop.opened)
    count = strong_days(tables, until, at, buffers, ABSENT, *_work(), start, strong)
    return start, strong[:count]
