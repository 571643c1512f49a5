"""What is believed of customers' lives, each statement as contrasts of what a shop sees, asked of
its own past.

Where the truth is known it stands beside each estimate, on the same rows and by the same definition
(models/hypotheses/contrasts.py), so what the shop cannot see - a mishap nobody spoke of, the true
stage behind the rule's - is in both. In a real shop nothing but the hold-out of calls is drawn by
lot: there a difference is an association.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from models.hypotheses.contrasts import (
    FALLS,
    FEWEST,
    RECOVERED,
    RISES,
    UNKNOWN,
    Claim,
    Effect,
    compare,
    slope,
)

FIRST, EARLY, CORE = STAGES = ("first_time", "early_repeat", "core")
SAME_MARGIN = 0.02  # of K3: a difference in the chance to leave that nobody would act on
# of F6: index from which on; of a first order one late delivery is enough to be below it for a
# half-life and more
SATISFIED = 0.8
CORE_LEAVES = 0.05  # of K7: at most, per purchase
EARLY_UNTIL = 6  # of E3: orders; who is early for longer is kept out of core by something else
STEP_FROM, STEP_TO = 0.5, 2.0  # of D4: just before the promise and just after, in promised times


class Seen(NamedTuple):
    """What the shop saw, in hindsight. Days are numbers, NEVER for what did not happen; `true_*`
    columns are there where the truth is.

    visits: one row per purchase that three horizons of data follow; `gone`: none in them. lost: the
    same of six horizons. silences: one row per two horizons of silence that follow four or more
    without a purchase; `back`: one in them. stays: one row per buyer and snapshot; `again`: a
    purchase within the horizon. prospects: one row per customer touched; `converted`: bought within
    two horizons. calls: the visits before somebody was put on a list, `called` or held out.
    """

    visits: pd.DataFrame
    lost: pd.DataFrame
    silences: pd.DataFrame
    stays: pd.DataFrame
    prospects: pd.DataFrame
    calls: pd.DataFrame


Effects = Iterable[Effect | None]


@dataclass(frozen=True)
class Hypothesis:
    """One statement, the tables and columns it needs (`orders.sku`), and the contrasts that must
    all hold.
    """

    id: str
    statement: str
    needs: tuple[str, ...]
    study: Callable[[Seen], Effects]


def within(rows: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The columns as differences from each customer's own mean.

    What never changes of a customer is out of the comparison.
    """
    return rows.assign(
        **{
            name: rows[name] - rows.groupby("customer_id")[name].transform("mean")
            for name in columns
        }
    )


def left(
    what: str, claim: Claim, rows: pd.DataFrame, *cells: tuple[float, pd.Series]
) -> Effect | None:
    """Visits after which the customer was gone.

    The sum of their shares in the cells, each with its sign.
    """
    return compare(f"left: {what}", claim, rows, "gone", list(cells))


def conversion(seen: Seen, on: str, claim: Claim) -> Effects:
    """The slope of conversion on one of three things done to prospects, the other two held."""
    causes = ["all_met", "missed", "log_touches"]
    yield slope(
        f"bought: by {on}",
        claim,
        seen.prospects,
        "converted",
        on,
        [name for name in causes if name != on],
    )


def retention(seen: Seen, pairs: Iterable[tuple[str, str]]) -> Effects:
    """Differences between stages in the share that buys within the horizon, of those who have not
    lapsed.
    """
    kept = seen.stays[~seen.stays["lapsed"]]
    for better, worse in pairs:
        cells = [(1.0, kept["stage"] == better), (-1.0, kept["stage"] == worse)]
        yield compare(f"bought within the horizon: {better} - {worse}", RISES, kept, "again", cells)


def facets(seen: Seen) -> Effects:
    """Of the first order; its failures are not held, they are drawn by lot in the demo."""
    first = seen.visits[seen.visits["stage"] == FIRST]
    yield slope("bought again: by category in the first order", RISES, first, "again", "facets", [])


def second_against_later(seen: Seen, rows: pd.Series) -> Effects:
    """Whether the next purchase follows, among some visits."""
    stage = seen.visits["stage"]
    cells = [(1.0, rows & (stage == EARLY)), (-1.0, rows & (stage == FIRST))]
    yield compare("bought again: early_repeat - first_time", RISES, seen.visits, "again", cells)


def satisfied(seen: Seen) -> Effects:
    """Within each stage, by the satisfaction index as of the snapshot, of those who have not
    lapsed.

    Not by its slope: the weights of failures are a judgement of how grave they are, and a
    first-time buyer leaves after any of them.
    """
    kept = seen.stays[~seen.stays["lapsed"] & seen.stays["satisfaction"].notna()]
    content = kept["satisfaction"] >= SATISFIED
    for stage in STAGES:
        within_it = kept["stage"] == stage
        cells = [(1.0, within_it & content), (-1.0, within_it & ~content)]
        yield compare(
            f"bought within the horizon: satisfied - less so, {stage}", RISES, kept, "again", cells
        )


