"""Why a customer stands where he stands: the text and the facts it is built from, out of the life-cycle row and the limits, no model."""

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

from models.settings import Limits

QUEUES = ("core_care", "early_care", "save_now", "win_back", "second_purchase", "convert")
DATES = ("since", "first_on", "last_purchase_on", "core_since", "late_on", "defects_on", "lapses_on")
Facts = dict[str, Any]


def queue_of(stage: str, activity: str, status: str | None) -> str:
    """The work queue a customer is in; every known customer is in one."""
    if stage == "prospect":
        return "convert"
    if stage == "first_time":
        return "second_purchase"
    if activity == "lapsed":
        return "win_back"
    if status == "defecting":
        return "save_now"
    return "early_care" if stage == "early_repeat" else "core_care"


def rounded(value: float, digits: int) -> float:
    """A figure to so many digits, whole where there are none."""
    return round(value, digits) if digits else round(value)


def beside(value: float, limit: float, digits: int) -> tuple[float, float]:
    """A value and the limit it is told beside, with so many digits or the few more that show on which side it stands."""
    pairs = [(rounded(value, d), rounded(limit, d)) for d in range(digits, digits + 3)]
    return next((pair for pair in pairs if (pair[0] <= pair[1]) == (value <= limit)), pairs[-1])


def _needs(prefix: str, usual_gap: float, log_sd: float, limits: Limits, shop_gap: float) -> Facts:
    """What core needs in this shop, and the rhythm that is held against it."""
    gap, longest = beside(usual_gap, limits.core_max_cycle_ratio * shop_gap, 0)
    irregularity, highest = beside(log_sd, limits.core_max_log_sd, 2)
    return {
        "needs_purchases": limits.core_min_purchases,
        "needs_days": math.ceil(max(limits.core_min_days, limits.core_min_cycles * shop_gap)),
        f"{prefix}usual_gap_days": gap,
        "longest_usual_gap_days": longest,
        f"{prefix}irregularity": irregularity,
        "highest_irregularity": highest,
    }


def _lacks(row: Any, limits: Limits) -> Facts:
    """What an early repeat customer lacks for core, and how much of it there is."""
    found: Facts = {"lacks": row.lacks}
    for name, number, limit in (
        ("complaints", row.complaints, limits.core_max_complaints_per_purchase),
        ("defects", row.defects, limits.core_max_defect_returns),
    ):
        if f"few_{name}" in row.lacks.split(","):
            found[f"{name}_per_purchase"], found[f"highest_{name}_per_purchase"] = beside(number / row.purchases, limit, 2)
    return found


def facts(row: Any, limits: Limits, usual_gap: float) -> Facts:
    """The values the text is made of; absent ones are left out. `row` has the columns of data/lifecycle as attributes.

    `limits` and the shop's `usual_gap` are what the row was judged by.
    """
    found: Facts = {"stage": row.stage, "activity": row.activity, "purchases": int(row.purchases)}
    if isinstance(row.status, str):
        found["status"] = row.status
    found |= {name: getattr(row, name).isoformat() for name in DATES if isinstance(getattr(row, name), dt.date)}
    if row.purchases == 0:
        return found
    found["silent_days"] = (row.snapshot - row.last_purchase_on).days
    found["span_days"] = (row.last_purchase_on - row.first_on).days
    found |= {"usual_gap_days": round(float(row.cycle_days)), "shop_gap_days": round(usual_gap)}
    found["irregularity"] = round(float(row.cycle_log_sd), 2)
    found["satisfaction"] = "unknown" if row.confidence == "low" else round(float(row.satisfaction), 2)
    found["open_past_promise"] = int(row.open_past_promise)
    found |= {name: True for name in ("reactivated", "partial_defection") if getattr(row, name)}
    if row.stage == "early_repeat":
        found |= _needs("", float(row.cycle_days), float(row.cycle_log_sd), limits, usual_gap)
    if isinstance(row.lacks, str):
        found |= _lacks(row, limits)
    if row.stage == "core":
        found |= {"entry_purchases": int(row.entry_purchases), "entry_days": int(row.entry_days)}
        found |= _needs("entry_", float(row.entry_cycle_days), float(row.entry_log_sd), limits, usual_gap)
    if row.reactivated or row.status == "won_back":
        found["purchases_back"] = int(row.purchases_back)
        found["needs_purchases_back"] = limits.reactivated_purchases if row.reactivated else limits.winback_purchases
    if isinstance(row.lacks, str) or row.status == "won_back":
        found |= {name: int(getattr(row, name)) for name in ("grave_open", "past_promise")}
    return found


