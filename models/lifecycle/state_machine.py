"""The customer life cycle: five stages, decided by rules on the customer's own past.

The state machine runs on the clock of events (purchases and the deadlines after them), never on the
clock of jobs, so daily, weekly or a single evaluation give the same stage.
"""

from typing import Any

import numpy as np

from features.history import begin_customer, insert_sorted, net_spend, open_days, past_before
from features.ipt import day_after, deadlines, lapsed_after, late_after, shrunk_ipt, whole_days
from features.kernel import entry, kernel
from features.records import NEVER, Buffers, Ints, Longs, Past, Records, Shop, Tables, buffers_for
from models.lifecycle.core_rules import lacking
from models.lifecycle.habits import habits, is_partly_gone
from models.lifecycle.satisfaction import failures, is_let_down, past_sla, satisfaction
from models.settings import Limits

STAGES = ("prospect", "first_time", "early_repeat", "core", "core_defector")
ACTIVITIES = ("active", "late", "lapsed", "open", "stale")
STATUSES = ("", "won_back", "defecting", "lost")
POSSIBLE = tuple(
    (stage, activity)
    for stage in STAGES
    for activity in (("open", "stale") if stage == "prospect" else ("active", "late", "lapsed"))
    if (stage, activity) != ("core", "lapsed")
)

PROSPECT, FIRST_TIME, EARLY_REPEAT, CORE, CORE_DEFECTOR = range(5)
ACTIVE, LATE, LAPSED, OPEN, STALE = range(5)
NO_STATUS, WON_BACK, DEFECTING, LOST = range(4)

STATE = np.dtype(
    (
        np.record,
        [
            ("stage", np.int8),
            ("activity", np.int8),
            ("status", np.int8),
            ("reactivated", np.bool_),
            ("partial_defection", np.bool_),
            ("scored", np.bool_),
            ("purchases", np.int32),
            ("since", np.int32),
            ("first_on", np.int32),
            ("last_purchase_on", np.int32),
            ("core_since", np.int32),
            ("late_on", np.int32),
            ("defects_on", np.int32),
            ("lapses_on", np.int32),
            ("ipt_days", np.float32),
            ("ipt_log_sd", np.float32),
            ("lacks", np.int16),  # of an early repeat customer, at his last purchase: bits of NEEDS
            ("entry_purchases", np.int32),  # what led a core customer there: 0 before
            ("entry_days", np.int32),
            ("entry_ipt_days", np.float32),
            ("entry_log_sd", np.float32),
            ("purchases_back", np.int32),  # since a lapse not yet made good
            # by the last purchase
            *((name, np.int32) for name in ("complaints", "defects", "grave_open", "past_sla")),
            ("open_past_sla", np.int32),
            ("satisfaction", np.float32),
            ("purchases_365d", np.int16),
            ("weekday", np.int8),  # on which most of these fell, 0 Monday; -1 without any
            ("month", np.int8),  # likewise, 0 January
            ("net_spend_365d", np.float64),
        ],
    )
)
"""One customer at one snapshot.

`*_on` and `*since` are day numbers, NEVER where they do not apply.
"""


STRONG = np.dtype((np.record, [("after", np.int32), ("on", np.int32)]))
"""Evidence of a reason to leave.

Strong enough from day `on`, in the silence after the purchase of day `after`.
"""


MEMORY = np.dtype(
    (
        np.record,
        [
            ("seen_on", np.int32),  # day of the latest purchase taken in, -1 before
            ("core_since", np.int32),  # day of core entry, NEVER before
            ("back_since", np.int32),  # day of the latest win-back completed, or of core entry
            # day on which he defected or lapsed and which no win-back has made good yet, NEVER
            # without one
            ("away_since", np.int32),
            ("won_back", np.int32),  # purchases of that win-back
            # with core entry: purchases, days since the first, and their rhythm
            ("entry_purchases", np.int32),
            ("entry_days", np.int32),
            ("entry_ipt", np.float64),
            ("entry_log_sd", np.float64),
            ("probation", np.int32),  # purchases since a lapse before core, 0 when over
        ],
    )
)
"""What the purchases so far have made of a customer, carried on from snapshot to snapshot."""


