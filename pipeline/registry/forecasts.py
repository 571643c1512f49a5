"""Forecasts for every buyer, beside the risk: the day of the next purchase, the spend of a year.

Each is trained twice: on what was known at its test origin, to be measured there, and on all that
is known at the end of the data. The spend of those who buy within the horizon, by which calls are
ranked, is also trained for each test origin of the risk. `calibration["forecasts"]` names the
snapshots.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection import bg_nbd, timing, value
from models.defection.baselines import PAST, BgNbd
from models.defection.booster import THREADS, ModelSpec, as_stored
from models.defection.tasks import TASKS
from models.settings import SMALLEST_CELL
from pipeline.engine.rows import QUERIES, buyers, query, rows_of
from pipeline.registry.about import about_of, part_of
from pipeline.registry.model_files import booster_of, require_known_scores
from pipeline.runtime.sections import Evaluate
from pipeline.runtime.store import Folder

Scorers = dict[str, Callable[[], Floats]]  # a list needs one, which then computes its predictions
RETAINED = "retained"  # the spend of those who buy within the horizon
MEASURED = ("timing", "value")  # beside their baselines, each at an origin of its own
OUTCOMES = {"timing": "next_days", "value": "spend_next", RETAINED: "spend_next"}
NEEDS = {*PAST, "expected_next_days"}  # features of the baselines
COLUMNS = (
    "next_order_on",
    "next_order_from",
    "next_order_to",
    "value_next_365d",
    "value_if_retained",
)
# customers who have a chance instead, as SQL over the life cycle
WITHOUT_RISK = f"coalesce({' or '.join(f'({task.population})' for task in TASKS)}, false)"


def buyer_rows(
    folders: dict[str, Folder], calibration: dict[str, Any], snapshots: list[str]
) -> pd.DataFrame:
    """One row per sampled buyer and snapshot: features, what `l.` names in the SQL, outcomes."""
    named = {name: rows_of(at) for name, at in folders.items()}
    sql = QUERIES["forecast"].format(**named, without_risk=WITHOUT_RISK)
    newest, most = calibration["data_end"], calibration["sample_customers"]
    return query(sql, snapshots=snapshots, newest=newest, most=most)


def train_forecasts(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    spec: ModelSpec,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the boosters by file name, and what model.json says of them.

    A forecast with too few rows to train on is None.
    """
    folders = {"features": features, "lifecycle": lifecycle, "labels": labels}
    boosters: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for name, plan in calibration["forecasts"].items():
        final = {"final": (calibration["data_end"], plan["final"])}
        ends = {name: {"origin": (plan["origin"], plan["training"])} | final}
        if "origins" in plan:
            ends[RETAINED] = {day: (day, days) for day, days in plan["origins"].items()} | final
        used = {day for own in ends.values() for _, days in own.values() for day in days}
        rows = buyer_rows(folders, calibration, sorted(used))
        for forecast, own in ends.items():
            if forecast == RETAINED:
                if not about[name]:
                    break
                rows = rows[~rows["defected"].astype(bool)]
            fitted, kinds = _train(forecast, rows, own, features, spec)
            about[forecast] = {"days": plan["days"], **kinds} if kinds else None
            boosters |= fitted
    return boosters, about


