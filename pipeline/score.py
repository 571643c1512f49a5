"""Stage `score`: who is in which queue today, how likely he is to leave, whom it is worth calling. Writes what people and machines read."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.settings import Costs, Limits
from models.tracking import value_at_risk
from models.why import QUEUES, facts, queue_of, why
from models.worklist import contacts, ranked, stakes, values
from pipeline.engine import iso_date
from pipeline.model_file import Scorer, scorer
from pipeline.params import Evaluate, Score
from pipeline.rows import feature_names, query, rows_of
from pipeline.spreadsheet import safe_frame
from pipeline.store import Folder, Published, text_sha256, to_json

COLUMNS = [
    *("as_of", "customer_id", "queue", "stage", "activity", "stage_since", "risk", "risk_band", "rank", "rank_in_stage", "value_365d"),
    *("value_at_risk", "expected_profit", "contact", "reason", "evidence", "reason_2", "evidence_2", "why", "action", "last_purchase_on"),
    *("late_on", "lapses_on", "model_id"),
]


def newest(folder: Folder, snapshot: str) -> pd.DataFrame:
    """The rows of one snapshot, one per known customer, sorted by customer_id."""
    columns = "* exclude (filename, part)"
    return query(f"select {columns} from {rows_of(folder)} where snapshot = $snapshot::date order by customer_id", snapshot=snapshot)


def wishes(events: Folder) -> pd.DataFrame:
    """One row per customer: customer_id, profiling_objection, do_not_contact."""
    return query(f"select customer_id, profiling_objection, do_not_contact from {rows_of(events, 'customers/*.parquet')}")


EXPLAINED = pa.schema(
    {
        **{"customer_id": pa.string(), "driver": pa.string(), "value": pa.float64(), "contribution": pa.float64()},
        **{"position": pa.int64(), "facts": pa.string()},
    }
)


def explanations(rows: pd.DataFrame, numbers: pd.DataFrame, chosen: Scorer | None, params: Score) -> pa.Table:
    """One row per customer at position 0 with the facts behind `why` as JSON, then one per driver of a scored customer, strongest first.

    customer_id, driver, value of the feature, contribution to the log-odds, position, facts.
    """
    ids = rows["customer_id"].to_numpy(object)
    told = pd.DataFrame({"customer_id": ids, "position": 0, "facts": rows["facts"]})
    parts = [pa.Table.from_pandas(told.reindex(columns=EXPLAINED.names), EXPLAINED)]
    which = np.flatnonzero(rows["risk"].notna())[: params.explain]
    if chosen is not None and len(which) > 0:
        explained = numbers.loc[ids[which]]
        found = chosen.explain(explained)
        contribution = found.to_numpy(np.float64)
        strongest = np.argsort(-np.abs(contribution), axis=1, kind="stable")[:, : params.drivers]
        driven = pd.DataFrame(
            {
                "customer_id": np.repeat(ids[which], strongest.shape[1]),
                "driver": np.array(found.columns, object)[strongest].ravel(),
                "value": np.take_along_axis(explained[list(found.columns)].to_numpy(np.float64), strongest, axis=1).ravel(),
                "contribution": np.take_along_axis(contribution, strongest, axis=1).ravel().round(9),
                "position": np.tile(np.arange(1, strongest.shape[1] + 1), len(which)),
                "facts": None,
            }
        )
        parts.append(pa.Table.from_pandas(driven, EXPLAINED))
    return pa.concat_tables(parts).sort_by([("customer_id", "ascending"), ("position", "ascending")])


def coded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with each text or date that many share held once, so that it is looked at once; names and sentences are their own."""
    shared = [c for c in rows.columns if rows[c].dtype.kind not in "fiub" and c not in {"customer_id", "why"}]
    return rows.astype({**dict.fromkeys(shared, "category"), "customer_id": object, "why": object})


def people_list(published: pd.DataFrame, queue: str, listed: pd.DataFrame, params: Score) -> pd.DataFrame:
    """One queue for people, by rank, hold-outs left out; the last three columns are theirs to fill in."""
    rows = published[(published["queue"] == queue) & (published["contact"] != "hold_out")]
    before = listed[listed["queue"] == queue]
    since: dict[Any, str] = dict(zip(before["customer_id"], before["since"], strict=True))
    ids, days = rows["customer_id"].to_numpy(object), rows["as_of"].to_numpy(object)
    first = [since.get(customer, str(today)) for customer, today in zip(ids, days, strict=True)]
    rows = rows.assign(owner=params.owners[queue], on_list_since=pd.Categorical(first), decision="", done_on="", note="")
    return safe_frame(rows)