@kernel
def lapse_before(past: Past, n: int, shop: Shop) -> int:
    """The day on which the customer lapsed between purchases n - 1 and n.

    NEVER if he came back in time.
    """
    previous, day = past.purchases[n - 2].day, past.purchases[n - 1].day
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n - 1, shop)
    # Survived silences only lengthen the deadline, so they are sorted only where it would have
    # passed without them.
    if day < day_after(
        previous, lapsed_after(expected_ipt, log_sd, past.sorted_gaps[:0], shop), shop
    ):
        return NEVER
    survived = past.counters[: n - 2]
    for i in range(n - 2):
        insert_sorted(
            survived, i, open_days(past.purchases[i].day, past.purchases[i + 1].day, shop.opened)
        )
    lapsed_on = day_after(previous, lapsed_after(expected_ipt, log_sd, survived, shop), shop)
    for i in range(n - 2):
        survived[i] = 0
    return lapsed_on if day >= lapsed_on else NEVER


@kernel
def defects_on(past: Past, strong: Records, n: int, shop: Shop) -> int:
    """The day from which on the silence after the n-th purchase is a defection: late, and with
    strong evidence; NEVER without.

    A core customer defects on the first day on which he is late and the evidence of a reason to
    leave is strong. He stays a defector, even where the evidence fades, until he buys or has
    lapsed.
    """
    after = past.purchases[n - 1].day
    for i in range(len(strong)):
        if strong[i].after == after:
            expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
            return max(
                int(strong[i].on), day_after(after, late_after(expected_ipt, log_sd, shop), shop)
            )
    return NEVER


@kernel
def take_in(past: Past, strong: Records, memory: Any, shop: Shop, limits: Limits) -> None:
    """Carry the memory on over the purchases it has not seen.

    Who lapses before he is core and comes back is on probation until he has bought
    {reactivated_purchases} times. A core customer who defects and buys before he has lapsed is core
    again. One who has lapsed is won back by {winback_purchases} purchases without another lapse
    between them, once no grave complaint is open and none past its promise. Who was core is never
    an early repeat customer again.
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
        if (
            memory.away_since != NEVER
            and memory.won_back >= limits.winback_purchases
            and not is_let_down(past, day, shop.sla)
        ):
            memory.back_since = day
            memory.away_since = NEVER
            memory.won_back = 0
        if not was_core and lacking(past, n, memory.probation, shop, limits) == 0:
            memory.core_since, memory.back_since = day, day
            memory.entry_purchases, memory.entry_days = n, day - past.purchases[0].day
            memory.entry_ipt, memory.entry_log_sd = shrunk_ipt(past.purchases, n, shop)
        memory.seen_on = day


@kernel
def decide(n: int, core_ever: bool, activity: int, winning_back: bool, defecting: bool) -> int:
    """The stage; the first that holds counts, and one always does.

    Prospect: no purchase yet; open until {prospect_stale_ipts} of the shop's usual gaps after the
    last contact, then stale. First time: one purchase. Early repeat: two or more, and never yet
    core. Core defector: core once, and now lapsed, or defecting, or away and not yet won back.
    Core: core once, and nothing of that. Each buyer is active, late or lapsed by how long he has
    been silent.
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
def judge(past: Past, strong: Records, memory: Any, shop: Shop, limits: Limits, row: Any) -> None:
    """Fill one STATE row, zeros so far, for the past, given the memory of its purchases."""
    n = len(past.purchases)
    row.purchases = n
    row.reactivated = memory.probation > 0
    row.net_spend_365d = net_spend(past, 365)
    row.purchases_365d, row.weekday, row.month = habits(past, 365)
    row.open_past_sla = past_sla(past, past.snapshot, shop.sla)
    row.first_on, row.last_purchase_on, row.core_since, row.late_on, row.defects_on = (
        NEVER,
        NEVER,
        NEVER,
        NEVER,
        NEVER,
    )
    row.entry_purchases, row.entry_days, row.entry_ipt_days = (
        memory.entry_purchases,
        memory.entry_days,
        memory.entry_ipt,
    )
    row.entry_log_sd, row.purchases_back = (
        memory.entry_log_sd,
        max(memory.won_back, memory.probation),
    )
    expected_ipt, log_sd = shrunk_ipt(past.purchases, n, shop)
    row.ipt_days, row.ipt_log_sd = expected_ipt, log_sd
    row.satisfaction = satisfaction(past, expected_ipt, shop, limits)
    if n == 0:
        touched = past.touches[len(past.touches) - 1].day if len(past.touches) > 0 else past.known
        row.lapses_on = day_after(
            touched, whole_days(limits.prospect_stale_ipts * shop.expected_ipt), shop
        )
        row.activity = OPEN if past.snapshot < row.lapses_on else STALE
        row.stage, row.since, row.scored = PROSPECT, past.known, False
        return
    late_on, lapses_on = deadlines(past, shop)
    core_ever, winning_back = memory.core_since != NEVER, memory.away_since != NEVER
    defected_on = defects_on(past, strong, n, shop) if core_ever else NEVER
    if defected_on >= lapses_on:
        defected_on = NEVER
    row.first_on, row.last_purchase_on, row.core_since = (
        past.purchases[0].day,
        past.purchases[n - 1].day,
        memory.core_since,
    )
    row.late_on, row.defects_on, row.lapses_on = late_on, defected_on, lapses_on
    row.complaints, row.defects, row.grave_open, row.past_sla = failures(
        past, row.last_purchase_on, shop.sla
    )
    activity = (
        ACTIVE if past.snapshot < late_on else (LATE if past.snapshot < lapses_on else LAPSED)
    )
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
        row.partial_defection = is_partly_gone(past, expected_ipt, limits)
    else:
        row.since = memory.away_since if winning_back else min(defected_on, lapses_on)
        row.status = LOST if activity == LAPSED else (DEFECTING if defecting else WON_BACK)


