"""Stage `report`: the retention team's morning page, one HTML file that needs no server, no network
and no script to be read.

Jinja escapes whatever is put into the template; what customers are called never becomes markup.
Hold-outs are counted, never listed.
"""

import base64
import datetime as dt
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from features.catalogue import FEATURES
from features.columns import Feature, expand
from features.settings import Windows
from models.decision.queues import QUEUES
from models.lifecycle.state_machine import STAGES
from models.settings import Costs
from pipeline.delivery.spreadsheet import safe
from pipeline.desk.charts import GONE, STAGE_WORDS, Scorer, auc_chart, flow_chart, stage_chart
from pipeline.runtime.errors import InputError
from pipeline.runtime.params import Report
from pipeline.runtime.store import Folder, sha256

HERE = Path(__file__).parents[1] / "desk"
SCORER_WORDS = {
    "model": "the model",
    "recency": "recency alone",
    "logistic_rfm": "logistic RFM",
    "bg_nbd": "BG/NBD",
    "expert_windows": "expert windows",
    "random_forest_rfm": "random forest RFM",
}
MISSING = "–"
SHOWN = {"stage", "activity", "late_on", "lapses_on"}  # facts that have a column of their own


def published(lists: Folder, name: str, manifest: dict[str, Any]) -> pa.Table:
    """A table of the list that the manifest vouches for. Raises InputError for any other."""
    file = manifest["files"].get(name)
    if file is None or not lists.has(name) or sha256(lists.path / name) != file["sha256"]:
        raise InputError(
            "E_LIST",
            f"data/lists/{name}",
            "not the file that manifest.json names",
            "run the stage `score` again",
        )
    return lists.read(name)


def words(name: str) -> str:
    """A name as people read it: `core_care` is Core care."""
    return name.replace("_", " ").capitalize()


def sentences(text: str) -> tuple[str, str]:
    """The first sentence, and all that follow."""
    first, stop, rest = text.partition(". ")
    return first + stop.strip(), rest


def number(value: float | None, decimals: int = 0) -> str:
    """A figure with thousands separated; a dash for none."""
    return MISSING if value is None else f"{value:,.{decimals}f}"


def measure(value: float | None, unit: str, currency: str) -> str:
    """A driver's value with its unit."""
    if value is None or math.isnan(value):
        return "unknown"
    if unit == "share":
        return f"{value:.0%}"
    if unit == "currency":
        return f"{currency} {value:,.2f}"
    figure = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
    return f"{figure} {unit}" if unit in {"days", "sd", "per day"} else figure


def fact(name: str, value: Any) -> tuple[str, str]:
    """One of the facts behind `why`, as (what, how much)."""
    if name.endswith("_days"):
        return words(name.removesuffix("_days")), f"{value:,} days"
    return words(name), str(value)


def behind(
    explanations: pa.Table, ids: list[str], about: dict[str, Feature], currency: str
) -> dict[str, dict[str, Any]]:
    """For each of the customers.

    `facts` (what, how much), and `drivers` (meaning, value, raises, strength 0..1), strongest
    first.
    """
    found: dict[str, dict[str, Any]] = {customer: {"facts": [], "drivers": []} for customer in ids}
    chosen = explanations.filter(
        pc.is_in(explanations["customer_id"], pa.array(ids, explanations["customer_id"].type))
    )
    strongest = 0.0
    for row in chosen.sort_by(
        [("customer_id", "ascending"), ("position", "ascending")]
    ).to_pylist():
        name, told = row["driver"], found[row["customer_id"]]
        if row["position"] == 0:
            told["facts"] = [
                fact(n, v) for n, v in json.loads(row["facts"]).items() if n not in SHOWN
            ]
            continue
        size = abs(row["contribution"])
        strongest = size if row["position"] == 1 else strongest
        # a model may know what this catalogue does not
        column = about.get(name, Feature(name, "", words(name)))
        driver = {"meaning": column.meaning, "value": measure(row["value"], column.unit, currency)}
        told["drivers"].append(
            {
                **driver,
                "raises": row["contribution"] > 0,
                "strength": size / max(strongest, size, 1e-12),
            }
        )
    return found


