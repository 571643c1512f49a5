"""What changed against the customer's own normal: the first sentence of `why`, in each language."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.records import Flags
from pipeline.delivery.facts import Facts, in_order, of_these, say


class Change(NamedTuple):
    """One kind of change: whom it holds for, and its sentence in each language."""

    holds: Callable[[Facts], Flags]
    sentence: dict[str, str]


def _is(name: str, *values: str) -> Callable[[Facts], Flags]:
    return lambda f: f[name].holds(lambda value: value in values)


def _fell(f: Facts, name: str, other: str) -> Flags:
    """Flag who is in partial defection and whose `name` fell further than the other."""
    return f[name].each(0) > f[other].each(0)


# The first that holds is said, and one always holds.
CHANGES = (
    Change(
        _is("activity", "open"),
        {
            "en": "Known for {days_known:day|days}, no purchase yet.",
            "de": "Seit {days_known:Tag|Tagen} bekannt, noch kein Kauf.",
            "it": "Noto da {days_known:giorno|giorni}, ancora nessun acquisto.",
        },
    ),
    Change(
        _is("activity", "stale"),
        {
            "en": "No purchase yet, contact stale for {days_stale:day|days}.",
            "de": "Noch kein Kauf, Kontakt seit {days_stale:Tag|Tagen} eingeschlafen.",
            "it": "Ancora nessun acquisto, contatto fermo da {days_stale:giorno|giorni}.",
        },
    ),
    Change(
        lambda f: f["stage"].equals("first_time") & ~f["activity"].equals("active"),
        {
            "en": "No second purchase for {days_since_last_purchase:day|days}, "
            "usually after {expected_ipt_days}.",
            "de": "Seit {days_since_last_purchase:Tag|Tagen} kein zweiter Kauf, "
            "sonst nach {expected_ipt_days}.",
            "it": "Nessun secondo acquisto da {days_since_last_purchase:giorno|giorni}, "
            "di solito dopo {expected_ipt_days}.",
        },
    ),
    Change(
        _is("stage", "first_time"),
        {
            "en": "First purchase {days_since_last_purchase:day|days} ago; "
            "a second usually follows after {expected_ipt_days}.",
            "de": "Erster Kauf vor {days_since_last_purchase:Tag|Tagen}; "
            "ein zweiter folgt sonst nach {expected_ipt_days}.",
            "it": "Primo acquisto {days_since_last_purchase:giorno|giorni} fa; "
            "di solito il secondo segue dopo {expected_ipt_days}.",
        },
    ),
    Change(
        _is("activity", "late", "lapsed"),
        {
            "en": "No purchase for {days_since_last_purchase:day|days}, "
            "usually every {expected_ipt_days}.",
            "de": "Seit {days_since_last_purchase:Tag|Tagen} kein Kauf, "
            "sonst alle {expected_ipt_days}.",
            "it": "Nessun acquisto da {days_since_last_purchase:giorno|giorni}, "
            "di solito ogni {expected_ipt_days}.",
        },
    ),
    Change(
        lambda f: f["category_change"].holds(bool),
        dict.fromkeys(("en", "de", "it"), "{category_change}."),
    ),
    Change(
        lambda f: _fell(f, "spend_fell_percent", "purchases_fell_percent"),
        {
            "en": "Spends {spend_fell_percent} % less over the last {partial_days} days "
            "than before; "
            "last purchase {days_since_last_purchase:day|days} ago.",
            "de": "Gibt in den letzten {partial_days} Tagen {spend_fell_percent} % weniger aus "
            "als zuvor; "
            "letzter Kauf vor {days_since_last_purchase:Tag|Tagen}.",
            "it": "Spesa degli ultimi {partial_days} giorni calata del {spend_fell_percent} % "
            "rispetto a prima; "
            "ultimo acquisto {days_since_last_purchase:giorno|giorni} fa.",
        },
    ),
    Change(
        lambda f: f["purchases_fell_percent"].each(0) > 0,
        {
            "en": "Buys {purchases_fell_percent} % less often over the last {partial_days} days "
            "than before; "
            "last purchase {days_since_last_purchase:day|days} ago.",
            "de": "Kauft in den letzten {partial_days} Tagen {purchases_fell_percent} % seltener "
            "als zuvor; "
            "letzter Kauf vor {days_since_last_purchase:Tag|Tagen}.",
            "it": "Acquisti degli ultimi {partial_days} giorni calati "
            "del {purchases_fell_percent} % rispetto a prima; "
            "ultimo acquisto {days_since_last_purchase:giorno|giorni} fa.",
        },
    ),
    Change(
        lambda f: f["needs_purchases_back"].holds(bool),
        {
            "en": "Back after a long absence with {purchases_back:purchase|purchases}, "
            "the last {days_since_last_purchase:day|days} ago.",
            "de": "Nach langer Pause zurück mit {purchases_back:Kauf|Käufen}, "
            "zuletzt vor {days_since_last_purchase:Tag|Tagen}.",
            "it": "Di ritorno dopo una lunga assenza con {purchases_back:acquisto|acquisti}, "
            "l'ultimo {days_since_last_purchase:giorno|giorni} fa.",
        },
    ),
    Change(
        lambda f: np.ones(len(f["stage"].codes), bool),
        {
            "en": "Last purchase {days_since_last_purchase:day|days} ago, "
            "usually every {expected_ipt_days}.",
            "de": "Letzter Kauf vor {days_since_last_purchase:Tag|Tagen}, "
            "sonst alle {expected_ipt_days}.",
            "it": "Ultimo acquisto "
            "{days_since_last_purchase:giorno|giorni} fa, di solito ogni {expected_ipt_days}.",
        },
    ),
)


def change(f: Facts, language: str) -> pa.Array:
    """Return a sentence per customer; every number in it is one of the facts."""
    first = np.argmax([each.holds(f) for each in CHANGES], axis=0)
    groups = [(np.flatnonzero(first == place), each) for place, each in enumerate(CHANGES)]
    return in_order((at, say(of_these(f, at), each.sentence[language])) for at, each in groups)
