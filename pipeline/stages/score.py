"""Stage `score`: the list of today, for machines and for people."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.settings import Windows
from models.decision.outcomes import rates_for
from models.decision.what_if import what_if
from models.decision.worklist import value_at_risk
from models.lifecycle.limits import Limits
from models.reasons.catalogue import REASONS
from models.reasons.settings import ReasonRules
from models.settings import Costs
from pipeline.delivery import lists
from pipeline.delivery.categories import category_changes, category_list
from pipeline.delivery.drivers import agreement_report, driver_columns, explained, main_drivers
from pipeline.delivery.earlier import earlier
from pipeline.delivery.explanations import AT_HEAD, explanations, texts
from pipeline.delivery.outcomes import SAVE_RATES
from pipeline.delivery.published import REPORTS
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import feature_names, scored_features
from pipeline.engine.run import by_rows
from pipeline.registry.forecasts import forecasts
from pipeline.registry.model_files import Scorer, scorer
from pipeline.registry.tasks import chances
from pipeline.runtime.playbook import read_playbook
from pipeline.runtime.publishing import Published
from pipeline.runtime.sections import Engine, Evaluate, Privacy, Score
from pipeline.runtime.store import Folder, text_sha256, to_json


def score(
    features: Folder,
    lifecycle: Folder,
    events: Folder,
    model: Folder,
    category_falls: pa.Table,
    calibration: dict[str, Any],
    metrics: dict[str, Any],
    shop: str,
    params: Score,
    costs: Costs,
    evaluate: Evaluate,
    assign: Limits,
    reasons: ReasonRules,
    windows: Windows,
    engine: Engine,
    privacy: Privacy,
    root: Path,
    returned: Folder | None = None,
) -> dict[str, Any]:
    """`lists`: the tables for machines, call.csv, one CSV per queue, reports and the manifest.

    The scorer is the one that `metrics` selected. Without a signal nobody gets a risk, and the
    rules alone make the list. `returned` may hold the save rates that past lists have shown.
    """
    as_of, verdict = calibration["data_end"], metrics["verdict"]
    horizon = calibration["horizon_days"]
    known, objections = lists.known_customers(lifecycle, events, as_of, privacy, root)
    rows = lists.decision_rows(known, category_falls, reasons)
    chosen, numbers = None, pd.DataFrame()
    if verdict != "no_signal" and rows["scored"].any():
        chosen = scorer(model, verdict, feature_names(features), as_of)
        of_rows = (by_rows(work, engine) for work in (chosen.predict, chosen.explain))
        chosen = Scorer(chosen.model_id, *of_rows)
        numbers = scored_features(features, lifecycle, as_of)
        numbers = numbers.loc[rows.loc[rows["scored"], "customer_id"]]
        rows.loc[rows["scored"], "risk"] = chosen.predict(numbers).round(6)
    chance = chances(features, lifecycle, model, metrics, as_of, engine)
    rows["chance"] = chance.reindex(rows["customer_id"]).to_numpy()
    model_id = chosen.model_id if chosen else None
    rows["model_id"] = rows["risk"].notna().map({True: model_id, False: None})
    rates = returned.read(SAVE_RATES) if returned and returned.has(SAVE_RATES) else None
    rows["save_rate"] = rates_for(rows, rates, costs.save_rate)
    coming = forecasts(features, lifecycle, model, metrics, as_of).reindex(rows["customer_id"])
    rows = rows.join(coming.reset_index(drop=True))
    rows["value_if_retained"] = rows["value_if_retained"].fillna(rows["value_365d"])
    before = earlier(events, root / "data" / "lists", as_of)
    day = day_number(as_of)
    rows = lists.decided(rows, day, horizon, costs, evaluate.bands, before, params)
    fallen = category_list(category_falls, rows, as_of)
    changes = category_changes(known["customer_id"], fallen, params.language)
    known = known.append_column("category_change", changes)
    with_risk = rows.index.to_numpy()[rows["risk"].notna()][: params.explain]
    columns = driver_columns(windows, params.language)
    of = explained(known, np.sort(with_risk), numbers, chosen) if chosen else None
    kinds = {"queue": None, "reason": pa.string()}  # the types are for no rows at all
    kinds |= dict.fromkeys(("risk", "chance"), pa.float64())
    added = {name: pa.array(rows[name].sort_index(), kind) for name, kind in kinds.items()}
    added |= main_drivers(
        of, len(known), columns, params.language, params.driver_least, params.driver_differs
    )
    for name, values in added.items():
        known = known.append_column(name, values)
    playbook = read_playbook(root, params.action_characters)
    written = texts(known, assign, calibration["expected_ipt"], playbook, params.language)
    scored = lists.scored_table(known, written, rows)

    owner = written["owner"].take(rows.index.to_numpy())
    facts = written["facts"]
    # what is no longer needed makes room for the large tables that follow
    known = known.select(["customer_id", "stage", *(f"evidence_{name}" for name in REASONS)])
    del written, numbers
    explanation = explanations(known, facts, of, columns, params, reasons.defecting)
    del facts
    people = lists.people_files(scored, owner, before.since)
    tables = {"scored": scored, "explanations": explanation, "categories": fallen}
    bands, called_for = evaluate.bands, (params.call_when, params.capacity)
    heads = explanation.select(AT_HEAD).filter(pc.equal(explanation["position"], 0))
    assumed = rows.drop(columns="save_rate")
    reports = {
        "reason_agreement.csv": agreement_report(heads, known, reasons.defecting),
        "value_at_risk.csv": value_at_risk(rows),
        "what_if.parquet": what_if(assumed, horizon, costs, bands, *called_for),
    }
    files = {
        **{f"{name}.parquet": table for name, table in tables.items()},
        **people,
        **{f"{REPORTS}/{name}": table for name, table in reports.items()},
    }
    settings = {
        "shop": shop,
        "score": params.model_dump(),
        "costs": costs.model_dump(),
        "bands": evaluate.bands,
        "save_rates": rates,
    }
    manifest = {
        "shop": shop,
        "snapshot": as_of,
        **lists.money_of(events.read("meta.json")),
        "horizon_days": horizon,
        "verdict": verdict,
        "grade": metrics["grade"],
        "model_id": model_id,
        "params_hash": text_sha256(to_json(settings)),
        "save_rate": rates["label"] if rates else "assumed",
        "customers": len(rows),
        "profiling_objections": objections,
    }
    return {"lists": Published(files, manifest)}
