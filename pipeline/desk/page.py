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
from typing import Any

import jinja2
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from features.columns import Feature
from models.lifecycle.states import STAGES
from pipeline.delivery.scorers import best_simple_baseline, measured_scorers, scorer_name
from pipeline.delivery.spreadsheet import safe
from pipeline.desk import formats
from pipeline.desk.charts import GONE, STAGE_NAMES, ScorerAuc, auc_chart, flow_chart, stage_chart
from pipeline.desk.tabs import packed, segments, tabs
from pipeline.runtime.resources import read_text

PERIODS = 12  # rows of the table of net flows


def scorer_section(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """How good the scores are: verdict, grade, AUC chart (None without a measurement), scorers that
    were not measured, number of past cases; name and AUC of the chosen scorer and of its rival.
    """
    chosen, scorers = evaluation["verdict"], measured_scorers(evaluation)
    known = {name: m for name, m in scorers.items() if m and m["auc"] is not None}
    rival = best_simple_baseline(known) if chosen == "model" else "model"
    aucs = [
        ScorerAuc(scorer_name(name), m["auc"], m["auc_ci"][0], m["auc_ci"][1], name == chosen)
        for name, m in known.items()
        if None not in m["auc_ci"]
    ]
    return {
        "verdict": chosen,
        "grade": evaluation["grade"].removeprefix("no signal: "),
        "chart": auc_chart(aucs) if aucs else None,
        "unmeasured": [scorer_name(name) for name in scorers if known and name not in known],
        "population": (evaluation.get("benchmark") or evaluation)["population"],
        "compared": [(scorer_name(n), known[n]["auc"]) for n in (chosen, rival) if n in known],
    }


def totals(scored: pa.Table) -> dict[str, Any]:
    """Numbers of calls, control group and do_not_contact; sums of values (None if unknown)."""
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
    """One entry per stage at the newest snapshot; parts: activity, customers, whether gone."""
    sums = counts.groupby(["stage", "as_of"])["customers"].sum().unstack(fill_value=0)
    sums = sums.reindex(STAGES, fill_value=0).sort_index(axis=1)
    now = counts[(counts["as_of"] == sums.columns[-1]) & (counts["customers"] > 0)]
    parts: dict[str, list[tuple[str, int, bool]]] = {stage: [] for stage in STAGES}
    columns = (now[name] for name in ("stage", "activity", "customers"))
    for stage, activity, n in zip(*columns, strict=True):
        parts[stage].append((formats.activity_name(activity), int(n), activity in GONE))
    newest, before = sums.iloc[:, -1], sums.iloc[:, -2] if sums.shape[1] > 1 else None
    return [
        {
            "name": stage,
            "title": STAGE_NAMES[stage],
            "customers": int(newest[stage]),
            "change": None if before is None else int(newest[stage] - before[stage]),
            "parts": parts[stage],
        }
        for stage in STAGES
    ]


def render(**shown: Any) -> str:
    """The template filled in. The page's policy names the script by its hash: no other can run."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=True
    )
    names = ("readable", "unbroken", "number", "amount", "activity_name")
    environment.filters |= {name: getattr(formats, name) for name in names} | {"safe_text": safe}
    style, script = read_text(__file__, "style.css"), read_text(__file__, "script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shown |= {"style": Markup(style), "script": Markup(script), "digest": digest}
    template = environment.from_string(read_text(__file__, "template.html"))
    return template.render(missing=formats.MISSING, **shown)


def retention_desk(
    manifest: Mapping[str, Any],
    scored: pa.Table,
    explanations: pa.Table,
    evaluation: Mapping[str, Any],
    stage_counts: pd.DataFrame,
    net_flow: pd.DataFrame,
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
        segments=segments(scored),
        most=most,
        **shown,
    )