def tab(
    name: str, title: str, customers: pa.Table, manifest: dict[str, Any], rows: int
) -> dict[str, Any]:
    """One list.

    Name, title, total, rows (by rank, at most so many), csv (the files that hold all of them),
    has_risk.
    """
    queues = set(customers["queue"].to_pylist())
    return {
        "name": name,
        "title": title,
        "total": len(customers),
        "rows": [
            {**row, "drivers": [], "facts": []} for row in customers.slice(0, rows).to_pylist()
        ],
        "csv": [
            f"{queue}.csv"
            for queue in QUEUES
            if queue in {name, *queues} and f"{queue}.csv" in manifest["files"]
        ],
        "has_risk": customers["risk"].null_count < len(customers),
    }


def tabs(
    scored: pa.Table,
    explanations: pa.Table,
    about: dict[str, Feature],
    manifest: dict[str, Any],
    rows: int,
) -> list[dict[str, Any]]:
    """The calls of today over all queues, each with what is behind it, then one tab per queue."""
    listed = scored.filter(pc.not_equal(scored["contact"], "hold_out")).sort_by("rank")
    calls = tab(
        "call", "Call today", listed.filter(pc.equal(listed["contact"], "call")), manifest, rows
    )
    told = behind(
        explanations, [row["customer_id"] for row in calls["rows"]], about, manifest["currency"]
    )
    calls["rows"] = [{**row, **told[row["customer_id"]]} for row in calls["rows"]]
    return [
        calls,
        *(
            tab(
                queue, words(queue), listed.filter(pc.equal(listed["queue"], queue)), manifest, rows
            )
            for queue in QUEUES
        ),
    ]


def verdict(metrics: dict[str, Any]) -> dict[str, Any]:
    """`headline` and `text` in plain words, the AUC picture (None without a measurement), the peers
    not measured.
    """
    chosen, measured = metrics["verdict"], metrics.get("benchmark") or metrics
    results = {"model": measured.get("model"), **(measured.get("baselines") or {})}
    names = {name: SCORER_WORDS.get(name, name) for name in results}
    known = {name: m for name, m in results.items() if m and m["auc"] is not None}
    scorers = [
        Scorer(names[n], m["auc"], m["auc_ci"][0], m["auc_ci"][1], n == chosen)
        for n, m in known.items()
    ]
    found = {
        "chart": auc_chart(scorers) if scorers else None,
        "unmeasured": [names[name] for name in results if name not in known] if known else [],
        "population": measured["population"],
    }
    if chosen == "no_signal":
        headline = "No signal: nobody is given a risk today"
        why = metrics["grade"].removeprefix("no signal: ")
        text = f"{why[:1].upper()}{why[1:]}. Stages and lists below come from the rules of the life cycle alone."
        return {**found, "headline": headline, "text": text}
    rivals = {name: m for name, m in known.items() if name != chosen}
    best = max(rivals, key=lambda name: rivals[name]["auc"], default=None)
    pairs = {name: f"{m['auc'] * 100:.0f}" for name, m in known.items()}
    text = f"Of one customer who leaves and one who stays, {names[chosen]} names the leaver in {pairs[chosen]} of 100 pairs"
    text += f", {names[best]} in {pairs[best]}." if best else "."
    headline = (
        "The model beats the simple rules"
        if chosen == "model"
        else f"No better than a simple rule: {names[chosen]} gives the risks"
    )
    return {**found, "headline": headline, "text": text}


def totals(scored: pa.Table) -> dict[str, Any]:
    """Calls and hold-outs in number.

    Value at risk of all and of the calls, expected profit of the calls (currency, None if unknown).
    """
    calls = scored.filter(pc.equal(scored["contact"], "call"))
    return {
        "calls": len(calls),
        "held_out": pc.sum(pc.equal(scored["contact"], "hold_out")).as_py() or 0,
        "at_risk": pc.sum(scored["value_at_risk"]).as_py(),
        "called_at_risk": pc.sum(calls["value_at_risk"]).as_py(),
        "profit": pc.sum(calls["expected_profit"]).as_py(),
    }