def count(number: int, thing: str) -> str:
    """So many of a thing, in the singular where there is one."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


# What is said of each of models.core_entry.NEEDS where it is lacking.
LACKING: dict[str, Callable[[Facts], str]] = {
    "purchases": lambda f: f"{count(f['purchases'], 'purchase')} (needs {f['needs_purchases']})",
    "days": lambda f: f"{f['span_days']} days (needs {f['needs_days']})",
    "pace": lambda f: f"usual gap {f['usual_gap_days']} d (at most {f['longest_usual_gap_days']})",
    "regularity": lambda f: f"irregularity {f['irregularity']} (at most {f['highest_irregularity']})",
    "repair": lambda f: f"{count(f['grave_open'], 'grave complaint')} open at the last purchase",
    "promise": lambda f: f"{count(f['past_promise'], 'complaint')} open past promise at the last purchase",
    "few_complaints": lambda f: (
        "complaints are not recorded"
        if f["satisfaction"] == "unknown"
        else f"{f['complaints_per_purchase']} complaints per purchase (at most {f['highest_complaints_per_purchase']})"
    ),
    "few_defects": lambda f: f"{f['defects_per_purchase']} defects per purchase (at most {f['highest_defects_per_purchase']})",
    "staying": lambda f: f"{count(f['purchases_back'], 'purchase')} since a lapse (needs {f['needs_purchases_back']})",
}


def _silence(f: Facts) -> str:
    """How long he has been silent, and what that silence has come to or will."""
    found = f"Last purchase {f['silent_days']} d ago: late {'from' if f['activity'] == 'active' else 'since'} {f['late_on']}"
    if "defects_on" in f and f.get("status") != "won_back":
        found += f", defecting {'since' if f.get('status') in {'defecting', 'lost'} else 'from'} {f['defects_on']}"
    return f"{found}, lapsed {'since' if f['activity'] == 'lapsed' else 'from'} {f['lapses_on']}."


def _mood(f: Facts) -> str:
    found = f" Open past promise: {count(f['open_past_promise'], 'complaint')}." if f["open_past_promise"] else ""
    if f["satisfaction"] == "unknown":
        return f"{found} Satisfaction unknown: no complaints are recorded."
    return found if f["satisfaction"] == 1 else f"{found} Satisfaction {f['satisfaction']}."


def _so_far(f: Facts) -> str:
    return f"{count(f['purchases'], 'purchase')} over {f['span_days']} days, usual gap {f['usual_gap_days']} d (shop {f['shop_gap_days']})"


def _prospect(f: Facts) -> str:
    return f"Prospect since {f['since']}, no purchase yet: {'stale since' if f['activity'] == 'stale' else 'open until'} {f['lapses_on']}."


def _first_time(f: Facts) -> str:
    return f"First purchase on {f['first_on']}, none since. {_silence(f)}{_mood(f)}"


def _early_repeat(f: Facts) -> str:
    lacking = [LACKING[need](f) for need in f["lacks"].split(",")] if "lacks" in f else []
    core = f"Not core: {', '.join(lacking)}" if lacking else "Core with the next purchase, if all stays as it is"
    return f"Early repeat since {f['since']}: {_so_far(f)}. {core}. {_silence(f)}{_mood(f)}"


def _core(f: Facts) -> str:
    back = "" if f["since"] == f["core_since"] else f", back since {f['since']}"
    entry = f"{f['entry_purchases']} purchases over {f['entry_days']} days (needs {f['needs_purchases']} / {f['needs_days']})"
    rhythm = f"gap {f['entry_usual_gap_days']} <= {f['longest_usual_gap_days']} d"
    regular = f"regular {f['entry_irregularity']} <= {f['highest_irregularity']}"
    content = "" if f["satisfaction"] == "unknown" else ", nothing open past promise"
    partly = " Partly gone: less than half of what he did." if f.get("partial_defection") else ""
    now = f" By now {_so_far(f)}." if f["purchases"] != f["entry_purchases"] else ""
    return f"Core since {f['core_since']}{back}: {entry}, {rhythm}, {regular}{content}.{now}{partly} {_silence(f)}{_mood(f)}"


def _core_defector(f: Facts) -> str:
    rule = {
        "lost": "silent past his deadline",
        "defecting": "late, and with strong evidence of a reason to leave",
        "won_back": "",
    }[f["status"]]
    if f["status"] == "won_back":
        few = f["purchases_back"] < f["needs_purchases_back"]
        lacking = [f"{count(f['purchases_back'], 'purchase')} since (needs {f['needs_purchases_back']})"] if few else []
        lacking += [LACKING[need](f) for need, failures in (("repair", "grave_open"), ("promise", "past_promise")) if f[failures]]
        rule = f"back, but {', '.join(lacking)}" if lacking else "back, and core with the next purchase, if all stays as it is"
    word = {"lost": "lost", "won_back": "away", "defecting": "defecting"}[f["status"]]
    return f"Core from {f['core_since']}, {word} since {f['since']}: {rule}. {_so_far(f)}. {_silence(f)}{_mood(f)}"


TEXTS: dict[str, Callable[[Facts], str]] = {
    "prospect": _prospect,
    "first_time": _first_time,
    "early_repeat": _early_repeat,
    "core": _core,
    "core_defector": _core_defector,
}


def why(f: Facts) -> str:
    """The facts as a few short sentences; every number in them is one of the facts."""
    return TEXTS[f["stage"]](f)
