"""The texts of each customer, and explanations.parquet: facts behind `why`, drivers of the risk."""

import json
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Feature
from features.records import Floats
from models.decision.playbook import DATES, FAILURES, PLACEHOLDERS, SECOND_FAILURE, Playbook
from models.lifecycle.limits import Limits
from models.reasons.catalogue import REASONS
from pipeline.delivery.drivers import DRIVER, Explained, agreement, driver_texts, reason_sums
from pipeline.delivery.facts import Facts, fact
from pipeline.delivery.schema import EXPLANATIONS, fill
from pipeline.delivery.to_do import to_do
from pipeline.delivery.why import percent_fact, reason_facts, reason_places, why
from pipeline.delivery.why_stage import facts, why_stage
from pipeline.runtime.sections import Score

AT_HEAD = (*(f"contribution_{reason}" for reason in REASONS), "agreement")
CHUNK = 200_000  # customers whose texts are made together: an arrow text array holds 2 GB at most


def _json_of(facts_: Facts) -> pa.Array:
    """The facts of each customer as JSON, without those that are absent."""
    start = {name: "{" if name == "stage" else ", " for name in facts_}

    def pair(name: str, value: Any) -> str:
        text = value if type(value) is int else json.dumps(value)  # most are numbers
        return f'{start[name]}"{name}": {text}'

    pieces = [fact.spelled(partial(pair, name), absent="") for name, fact in facts_.items()]
    return pc.binary_join_element_wise(*pieces, "}", "")


def _days(rows: pa.Table, name: str) -> Floats:
    """A column of dates or numbers as floats; days for dates, NaN for null."""
    column = rows[name]
    column = column.cast(pa.int32()) if pa.types.is_date(column.type) else column
    days: Floats = column.to_numpy().astype(np.float64)
    return days


def texts(
    lifecycle: pa.Table, limits: Limits, expected_ipt: float, playbook: Playbook, language: str
) -> pa.Table:
    """One row per row of the life cycle: what to do, why, why_stage, facts as JSON.

    The rows have `queue`, `reason`, `risk`, `category_change` and those of `main_drivers` besides.
    """
    parts = []
    for start in range(0, max(len(lifecycle), 1), CHUNK):
        rows = lifecycle.slice(start, CHUNK)
        known = facts(rows, limits, expected_ipt)
        queue = fact(rows["queue"], np.ones(len(rows), bool))
        reason = reason_places(rows["reason"])
        known |= reason_facts(rows, reason)
        everybody = queue.codes >= 0
        known |= {name: fact(rows[name], everybody) for name in DRIVER}
        for name in ("risk", "chance"):
            known[f"{name}_percent"] = percent_fact(rows[name].to_numpy())
        again = rows["recent_failures"].to_numpy() > 1
        again &= pc.is_in(rows["reason"], pa.array(FAILURES)).to_numpy()
        situation = pc.if_else(pa.array(again), SECOND_FAILURE, rows["reason"])
        today = rows["snapshot"].cast(pa.int32()).to_numpy()
        dates = {name: _days(rows, name) for name in (*DATES, "ipt_days")}
        acting = {**known, "queue": queue, "situation": fact(situation, everybody)}
        acting |= {name: known[f"{of}_{name}"] for name, of in PLACEHOLDERS.items()}
        columns = {
            **to_do(playbook, acting, today, dates, language),
            "why": why(rows, known, reason, language),
            "why_stage": why_stage(known),
            "facts": _json_of(known),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def drivers(
    of: Explained, known: pa.Table, most: int, columns: dict[str, Feature], language: str
) -> pa.Table:
    """One row per customer and driver, at most so many each, strongest first from position 1."""
    strongest = np.argsort(-np.abs(of.contribution), axis=1, kind="stable")[:, :most]
    count, size = strongest.shape
    row, column = np.repeat(np.arange(count), size), strongest.ravel()
    value, median = of.values[row, column], of.median[of.group[row], column]
    term = np.array(of.terms, object)[column]
    who = known.select(["customer_id", "stage"]).take(pa.array(of.place[row])).combine_chunks()
    stage = who["stage"].cast(pa.string()).combine_chunks()
    rows = {
        "customer_id": who["customer_id"],
        "driver": term,
        "value": value,
        "contribution": of.contribution[row, column].round(9),
        "median": median,
        "driver_text": driver_texts(term, value, median, stage, columns, language),
        "position": np.tile(np.arange(1, size + 1), count),
        "facts": pa.nulls(strongest.size),
        **dict.fromkeys(AT_HEAD, pa.nulls(strongest.size)),
    }
    return fill(EXPLANATIONS, rows)


def beside_records(
    of: Explained, known: pa.Table, columns: dict[str, Feature], least: float
) -> dict[str, pa.Array]:
    """What the model adds for each reason, and whether the records agree: one row per customer.

    Null for those who are not explained.
    """
    evidence = np.column_stack([known[f"evidence_{r}"].to_numpy() for r in REASONS])[of.place]
    sums = reason_sums(of.contribution, of.terms, columns)
    row = np.full(len(known), -1)
    row[of.place] = np.arange(len(of.place))
    take = pa.array(row, mask=row < 0)
    agreed = agreement(sums, evidence, least)
    parts = {f"contribution_{r}": pa.array(sums[:, k].round(9)) for k, r in enumerate(REASONS)}
    return {name: each.take(take) for name, each in {**parts, "agreement": agreed}.items()}


def explanations(
    known: pa.Table,
    facts_json: pa.ChunkedArray,
    of: Explained | None,
    columns: dict[str, Feature],
    params: Score,
    least: float,
) -> pa.Table:
    """explanations.parquet: per customer the facts at position 0, then the drivers.

    `known`: the rows of the life cycle. `least`: evidence that counts.
    """
    size, ids = len(known), known["customer_id"].combine_chunks()
    of_driver = ("driver", "value", "contribution", "median", "driver_text")
    rows = dict.fromkeys((*of_driver, *AT_HEAD), pa.nulls(size))
    rows |= {"customer_id": ids, "position": np.zeros(size, np.int64), "facts": facts_json}
    if of is None or len(of.place) == 0:
        return fill(EXPLANATIONS, rows)
    heads = fill(EXPLANATIONS, rows | beside_records(of, known, columns, least))
    driven = drivers(of, known, params.drivers, columns, params.language)
    owners = np.repeat(of.place, len(driven) // len(of.place))
    parts = []
    for start in range(0, size, CHUNK):
        part = heads.slice(start, CHUNK)
        first, last = np.searchsorted(owners, [start, start + len(part)])
        both = pa.concat_tables([part, driven.slice(first, last - first)])
        customer = np.concatenate([np.arange(start, start + len(part)), owners[first:last]])
        parts.append(both.take(pa.array(np.argsort(customer, kind="stable"))))
    return pa.concat_tables(parts)
