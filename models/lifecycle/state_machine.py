"""The customer life cycle: five stages, decided by rules on the customer's own past.

The state machine runs on the event clock (purchases and the deadlines after them), never on the job
schedule. Daily, weekly and direct evaluation therefore give the same stage.
"""

from typing import Any

import numpy as np

from features.history import begin_customer, insert_sorted, net_spend, open_days, past_before
from features.ipt import day_after, deadlines_by, lapsed_after, late_after, shrunk_ipt, whole_days
from features.kernel import entry, kernel
from features.records import (
    NEVER,
    STRONG,
    Buffers,
    Ints,
    Longs,
    Past,
    Records,
    Shop,
    Tables,
    buffers_for,
    known_pairs,
)
from models.lifecycle.by_when import complaint_due_first, last_delivery, recent_failures
from models.lifecycle.core_entry import lacking
from models.lifecycle.habits import (
    habits,
    is_partial_defection,
    level_now,
    net_per_purchase,
    yearly_spend,
)
from models.lifecycle.limits import Limits
from models.lifecycle.satisfaction import failures, is_unresolved, satisfaction
from models.lifecycle.states import (
    ACTIVE,
    AS_STRONG,
    CORE,
    CORE_DEFECTOR,
    DEFECTING,
    EARLY_REPEAT,
    FIRST_TIME,
    LAPSED,
    LATE,
    LOST,
    MEMORY,
    OPEN,
    PROSPECT,
    STALE,
    STATE,
    WON_BACK,
)


@kernel
def lapse_before(past: Past, n: int, shop: Shop) -> int:
    """The day on which the customer lapsed between purchases n - 1 and n, or NEVER."""
    previous, day = past.purchases[n - 2].day, past.purchases[n - 1].day
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n - 1, shop)
    # The customer's own gaps only lengthen the deadline: sort them only where they can matter.
    earliest = lapsed_after(expected_ipt, log_sd, past.sorted_gaps[:0], shop)
    if day < day_after(previous, earliest, shop):
        return NEVER
    gaps = past.counters[: n - 2]
    for i in range(n - 2):
        days = open_days(past.purchases[i].day, past.purchases[i + 1].day, shop.opened)
        insert_sorted(gaps, i, days)
    lapsed_on = day_after(previous, lapsed_after(expected_ipt, log_sd, gaps, shop), shop)
    gaps[:] = 0
    return lapsed_on if day >= lapsed_on else NEVER


@kernel
def defects_on(past: Past, strong: Records, n: int, shop: Shop) -> int:
    """The day on which the customer defects if no purchase follows the n-th, or NEVER.

    * A core customer defects on the first day on which they are overdue and the evidence of a
      reason to leave is strong: `defecting` of the section `reasons`, and docs/reasons.md.
    * They stay `defecting`, even if the evidence fades, until they buy or lapse.
    * A purchase before the lapse makes them core again.
    """
    after = past.purchases[n - 1].day
    for i in range(len(strong)):
        if strong[i].after == after:
            expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
            late_on = day_after(after, late_after(expected_ipt, log_sd, shop), shop)
            return max(int(strong[i].on), late_on)
    return NEVER


@kernel
def take_in(past: Past, strong: Records, memory: Any, shop: Shop, limits: Limits) -> None:
    """Update the memory with the purchases it has not seen.

    * A lapsed core customer is won back after {winback_purchases} purchases, if there is no further
      lapse between them, no major or critical complaint open and no complaint open past its SLA.
    * Until then the customer stays a core defector with status `won_back`.
    * A customer who lapsed before core is `reactivated`: they can become core from purchase
      {reactivated_purchases} after the lapse on.
    * A customer who was core never returns to early repeat.
    """
    first = len(past.purchases)
    while first > 0 and past.purchases[first - 1].day > memory.seen_on:
        first -= 1
    for n in range(first + 1, len(past.purchases) + 1):
        day = past.purchases[n - 1].day
        lapsed_on = lapse_before(past, n, shop) if n > 1 else NEVER
        was_core = memory.core_since != NEVER
        defected_on = defects_on(past, strong, n - 1, shop) if was_core else NEVER
        if lapsed_on != NEVER and was_core:
            if memory.away_since == NEVER:
                memory.away_since = min(defected_on, lapsed_on)
            memory.won_back = 1
        elif lapsed_on != NEVER:
            memory.probation = 1
        elif memory.away_since != NEVER:
            memory.won_back += 1
        elif memory.probation > 0:
            memory.probation += 1
        elif defected_on <= day:
            memory.back_since = day
        if memory.probation >= limits.reactivated_purchases:
            memory.probation = 0
        enough = memory.away_since != NEVER and memory.won_back >= limits.winback_purchases
        if enough and not is_unresolved(past, day, shop.sla):
            memory.back_since, memory.away_since, memory.won_back = day, NEVER, 0
        if not was_core and lacking(past, n, memory.probation, shop, limits) == 0:
            memory.core_since, memory.back_since = day, day
            memory.entry_purchases, memory.entry_days = n, day - past.purchases[0].day
            memory.entry_ipt, memory.entry_log_sd = shrunk_ipt(past.purchases, n, shop)
        memory.seen_on = day


