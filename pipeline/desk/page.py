"""The retention team's morning page: one HTML file that needs no server and no network.

Jinja escapes every value, so a customer's name never becomes markup. Without its script the page
shows the first rows of each list; the script adds tabs, sorting and a search in all rows. Customers
of the control group and customers who must not be contacted are counted, never listed.
"""

import base64
import collections
import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from features.columns import Feature
from models.lifecycle.state_machine import STAGES
from pipeline.delivery.scorers import SCORER_NAMES, best_simple_baseline, measured_scorers
from pipeline.delivery.spreadsheet import safe
from pipeline.desk import formats
from pipeline.desk.charts import GONE, STAGE_NAMES, ScorerAuc, auc_chart, flow_chart, stage_chart
from pipeline.desk.tabs import packed, tabs
from pipeline.runtime.resources import read_text

PERIODS = 12  # rows of the table of net flows


def scorer_section(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """How good the scores are: headline, text, the AUC chart (None without a measurement), the
    scorers that were not measured, and the number of past cases.
    """
    chosen, scorers = evaluation["verdict"], measured_scorers(evaluation)
    names = {name: SCORER_NAMES.get(name, name) for name in scorers}
    known = {name: m for name, m in scorers.items() if m and m["auc"] is not None}
    aucs = [
        ScorerAuc(names[name], m["auc"], m["auc_ci"][0], m["auc_ci"][1], name == chosen)
        for name, m in known.items()
        if None not in m["auc_ci"]
    ]
    section = {
        "chart": auc_chart(aucs) if aucs else None,
        "unmeasured": [names[name] for name in scorers if name not in known] if known else [],
        "population": (evaluation.get("benchmark") or evaluation)["population"],
    }
    if chosen == "no_signal":
        reason = evaluation["grade"].removeprefix("no signal: ")
        return section | {
            "headline": "No signal: nobody gets a risk today",
            "text": f"{reason[:1].upper()}{reason[1:]}. The stages and lists below come from the "
            "rules of the life cycle alone.",
        }
    rival = best_simple_baseline(known) if chosen == "model" else "model"
    text = (
        f"Take one past customer who churned and one who was retained: {names[chosen]} gives the "
        f"churned one the higher risk in {known[chosen]['auc'] * 100:.0f} of 100 such pairs"
    )
    if rival in known:
        title = ", the best simple baseline," if chosen == "model" else ""
        text += f", {names[rival]}{title} in {known[rival]['auc'] * 100:.0f}"
    won = "The model beats the simple baselines"
    lost = f"The model does not beat a simple baseline: {names[chosen]} gives the risks"
    return section | {"headline": won if chosen == "model" else lost, "text": f"{text}."}


def totals(scored: pa.Table) -> dict[str, Any]:
    """Calls, control group and customers who must not be contacted, in number; value at risk of all
    and of the calls, expected profit of the calls (None if unknown).
    """
    calls = scored.filter(pc.equal(scored["contact"], "call"))
    counts = collections.Counter(scored["contact"].to_pylist())
    return {
        "calls": len(calls),
        "control_group": counts["hold_out"],
        "do_not_contact": counts["do_not_contact"],
        "at_risk": pc.sum(scored["value_at_risk"]).as_py(),
        "called_at_risk": pc.sum(calls["value_at_risk"]).as_py(),
        "profit": pc.sum(calls["expected_profit"]).as_py(),
    }


def stages_now(counts: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry per stage at the newest snapshot: name, title, customers, change since the snapshot
    before, parts (activity, customers, gone).
    """
    sums = counts.groupby(["stage", "as_of"])["customers"].sum().unstack(fill_value=0)
    sums = sums.reindex(STAGES, fill_value=0).sort_index(axis=1)
    now = counts[(counts["as_of"] == sums.columns[-1]) & (counts["customers"] > 0)]
    entries = []
    for stage in STAGES:
        rows = now[now["stage"] == stage]
        history = sums.loc[stage].to_numpy()
        entries.append(
            {
                "name": stage,
                "title": STAGE_NAMES[stage],
                "customers": int(history[-1]),
                "change": int(history[-1] - history[-2]) if len(history) > 1 else None,
                "parts": [
                    (formats.activity_name(activity), int(n), activity in GONE)
                    for activity, n in zip(rows["activity"], rows["customers"], strict=True)
                ],
            }
        )
    return entries


def quality(ingest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry per input table: name, accepted, quarantined, codes (code, rows), left_out (reason,
    rows).
    """
    reasons = ("exact_duplicates", "out_of_window", "erased")
    return [
        {
            "name": name,
            "accepted": table["accepted"],
            "quarantined": sum(table["quarantined"].values()),
            "codes": list(table["quarantined"].items()),
            "left_out": [(formats.readable(key), table[key]) for key in reasons if table[key]],
        }
        for name, table in ingest["tables"].items()
    ]


def render(**shown: Any) -> str:
    """The template filled in. The page's policy names the script by its hash: no other can run."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("readable", "number", "amount", "sentences", "activity_name")
    environment.filters |= {name: getattr(formats, name) for name in names} | {"safe_text": safe}
    style, script = read_text(__file__, "style.css"), read_text(__file__, "script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("template.html").render(
        style=Markup(style), script=Markup(script), digest=digest, missing=formats.MISSING, **shown
    )


def retention_desk(
    manifest: Mapping[str, Any],
    scored: pa.Table,
    explanations: pa.Table,
    evaluation: Mapping[str, Any],
    stage_counts: pd.DataFrame,
    net_flow: pd.DataFrame,
    ingest: Mapping[str, Any],
    features: Mapping[str, Feature],
    most: int,
    **shown: Any,
) -> str:
    """The page, with at most `most` rows of each list as HTML."""
    periods = stage_counts["as_of"].nunique()
    flows = [{str(k): v for k, v in row.items()} for row in net_flow.to_dict("records")]
    day = dt.date.fromisoformat(manifest["snapshot"])
    return render(
        about=manifest,
        day=f"{day.day} {day:%B %Y}",
        scorers=scorer_section(evaluation),
        totals=totals(scored),
        stages=stages_now(stage_counts) if periods else [],
        stage_chart=stage_chart(stage_counts) if periods > 1 else None,
        flow_chart=flow_chart(flows) if flows else None,
        flows=flows[::-1][:PERIODS],
        leak=bool(flows) and bool(flows[-1]["leak"]),
        tabs=tabs(scored, explanations, features, manifest, most),
        packed=packed(scored),
        most=most,
        quality=quality(ingest),
        **shown,
    )
