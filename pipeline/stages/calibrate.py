"""Stage `calibrate`: the shop's inter-purchase time (IPT) and the model's calendar, frozen."""

import math
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.ipt import gap_statistics
from features.records import Ints, buffers_for
from models.defection.origins import calendar
from models.reasons.boredom import long_runs, runs
from models.reasons.settings import ReasonRules
from pipeline.engine.calendar import day_number, iso_date, opened_by
from pipeline.engine.evidence import names_of, trends_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.errors import ConfigError, QualityError
from pipeline.runtime.progress import warn
from pipeline.runtime.sections import Calibrate, Engine
from pipeline.runtime.store import Folder


def _ipt_statistics(part: Part, until: int, opened: Ints) -> pa.Table:
    """One row per customer: median IPT, number of IPTs, squared deviations of their logarithms."""
    size = len(part.tables.known)
    median, gaps, squares = np.zeros(size), np.zeros(size, np.int64), np.zeros(size)
    gap_statistics(part.tables, until, buffers_for(part.tables, opened), median, gaps, squares)
    return pa.table({"median": median, "gaps": gaps, "squares": squares})


def _shop_ipt(
    events: Folder, until: int, opened: Ints, engine: Engine, params: Calibrate
) -> tuple[float, float, int]:
    """Return the shop's expected IPT, its log-sd within customers, and the number of IPTs.

    The expected IPT is the median over the customers with two IPTs of their median.
    """
    statistics = partial(_ipt_statistics, until=until, opened=opened)
    customers = pa.concat_tables(table for _, table in over(events, engine, statistics, "IPT"))
    median, gaps, squares = (customers[name].to_numpy() for name in ("median", "gaps", "squares"))
    repeated, total = gaps >= 2, int(gaps.sum())
    freedom = int((gaps[repeated] - 1).sum())
    if total < params.min_gaps or freedom == 0:
        if params.default_ipt_days is None:
            place = "params.yaml calibrate.default_ipt_days"
            rule = f"{total} inter-purchase times are too few to estimate the shop's own"
            raise ConfigError("E_IPT", place, rule, "set it to the expected days between purchases")
        return params.default_ipt_days, params.default_log_sd, total
    # rounded, because the last bits of logarithms differ between kinds of CPU
    expected, log_sd = np.median(median[repeated]), math.sqrt(squares[repeated].sum() / freedom)
    shortest, longest = params.ipt_range
    if not shortest <= expected <= longest:
        rule = f"the expected IPT is {expected:g} days, in a shop {shortest:g} to {longest:g}"
        fix = "look for ids of tills, machines or guests, or set calibrate.ipt_range and say why"
        raise QualityError("E_IPT_RANGE", "data/events orders.customer_id", rule, fix)
    return float(f"{expected:.9g}"), float(f"{log_sd:.9g}"), total


def _runs(part: Part, until: int, recent: int, opened: Ints) -> pa.Table:
    """One row per customer who buys: the run of one item alone, and its category."""
    size = len(part.tables.known)
    run, group = np.zeros(size, np.int32), np.full(size, -1, np.int32)
    runs(part.tables, until, recent, buffers_for(part.tables, opened), run, group)
    return pa.table({"run": run[run >= 0], "group": group[run >= 0]})


def _long_runs(
    events: Folder, until: int, recent: int, opened: Ints, engine: Engine, rules: ReasonRules
) -> dict[str, float]:
    """Return by category how long a run of one item alone is rare; empty name: all others."""
    work = partial(_runs, until=until, recent=recent, opened=opened)
    buyers = pa.concat_tables(table for _, table in over(events, engine, work, "runs"))
    names = names_of(events).category.to_pylist()
    limits = long_runs(buyers["run"].to_numpy(), buyers["group"].to_numpy(), len(names), rules)
    return dict(zip([*names, ""], limits.tolist(), strict=True))


def calibrate(
    events: Folder, params: Calibrate, reasons: ReasonRules, closed: list[str], engine: Engine
) -> dict[str, Any]:
    """Return `calibration`: IPT, horizon and calendar, from events before the first test origin.

    And `trends`: spend and purchases of all customers by category, before the end of each week.

    It does not change until the next training. An automatic horizon needs the IPT, the IPT the
    first origin, and that the horizon: so this IPT comes from the first half of the history alone.
    """
    meta = events.read("meta.json")
    opened = opened_by(closed)
    first, end = day_number(meta["first_event"]), day_number(meta["data_end"])
    if params.horizon_days == "auto":
        horizon = math.ceil(2 * _shop_ipt(events, (first + end) // 2, opened, engine, params)[0])
    else:
        horizon = params.horizon_days
    rules = ("origins", "training_snapshots", "step_days", "min_history_days")
    days = calendar(first, end, horizon, **{rule: getattr(params, rule) for rule in rules})
    training, season = days["training"], days["season"]
    until = min(training, default=end)
    expected_ipt, log_sd, gaps = _shop_ipt(events, until, opened, engine, params)
    if horizon < expected_ipt:
        expected = f"below the shop's expected IPT of {expected_ipt:.0f} days"
        warn(f"calibrate.horizon_days {horizon} is {expected}: most churned customers are not")
    recency = params.benchmark_recency_days
    recent = 2 * horizon if recency == "auto" else recency
    snapshots = {end, *season.values(), *days["final"], *training, *sum(training.values(), [])}
    forecasts = {}
    for name, plan in days["forecasts"].items():
        dated = {key: list(map(iso_date, plan[key])) for key in ("training", "final")}
        forecasts[name] = {"days": plan["days"], "origin": iso_date(plan["origin"]), **dated}
        if "origins" in plan:
            known = {iso_date(day): list(map(iso_date, at)) for day, at in plan["origins"].items()}
            forecasts[name]["origins"] = known
        if plan["training"]:
            snapshots |= {plan["origin"], *plan["training"], *plan["final"]}
    return {
        "calibration": {
            "expected_ipt": expected_ipt,
            "log_sd": log_sd,
            "gaps": gaps,
            "learnt_before": iso_date(until),
            "horizon_days": horizon,
            "step_days": days["step"],
            "benchmark_recency_days": recent,
            "value_days": days["forecasts"]["value"]["days"],
            "sample_customers": params.sample_customers,
            "first_event": meta["first_event"],
            "data_end": meta["data_end"],
            "origins": {iso_date(day): list(map(iso_date, ts)) for day, ts in training.items()},
            "season": {iso_date(day): iso_date(before) for day, before in season.items()},
            "forecasts": forecasts,
            "final_training": list(map(iso_date, days["final"])),
            "snapshots": list(map(iso_date, sorted(snapshots))),
            "tracking": list(map(iso_date, days["tracking"])),
            "long_runs": _long_runs(events, until, recent, opened, engine, reasons),
        },
        "trends": trends_of(events, engine),
    }
