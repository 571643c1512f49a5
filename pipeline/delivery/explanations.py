"""The texts of each customer, and explanations.parquet: facts behind `why`, drivers of the risk."""

import json
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Floats, Longs
from models.decision.playbook import DATES, FAILURES, PLACEHOLDERS, SECOND_FAILURE, Playbook, to_do
from models.lifecycle.facts import Facts, fact
from models.lifecycle.limits import Limits
from models.lifecycle.why_stage import facts, why_stage
from pipeline.delivery.schema import EXPLANATIONS, fill
from pipeline.delivery.why import places, reason_facts, risk_fact, why
from pipeline.registry.model_files import Scorer
from pipeline.runtime.params import Score

CHUNK = 100_000  # customers whose texts are made together: an arrow text array holds 2 GB at most


def _json_of(facts_: Facts) -> pa.Array:
    """The facts of each customer as JSON, without those that are absent."""
    start = {name: "{" if name == "stage" else ", " for name in facts_}

    def pair(name: str, value: Any) -> str:
        return f'{start[name]}"{name}": {json.dumps(value)}'

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

    The rows have `queue`, `reason`, `risk` and `category_change` besides.
    """
    parts = []
    for start in range(0, max(len(lifecycle), 1), CHUNK):
        rows = lifecycle.slice(start, CHUNK)
        known = facts(rows, limits, expected_ipt)
        queue = fact(rows["queue"], np.ones(len(rows), bool))
        reason = places(rows["reason"])
        known |= reason_facts(rows, reason)
        known["risk_percent"] = risk_fact(rows["risk"].to_numpy())
        again = rows["recent_failures"].to_numpy() > 1
        again &= pc.is_in(rows["reason"], pa.array(FAILURES)).to_numpy()
        situation = pc.if_else(pa.array(again), SECOND_FAILURE, rows["reason"])
        today = rows["snapshot"].cast(pa.int32()).to_numpy()
        dates = {name: _days(rows, name) for name in (*DATES, "ipt_days")}
        acting = {**known, "queue": queue, "situation": fact(situation, queue.codes >= 0)}
        acting |= {name: known[f"{of}_{name}"] for name, of in PLACEHOLDERS.items()}
        columns = {
            **to_do(playbook, acting, today, dates, language),
            "why": why(rows, known, reason, language),
            "why_stage": why_stage(known),
            "facts": _json_of(known),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def drivers(ids: pa.Array, features: pd.DataFrame, scorer: Scorer, most: int) -> pa.Table:
    """One row per customer and driver, at most so many each, strongest first from position 1.

    `features`: one row per customer, by customer_id.
    """
    features = features.loc[ids.to_numpy(zero_copy_only=False)]
    explained = scorer.explain(features)
    terms = list(explained.columns)
    contribution = explained.to_numpy(np.float64)
    strongest = np.argsort(-np.abs(contribution), axis=1, kind="stable")[:, :most]
    size = strongest.shape[1]

    def picked(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.take_along_axis(values, strongest, axis=1).ravel()

    columns = {
        "customer_id": ids.take(pa.array(np.repeat(np.arange(len(ids)), size))),
        "driver": np.array(terms, object)[strongest].ravel(),
        "value": picked(features[terms].to_numpy(np.float64)),
        "contribution": picked(contribution).round(9),
        "position": np.tile(np.arange(1, size + 1), len(ids)),
        "facts": pa.nulls(strongest.size),
    }
    return fill(EXPLANATIONS, columns)


def explanations(
    ids: pa.Array,
    facts_json: pa.ChunkedArray,
    scored: Longs,
    features: pd.DataFrame,
    scorer: Scorer | None,
    params: Score,
) -> pa.Table:
    """explanations.parquet: per customer the facts at position 0, then the drivers.

    `scored`: places in `ids` of the customers with a risk, by rank; the first `params.explain` of
    them get drivers.
    """
    size = len(ids)
    columns = dict.fromkeys(("driver", "value", "contribution"), pa.nulls(size))
    columns |= {"customer_id": ids, "position": np.zeros(size, np.int64), "facts": facts_json}
    heads = fill(EXPLANATIONS, columns)
    scored = np.sort(scored[: params.explain])
    if scorer is None or len(scored) == 0:
        return heads
    driven = drivers(ids.take(pa.array(scored)), features, scorer, params.drivers)
    owners = np.repeat(scored, len(driven) // len(scored))
    parts = []
    for start in range(0, size, CHUNK):
        part = heads.slice(start, CHUNK)
        first, last = np.searchsorted(owners, [start, start + len(part)])
        both = pa.concat_tables([part, driven.slice(first, last - first)])
        customer = np.concatenate([np.arange(start, start + len(part)), owners[first:last]])
        parts.append(both.take(pa.array(np.argsort(customer, kind="stable"))))
    return pa.concat_tables(parts)