@kernel
def decide(n: int, core_ever: bool, activity: int, winning_back: bool, defecting: bool) -> int:
    """The stage after n purchases. The first rule that holds decides, and one always holds.

    * `prospect`: no purchase yet. Open, and stale {prospect_stale_ipts} of the shop's expected IPTs
      after the last contact.
    * `first_time`: one purchase.
    * `early_repeat`: two purchases or more, and never core so far.
    * `core_defector`: was core, and has lapsed or is not yet won back.
    * `core`: met all conditions of core once, and is no core defector now.
    """
    if n == 0:
        return PROSPECT
    if n == 1:
        return FIRST_TIME
    if not core_ever:
        return EARLY_REPEAT
    if activity == LAPSED or winning_back or defecting:
        return CORE_DEFECTOR
    return CORE


@kernel
def judge_prospect(past: Past, shop: Shop, limits: Limits, row: Any) -> None:
    """Fill what is particular to a customer without a purchase."""
    contact = past.touches[len(past.touches) - 1].day if len(past.touches) > 0 else past.known
    days = whole_days(limits.prospect_stale_ipts * shop.expected_ipt)
    row.lapses_on = day_after(contact, days, shop)
    row.activity = OPEN if past.snapshot < row.lapses_on else STALE
    row.stage, row.since, row.scored = PROSPECT, past.known, False


@kernel
def judge(
    past: Past, strong: Records, ahead: int, memory: Any, shop: Shop, limits: Limits, row: Any
) -> None:
    """Fill one STATE row, zeros so far, from the past and the memory of its purchases."""
    n = len(past.purchases)
    row.purchases = n
    row.reactivated = memory.probation > 0
    row.net_spend_365d = net_spend(past, 365)
    row.purchases_365d, row.weekday, row.month = habits(past, 365)
    row.open_past_sla = failures(past, past.snapshot, shop.sla)[3]
    row.first_on = row.last_purchase_on = row.late_on = row.defects_on = NEVER
    row.core_since = memory.core_since
    row.entry_purchases, row.entry_days = memory.entry_purchases, memory.entry_days
    row.entry_ipt_days, row.entry_log_sd = memory.entry_ipt, memory.entry_log_sd
    row.purchases_back = max(memory.won_back, memory.probation)
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    row.ipt_days, row.ipt_log_sd = expected_ipt, log_sd
    row.yearly_spend = yearly_spend(past, expected_ipt, limits)
    row.net_per_purchase = net_per_purchase(past)
    row.satisfaction = satisfaction(past, expected_ipt, shop, limits)
    row.recent_failures = recent_failures(past, expected_ipt, shop, limits)
    row.complaint_opened_on, row.complaint_due_on = complaint_due_first(past, shop.sla)
    row.delivered_on = last_delivery(past) if n > 0 else NEVER
    if n == 0:
        judge_prospect(past, shop, limits, row)
        return
    late_on, lapses_on = deadlines_by(past, (expected_ipt, log_sd), shop)
    core_ever, winning_back = memory.core_since != NEVER, memory.away_since != NEVER
    defected_on = defects_on(past, strong, n, shop) if core_ever else NEVER
    if ahead != AS_STRONG and defected_on > past.snapshot:  # why is not known yet
        defected_on = max(ahead, late_on)
    defected_on = defected_on if defected_on < lapses_on else NEVER
    row.first_on, row.last_purchase_on = past.purchases[0].day, past.purchases[n - 1].day
    row.late_on, row.defects_on, row.lapses_on = late_on, defected_on, lapses_on
    row.complaints, row.defects, row.grave_open, row.past_sla = failures(
        past, row.last_purchase_on, shop.sla
    )
    before_lapse = ACTIVE if past.snapshot < late_on else LATE
    activity = before_lapse if past.snapshot < lapses_on else LAPSED
    defecting = activity == LATE and past.snapshot >= defected_on
    stage = decide(n, core_ever, activity, winning_back, defecting)
    row.activity, row.stage = activity, stage
    row.scored = n > 1 and activity != LAPSED
    if stage == FIRST_TIME:
        row.since = past.purchases[0].day
    elif stage == EARLY_REPEAT:
        row.since = past.purchases[1].day
        row.lacks = lacking(past, n, memory.probation, shop, limits)
    elif stage == CORE:
        row.since = memory.back_since
        visits, spend = level_now(past, expected_ipt, limits)
        row.visits_level, row.spend_level = visits, spend
        row.partial_defection = is_partial_defection(visits, spend, limits)
    else:
        row.since = memory.away_since if winning_back else min(defected_on, lapses_on)
        row.status = LOST if activity == LAPSED else (DEFECTING if defecting else WON_BACK)


