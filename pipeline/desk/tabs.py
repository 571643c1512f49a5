"""The lists of the page: the first rows as HTML, all rows packed for the search."""

import base64
import collections
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.columns import Feature
from models.decision.queues import QUEUES
from pipeline.delivery.published import UNLISTED, listed
from pipeline.delivery.spreadsheet import safe
from pipeline.desk.formats import activity_name, labelled, measure, number, readable
from pipeline.inputs.segments import PREFIX

OWN_COLUMN = {"stage", "activity", "lapses_on"}  # facts that the table shows anyway
MOST_VALUES = 200  # of a segment: more are no list to choose from
SEARCHED = 100_000  # rows packed for the search: about 2.5 MB of page


def details(
    explanations: pa.Table, ids: list[str], features: Mapping[str, Feature], value_unit: str
) -> dict[str, dict[str, Any]]:
    """`facts` (name, value) and `drivers` of each customer, strongest first.

    A driver: meaning, value, raises (the risk), strength 0..1.
    """
    by_customer: dict[str, dict[str, Any]] = {i: {"facts": [], "drivers": []} for i in ids}
    of_these = pc.is_in(explanations["customer_id"], pa.array(ids, pa.string()))
    order = [("customer_id", "ascending"), ("position", "ascending")]
    rows = explanations.filter(of_these).sort_by(order)
    strongest = 0.0
    for row in rows.to_pylist():
        name, shown = row["driver"], by_customer[row["customer_id"]]
        if row["position"] == 0:
            facts = json.loads(row["facts"]).items()
            shown["facts"] = [labelled(n, v) for n, v in facts if n not in OWN_COLUMN]
            continue
        size = abs(row["contribution"])
        strongest = size if row["position"] == 1 else strongest
        # an older model may use a feature that the catalogue no longer has
        feature = features.get(name, Feature(name, "", readable(name)))
        shown["drivers"].append(
            {
                "meaning": feature.meaning,
                "value": measure(row["value"], feature.unit, value_unit),
                "raises": row["contribution"] > 0,
                "strength": size / max(strongest, size, 1e-12),
            }
        )
    return by_customer


def segments(scored: pa.Table) -> list[dict[str, Any]]:
    """The segments of the shop: column, title, and the values of listed customers to choose from.

    A segment of more than MOST_VALUES has none: the search has them.
    """
    names = [name for name in scored.column_names if name.startswith(PREFIX)]
    shown = listed(scored)
    values = {n: sorted(map(safe, filter(None, pc.unique(shown[n]).to_pylist()))) for n in names}
    return [
        {
            "name": name,
            "title": readable(name.removeprefix(PREFIX)),
            "values": values[name] if len(values[name]) <= MOST_VALUES else [],
        }
        for name in names
    ]


def segment_values(row: Mapping[str, Any]) -> list[str]:
    """The row's value of each segment, empty where none is known."""
    return [safe(row[name] or "") for name in row if name.startswith(PREFIX)]


def tab(name: str, title: str, customers: pa.Table, most: int) -> dict[str, Any]:
    """One list: its rows by rank, at most so many, and `csv`, the file that holds all of them."""
    contacts = collections.Counter(customers["contact"].to_pylist())
    shown = listed(customers)
    return {
        "name": name,
        "title": title,
        "total": len(shown),
        "withheld": [(contact, contacts[contact]) for contact in UNLISTED if contacts[contact]],
        "rows": [
            {**row, "drivers": [], "facts": [], "segments": segment_values(row)}
            for row in shown.slice(0, most).to_pylist()
        ],
        "csv": f"{name}.csv",
        **{f"has_{n}": shown[n].null_count < len(shown) for n in ("risk", "chance")},
    }


def tabs(
    scored: pa.Table,
    explanations: pa.Table,
    features: Mapping[str, Feature],
    manifest: Mapping[str, Any],
    most: int,
) -> list[dict[str, Any]]:
    """The calls of all queues with their details, then one tab per queue."""
    scored = scored.sort_by("rank")
    calls = scored.filter(pc.equal(scored["contact"], "call"))
    today = tab("call", "Call today", calls, most)
    ids = [row["customer_id"] for row in today["rows"]]
    shown = details(explanations, ids, features, manifest["value_unit"])
    today["rows"] = [{**row, **shown[row["customer_id"]]} for row in today["rows"]]
    by_queue = {q: scored.filter(pc.equal(scored["queue"], q)) for q in QUEUES}
    return [today, *(tab(q, readable(q), rows, most) for q, rows in by_queue.items())]


def _probability(row: Mapping[str, Any]) -> tuple[str, str]:
    """The risk in percent with its band, or the chance with the word `buys`; empty for neither."""
    if row["risk"] is not None:
        return f"{row['risk'] * 100:.0f}", row["risk_band"]
    return ("", "") if row["chance"] is None else (f"{row['chance'] * 100:.0f}", "buys")


def cells(row: Mapping[str, Any]) -> list[str]:
    """The texts of a row for script.js."""
    return [
        str(row["rank"]),
        safe(row["customer_id"]),
        row["contact"],
        readable(row["stage"]),
        activity_name(row["activity"]),
        *_probability(row),
        number(row["value_365d"]),
        number(row["value_at_risk"], 2),
        number(row["expected_profit"], 2),
        safe(row["why"]),
        safe(row["action"]),
        str(row["act_by"] or ""),
        str(row["lapses_on"] or ""),
        *segment_values(row),
    ]


def packed(scored: pa.Table) -> str:
    """The listed rows by rank as base64 of gzipped JSON: per queue a list of columns of cells.

    Columns pack tighter than rows. Arrow's gzip gives the same bytes on every machine.
    """
    shown = listed(scored).sort_by("rank").slice(0, SEARCHED)
    rows = {q: shown.filter(pc.equal(shown["queue"], q)).to_pylist() for q in QUEUES}
    columns = {q: list(zip(*map(cells, rows[q]), strict=True)) for q in QUEUES}
    content = json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(pa.compress(content, codec="gzip", asbytes=True)).decode()
