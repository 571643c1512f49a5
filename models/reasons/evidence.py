"""Evidence of reasons to leave for all customers: at snapshots, and the days it becomes strong."""

from typing import Any

import numpy as np

from features.history import begin_customer, past_before
from features.ipt import deadlines
from features.kernel import entry, kernel, one_after_another
from features.records import (
    NEVER,
    STRONG,
    Buffers,
    Ints,
    Longs,
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


@entry
def judge_all(
    tables: Tables,
    snapshots: Ints,
    at: Context,
    buffers: Buffers,
    absent: Any,
    kept: Any,
    rows: Records,
) -> None:
    """Fill one EVIDENCE row per pair of `known_pairs`; `kept` is one row to compute in."""
    count = 0
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        purchases = 0
        kept[0] = absent[0]
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            past = past_before(tables, customer, snapshots[k], buffers)
            n = len(past.purchases)
            if n > 0 and (n != purchases or buffers.cursor[0].cancels):
                kept[0] = absent[0]
                by_purchase(past, at, kept[0])
                purchases = n
            rows[count] = kept[0] if n > 0 else absent[0]
            if n > 0:
                by_day(past, at, rows[count])
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
    kept: Any,
    cells: Singles,
) -> int:
    """Return the first of these days with strong evidence and no purchase since, or NEVER."""
    last = last if is_unsettled(tables, customer, first, last) else first
    for day in range(first, last + 1):
        past = past_before(tables, customer, day, buffers)
        n = len(past.purchases)
        if n == 0 or past.purchases[n - 1].day != after:
            continue
        kept[0] = absent[0]
        by_purchase(past, at, kept[0])
        by_day(past, at, kept[0])
        for place in CELLS:
            if cells[place] >= at.rules.defecting:
                return day
    return NEVER


@entry
def strong_days(
    tables: Tables,
    until: int,
    at: Context,
    buffers: Buffers,
    absent: Any,
    kept: Any,
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
                    tables, customer, after, first, last, at, buffers, absent, kept, cells
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


def evidence_at(tables: Tables, snapshots: Ints, at: Context) -> tuple[Ints, Ints, Records]:
    """Return `known_pairs` and one EVIDENCE row per pair. `snapshots` ascend."""
    customers, days = known_pairs(tables, snapshots)
    at = with_room(tables, at)
    rows, kept = np.empty(len(days), EVIDENCE), ABSENT.copy()
    buffers = buffers_for(tables, at.shop.opened)
    judge_all(tables, snapshots, at, buffers, ABSENT, kept, rows)
    return customers, days, rows


def strong_evidence(tables: Tables, until: int, at: Context) -> tuple[Longs, Records]:
    """Return where each customer's STRONG rows begin, and the rows, of the days up to `until`."""
    at = with_room(tables, at)
    start, strong = np.zeros(len(tables.known) + 1, np.int64), np.empty(len(tables.lines), STRONG)
    buffers, kept = buffers_for(tables, at.shop.opened), ABSENT.copy()
    cells = kept.view(np.float32)
    count = strong_days(tables, until, at, buffers, ABSENT, kept, cells, start, strong)
    return start, strong[:count]
