"""Why customers stand where they stand.

Texts and the facts they are built from, out of life-cycle rows and the limits, no model.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Flags, Floats
from models.decision.queues import queue_of
from models.lifecycle.facts import Fact, Facts, fact, of_these, only, same, say
from models.settings import Limits

DATES = (
    "since",
    "first_on",
    "last_purchase_on",
    "core_since",
    "late_on",
    "defects_on",
    "lapses_on",
)


def rounded(values: Floats, digits: int) -> npt.NDArray[Any]:
    """Floats to so many digits, whole where there are none."""
    return np.round(values, digits) if digits else np.rint(values).astype(np.int64)


def beside(values: Floats, limit: float, digits: int, where: Flags) -> tuple[Fact, Fact]:
    """Values and the limit they are told beside, with so many digits or the few more that show on
    which side of it each stands.
    """
    told, against = same(None, np.zeros(len(values), bool)), same(None, np.zeros(len(values), bool))
    for more in range(digits, digits + 3):
        shown, line = rounded(values, more), rounded(np.array([limit]), more)
        clear = where & (((shown <= line) == (values <= limit)) | (more == digits + 2))
        told, against = (
            told.or_else(fact(shown, clear)),
            against.or_else(same(line[0].item(), clear)),
        )
    return told, against


def _rhythm(
    expected_ipt: Floats, log_sd: Floats, limits: Limits, shop_gap: float, where: Flags
) -> tuple[Fact, Fact, Fact, Fact]:
    """Usual gap and irregularity of these customers, each with the most that core allows in this
    shop.
    """
    return (
        *beside(expected_ipt, limits.core_max_ipt_ratio * shop_gap, 0, where),
        *beside(log_sd, limits.core_max_log_sd, 2, where),
    )


def facts(rows: pa.Table, limits: Limits, expected_ipt: float) -> Facts:
    """The values the texts are made of, for each row of data/lifecycle.

    `limits` and the shop's `expected_ipt` are what the rows were judged by.
    """

    def figures(name: str) -> Floats:
        found: Floats = rows[name].to_numpy().astype(np.float64)
        return found

    def flags(name: str) -> Flags:
        found: Flags = rows[name].to_numpy()
        return found

    everybody, bought = np.ones(len(rows), bool), figures("purchases") > 0
    stage, status, lacks = (
        fact(rows["stage"], everybody),
        fact(rows["status"], everybody),
        fact(rows["lacks"], bought),
    )
    early, core = stage.equals("early_repeat"), stage.equals("core")
    low = fact(rows["confidence"], bought).equals("low")
    reactivated, won_back = bought & flags("reactivated"), bought & status.equals("won_back")
    days = {
        name: rows[name].cast(pa.int32()).fill_null(0).to_numpy()
        for name in ("snapshot", "first_on", "last_purchase_on")
    }
    gap, longest, log_sd, highest = _rhythm(
        figures("ipt_days"), figures("ipt_log_sd"), limits, expected_ipt, early
    )
    entry_ipt, entry_longest, entry_log_sd, entry_highest = _rhythm(
        figures("entry_ipt_days"), figures("entry_log_sd"), limits, expected_ipt, core
    )
    found: Facts = {
        "stage": stage,
        "activity": fact(rows["activity"], everybody),
        "purchases": fact(rows["purchases"], everybody),
    }
    found |= {"status": status, **{name: fact(rows[name], everybody) for name in DATES}}
    found["silent_days"] = fact(days["snapshot"] - days["last_purchase_on"], bought)
    found["span_days"] = fact(days["last_purchase_on"] - days["first_on"], bought)
    found["expected_ipt_days"] = gap.or_else(fact(rounded(figures("ipt_days"), 0), bought))
    found["shop_ipt_days"] = same(round(expected_ipt), bought)
    found["log_sd"] = log_sd.or_else(fact(rounded(figures("ipt_log_sd"), 2), bought))
    found["satisfaction"] = same("unknown", low).or_else(
        fact(rounded(figures("satisfaction"), 2), bought)
    )
    found["open_past_sla"] = fact(rows["open_past_sla"], bought)
    found |= {
        "reactivated": same(True, reactivated),
        "partial_defection": same(True, bought & flags("partial_defection")),
    }
    found |= {
        "entry_purchases": fact(rows["entry_purchases"], core),
        "entry_days": fact(rows["entry_days"], core),
    }
    found["needs_purchases"] = same(limits.core_min_purchases, early | core)
    found["needs_days"] = same(
        math.ceil(max(limits.core_min_days, limits.core_min_ipts * expected_ipt)), early | core
    )
    found["entry_expected_ipt_days"], found["highest_expected_ipt_days"] = (
        entry_ipt,
        longest.or_else(entry_longest),
    )
    found["log_sd_at_entry"], found["highest_log_sd"] = entry_log_sd, highest.or_else(entry_highest)
    found["lacks"] = lacks
    for name, limit in (
        ("complaints", limits.core_max_complaints_per_purchase),
        ("defects", limits.core_max_defect_returns),
    ):
        per_purchase = figures(name) / np.maximum(figures("purchases"), 1)
        value, most = beside(per_purchase, limit, 2, is_lacking(lacks, f"few_{name}"))
        found[f"{name}_per_purchase"], found[f"highest_{name}_per_purchase"] = value, most
    found["purchases_back"] = fact(rows["purchases_back"], reactivated | won_back)
    found["needs_purchases_back"] = same(limits.reactivated_purchases, reactivated).or_else(
        same(limits.winback_purchases, won_back)
    )
    told = lacks.holds(bool) | won_back
    return found | {name: fact(rows[name], told) for name in ("grave_open", "past_sla")}


def is_lacking(lacks: Fact, need: str) -> Flags:
    """Who lacks one of models.lifecycle.core_rules.NEEDS."""
    return lacks.holds(lambda needs: need in needs.split(","))


def queues(f: Facts) -> Fact:
    """The work queue of each customer."""
    stages, activities, statuses = (f[name].values for name in ("stage", "activity", "status"))
    named = [
        queue_of(stage, activity, status)
        for stage in stages
        for activity in activities
        for status in [*statuses, None]
    ]
    status = np.where(f["status"].codes < 0, len(statuses), f["status"].codes)
    codes = (f["stage"].codes * len(activities) + f["activity"].codes) * (
        len(statuses) + 1
    ) + status
    return Fact(named, codes.astype(np.int32))


def count(f: Facts, name: str, thing: str) -> pa.Array:
    """So many of a thing, in the singular where there is one."""
    return f[name].spelled(lambda number: f"{number} {thing}{'' if number == 1 else 's'}")


# What is said of each of models.lifecycle.core_rules.NEEDS where it is lacking.
LACKING: dict[str, Callable[[Facts], pa.Array]] = {
    "purchases": lambda f: say(
        f, "{bought} (needs {needs_purchases})", bought=count(f, "purchases", "purchase")
    ),
    "days": lambda f: say(f, "{span_days} days (needs {needs_days})"),
    "pace": lambda f: say(
        f, "usual gap {expected_ipt_days} d (at most {highest_expected_ipt_days})"
    ),
    "regularity": lambda f: say(f, "irregularity {log_sd} (at most {highest_log_sd})"),
    "repair": lambda f: say(
        f, "{open} open at the last purchase", open=count(f, "grave_open", "grave complaint")
    ),
    "sla": lambda f: say(
        f, "{open} open past promise at the last purchase", open=count(f, "past_sla", "complaint")
    ),
    "few_complaints": lambda f: pc.if_else(
        pa.array(f["satisfaction"].equals("unknown")),
        "complaints are not recorded",
        say(
            f,
            "{complaints_per_purchase} complaints per purchase (at most {highest_complaints_per_purchase})",
        ),
    ),
    "few_defects": lambda f: say(
        f, "{defects_per_purchase} defects per purchase (at most {highest_defects_per_purchase})"
    ),
    "staying": lambda f: say(
        f,
        "{bought} since a lapse (needs {needs_purchases_back})",
        bought=count(f, "purchases_back", "purchase"),
    ),
}


def listed(phrases: list[tuple[Flags, pa.Array]]) -> pa.Array:
    """The phrases that are true of each customer, with commas between them.

    An empty text where none is.
    """
    # a row of nulls alone would be left out of the result
    none = ~np.any([where for where, _ in phrases], axis=0)
    said = [pc.if_else(pa.array(where), text, None) for where, text in [*phrases, (none, "")]]
    return pc.binary_join_element_wise(*said, ", ", null_handling="skip")


def _silence(f: Facts) -> pa.Array:
    """How long he has been silent, and what that silence has come to or will."""
    gone = f["status"].holds(lambda status: status in {"defecting", "lost"})
    defecting = f["defects_on"].holds(bool) & ~f["status"].equals("won_back")
    return say(
        f,
        "Last purchase {silent_days} d ago: late {from_late} {late_on}{defecting}, lapsed {from_lapsed} {lapses_on}.",
        from_late=only(f["activity"].equals("active"), "from", "since"),
        defecting=only(
            defecting, say(f, ", defecting {since} {defects_on}", since=only(gone, "since", "from"))
        ),
        from_lapsed=only(f["activity"].equals("lapsed"), "since", "from"),
    )


def _mood(f: Facts) -> pa.Array:
    broken = f["open_past_sla"].holds(lambda number: number > 0)
    words = {1: "", "unknown": " Satisfaction unknown: no complaints are recorded."}
    satisfied = f["satisfaction"].spelled(lambda mood: words.get(mood, f" Satisfaction {mood}."))
    said = say(
        f, " Open past promise: {complaints}.", complaints=count(f, "open_past_sla", "complaint")
    )
    return say(f, "{broken}{satisfied}", broken=only(broken, said), satisfied=satisfied)


def _so_far(f: Facts) -> pa.Array:
    bought = count(f, "purchases", "purchase")
    return say(
        f,
        "{bought} over {span_days} days, usual gap {expected_ipt_days} d (shop {shop_ipt_days})",
        bought=bought,
    )


def _prospect(f: Facts) -> pa.Array:
    until = only(f["activity"].equals("stale"), "stale since", "open until")
    return say(f, "Prospect since {since}, no purchase yet: {until} {lapses_on}.", until=until)


def _first_time(f: Facts) -> pa.Array:
    return say(
        f,
        "First purchase on {first_on}, none since. {silence}{mood}",
        silence=_silence(f),
        mood=_mood(f),
    )


def _early_repeat(f: Facts) -> pa.Array:
    lacking = listed([(is_lacking(f["lacks"], need), text(f)) for need, text in LACKING.items()])
    next_time = "Core with the next purchase, if all stays as it is"
    core = only(f["lacks"].holds(bool), say(f, "Not core: {lacking}", lacking=lacking), next_time)
    template = "Early repeat since {since}: {so_far}. {core}. {silence}{mood}"
    return say(f, template, so_far=_so_far(f), core=core, silence=_silence(f), mood=_mood(f))


def _core(f: Facts) -> pa.Array:
    known = ~f["satisfaction"].equals("unknown")
    return say(
        f,
        "Core since {core_since}{back}: {entry_purchases} purchases over {entry_days} days (needs {needs_purchases} / {needs_days}), "
        "gap {entry_expected_ipt_days} <= {highest_expected_ipt_days} d, regular {log_sd_at_entry} <= {highest_log_sd}{content}."
        "{now}{partly} {silence}{mood}",
        back=only(f["since"].each("") != f["core_since"].each(""), say(f, ", back since {since}")),
        content=only(known, ", nothing open past promise"),
        now=only(
            f["purchases"].each(0) != f["entry_purchases"].each(0),
            say(f, " By now {so_far}.", so_far=_so_far(f)),
        ),
        partly=only(
            f["partial_defection"].holds(bool), " Partly gone: less than half of what he did."
        ),
        silence=_silence(f),
        mood=_mood(f),
    )


def _core_defector(f: Facts) -> pa.Array:
    few = f["purchases_back"].each(0) < f["needs_purchases_back"].each(0)
    since = say(
        f,
        "{bought} since (needs {needs_purchases_back})",
        bought=count(f, "purchases_back", "purchase"),
    )
    lacking = listed(
        [
            (few, since),
            (f["grave_open"].holds(bool), LACKING["repair"](f)),
            (f["past_sla"].holds(bool), LACKING["sla"](f)),
        ]
    )
    still = few | f["grave_open"].holds(bool) | f["past_sla"].holds(bool)
    back = only(
        still,
        say(f, "back, but {lacking}", lacking=lacking),
        "back, and core with the next purchase, if all stays as it is",
    )
    rule = {
        "lost": "silent past his deadline",
        "defecting": "late, and with strong evidence of a reason to leave",
    }
    return say(
        f,
        "Core from {core_since}, {word} since {since}: {rule}. {so_far}. {silence}{mood}",
        word=f["status"].spelled(lambda status: {"won_back": "away"}.get(status, status)),
        rule=pc.if_else(
            pa.array(f["status"].equals("won_back")),
            back,
            f["status"].spelled(lambda status: rule.get(status, "")),
        ),
        so_far=_so_far(f),
        silence=_silence(f),
        mood=_mood(f),
    )


TEXTS: dict[str, Callable[[Facts], pa.Array]] = {
    "prospect": _prospect,
    "first_time": _first_time,
    "early_repeat": _early_repeat,
    "core": _core,
    "core_defector": _core_defector,
}


def why(f: Facts) -> pa.Array:
    """The facts of each customer as a few short sentences.

    Every number in them is one of his facts.
    """
    order = [np.flatnonzero(f["stage"].equals(stage)) for stage in TEXTS]
    texts = [text(of_these(f, which)) for text, which in zip(TEXTS.values(), order, strict=True)]
    return pa.concat_arrays(texts).take(pa.array(np.argsort(np.concatenate(order))))