@kernel
def forget(memory: Any) -> None:
    """Before the first purchase."""
    memory.seen_on, memory.won_back, memory.probation = -1, 0, 0
    memory.core_since, memory.back_since, memory.away_since = NEVER, NEVER, NEVER
    memory.entry_purchases, memory.entry_days, memory.entry_ipt, memory.entry_log_sd = 0, 0, 0, 0


@entry
def follow(
    tables: Tables,
    snapshots: Ints,
    shop: Shop,
    limits: Limits,
    strong_start: Longs,
    strong: Records,
    buffers: Buffers,
    memory: Records,
    states: Any,
    customers: Ints,
    at: Ints,
) -> None:
    """One STATE row per customer and snapshot at which he is known; the numbers of both are written
    beside.

    `strong` (STRONG) is the evidence given of each customer, his from `strong_start[customer]` on;
    `memory` (MEMORY) room for one.
    """
    count = 0
    for customer in range(len(tables.known)):
        begin_customer(tables, customer, buffers)
        forget(memory[0])
        evidence = strong[strong_start[customer] : strong_start[customer + 1]]
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            if buffers.cursor[0].cancels:
                # What a purchase made of him stays when it is cancelled later, so each is taken in
                # as it was known on its day.
                for line in range(tables.line_start[customer], tables.line_start[customer + 1]):
                    day = tables.lines[line].day
                    if memory[0].seen_on < day < snapshots[k]:
                        take_in(
                            past_before(tables, customer, day + 1, buffers),
                            evidence,
                            memory[0],
                            shop,
                            limits,
                        )
            past = past_before(tables, customer, snapshots[k], buffers)
            take_in(past, evidence, memory[0], shop, limits)
            judge(past, evidence, memory[0], shop, limits, states[count])
            customers[count], at[count] = customer, snapshots[k]
            count += 1


def life_cycle(
    tables: Tables,
    snapshots: Ints,
    shop: Shop,
    limits: Limits,
    evidence: tuple[Longs, Records] | None = None,
) -> tuple[Ints, Ints, Records]:
    """Per customer and snapshot (ascending) at which he is known: his number, the snapshot's day,
    and his STATE.

    `evidence` of reasons to leave: where each customer's STRONG begin, and they; None while no
    reason is looked for.
    """
    size = int((tables.known[:, None] < snapshots).sum())
    start, strong = evidence or (np.zeros(len(tables.known) + 1, np.int64), np.empty(0, STRONG))
    customers, at, states = (
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.zeros(size, STATE),
    )
    follow(
        tables,
        snapshots,
        shop,
        limits,
        start,
        strong,
        buffers_for(tables, shop.opened),
        np.zeros(1, MEMORY),
        states,
        customers,
        at,
    )
    return customers, at, states
