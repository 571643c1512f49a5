"""`corekeep outcomes`: what became of the customers of past lists, and whether contacts help.

Writes reports/outcomes.json, and data/returned/<shop>/save_rates.json for the next list. Counts
and rates alone: neither file names a customer.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.records import Floats
from models.decision.outcomes import Effect, SaveRate, effect_in, save_rates, stability_index
from models.defection.metrics import auc_of, calibration_error, counts_by_score
from models.settings import SMALLEST_CELL
from pipeline.delivery.earlier import kept_lists
from pipeline.engine.calendar import day_number, iso_date
from pipeline.engine.rows import query, rows_of
from pipeline.runtime import store
from pipeline.runtime.errors import QualityError
from pipeline.runtime.params import Params, load
from pipeline.runtime.progress import say, warn
from pipeline.runtime.runner import require_made
from pipeline.runtime.sections import Outcomes
from pipeline.runtime.store import Folder

SAVE_RATES = "save_rates.json"
# of treatments, which name the queue of a list and not the stage
STAGE_OF = {
    "core_care": "core",
    "save_now": "core_defector",
    "early_care": "early_repeat",
    "second_purchase": "first_time",
    "win_back": "core_defector",
    "convert": "prospect",
}
# One row per customer on a list whose horizon has passed: the outcome beside the list.
_OUTCOMES = """
with bought as (
    select c.customer_id, o.day from {orders} o join {customers} c using (customer, part)
    where o.quantity > 0 and o.amount > 0 and o.cancelled > o.day + $horizon)
select l.*, not exists (
    from bought b where b.customer_id = l.customer_id
    and b.day >= l.day and b.day < l.day + $horizon) as defected
from ({listings}) l where l.day + $horizon <= $end order by l.day, l.customer_id
"""
_SCORED = """select as_of - date '1970-01-01' as day, customer_id, queue, stage,
    coalesce(reason, 'none') as reason, risk, contact
    from read_parquet([{files}]) where risk is not null or contact in ('call', 'hold_out')"""
_TREATED = """select t.as_of as day, c.customer_id, t.queue, null::varchar as stage,
    'none' as reason, null::double as risk, t.contact
    from {treatments} t join {customers} c using (customer, part)
    where t.contact in ('call', 'hold_out') and not c.profiling_objection"""


def past_lists(events: Folder, lists: Path, horizon: int, data_end: str) -> pd.DataFrame:
    """One row per customer and past list whose outcome is known: the list's columns, `defected`.

    Of lists that are kept: whom they scored or named. Of treatments: who was called or withheld.
    """
    tables = {
        name: rows_of(events, f"{name}/*.parquet") for name in ("orders", "customers", "treatments")
    }
    parts = [_TREATED.format(**tables)]
    if kept := kept_lists(lists):
        paths = (str(folder / "scored.parquet").replace("'", "''") for folder in kept.values())
        parts.insert(0, _SCORED.format(files=", ".join(f"'{path}'" for path in paths)))
    sql = _OUTCOMES.format(listings=" union all by name ".join(parts), **tables)
    rows = query(sql, horizon=horizon, end=day_number(data_end))
    rows["stage"] = rows["stage"].fillna(rows["queue"].map(STAGE_OF)).fillna("core")
    return rows


def trials(rows: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Return who was called or withheld, each customer once a horizon, with `called`.

    The first list counts, whatever was done later: groups stay as they were drawn. A list of the
    same day that is kept comes before the treatment that came back from it.
    """
    rows = rows[rows["contact"].isin(["call", "hold_out"])].sort_values(
        ["customer_id", "day", "risk"], kind="stable"
    )
    last: dict[str, int] = {}
    first = np.zeros(len(rows), bool)
    for place, (customer, day) in enumerate(zip(rows["customer_id"], rows["day"], strict=True)):
        if day - last.get(customer, -horizon) >= horizon:
            first[place], last[customer] = True, day
    rows = rows[first]
    return rows.assign(called=rows["contact"] == "call")