def listed_before(events: Folder) -> pd.DataFrame:
    """One row per customer and queue in lists put back as treatments: customer_id, queue, since (ISO date he was first on it)."""
    found = query(
        f"""
        select c.customer_id, t.queue, min(t.as_of) as since
        from {rows_of(events, "treatments/*.parquet")} t join {rows_of(events, "customers/*.parquet")} c using (customer, part)
        group by all
        """
    )
    return found.assign(since=[iso_date(day) for day in found["since"]])


def typed(rows: pd.DataFrame) -> pa.Table:
    """The published columns with the same types in every shop, whatever is null."""
    numbers = {"risk", "value_365d", "value_at_risk", "expected_profit", "evidence", "evidence_2"}
    dates = {"as_of", "stage_since", "last_purchase_on", "late_on", "lapses_on"}
    types = {**dict.fromkeys(numbers, pa.float64()), **dict.fromkeys(dates, pa.date32()), "rank": pa.int64(), "rank_in_stage": pa.int64()}
    return pa.table({c: pa.array(rows[c], types.get(c, pa.string()), from_pandas=True) for c in COLUMNS})


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
    """`lists`: scored.parquet (one row per known customer), explanations.parquet, one CSV per queue, and the manifest.

    The scorer is the one the verdict names; without a signal nobody gets a risk and the rules still publish.
    """
    as_of, verdict = calibration["data_end"], metrics["verdict"]
    numbers = newest(features, as_of).set_index("customer_id")
    rows = newest(lifecycle, as_of).merge(wishes(events), on="customer_id", how="left")
    objected = int(rows["profiling_objection"].sum())
    rows = rows[~rows["profiling_objection"]].reset_index(drop=True)
    # Python's objects are faster to walk than Arrow's.
    told = [facts(row, assign, calibration["usual_gap"]) for row in rows.astype(object).itertuples(index=False)]
    rows = rows.assign(
        as_of=rows["snapshot"],
        stage_since=rows["since"],
        queue=[queue_of(found["stage"], found["activity"], found.get("status")) for found in told],
        why=[why(found) for found in told],
        facts=[json.dumps(found) for found in told],
        value_365d=values(rows),
        risk=np.nan,
        **dict.fromkeys(("reason", "evidence", "reason_2", "evidence_2", "model_id")),
    )
    rows["action"] = rows["queue"].map(params.actions)
    asked = rows["scored"].to_numpy(bool) & (verdict != "no_signal")
    chosen = None
    if asked.any():
        chosen = scorer(model, verdict, feature_names(features), as_of)
        rows.loc[asked, "risk"] = chosen.predict(numbers.loc[rows.loc[asked, "customer_id"]]).round(6)
        rows.loc[asked, "model_id"] = chosen.model_id
    rows = ranked(stakes(rows, calibration["horizon_days"], costs, evaluate.bands))
    rows["contact"] = contacts(rows, params.capacity, params.hold_out, params.hold_out_seed)
    listed, published = listed_before(events), coded(rows[COLUMNS])
    settings = {"shop": shop, "score": params.model_dump(), "costs": costs.model_dump(), "bands": evaluate.bands}
    manifest = {
        "shop": shop,
        "snapshot": as_of,
        "currency": events.read("meta.json")["currency"],
        "horizon_days": calibration["horizon_days"],
        "verdict": verdict,
        "grade": metrics["grade"],
        "model_id": chosen.model_id if chosen else None,
        "params_hash": text_sha256(to_json(settings)),
        "customers": len(rows),
        "profiling_objections": objected,
    }
    files = {"scored.parquet": typed(rows), "explanations.parquet": explanations(rows, numbers, chosen, params)}
    files |= {f"{queue}.csv": people_list(published, queue, listed, params) for queue in QUEUES}
    return {"lists": Published(files, manifest), "value_at_risk": value_at_risk(rows)}
