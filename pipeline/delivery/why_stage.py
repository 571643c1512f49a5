"""Why customers are in their stage: texts and facts, from rows of data/lifecycle and the limits."""

from collections.abc import Callable
from string import Formatter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.records import Flags, Floats
from models.lifecycle.core_rules import CONDITIONS, GRAVE_OPEN, PAST_SLA, Candidate, Condition
from models.lifecycle.limits import Limits
from pipeline.delivery.facts import (
    Fact,
    Facts,
    constant,
    fact,
    in_order,
    listed,
    of_these,
    only,
    say,
)

DATES = "since first_on last_purchase_on core_since late_on defects_on lapses_on".split()


def rounded(values: Floats, digits: int) -> npt.NDArray[Any]:
    """Round to so many digits; whole numbers for none."""
    return np.round(values, digits) if digits else np.rint(values).astype(np.int64)


def beside(values: Floats, bound: float, digits: int, where: Flags) -> tuple[Fact, Fact]:
    """Values and their bound, with the digits (two more at most) that show each value's side."""
    shown, shown_bound = constant(None, where & False), constant(None, where & False)
    for more in range(digits, digits + 3):
        value, line = rounded(values, more), rounded(np.array([bound]), more)
        clear = where & (((value <= line) == (values <= bound)) | (more == digits + 2))
        shown = shown.or_else(fact(value, clear))
        shown_bound = shown_bound.or_else(constant(line[0].item(), clear))
    return shown, shown_bound


def is_lacking(lacks: Fact, condition: str) -> Flags:
    """Flag the customers who lack a condition of core entry."""
    return lacks.holds(lambda names: condition in names.split(","))


def core_facts(known: Facts, rows: pa.Table, limits: Limits, expected_ipt: float) -> Facts:
    """The value and the bound of each condition, added to what is known.

    Conditions that `why` shows at core entry: of all early repeat and core customers. The others:
    where they are lacking.
    """

    def numbers(names: str) -> list[Floats]:
        return [rows[name].to_numpy().astype(np.float64) for name in names.split()]

    failed = numbers("complaints defects grave_open past_sla purchases_back")
    purchases, *pace = numbers("purchases ipt_days ipt_log_sd")
    days = known["span_days"].each(0).astype(np.float64)
    now = Candidate(None, np.maximum(purchases, 1), days, *pace, *failed)
    entry = numbers("entry_purchases entry_days entry_ipt_days entry_log_sd")
    at_entry = Candidate(None, *entry, *failed)
    early, core = (known["stage"].equals(stage) for stage in ("early_repeat", "core"))
    for row in CONDITIONS:
        name, bound_name, *entry_name = row.fact_names()
        bound = float(row.bound(limits, expected_ipt))
        where = early if entry_name else is_lacking(known["lacks"], row.name)
        value, shown_bound = beside(row.value(now), bound, row.digits, where)
        known[name] = value.or_else(known[name]) if name in known else value
        for at in entry_name:
            known[at], other = beside(row.value(at_entry), bound, row.digits, core)
            shown_bound = shown_bound.or_else(other)
        if bound_name:
            known[bound_name] = shown_bound
    return known