def stages_now(counts: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry per stage at the newest snapshot.

    Name, title, customers, change since the last, parts (activity, customers, gone).
    """
    dates = sorted(counts["as_of"].unique())
    found = []
    for stage in STAGES:
        at = counts[counts["stage"] == stage].set_index("as_of")
        sums = at.groupby(level=0)["customers"].sum().reindex(dates, fill_value=0)
        now = at.loc[at.index == dates[-1]]
        parts = [
            (activity, int(n), activity in GONE)
            for activity, n in zip(now["activity"], now["customers"], strict=True)
            if n
        ]
        change = int(sums.iloc[-1] - sums.iloc[-2]) if len(dates) > 1 else None
        found.append(
            {
                "name": stage,
                "title": STAGE_WORDS[stage],
                "customers": int(sums.iloc[-1]),
                "change": change,
                "parts": parts,
            }
        )
    return found


def quality(ingest: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per input table.

    Name, accepted, quarantined, codes (code, rows), other rows that were left out.
    """
    found = []
    for name, table in ingest["tables"].items():
        codes = list(table["quarantined"].items())
        left_out = {
            words(key): table[key]
            for key in ("exact_duplicates", "out_of_window", "erased")
            if table[key]
        }
        quarantined = sum(n for _, n in codes)
        found.append(
            {
                "name": name,
                **table,
                "quarantined": quarantined,
                "codes": codes,
                "left_out": list(left_out.items()),
            }
        )
    return found


def page(**shown: Any) -> str:
    """The template filled in.

    The script stands in the page's policy by its hash: no other can run.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "words": words,
        "safe_text": safe,
        "number": number,
        "sentences": sentences,
    }
    style, script = (
        (HERE / f"{ending}").read_text(encoding="utf-8") for ending in ("style.css", "script.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("template.html").render(
        style=Markup(style), script=Markup(script), digest=digest, missing=MISSING, **shown
    )


def report(
    lists: Folder,
    evaluation: dict[str, Any],
    stage_counts: pd.DataFrame,
    net_flow: pd.DataFrame,
    ingest: dict[str, Any],
    shop: str,
    costs: Costs,
    windows: Windows,
    params: Report,
) -> dict[str, str]:
    """`retention_desk`: the page. Of `lists` only files are read that the manifest names, with the
    content it names.

    Raises InputError when the lists are not the ones the manifest vouches for, or belong to another
    shop or verdict than the evaluation.
    """
    manifest = lists.read("manifest.json")
    if (manifest["shop"], manifest["verdict"]) != (shop, evaluation["verdict"]):
        raise InputError(
            "E_LIST",
            "data/lists/manifest.json",
            "lists and evaluation come from different runs",
            "run `make repro`",
        )
    scored = published(lists, "scored.parquet", manifest)
    explanations = published(lists, "explanations.parquet", manifest)
    periods = stage_counts["as_of"].nunique()
    flows = [
        {str(name): value for name, value in row.items()} for row in net_flow.to_dict("records")
    ]
    day = dt.date.fromisoformat(manifest["snapshot"])
    html = page(
        about=manifest,
        day=f"{day.day} {day:%B %Y}",
        verdict=verdict(evaluation),
        totals=totals(scored),
        costs=costs,
        stages=stages_now(stage_counts) if periods else [],
        stage_chart=stage_chart(stage_counts) if periods > 1 else None,
        flow_chart=flow_chart(flows) if flows else None,
        flows=flows[::-1][:12],
        leak=bool(flows) and bool(flows[-1]["leak"]),
        tabs=tabs(
            scored,
            explanations,
            {c.name: c for c in expand(FEATURES, windows)},
            manifest,
            params.rows,
        ),
        quality=quality(ingest),
    )
    return {"retention_desk": html}
