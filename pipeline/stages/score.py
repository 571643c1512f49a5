"""Stage `score`.

Who is in which queue today, how likely he is to leave, whom it is worth calling. Writes what people
and machines read.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Longs
from models.decision.queues import QUEUES
from models.decision.worklist import contacts, ranked, stakes, values
from models.lifecycle.facts import Facts
from models.lifecycle.over_time import value_at_risk
from models.lifecycle.why import facts, queues, why
from models.settings import Costs, Limits
from pipeline.delivery.spreadsheet import safe_table
from pipeline.engine.calendar import iso_date
from pipeline.engine.rows import feature_names, query, rows_of, table
from pipeline.registry.model_files import Scorer, scorer
from pipeline.runtime.params import Evaluate, Score
from pipeline.runtime.store import Folder, Published, text_sha256, to_json

TEXT, FIGURE, DAY, COUNT = pa.string(), pa.float64(), pa.date32(), pa.int64()
PUBLISHED = pa.schema(
    {
        **{
            "as_of": DAY,
            "customer_id": TEXT,
            "queue": TEXT,
            "stage": TEXT,
            "activity": TEXT,
            "stage_since": DAY,
        },
        **{
            "risk": FIGURE,
            "risk_band": TEXT,
            "rank": COUNT,
            "rank_in_stage": COUNT,
            "value_365d": FIGURE,
            "value_at_risk": FIGURE,
        },
        **{
            "expected_profit": FIGURE,
            "contact": TEXT,
            "reason": TEXT,
            "evidence": FIGURE,
            "reason_2": TEXT,
            "evidence_2": FIGURE,
        },
        **{
            "why": TEXT,
            "action": TEXT,
            "last_purchase_on": DAY,
            "late_on": DAY,
            "lapses_on": DAY,
            "model_id": TEXT,
        },
    }
)
EXPLAINED = pa.schema(
    {
        "customer_id": TEXT,
        "driver": TEXT,
        "value": FIGURE,
        "contribution": FIGURE,
        "position": COUNT,
        "facts": TEXT,
    }
)
AT_ONCE = 100_000  # customers whose texts are made together, for an array of text holds 2 GB


def newest(lifecycle: Folder, events: Folder, snapshot: str) -> tuple[pa.Table, int]:
    """One row per customer known at the snapshot, sorted by customer_id: life cycle,
    do_not_contact; without those who object to profiling.

    And how many of those there are.
    """
    found = table(
        f"""
        select l.* exclude (filename, part), c.do_not_contact, c.profiling_objection
        from {rows_of(lifecycle)} l join {rows_of(events, "customers/*.parquet")} c using (customer_id)
        where l.snapshot = $snapshot::date order by customer_id
        """,
        snapshot=snapshot,
    )
    kept = (
        found.filter(pc.equal(found["profiling_objection"], False))
        .drop_columns("profiling_objection")
        .combine_chunks()
    )
    return kept, len(found) - len(kept)


def numbers_of(features: Folder, lifecycle: Folder, snapshot: str) -> pd.DataFrame:
    """The features of who is to be scored at a snapshot, by customer_id and sorted by it."""
    scored = (
        f"select customer_id from {rows_of(lifecycle)} where snapshot = $snapshot::date and scored"
    )
    return query(
        f"""
        select * exclude (snapshot, filename, part) from {rows_of(features)}
        where snapshot = $snapshot::date and customer_id in ({scored}) order by customer_id
        """,
        snapshot=snapshot,
    ).set_index("customer_id")


def as_json(told: Facts) -> pa.Array:
    """The facts of each customer as JSON; absent ones are left out."""
    begin = {name: "{" if name == "stage" else ", " for name in told}

    def pair(name: str, value: Any) -> str:
        return f'{begin[name]}"{name}": {json.dumps(value)}'

    pieces = [fact.spelled(partial(pair, name), absent="") for name, fact in told.items()]
    return pc.binary_join_element_wise(*pieces, "}", "")


def texts(
    known: pa.Table, limits: Limits, expected_ipt: float, actions: Mapping[str, str]
) -> pa.Table:
    """For each row of the life cycle.

    Its `queue`, the `action` there, `why`, and the `facts` behind it as JSON.
    """
    parts = []
    for start in range(0, len(known), AT_ONCE):
        told = facts(known.slice(start, AT_ONCE), limits, expected_ipt)
        queue = queues(told)
        words = {"queue": queue.spelled(str), "action": queue.spelled(lambda name: actions[name])}
        parts.append(pa.table({**words, "why": why(told), "facts": as_json(told)}))
    return pa.concat_tables(parts)


def drivers(ids: pa.Array, numbers: pd.DataFrame, chosen: Scorer, most: int) -> pa.Table:
    """As many rows per customer.

    Driver, value of the feature, contribution to the log-odds; strongest first, at positions from
    1.
    """
    explained = numbers.loc[ids.to_numpy(zero_copy_only=False)]
    found = chosen.explain(explained)
    contribution = found.to_numpy(np.float64)
    strongest = np.argsort(-np.abs(contribution), axis=1, kind="stable")[:, :most]
    columns = {
        "customer_id": ids.take(pa.array(np.repeat(np.arange(len(ids)), strongest.shape[1]))),
        "driver": np.array(found.columns, object)[strongest].ravel(),
        "value": np.take_along_axis(
            explained[list(found.columns)].to_numpy(np.float64), strongest, axis=1
        ).ravel(),
        "contribution": np.take_along_axis(contribution, strongest, axis=1).ravel().round(9),
        "position": np.tile(np.arange(1, strongest.shape[1] + 1), len(ids)),
        "facts": pa.nulls(strongest.size, TEXT),
    }
    return pa.table(
        {
            c: pa.array(columns[c], EXPLAINED.field(c).type, from_pandas=True)
            for c in EXPLAINED.names
        }
    )


def explanations(
    ids: pa.Array,
    told: pa.ChunkedArray,
    which: Longs,
    numbers: pd.DataFrame,
    chosen: Scorer | None,
    params: Score,
) -> pa.Table:
    """One row per customer at position 0 with the facts behind `why` as JSON, each followed by the
    drivers of one who is explained.

    customer_id, driver, value of the feature, contribution to the log-odds, position, facts.
    `which` of the `ids` have a risk.
    """
    size = len(ids)
    nothing = {
        name: pa.nulls(size, EXPLAINED.field(name).type)
        for name in ("driver", "value", "contribution")
    }
    heads = pa.table(
        {"customer_id": ids, **nothing, "position": np.zeros(size, np.int64), "facts": told},
        EXPLAINED,
    )
    which = np.sort(which[: params.explain])
    if chosen is None or len(which) == 0:
        return heads
    driven = drivers(ids.take(pa.array(which)), numbers, chosen, params.drivers)
    each = len(driven) // len(which)
    parts = []
    for start in range(0, size, AT_ONCE):
        first, last = np.searchsorted(which, [start, start + AT_ONCE])
        both = pa.concat_tables(
            [heads.slice(start, AT_ONCE), driven.slice(first * each, (last - first) * each)]
        )
        owner = np.concatenate(
            [np.arange(start, min(start + AT_ONCE, size)), np.repeat(which[first:last], each)]
        )
        parts.append(both.take(pa.array(np.argsort(owner, kind="stable"))))
    return pa.concat_tables(parts)


def listed_before(events: Folder) -> pa.Table:
    """One row per customer and queue in lists put back as treatments.

    Customer_id, queue, since (ISO date he was first on it).
    """
    found = query(
        f"""
        select c.customer_id, t.queue, min(t.as_of) as since
        from {rows_of(events, "treatments/*.parquet")} t join {rows_of(events, "customers/*.parquet")} c using (customer, part)
        group by all
        """
    )
    return pa.table(
        {
            "customer_id": found["customer_id"],
            "queue": found["queue"],
            "since": [iso_date(day) for day in found["since"]],
        }
    )


def people_list(published: pa.Table, queue: str, before: pa.Table, params: Score) -> pa.Table:
    """One queue for people, by rank, hold-outs left out.

    The last three columns are theirs to fill in.
    """
    rows = published.filter(
        pc.and_(pc.equal(published["queue"], queue), pc.not_equal(published["contact"], "hold_out"))
    )
    listed = before.filter(pc.equal(before["queue"], queue))
    since = (
        listed["since"]
        .cast(TEXT)
        .take(pc.index_in(rows["customer_id"], listed["customer_id"].cast(TEXT)))
    )
    first = pc.coalesce(since, rows["as_of"].cast(TEXT))
    for name, content in {
        "owner": pa.array([params.owners[queue]] * len(rows), TEXT),
        "on_list_since": first,
    }.items():
        rows = rows.append_column(name, content)
    for name in ("decision", "done_on", "note"):
        rows = rows.append_column(name, pa.nulls(len(rows), TEXT))
    return safe_table(rows)


def typed(columns: Mapping[str, Any]) -> pa.Table:
    """The published columns with the same types in every shop, whatever is null.

    Those that are not there are null.
    """
    size = len(columns["customer_id"])
    found = {c: columns.get(c, pa.nulls(size)) for c in PUBLISHED.names}
    arrays = {
        c: v if isinstance(v, pa.Array | pa.ChunkedArray) else pa.array(v, from_pandas=True)
        for c, v in found.items()
    }
    return pa.table({c: v.cast(PUBLISHED.field(c).type) for c, v in arrays.items()}, PUBLISHED)


def score(
    features: Folder,
    lifecycle: Folder,
    events: Folder,
    model: Folder,
    calibration: dict[str, Any],
    metrics: dict[str, Any],
    shop: str,
    params: Score,
    costs: Costs,
    evaluate: Evaluate,
    assign: Limits,
) -> dict[str, Any]:
    """`lists`: scored.parquet (one row per known customer), explanations.parquet, one CSV per
    queue, and the manifest.

    The scorer is the one the verdict names; without a signal nobody gets a risk and the rules still
    publish.
    """
    as_of, verdict = calibration["data_end"], metrics["verdict"]
    known, objecting = newest(lifecycle, events, as_of)
    rows = pd.DataFrame(
        {
            c: known[c].to_numpy()
            for c in ("scored", "do_not_contact", "net_spend_365d", "purchases_365d")
        }
    )
    rows = rows.assign(
        customer_id=known["customer_id"].to_pandas(),
        stage=known["stage"].dictionary_encode().to_pandas(),
        risk=np.nan,
    )
    rows["since"] = known["since"].cast(pa.int32()).to_numpy()
    rows["value_365d"] = values(rows)
    asked = rows["scored"].to_numpy() & (verdict != "no_signal")
    chosen, numbers = None, pd.DataFrame()
    if asked.any():
        chosen = scorer(model, verdict, feature_names(features), as_of)
        numbers = numbers_of(features, lifecycle, as_of).loc[rows.loc[asked, "customer_id"]]
        rows.loc[asked, "risk"] = chosen.predict(numbers).round(6)
    rows = ranked(stakes(rows, calibration["horizon_days"], costs, evaluate.bands))
    rows["contact"] = contacts(rows, params.capacity, params.hold_out, params.hold_out_seed)
    model_id = chosen.model_id if chosen else None
    rows["model_id"] = pd.Series(model_id, rows.index, object).where(rows["risk"].notna(), None)
    told = texts(known, assign, calibration["expected_ipt"], params.actions)
    order = rows.index.to_numpy()
    words = {
        **{
            c: known[c]
            for c in (
                "customer_id",
                "stage",
                "activity",
                "last_purchase_on",
                "late_on",
                "lapses_on",
            )
        }
    }
    words |= {
        "as_of": known["snapshot"],
        "stage_since": known["since"],
        **{c: told[c] for c in ("queue", "why", "action")},
    }
    published = typed({**rows, **{name: column.take(order) for name, column in words.items()}})
    before = listed_before(events)
    settings = {
        "shop": shop,
        "score": params.model_dump(),
        "costs": costs.model_dump(),
        "bands": evaluate.bands,
    }
    manifest = {
        "shop": shop,
        "snapshot": as_of,
        "currency": events.read("meta.json")["currency"],
        "horizon_days": calibration["horizon_days"],
        "verdict": verdict,
        "grade": metrics["grade"],
        "model_id": model_id,
        "params_hash": text_sha256(to_json(settings)),
        "customers": len(rows),
        "profiling_objections": objecting,
    }
    ids, with_risk = known["customer_id"].combine_chunks(), order[rows["risk"].notna()]
    files = {
        "scored.parquet": published,
        "explanations.parquet": explanations(
            ids, told["facts"], with_risk, numbers, chosen, params
        ),
    }
    files |= {f"{queue}.csv": people_list(published, queue, before, params) for queue in QUEUES}
    return {"lists": Published(files, manifest), "value_at_risk": value_at_risk(rows)}
