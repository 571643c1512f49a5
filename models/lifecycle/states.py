"""The names of stages, activities and statuses, and the record types of a customer's state."""

from features.records import record

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
AS_STRONG = -1  # as `ahead`: the STRONG rows themselves say when evidence is strong

STATE = record(
    "i1 stage activity status",
    "i4 since",
    "? scored reactivated partial_defection",
    "f4 satisfaction",
    "f4 visits_level spend_level",  # of a core customer, over the level before; else 0
    "i4 recent_failures",
    "i4 complaint_opened_on complaint_due_on delivered_on",
    "i4 late_on defects_on lapses_on first_on last_purchase_on core_since",
    "i2 lacks",  # of an early repeat customer at the last purchase: a bit for each of CONDITIONS
    "i4 purchases",
    "f4 ipt_days ipt_log_sd",
    "i4 entry_purchases entry_days",  # at core entry, 0 before
    "f4 entry_ipt_days entry_log_sd",
    "i4 purchases_back",  # since a lapse, until won back or off probation
    "i4 complaints defects grave_open past_sla",  # by the last purchase
    "i4 open_past_sla",
    "f8 net_spend_365d yearly_spend net_per_purchase",
    "i2 purchases_365d",
    "i1 weekday month",  # with most of these purchases, 0 Monday and January; -1 without any
)
"""One row per customer and snapshot. `*_on` and `*since` are days, or NEVER."""

MEMORY = record(
    "i4 seen_on",  # day of the latest purchase taken in, -1 before
    "i4 core_since",  # day of core entry, NEVER before
    "i4 back_since",  # day of the latest return to core, or of core entry
    "i4 away_since",  # day of the defection or lapse not yet won back, or NEVER
    "i4 won_back",  # purchases since that lapse
    "i4 entry_purchases entry_days",  # at core entry
    "f8 entry_ipt entry_log_sd",
    "i4 probation",  # purchases since a lapse before core, 0 when over
)
"""What follows from the purchases of one customer so far, carried from snapshot to snapshot."""
