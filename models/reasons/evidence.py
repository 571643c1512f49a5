"""Evidence of reasons to leave for all customers: at snapshots, and the days it becomes strong."""

from typing import Any

import numpy as np

from features.history import begin_customer, past_before, sla_days
from features.ipt import deadlines, shrunk_ipt
from features.kernel import entry, kernel, one_after_another
from features.records import (
    NEVER,
    STRONG,
    Buffers,
    Ints,
    Longs,
    Past,
    Records,
    Tables,
    buffers_for,
    known_pairs,
)
from models.reasons.catalogue import ABSENT, CATALOGUE, EVIDENCE, REASONS
from models.reasons.context import TALLY, Context, fade
from models.reasons.unrepaired import past_sla

by_purchase = one_after_another([each.kernel for each in CATALOGUE if each.by_purchase])
by_day = one_after_another([each.kernel for each in CATALOGUE if not each.by_purchase])
# The rows of `Context.work`: without evidence, with that of `by_purchase`, and with all of a day.
NONE, OF_PURCHASES, OF_DAY = range(3)
CELLS = tuple(dict(EVIDENCE.fields or {})[f"evidence_{name}"][1] // 4 for name in REASONS)


@kernel
def later_on(past: Past, day: int) -> Past:
    """Return the same past on a later day, if nothing happens until then."""
    midnight: Any = np.int32(day)
    return Past(midnight, *past[1:])


@kernel
def sooner(day: int, after: int, best: int) -> int:
    """Return the earlier of a day and the best so far, if the day comes after another one."""
    return min(day, best) if day > after else best


@kernel
def next_rise(
    past: Past,
    at: Context,
    day: int,
    last: int,
    complaints: Records,
    returns: Records,
    orders: Records,
) -> int:
    """Return the next day on which the evidence may become strong if no purchase comes, or NEVER.

    A date is known, and a deadline has passed, on the day after. An open case past its SLA grows
    daily: it matters if it can be strong on the last day. Everything else stays or fades.
    """
    best, sla, least = NEVER, at.shop.sla, at.rules.defecting - 1e-6  # evidence is float32
    expected_ipt = shrunk_ipt(past.purchases, len(past.purchases), at.shop)[0]
    for i in range(len(complaints) + len(returns)):
        if i < len(complaints):
            case = complaints[i]
            opened, days = case.opened, sla_days(case.severity, sla)
            closed = case.resolved if case.reopened == NEVER else NEVER
            best = sooner(case.reopened + 1, day, best) if case.reopened != NEVER else best
        else:
            back = returns[i - len(complaints)]
            opened, days, closed = back.day, float(at.rules.return_days), back.settled
        due = opened + int(days)
        best = sooner(due + 1, day, sooner(opened + 1, day, best))
        if due < day < closed and best > day + 1:
            left = fade(past, due, 0, expected_ipt, at.rules)
            best = day + 1 if left * past_sla((last - opened) / days) >= least else best
    for i in range(len(orders)):
        order = orders[i]
        best = sooner(order.day + 1, day, best)
        if order.cancelled != NEVER:
            best = sooner(order.cancelled + 1, day, best)
        if order.promised != NEVER:
            best = sooner(order.promised + sla.delivery_grace + 1, day, best)
            best = sooner(order.promised + int(sla.major_late) + 1, day, best)
    return best


@kernel
def take_purchases(past: Past, at: Context) -> None:
    """Compute the evidence that changes with a purchase only."""
    at.work[OF_PURCHASES] = at.work[NONE]
    by_purchase(past, at, at.work[OF_PURCHASES])


@kernel
def is_strong(past: Past, at: Context) -> bool:
    """Return whether any evidence is strong, after `take_purchases`."""
    at.work[OF_DAY] = at.work[OF_PURCHASES]
    by_day(past, at, at.work[OF_DAY])
    strongest = 0.0
    for place in CELLS:
        strongest = max(strongest, at.cells[place])
    return strongest >= at.rules.defecting


@kernel
def strong_ahead(past: Past, at: Context) -> int:
    """Return the first day, overdue and before the lapse, with strong evidence if nothing happens.

    NEVER without one.
    """
    day, lapses_on = deadlines(past, at.shop)
    day, last = max(day, past.snapshot), lapses_on - 1
    while day <= last:
        if is_strong(later_on(past, day), at):
            return day
        day = next_rise(past, at, day, last, past.complaints, past.returns, past.orders)
    return NEVER


@entry
def judge_all(
    tables: Tables, snapshots: Ints, at: Context, buffers: Buffers, rows: Records, ahead: Ints
) -> None:
    """Fill one EVIDENCE row per pair, and one day of `strong_ahead` if there is room for it."""
    count = 0
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        purchases = 0
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            past = past_before(tables, customer, snapshots[k], buffers)
            n = len(past.purchases)
            if n > 0 and (n != purchases or buffers.cursor[0].cancels):
                take_purchases(past, at)
                purchases = n
            rows[count] = at.work[OF_PURCHASES if n > 0 else NONE]
            if n > 0:
                by_day(past, at, rows[count])
            if len(ahead) > 0:
                ahead[count] = strong_ahead(past, at) if n > 1 else NEVER
            count += 1


@kernel
def next_paid_line(tables: Tables, place: int, end: int) -> int:
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
    tables: Tables, customer: int, after: int, first: int, last: int, at: Context, buffers: Buffers
) -> int:
    """Return the first of these days with strong evidence and no purchase since, or NEVER.

    It looks ahead, only to spare days on which nothing happens.
    """
    complaints = tables.complaints[
        tables.complaint_start[customer] : tables.complaint_start[customer + 1]
    ]
    returns = tables.returns[tables.return_start[customer] : tables.return_start[customer + 1]]
    lines = tables.lines[tables.line_start[customer] : tables.line_start[customer + 1]]
    day, judged = first, 0
    while day <= last:
        past = past_before(tables, customer, day, buffers)
        n = len(past.purchases)
        if n > 0 and past.purchases[n - 1].day == after:
            if n != judged or buffers.cursor[0].cancels:
                take_purchases(past, at)
                judged = n
            if is_strong(past, at):
                return day
        day = next_rise(past, at, day, last, complaints, returns, lines)
    return NEVER