def facts(rows: pa.Table, limits: Limits, expected_ipt: float) -> Facts:
    """The facts of rows of data/lifecycle that were judged by these limits and expected IPT.

    Rows may have `category_change`: the words for a category that the customer bought less of.
    """
    everybody = np.ones(len(rows), bool)
    no_change = pa.nulls(len(rows), pa.string())
    changes = rows["category_change"] if "category_change" in rows.column_names else no_change
    bought: Flags = rows["purchases"].to_numpy() > 0

    def column(name: str, where: Flags = bought, digits: int | None = None) -> Fact:
        values = rows[name]
        return fact(
            values if digits is None else rounded(values.to_numpy().astype(float), digits), where
        )

    def flag(name: str) -> Flags:
        values: Flags = bought & rows[name].to_numpy()
        return values

    known = {
        name: column(name, everybody)
        for name in ("stage", "activity", "purchases", "status", *DATES)
    }
    lacks, back = column("lacks"), flag("reactivated")
    won_back = bought & known["status"].equals("won_back")
    unknown = column("confidence").equals("low")
    snapshot, since, first_on, last_on, lapses_on = (
        rows[name].cast(pa.int32()).fill_null(0).to_numpy()
        for name in ("snapshot", "since", "first_on", "last_purchase_on", "lapses_on")
    )
    open_then = lacks.holds(bool) | won_back
    is_partial = flag("partial_defection")

    partial_days = np.ceil(limits.partial_ipts * rows["ipt_days"].to_numpy().astype(float) - 1e-6)

    def fallen(name: str) -> Fact:
        below = rounded(100 * (1 - rows[name].to_numpy().astype(float)), 0)
        return fact(below, is_partial & (below > 0))

    known |= {
        "days_known": fact(snapshot - since, ~bought),
        "days_stale": fact(snapshot - lapses_on, known["activity"].equals("stale")),
        "days_since_last_purchase": fact(snapshot - last_on, bought),
        "span_days": fact(last_on - first_on, bought),
        "expected_ipt_days": column("ipt_days", digits=0),
        "shop_ipt_days": constant(round(expected_ipt), bought),
        "log_sd": column("ipt_log_sd", digits=2),
        "satisfaction": constant("unknown", unknown).or_else(column("satisfaction", digits=2)),
        "open_past_sla": column("open_past_sla"),
        "reactivated": constant(True, back),
        "partial_defection": constant(True, is_partial),
        "purchases_fell_percent": fallen("visits_level"),
        "spend_fell_percent": fallen("spend_level"),
        "partial_days": fact(partial_days.astype(np.int64), is_partial),
        "category_change": fact(changes, bought),
        "lacks": lacks,
        "purchases_back": column("purchases_back", back | won_back),
        "needs_purchases_back": constant(limits.reactivated_purchases, back).or_else(
            constant(limits.winback_purchases, won_back)
        ),
        "grave_open": column("grave_open", open_then),
        "past_sla": column("past_sla", open_then),
    }
    return core_facts(known, rows, limits, expected_ipt)


def _words(row: Condition, f: Facts, at_entry: bool = False) -> pa.Array:
    """The words of a condition with today's value, or with the one at core entry."""
    value, bound, *entry = row.fact_names()
    value = entry[0] if at_entry else value
    template = row.lacking.replace("{value", "{" + value).replace("{bound", "{" + bound)
    if not row.unrecorded:
        return say(f, template)
    return only(f["satisfaction"].equals("unknown"), row.unrecorded, say(f, template))


def _write(f: Facts, template: str) -> pa.Array:
    names = [name or "" for _, name, *_ in Formatter().parse(template)]
    return say(f, template, **{name: PHRASES[name](f) for name in names if name in PHRASES})


def _not_core(f: Facts) -> pa.Array:
    lacking = listed([(is_lacking(f["lacks"], row.name), _words(row, f)) for row in CONDITIONS])
    text = say(f, "Not core at the last purchase: {lacking}", lacking=lacking)
    return only(f["lacks"].holds(bool), text, "Core with the next purchase if nothing changes")


def _entry(f: Facts) -> pa.Array:
    everybody = np.ones(len(f["stage"].codes), bool)
    rows = [row for row in CONDITIONS if len(row.fact_names()) > 2]
    recorded = (~f["satisfaction"].equals("unknown"), "no complaint past its SLA")
    return listed([*((everybody, _words(row, f, True)) for row in rows), recorded])


