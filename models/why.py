"""Why a customer stands where he stands: the text and the facts it is built from, out of the life-cycle row alone, no model."""

import datetime as dt
from collections.abc import Callable
from typing import Any

QUEUES = ("core_care", "early_care", "save_now", "win_back", "second_purchase", "convert")


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


def facts(row: Any) -> dict[str, Any]:
    """The values the text is made of; absent ones are left out. `row` has the columns of data/lifecycle as attributes."""
    dates = ("since", "first_on", "last_purchase_on", "core_since", "late_on", "lapses_on")
    found: dict[str, Any] = {"stage": row.stage, "activity": row.activity, "purchases": int(row.purchases)}
    if isinstance(row.status, str):
        found["status"] = row.status
    found |= {name: getattr(row, name).isoformat() for name in dates if isinstance(getattr(row, name), dt.date)}
    if row.purchases > 0:
        found["silent_days"] = (row.snapshot - row.last_purchase_on).days
        found["span_days"] = (row.last_purchase_on - row.first_on).days
        found["usual_gap_days"] = round(float(row.cycle_days))
        found["irregularity"] = round(float(row.cycle_log_sd), 2)
        found["open_past_promise"] = int(row.open_past_promise)
    return found


def _silence(f: dict[str, Any]) -> str:
    late = "late since" if f["activity"] in {"late", "lapsed"} else "late from"
    lapsed = "lapsed since" if f["activity"] == "lapsed" else "lapsed from"
    return f"Last purchase {f['silent_days']} d ago: {late} {f['late_on']}, {lapsed} {f['lapses_on']}."


def _open_complaints(f: dict[str, Any]) -> str:
    count = f["open_past_promise"]
    return f" Complaints open past their promise: {count}." if count else ""


def _prospect(f: dict[str, Any]) -> str:
    return f"Prospect since {f['since']}, no purchase yet: {'stale since' if f['activity'] == 'stale' else 'open until'} {f['lapses_on']}."


def _first_time(f: dict[str, Any]) -> str:
    return f"First purchase on {f['first_on']}, none since. {_silence(f)}{_open_complaints(f)}"


def _rhythm(f: dict[str, Any]) -> str:
    return f"{f['purchases']} purchases over {f['span_days']} days, usual gap {f['usual_gap_days']} d, irregularity {f['irregularity']}."


def _early_repeat(f: dict[str, Any]) -> str:
    return f"Early repeat buyer since {f['since']}: {_rhythm(f)} {_silence(f)}{_open_complaints(f)}"


def _core(f: dict[str, Any]) -> str:
    return f"Core since {f['since']}: {_rhythm(f)} {_silence(f)}{_open_complaints(f)}"


def _core_defector(f: dict[str, Any]) -> str:
    word = {"lost": "lost", "won_back": "being won back", "defecting": "defecting"}[f["status"]]
    return f"Core customer from {f['core_since']}, {word} since {f['since']}: {_rhythm(f)} {_silence(f)}{_open_complaints(f)}"


TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "prospect": _prospect,
    "first_time": _first_time,
    "early_repeat": _early_repeat,
    "core": _core,
    "core_defector": _core_defector,
}


def why(f: dict[str, Any]) -> str:
    """The facts as one or two sentences; every number in them is one of the facts."""
    return TEXTS[f["stage"]](f)