def growth(seen: Seen) -> Effects:
    """Of early orders by their number, spend in shares of the mean order.

    The very first is left out: by F3 it decides who goes on.
    """
    early = seen.visits[(seen.visits["stage"] == EARLY) & (seen.visits["number"] <= EARLY_UNTIL)]
    for name in ("spend", "facets"):
        values = [column for column in (name, f"true_{name}") if column in early]
        shares = early.assign(**{column: early[column] / early[column].mean() for column in values})
        rows = within(shares if name == "spend" else early, ["number", *values])
        yield slope(
            f"{name} of an order: by purchase, within customers", RISES, rows, name, "number", []
        )


def one_failure(seen: Seen) -> Effects:
    """Any failure against none: how many does not matter."""
    v = seen.visits
    first = v["stage"] == FIRST
    yield left(
        "anything failed - nothing, first_time",
        RISES,
        v,
        (1, first & v["failed"]),
        (-1, first & ~v["failed"]),
    )


def small_mishap(seen: Seen) -> Effects:
    """While early, and against what the same, mended, does in core."""
    v = seen.visits
    early, core = v["stage"] == EARLY, v["stage"] == CORE
    cells = [(1.0, early & v["small"]), (-1.0, early & ~v["failed"])]
    mended = [(-1.0, core & v["small"] & ~v["overdue"]), (1.0, core & ~v["failed"])]
    yield left("small mishap - nothing failed, early_repeat", RISES, v, *cells)
    yield left("the same less that of mended ones in core", RISES, v, *cells, *mended)


def calm(v: pd.DataFrame) -> pd.Series:
    """Visits of who was core before them, with no other reason to leave in sight.

    No rival, no long run of the same item.
    """
    quiet: pd.Series = v["was_core"] & v["rival_ends"].isna() & ~v["long_run"]
    return quiet


def forgiven(seen: Seen) -> Effects:
    """Equivalence of mended in time and nothing failed.

    Then the difference that the promise makes.
    """
    v = seen.visits
    core = calm(v)
    fine, in_time, late = (
        core & ~v["failed"],
        core & v["small"] & ~v["overdue"],
        core & v["small"] & v["overdue"],
    )
    yield left(
        "small mishap mended in time - nothing failed, core",
        Claim(-SAME_MARGIN, SAME_MARGIN),
        v,
        (1, in_time),
        (-1, fine),
    )
    yield left(
        "small mishap past its promise - nothing failed, core", RISES, v, (1, late), (-1, fine)
    )


def most_valuable(seen: Seen) -> Effects:
    """By the stage of the rules, of those who have not lapsed; the truth is the same difference
    between true stages.

    Core is who buys often, so this is true of almost any shop; what it says is by how much.
    """
    kept = seen.stays[~seen.stays["lapsed"]]
    for other in (EARLY, FIRST):
        real, true = (
            compare(
                f"net spend of a year: core - {other}",
                RISES,
                kept,
                "net_spend_365d",
                [(1.0, stage == CORE), (-1.0, stage == other)],
            )
            for stage in (kept["stage"], kept.get("true_stage", kept["stage"]))
        )
        yield real._replace(truth=true.estimate) if real and true and "true_stage" in kept else real


def loyal(seen: Seen) -> Effects:
    """A bound on how many leave, not a difference."""
    v = seen.visits
    yield left(
        "nothing failed and no reason in sight, core",
        Claim(high=CORE_LEAVES),
        v,
        (1, calm(v) & ~v["failed"]),
    )


def in_core(visits: pd.DataFrame, what: str, reason: pd.Series, otherwise: pd.Series) -> Effects:
    """Who had a reason against who had not."""
    core = visits["stage"] == CORE
    yield left(f"{what}, core", RISES, visits, (1, core & reason), (-1, core & otherwise))


def bored(seen: Seen) -> Effects:
    """Over six horizons, because who is bored also buys more slowly.

    After three some are only late.
    """
    long_run = seen.lost["long_run"]
    yield from in_core(
        seen.lost, "long run of the same item - shorter, after six horizons", long_run, ~long_run
    )


def sla_breach(seen: Seen) -> Effects:
    """Of minor complaints in core, by the time to mend them over the time promised."""
    v = seen.visits
    ratio = v["repair"].where((v["stage"] == CORE) & (v["severity"] == 0))
    before, after = (ratio > STEP_FROM) & (ratio <= 1), (ratio > 1) & (ratio <= STEP_TO)
    yield left("mended past the promise - within", RISES, v, (1, ratio > 1), (-1, ratio <= 1))
    yield left("mended just past the promise - just within", RISES, v, (1, after), (-1, before))
    half = [(0.5, after), (-1.5, before), (1.0, ratio <= STEP_FROM)]
    yield left("half of that less what the wait before the promise does", RISES, v, *half)


def kept_away(seen: Seen) -> Effects:
    """Of core customers in a long silence."""
    s = seen.silences
    core = s["stage"] == CORE
    cells = [(1.0, core & s["holds"]), (-1.0, core & ~s["reason"])]
    yield compare(
        "came back in two horizons: a reason holds - none in sight, core", FALLS, s, "back", cells
    )


def coping(seen: Seen) -> Effects:
    """Drawn by lot, so this is what a call does."""
    called = seen.calls["called"]
    yield left("called - held out", FALLS, seen.calls, (1, called), (-1, ~called))