@kernel
def forget(memory: Any) -> None:
    """Set the memory to before the first purchase."""
    memory.seen_on, memory.won_back, memory.probation = -1, 0, 0
    memory.core_since = memory.back_since = memory.away_since = NEVER
    memory.entry_purchases = memory.entry_days = memory.entry_ipt = memory.entry_log_sd = 0


@entry
def follow(
    tables: Tables,
    customers: Ints,
    days: Ints,
    shop: Shop,
    limits: Limits,
    strong_start: Longs,
    strong: Records,
    ahead: Ints,
    buffers: Buffers,
    memory: Any,
    states: Records,
) -> None:
    """Fill one STATE row per pair of customer and day; `memory` has room for one MEMORY.

    `strong` (STRONG) holds the evidence of each customer from `strong_start[customer]` on. `ahead`
    is, per row, the day from which it is strong if nothing happens.
    """
    for row in range(len(customers)):
        customer, snapshot, after = customers[row], days[row], customers[row] + 1
        if row == 0 or customer != customers[row - 1]:
            begin_customer(tables, customer, buffers)
            forget(memory[0])
        evidence = strong[strong_start[customer] : strong_start[after]]
        if buffers.cursor[0].cancels:
            # A later cancellation does not undo what a purchase led to: take in each purchase as it
            # was known on its day.
            for line in range(tables.line_start[customer], tables.line_start[after]):
                day = tables.lines[line].day
                if memory[0].seen_on < day < snapshot:
                    known_then = past_before(tables, customer, day + 1, buffers)
                    take_in(known_then, evidence, memory[0], shop, limits)
        past = past_before(tables, customer, snapshot, buffers)
        take_in(past, evidence, memory[0], shop, limits)
        judge(past, evidence, ahead[row], memory[0], shop, limits, states[row])


def life_cycle(
    tables: Tables,
    snapshots: Ints,
    shop: Shop,
    limits: Limits,
    evidence: tuple[Longs, Records] | None = None,
    ahead: Ints | None = None,
) -> tuple[Ints, Ints, Records]:
    """Return `known_pairs` and one STATE row per pair. `snapshots` ascend.

    `evidence` of reasons to leave: where each customer's STRONG rows begin, and the rows. `ahead`:
    for each pair the day from which it is strong if nothing happens after the snapshot; None where
    the rows themselves say so.
    """
    start, strong = evidence or (np.zeros(len(tables.known) + 1, np.int64), np.empty(0, STRONG))
    customers, days = known_pairs(tables, snapshots)
    ahead = np.full(len(days), AS_STRONG, np.int32) if ahead is None else ahead
    states, memory = np.zeros(len(days), STATE), np.zeros(1, MEMORY)
    buffers = buffers_for(tables, shop.opened)
    follow(tables, customers, days, shop, limits, start, strong, ahead, buffers, memory, states)
    return customers, days, states