def quality(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry per list: scores against what happened, and the drift since the first list."""
    entries = []
    scored = rows[rows["risk"].notna()]
    first: Floats | None = None
    for day in sorted(set(scored["day"])):
        own = scored[scored["day"] == day]
        risk, defected = own["risk"].to_numpy(np.float64), own["defected"].to_numpy(bool)
        first = risk if first is None else first
        counts = counts_by_score(risk, defected)(np.ones((1, len(risk))))
        if len(own) < SMALLEST_CELL:
            continue
        entries.append(
            {
                "as_of": iso_date(day),
                "customers": len(own),
                "defected": round(float(defected.mean()), 5),
                "expected": round(float(risk.mean()), 5),
                "auc": _rounded(float(auc_of(*counts)[0])),
                "brier": round(float(((risk - defected) ** 2).mean()), 5),
                "ece": _rounded(calibration_error(risk, defected)),
                "drift": round(stability_index(first, risk), 5),
            }
        )
    return entries


def _rounded(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None


def _entry(effect: Effect | None) -> dict[str, Any] | None:
    if effect is None:
        return None
    figures = {name: round(value, 5) for name, value in effect._asdict().items()}
    return {name: value for name, value in figures.items() if name != "inflation"}


def effects(rows: pd.DataFrame, least: int) -> list[dict[str, Any]]:
    """One entry for all, and one per queue and per reason: the effect of a call on churn.

    `effect` is null without a control group: then nothing can be said.
    """
    cells = [("all", "all", rows)]
    for column in ("queue", "reason"):
        cells += [(column, str(name), own) for name, own in rows.groupby(column, observed=True)]
    return [
        {"by": by, "name": name, "customers": len(own), "effect": _entry(effect_in(own, least))}
        for by, name, own in cells
        if len(own) >= SMALLEST_CELL
    ]


def learnt(rows: pd.DataFrame, assumed: float, params: Outcomes) -> dict[str, Any]:
    """The save rates for the next list, labelled `measured`, or `assumed` without a control group.

    Each cell: stage, reason, rate, low, high.
    """
    prior = SaveRate(assumed, params.assumed_sd)
    overall, cells = save_rates(rows, prior, params.between_sd, params.least)
    if overall is None:
        return {"label": "assumed", "overall": assumed, "cells": []}

    def interval(rate: SaveRate) -> dict[str, float]:
        ends = {"low": rate.rate - 1.96 * rate.sd, "high": rate.rate + 1.96 * rate.sd}
        return {name: round(end, 4) for name, end in ends.items()}

    return {
        "label": "measured",
        "overall": round(overall.rate, 4),
        **interval(overall),
        "cells": [
            {"stage": stage, "reason": reason, "rate": round(rate.rate, 4), **interval(rate)}
            for (stage, reason), rate in sorted(cells.items())
        ],
    }


def report_of(rows: pd.DataFrame, horizon: int, shop: str, params: Params) -> dict[str, Any]:
    """Return reports/outcomes.json: quality of the lists, effects of calls, save rates, alarms."""
    groups = trials(rows, horizon)
    saved = groups[~groups["queue"].isin([*params.costs.win_rates])]  # whom a risk was about
    measured = effects(groups, params.outcomes.least)
    harm = [
        f"{entry['by']} {entry['name']}"
        for entry in measured
        if entry["effect"] and entry["effect"]["low"] > 0
    ]
    return {
        "shop": shop,
        "horizon_days": horizon,
        "lists": quality(rows),
        "called": int(groups["called"].sum()),
        "control": int((~groups["called"]).sum()),
        "effects": measured,
        "save_rates": learnt(saved, params.costs.save_rate, params.outcomes),
        "alarms": harm,
    }


def outcomes(root: Path) -> dict[str, Any]:
    """Measure past lists, write both files, and return the report.

    Raises QualityError, after both are written, where contacts harm: the interval of the effect on
    churn lies above zero.
    """
    params = load(root)
    require_made(root, "data/calibration.json")
    calibration = store.read(root / "data" / "calibration.json")
    events = Folder(root / "data" / "events")
    horizon = calibration["horizon_days"]
    lists = root / "data" / "lists"
    rows = past_lists(events, lists, horizon, calibration["data_end"])
    report = report_of(rows, horizon, params.shop, params)
    store.write(root / "reports" / "outcomes.json", report)
    rates = {"horizon_days": horizon, **report["save_rates"]}
    store.write(root / "data" / "returned" / params.shop / SAVE_RATES, rates)
    for line in summary(report):
        say(line)
    for name in report["alarms"]:
        warn(f"contacts harm: {name}: customers who were called churn more than the control group")
    if report["alarms"]:
        rule = f"customers who were called churn more than the control group: {report['alarms'][0]}"
        fix = "stop these calls, and look at what is said in them"
        raise QualityError("E_HARM", "reports/outcomes.json alarms", rule, fix)
    return report


def summary(report: dict[str, Any]) -> list[str]:
    """Return the report in a few lines."""
    lines = [f"{len(report['lists'])} past lists whose outcome is known"]
    if report["lists"]:
        last = report["lists"][-1]
        lines.append(
            f"newest, {last['as_of']}: AUC {last['auc']}, churned {last['defected']:.1%}, expected "
            f"{last['expected']:.1%}, drift {last['drift']:.2f}"
        )
    whole = next((e["effect"] for e in report["effects"] if e["by"] == "all"), None)
    if whole is None:
        lines.append("no control group that is large enough: no effect of calls can be stated")
        return lines
    points = [f"{100 * whole[name]:+.1f}" for name in ("effect", "low", "high")]
    lines.append(
        f"effect of a call on churn: {points[0]} points [{points[1]}, {points[2]}], "
        f"{whole['called']} called, {whole['control']} in the control group"
    )
    rates = report["save_rates"]
    lines.append(f"save rate for the next list: {rates['overall']:.2f}, {rates['label']}")
    return lines