HYPOTHESES = (
    Hypothesis(
        "P4",
        "Prospects whose expectations are all met buy more often",
        ("touches",),
        lambda s: conversion(s, "all_met", RISES),
    ),
    Hypothesis(
        "P5",
        "Prospects who saw a cut-off missed buy less often",
        ("touches",),
        lambda s: conversion(s, "missed", FALLS),
    ),
    Hypothesis(
        "P6",
        "Further touches convert, each less than the one before",
        ("touches",),
        lambda s: conversion(s, "log_touches", RISES),
    ),
    Hypothesis(
        "F2",
        "First-time buyers are retained least",
        (),
        lambda s: retention(s, [(EARLY, FIRST), (CORE, FIRST)]),
    ),
    Hypothesis(
        "F3",
        "The more facets the first order has, the likelier a second",
        ("orders.category",),
        facets,
    ),
    Hypothesis(
        "F4",
        "Without a complaint a first-time buyer still stays less often than an early one",
        ("complaints",),
        lambda s: second_against_later(s, s.visits["severity"].isna()),
    ),
    Hypothesis(
        "F6", "In every stage the satisfied buy again more often", ("complaints",), satisfied
    ),
    Hypothesis(
        "F7", "One failed aspect, whichever, loses first-time buyers", ("complaints",), one_failure
    ),
    Hypothesis(
        "E2",
        "Early repeat buyers buy again more often than first-time buyers",
        (),
        lambda s: second_against_later(s, pd.Series(True, s.visits.index)),
    ),
    Hypothesis("E3", "While early, a customer's orders grow in spend and in facets", (), growth),
    Hypothesis(
        "E5",
        "A small mishap loses early repeat buyers, more than a mended one loses core customers",
        ("complaints",),
        small_mishap,
    ),
    Hypothesis(
        "K3",
        "Core customers ignore a small mishap mended in time (within 2 points), not one past its promise",
        ("complaints",),
        forgiven,
    ),
    Hypothesis(
        "K4",
        "Core customers are retained best",
        (),
        lambda s: retention(s, [(CORE, EARLY), (CORE, FIRST)]),
    ),
    Hypothesis("K5", "Core customers are the most valuable", (), most_valuable),
    Hypothesis(
        "K7",
        "Without a major problem or a reason at most 5 % of core customers leave after a purchase",
        ("complaints",),
        loyal,
    ),
    Hypothesis(
        "D2",
        "A rival's offer in their favourite category draws core customers away",
        ("market_events", "orders.category"),
        lambda s: in_core(
            s.visits,
            "a rival in the favourite category - none",
            s.visits["rival_ends"].notna(),
            s.visits["rival_ends"].isna(),
        ),
    ),
    Hypothesis(
        "D3",
        "An important service not performed loses core customers",
        ("complaints",),
        lambda s: in_core(
            s.visits, "grave failure - nothing failed", s.visits["grave"], ~s.visits["failed"]
        ),
    ),
    Hypothesis(
        "D4",
        "Defects not mended within the promise lose core customers, from the promise on and not before",
        ("complaints",),
        sla_breach,
    ),
    Hypothesis(
        "D5", "The same item again and again bores core customers away", ("orders.sku",), bored
    ),
    Hypothesis(
        "D7",
        "As long as a reason holds, lost core customers come back more rarely",
        ("complaints", "orders.sku"),
        kept_away,
    ),
    Hypothesis(
        "D8",
        "A call keeps some of the core customers who have a reason to leave",
        ("treatments",),
        coping,
    ),
)


def finding(hypothesis: Hypothesis, seen: Seen, recorded: Iterable[str]) -> dict[str, Any]:
    """One hypothesis as it stands.

    The figures of its weakest contrast, all of them in `parts`, and why it is unknown if it is.
    """
    head = {"id": hypothesis.id, "statement": hypothesis.statement}
    blank = {**dict.fromkeys(("estimate", "low", "high", "truth")), "verdict": UNKNOWN}
    if lacking := [need for need in hypothesis.needs if need not in recorded]:
        return {**head, **blank, "note": f"not recorded: {', '.join(lacking)}", "parts": []}
    found = list(hypothesis.study(seen))
    effects = [one for one in found if one]
    parts = [{"what": one.what, **figures(one)} for one in effects]
    if len(effects) < len(found):
        return {
            **head,
            **blank,
            "note": f"fewer than {FEWEST} customers to compare, or nothing that differs",
            "parts": parts,
        }
    weakest = min(effects, key=lambda one: (one.verdict == RECOVERED, one.margin))
    return {**head, **figures(weakest), "note": weakest.what, "parts": parts}


def figures(one: Effect) -> dict[str, Any]:
    """An effect in numbers; each bound alone holds with 95 %."""
    told = {"estimate": one.estimate, "low": one.low, "high": one.high, "truth": one.truth}
    rounded = {
        name: None if value is None else round(float(value), 5) for name, value in told.items()
    }
    return {**rounded, "verdict": one.verdict, "rows": one.rows, "customers": one.customers}