def _train(
    name: str,
    rows: pd.DataFrame,
    ends: dict[str, tuple[str, list[str]]],
    features: Folder,
    spec: ModelSpec,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the boosters by file name, and what model.json says of each end by its name.

    `ends`: a day, and the snapshots whose outcomes are known by then. Nothing where those of one
    end are too few.
    """
    boosters: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for end, (day, snapshots) in ends.items():
        known = rows[rows["snapshot"].isin(snapshots)]
        if not _enough(known, OUTCOMES[name], spec):
            return {}, {}
        past = BgNbd.fit(known, buyers(features, day), spec).parameters
        fitted, more = _fit(name, known, spec, bg_nbd.Parameters(**past))
        about[end] = {**more, "bg_nbd": past}
        boosters |= {_file(name, end, key): booster for key, booster in fitted.items()}
    return boosters, about


def _enough(rows: pd.DataFrame, outcome: str, spec: ModelSpec) -> bool:
    """Return whether some customers buy, and the baselines have their features."""
    bought = rows["customer_id"][rows[outcome].gt(0)].nunique()
    return bought >= 2 * spec.params.min_child_samples and set(spec.columns) >= NEEDS


def _fit(
    name: str, rows: pd.DataFrame, spec: ModelSpec, past: bg_nbd.Parameters
) -> tuple[dict[str, Any], dict[str, Any]]:
    if name == "timing":
        fitted = timing.fit_timing(rows, spec, past)
        return fitted.boosters, {"margin": fitted.margin, "start": "bg_nbd"}
    repeated = rows[(rows["purchases"] >= 2) & (rows["snapshot"] == rows["snapshot"].max())]
    purchases = repeated["purchases"].to_numpy(np.float64)
    spend = value.fit_gamma_gamma(purchases, value.per_purchase(repeated))
    return {"spend": value.fit_value(rows, spec)}, {"gamma_gamma": spend._asdict()}


def _file(name: str, kind: str, booster: str) -> str:
    return f"forecasts/{kind}/{name}_{booster}.txt"


def _loaded(model: Folder, about: dict[str, Any], name: str, kind: str, key: str) -> Any:
    """Load a booster after all checks. Raises ModelError."""
    file = _file(name, kind, key)
    booster = booster_of(model, about, file)
    if kind == "final":
        require_known_scores(about, file, lambda rows: raw_scores(booster, rows))
    return booster


def raw_scores(booster: Any, rows: pd.DataFrame) -> Floats:
    """Return what a booster predicts, on its own scale."""
    values = as_stored(rows, booster.feature_name())
    return np.asarray(booster.predict(values, num_threads=THREADS))


def _days(
    model: Folder, about: dict[str, Any], kind: str, rows: pd.DataFrame
) -> tuple[pd.DataFrame, Scorers]:
    """Return the intervals of the rows in days, and the scorers of the day."""
    entry = part_of(about, "model.json", "forecasts", "timing")
    boosters = {key: _loaded(model, about, "timing", kind, key) for key in timing.QUANTILES}
    past = bg_nbd.Parameters(**entry[kind]["bg_nbd"])
    start = past if entry[kind]["start"] else None
    margin = entry[kind]["margin"]
    fitted = timing.Timing(boosters, about["features"], margin, entry["days"], start)
    days = fitted.predict(rows)
    return days, {
        "model": days["on"].to_numpy,
        "expected_ipt": partial(timing.by_expected_ipt, rows),
        "bg_nbd": partial(timing.by_bg_nbd, rows, past, entry["days"]),
    }


def _spend(
    model: Folder, about: dict[str, Any], kind: str, rows: pd.DataFrame, name: str = "value"
) -> Scorers:
    """Return the scorers of the net spend of 365 days; for `retained` of those who stay."""
    entry = part_of(about, "model.json", "forecasts", name, kind)
    days = about["forecasts"][name]["days"]
    past = bg_nbd.Parameters(**entry["bg_nbd"])
    spend = value.GammaGamma(**entry["gamma_gamma"])
    within = about["horizon_days"] if name == RETAINED else None
    return {
        "model": lambda: (
            raw_scores(_loaded(model, about, name, kind, "spend"), rows) * value.YEAR / days
        ),
        value.PAST_YEAR: partial(value.by_last_year, rows),
        "bg_nbd_gamma_gamma": partial(value.by_gamma_gamma, rows, past, spend, days, within),
    }


def _returning(about: dict[str, Any], kind: str, rows: pd.DataFrame) -> Scorers:
    """Return the scorers of a year's spend of customers without a risk, if they come back."""
    entry = part_of(about, "model.json", "forecasts", "value", kind)
    past, spend = bg_nbd.Parameters(**entry["bg_nbd"]), value.GammaGamma(**entry["gamma_gamma"])
    days, within = about["forecasts"]["value"]["days"], about["horizon_days"]
    return {
        value.PREDICTED: partial(value.by_gamma_gamma, rows, past, spend, days, within),
        value.PAST_YEAR: partial(value.at_least_one_purchase, rows),
    }


def _all(scorers: Scorers) -> dict[str, Floats]:
    return {name: predict() for name, predict in scorers.items()}


def _selected(scorers: Scorers, measured: dict[str, str]) -> Floats:
    """Return what the selected scorer predicts. Raises ModelError for an unknown one."""
    predict: Callable[[], Floats] = part_of(scorers, "scorers", measured["selected"])
    return predict()


def _trained(about: dict[str, Any], name: str) -> bool:
    return bool((about.get("forecasts") or {}).get(name))


def ranking_values(model: Folder, about: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """Return a year's spend if retained, of rows at test origins: one column per source.

    The last year's alone where nothing else was trained.
    """
    if not _trained(about, RETAINED):
        return pd.DataFrame({value.PAST_YEAR: value.by_last_year(rows)}, rows.index)
    parts = [
        pd.DataFrame(_all(_spend(model, about, str(origin), at, RETAINED)), at.index)
        for origin, at in rows.groupby("snapshot")
    ]
    return pd.concat(parts).reindex(rows.index)


def measure_forecasts(
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    model: Folder,
    about: dict[str, Any],
    calibration: dict[str, Any],
    params: Evaluate,
) -> dict[str, Any]:
    """Return `timing`, `value` and `returning` at their test origins, None where not trained.

    `returning`: the spend of customers without a risk who bought within the horizon.
    """
    measured: dict[str, Any] = dict.fromkeys((*MEASURED, "returning"))
    draws = params.bootstrap, params.seed
    folders = {"features": features, "lifecycle": lifecycle, "labels": labels}
    for name in MEASURED:
        if not _trained(about, name):
            continue
        plan = calibration["forecasts"][name]
        rows = buyer_rows(folders, calibration, [plan["origin"]])
        rows = rows[rows[OUTCOMES[name]].notna()]
        head = {"origin": plan["origin"], "days": plan["days"], "population": len(rows)}
        if name == "timing":
            interval, scorers = _days(model, about, "origin", rows)
            figures = timing.measure_timing(rows, interval, _all(scorers), *draws)
        else:
            spend = _all(_spend(model, about, "origin", rows))
            figures = value.measure_value(rows, spend, plan["days"], params.capacity, *draws)
            back = rows[rows["without_risk"] & ~rows["defected"].astype(bool)]
            if len(back) >= SMALLEST_CELL:
                by = _all(_returning(about, "origin", back))
                figures_of = value.measure_returning(back, by, plan["days"], *draws)
                measured["returning"] = {"origin": plan["origin"], **figures_of}
        measured[name] = head | figures
    return measured


def forecasts(
    features: Folder, lifecycle: Folder, model: Folder, metrics: dict[str, Any], snapshot: str
) -> pd.DataFrame:
    """One row per buyer, by customer_id: COLUMNS, by the scorers that `metrics` selected.

    Without a trained forecast the expected IPT gives the day, without an interval, and the last
    year the spend: of a customer without a risk at least that of one purchase.
    """
    folders = {"features": rows_of(features), "lifecycle": rows_of(lifecycle)}
    sql = QUERIES["buyers_features"].format(**folders, without_risk=WITHOUT_RISK)
    rows = query(sql, snapshot=snapshot).set_index("customer_id")
    about = about_of(model)
    trained = {name for name, entry in (about.get("forecasts") or {}).items() if entry}
    on, interval, spend = timing.by_expected_ipt(rows), None, value.by_last_year(rows)
    if "timing" in trained and metrics.get("timing"):
        interval, by = _days(model, about, "final", rows)
        on = _selected(by, metrics["timing"])
    if "value" in trained and metrics.get("value"):
        spend = _selected(_spend(model, about, "final", rows), metrics["value"])
    kept = value.by_last_year(rows)
    if RETAINED in trained and metrics.get("stake"):
        kept = _selected(_spend(model, about, "final", rows, RETAINED), metrics["stake"])
    if len(back := rows[rows["without_risk"]]):
        by = _returning(about, "final", back) if "value" in trained else {}
        measured = metrics.get("returning") if by else None
        kept[rows["without_risk"]] = (
            _selected(by, measured) if measured else value.at_least_one_purchase(back)
        )
    days = {"next_order_on": on}
    if interval is not None:
        begin, end = interval["from"].to_numpy(), interval["to"].to_numpy()
        days["next_order_on"] = np.clip(on, begin, end)
        days |= {"next_order_from": begin, "next_order_to": end}
    dates = {
        name: pd.Timestamp(snapshot) + pd.to_timedelta(np.rint(n), "D") for name, n in days.items()
    }
    columns = dict.fromkeys(COLUMNS) | {name: index.date for name, index in dates.items()}
    spends = {"value_next_365d": spend, "value_if_retained": kept}
    return pd.DataFrame(columns, rows.index).assign(**{k: v.round(2) for k, v in spends.items()})