@entry
def strong_days(
    tables: Tables, until: int, at: Context, buffers: Buffers, start: Longs, strong: Records
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
            after, place = tables.lines[place].day, next_paid_line(tables, place, end)
            if cancels:  # the next purchase may be void: look at all days before the lapse
                begin_customer(tables, customer, buffers)
            past = past_before(tables, customer, after + 1, buffers)
            n = len(past.purchases)
            if n < 2 or past.purchases[n - 1].day != after:
                continue
            first, lapses_on = deadlines(past, at.shop)
            last = min(until, lapses_on - 1)
            following = place
            while following < end and tables.lines[following].cancelled < last:
                following = next_paid_line(tables, following, end)
            if following < end:  # a purchase that is not void on any of these days
                last = min(last, tables.lines[following].day)
            if first <= last:
                day = strong_from(tables, customer, after, first, last, at, buffers)
                if day != NEVER:
                    strong[count].after, strong[count].on = after, day
                    count += 1
    start[len(tables.known)] = count
    return count


def with_room(tables: Tables, at: Context) -> Context:
    """Return the context with room to compute in, for any customer of these tables.

    `work` has three EVIDENCE rows; `cells` is that of a day, seen as float32.
    """
    most = int(tables.lines["category"].max(initial=0)) + 1
    work = np.repeat(ABSENT, 3)
    cells = work.view(np.float32).reshape(3, -1)[OF_DAY]
    return at._replace(tallies=np.zeros(most, TALLY), work=work, cells=cells)


def evidence_at(
    tables: Tables, snapshots: Ints, at: Context, ahead: bool = False
) -> tuple[Ints, Ints, Records, Ints]:
    """Return `known_pairs`, one EVIDENCE row per pair and, with `ahead`, its `strong_ahead`.

    Snapshots ascend.
    """
    customers, days = known_pairs(tables, snapshots)
    rows, strong_on = np.empty(len(days), EVIDENCE), np.empty(len(days) if ahead else 0, np.int32)
    buffers = buffers_for(tables, at.shop.opened)
    judge_all(tables, snapshots, with_room(tables, at), buffers, rows, strong_on)
    return customers, days, rows, strong_on


def strong_evidence(tables: Tables, until: int, at: Context) -> tuple[Longs, Records]:
    """Return where each customer's STRONG rows begin, and the rows, of the days up to `until`."""
    start, strong = np.zeros(len(tables.known) + 1, np.int64), np.empty(len(tables.lines), STRONG)
    buffers = buffers_for(tables, at.shop.opened)
    count = strong_days(tables, until, with_room(tables, at), buffers, start, strong)
    return start, strong[:count]