def _defector(f: Facts) -> pa.Array:
    needed = "{purchases_back:purchase|purchases} since the lapse (needs {needs_purchases_back})"
    lacking = [
        (f["purchases_back"].each(0) < f["needs_purchases_back"].each(0), say(f, needed)),
        (f["grave_open"].holds(bool), say(f, GRAVE_OPEN)),
        (f["past_sla"].holds(bool), say(f, PAST_SLA)),
    ]
    away = "away since {since}, not won back at the last purchase: {lacking}"
    back = "away since {since}, core with the next purchase if nothing changes"
    still = np.any([where for where, _ in lacking], axis=0)
    text = only(still, say(f, away, lacking=listed(lacking)), say(f, back))
    for status, template in DEFECTORS.items():
        text = only(f["status"].equals(status), say(f, template), text)
    return text


def _defecting(f: Facts) -> pa.Array:
    where = f["defects_on"].holds(bool) & ~f["status"].equals("won_back")
    has_defected = f["status"].holds(lambda status: status in {"defecting", "lost"})
    begin = only(has_defected, ", defecting since ", ", defecting from ")
    return only(where, say(f, "{begin}{defects_on}", begin=begin))


DEFECTORS = {
    "lost": "lost since {since}: no purchase in time",
    "defecting": "defecting since {since}: overdue, strong evidence of a reason to leave",
}
PERFECT = {1: "", "unknown": " Satisfaction unknown: the shop records no complaints."}
NOW = " Now {purchases:purchase|purchases}, expected IPT {expected_ipt_days:day|days}."
OPEN_PAST_SLA = f" {PAST_SLA}.".replace("past_sla", "open_past_sla")
PHRASES: dict[str, Callable[[Facts], pa.Array]] = {
    "until": lambda f: only(f["activity"].equals("stale"), "stale since", "open until"),
    "overdue": lambda f: only(f["activity"].equals("active"), "overdue from", "overdue since"),
    "defecting": _defecting,
    "lapsed": lambda f: only(f["activity"].equals("lapsed"), "lapsed since", "lapsed from"),
    "late": lambda f: only(f["open_past_sla"].holds(bool), say(f, OPEN_PAST_SLA)),
    "score": lambda f: f["satisfaction"].spelled(lambda s: PERFECT.get(s, f" Satisfaction {s}.")),
    "not_core": _not_core,
    "entry": _entry,
    "back": lambda f: only(
        f["since"].each("") != f["core_since"].each(""), say(f, " Back since {since}.")
    ),
    "now": lambda f: only(f["purchases"].each(0) != f["entry_purchases"].each(0), say(f, NOW)),
    "partial": lambda f: only(f["partial_defection"].holds(bool), " Buys far less than before."),
    "defector": _defector,
    "so_far": lambda f: say(f, SO_FAR),
    "deadlines": lambda f: _write(f, DEADLINES),
}
SO_FAR = (
    "{purchases:purchase|purchases} over {span_days:day|days}, "
    "expected IPT {expected_ipt_days:day|days} (shop {shop_ipt_days})"
)
DEADLINES = (
    "{days_since_last_purchase:day|days} since the last purchase: {overdue} {late_on}{defecting}, "
    "{lapsed} {lapses_on}.{late}{score}"
)
TEXTS = {
    "prospect": "Prospect since {since}, no purchase yet: {until} {lapses_on}.",
    "first_time": "First purchase on {first_on}, no second one yet. {deadlines}",
    "early_repeat": "Early repeat since {since}: {so_far}. {not_core}. {deadlines}",
    "core": "Core since {core_since} with {entry}.{back}{now}{partial} {deadlines}",
    "core_defector": "Core from {core_since}, {defector}. {so_far}. {deadlines}",
}


def why_stage(f: Facts) -> pa.Array:
    """Explain each stage in a few short sentences; every number in them is one of the facts."""
    groups = [(np.flatnonzero(f["stage"].equals(stage)), text) for stage, text in TEXTS.items()]
    return in_order((at, _write(of_these(f, at), text)) for at, text in groups)
