"""Stage `recover`.

What is believed of customers' lives, asked of the shop's own past and, where it is known, held
against the truth.
"""

from typing import Any

import pandas as pd

from features.settings import Sla
from models.hypotheses.contrasts import RECOVERED, UNKNOWN
from models.hypotheses.statements import HYPOTHESES, Seen, finding
from pipeline.demo import oracle
from pipeline.engine.visits import LOST, SILENCE, judged, queries, seen_by
from pipeline.runtime.params import Simulate
from pipeline.runtime.progress import say
from pipeline.runtime.store import Folder

SHARES = 10  # figures above are amounts, not shares
HEAD = """# What is believed of customers' lives, and what this shop's past says

Made by `corekeep stage recover` from horizons of {horizon} days. Left: no purchase in the {silence} days after the visit. Estimates are
differences or slopes, each bound alone holds with 95 %; rows of one customer may be alike (Liang and Zeger 1986). {truth}

| | what is compared | estimate | truth | verdict |
|---|---|---|---|---|
"""
TRUTH = """The truth is the same figure
over the same rows from their true chances. Recovered: the statement holds with 95 %, and the truth is as near as in 99.9 % of cases."""
NO_TRUTH = "Without a truth recovered means that the statement holds with 95 %; but for the calls, which were drawn by lot, as an association."


def with_truth(found: dict[str, pd.DataFrame], truth: Folder) -> dict[str, pd.DataFrame]:
    """The rows with the truth about the order, or the prospect, that each is about."""
    orders = oracle.true_orders(truth, found["visits"]["customer_id"])
    visits = found["visits"].merge(orders, on=["customer_id", "day"], validate="1:1")
    known = visits[["resolved", "rival_ends", *orders]]
    return {
        **found,
        "visits": visits,
        "stays": found["stays"].merge(known, on=["customer_id", "day"], validate="m:1"),
        "prospects": found["prospects"].merge(
            oracle.true_prospects(truth), on="customer_id", validate="1:1"
        ),
    }


def true_chances(seen: Seen, horizon: int, p: Simulate) -> Seen:
    """The rows with the true chance of each outcome beside it."""
    days = SILENCE * horizon
    gone = oracle.silence(seen.visits, days, p)
    back = 1 - oracle.silence_after(seen.silences, seen.silences["waited"], 2 * horizon, p)
    again = 1 - oracle.silence_after(
        seen.stays, seen.stays["snapshot"] - seen.stays["day"] - 1, horizon, p
    )
    expected = {
        "true_spend": oracle.spend(seen.visits, p),
        "true_facets": oracle.facets(seen.visits, p),
    }
    return Seen(
        visits=seen.visits.assign(true_gone=gone, true_again=1 - gone, **expected),
        lost=seen.lost.assign(true_gone=oracle.silence(seen.lost, LOST * horizon, p)),
        silences=seen.silences.assign(true_back=back),
        stays=seen.stays.assign(true_again=again),
        prospects=seen.prospects.assign(true_converted=oracle.conversion(seen.prospects, p)),
        calls=seen.calls.assign(true_gone=oracle.silence(seen.calls, days, p)),
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= SHARES else f"{value:+.3f}"


def _row(part: dict[str, Any]) -> str:
    estimate, low, high, truth = (
        _figure(part[name]) for name in ("estimate", "low", "high", "truth")
    )
    return f"| | {part['what']} | {estimate} [{low}, {high}] | {truth} | {part['verdict']} |"


def table(hypotheses: list[dict[str, Any]], horizon: int, known: bool) -> str:
    """The findings for people: one line per contrast, under the statement it belongs to."""
    lines = [
        HEAD.format(
            horizon=horizon, silence=SILENCE * horizon, truth=TRUTH if known else NO_TRUTH
        ).rstrip("\n")
    ]
    for one in hypotheses:
        lines.append(f"| **{one['id']}** | **{one['statement']}** | | | **{one['verdict']}** |")
        lines += [f"| | {one['note']} | | | |"] if one["verdict"] == UNKNOWN else []
        lines += [_row(part) for part in one["parts"]]
    return "\n".join(lines) + "\n"


def asked(
    truth: Folder,
    events: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    sla: Sla,
    simulate: Simulate,
) -> Seen:
    """The rows that are asked, with the truth beside them where there is one."""
    found = queries(events, lifecycle, labels, calibration, sla)
    found["visits"] = judged(found["visits"], sla)
    if not oracle.known(truth):
        return seen_by(found, calibration)
    return true_chances(
        seen_by(with_truth(found, truth), calibration), calibration["horizon_days"], simulate
    )


def recover(
    truth: Folder,
    events: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    sla: Sla,
    simulate: Simulate,
) -> dict[str, Any]:
    """`hypotheses`: one entry per statement of models/hypotheses/statements.py; `recovered`: the
    same as a table for people.

    Estimates are made of what the shop saw alone. The folder of truth is empty for every shop but
    the demo.
    """
    tables = events.read("meta.json")["tables"]
    recorded = {
        *tables,
        *(f"{table}.{column}" for table, columns in tables.items() for column in columns),
    }
    seen = asked(truth, events, lifecycle, labels, calibration, sla, simulate)
    hypotheses = [finding(hypothesis, seen, recorded) for hypothesis in HYPOTHESES]
    held = sum(one["verdict"] == RECOVERED for one in hypotheses)
    say(f"hypotheses: {held} of {len(hypotheses)} recovered")
    return {
        "hypotheses": hypotheses,
        "recovered": table(hypotheses, calibration["horizon_days"], oracle.known(truth)),
    }
