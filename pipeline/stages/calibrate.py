"""Stage `calibrate`: the shop's rhythm and the calendar of the model, frozen in one file."""

import math
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.ipt import gap_statistics
from features.records import Ints, buffers_for
from pipeline.engine.calendar import day_number, iso_date, opened_by
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Calibrate, Engine
from pipeline.runtime.store import Folder

YEAR = 364  # days: 52 weeks, so that a weekday falls on the same


def gaps_seen(part: Part, until: int, opened: Ints) -> pa.Table:
    """One row per customer.

    His median gap, how many gaps there are, and the sum of squares of their logarithms about the
    mean.
    """
    size = len(part.tables.known)
    median, gaps, squares = np.zeros(size), np.zeros(size, np.int64), np.zeros(size)
    gap_statistics(part.tables, until, buffers_for(part.tables, opened), median, gaps, squares)
    return pa.table({"median": median, "gaps": gaps, "squares": squares})


def shop_rhythm(
    events: Folder, until: int, opened: Ints, engine: Engine, params: Calibrate
) -> tuple[float, float, int]:
    """Usual gap (median over customers with two gaps of their median gap), pooled within-customer
    sd of the log gap, and gaps seen.
    """
    found = pa.concat_tables(
        table
        for _, table in over(
            events, engine, partial(gaps_seen, until=until, opened=opened), "rhythm"
        )
    )
    median, gaps, squares = (found[column].to_numpy() for column in ("median", "gaps", "squares"))
    repeated = gaps >= 2
    seen, freedom = int(gaps.sum()), int((gaps[repeated] - 1).sum())
    if seen < params.min_gaps or freedom == 0:
        if params.default_ipt_days is None:
            raise ConfigError(
                "E_RHYTHM",
                "params.yaml calibrate.default_ipt_days",
                f"{seen} gaps between purchases are too few to learn a rhythm",
                "set it",
            )
        return params.default_ipt_days, params.default_log_sd, seen
    # Rounded, because the last bits of logarithms differ between kinds of CPU.
    return (
        float(f"{np.median(median[repeated]):.9g}"),
        float(f"{math.sqrt(squares[repeated].sum() / freedom):.9g}"),
        seen,
    )


def calendar(first: int, end: int, horizon: int, params: Calibrate) -> dict[str, Any]:
    """Test origins, and for each the snapshots that may teach it: T + horizon <= T0. Days as
    numbers.

    The final model is taught like one more origin, at the end of the data. `season`: the days at
    which a model is asked or examined, and a year before each, as far as the history reaches.
    """
    step = math.ceil(horizon / 2) if params.step_days == "auto" else params.step_days
    earliest = first + (
        2 * horizon if params.min_history_days == "auto" else params.min_history_days
    )

    def teachers(origin: int) -> list[int]:
        days = [origin - horizon - j * step for j in range(params.training_snapshots)]
        return sorted(day for day in days if day >= earliest)

    origins = [end - horizon - k * step for k in range(params.origins)]
    training = {origin: teachers(origin) for origin in sorted(origins) if teachers(origin)}
    tracking = list(range(end, first, -step))[::-1]
    asked = {*training, end, *(max(days) for days in [*training.values(), teachers(end)] if days)}
    season = {
        day: day - YEAR for day in sorted(asked) if day - YEAR >= earliest and horizon <= YEAR
    }
    return {
        "step": step,
        "training": training,
        "final": teachers(end),
        "tracking": tracking,
        "season": season,
    }


def calibrate(
    events: Folder, params: Calibrate, closed: list[str], engine: Engine
) -> dict[str, dict[str, Any]]:
    """`calibration`: rhythm, horizon and calendar, learnt from events before the first test origin
    and not changed until the next training.

    An automatic horizon needs the rhythm and the rhythm the first origin, hence the horizon: it is
    taken from the first half of the history alone.
    """
    meta = events.read("meta.json")
    opened = opened_by(closed)
    first, end = day_number(meta["first_event"]), day_number(meta["data_end"])
    if params.horizon_days == "auto":
        horizon = math.ceil(2 * shop_rhythm(events, (first + end) // 2, opened, engine, params)[0])
    else:
        horizon = params.horizon_days
    days = calendar(first, end, horizon, params)
    until = min(days["training"], default=end)
    expected_ipt, log_sd, gaps = shop_rhythm(events, until, opened, engine, params)
    snapshots = sorted(
        {
            end,
            *days["season"].values(),
            *days["final"],
            *days["training"],
            *(t for ts in days["training"].values() for t in ts),
        }
    )
    return {
        "calibration": {
            "expected_ipt": expected_ipt,
            "log_sd": log_sd,
            "gaps": gaps,
            "learnt_before": iso_date(until),
            "horizon_days": horizon,
            "step_days": days["step"],
            "benchmark_recency_days": 2 * horizon
            if params.benchmark_recency_days == "auto"
            else params.benchmark_recency_days,
            "first_event": meta["first_event"],
            "data_end": meta["data_end"],
            "origins": {
                iso_date(o): [iso_date(t) for t in ts] for o, ts in days["training"].items()
            },
            "season": {iso_date(day): iso_date(before) for day, before in days["season"].items()},
            "final_training": [iso_date(t) for t in days["final"]],
            "snapshots": [iso_date(s) for s in snapshots],
            "tracking": [iso_date(s) for s in days["tracking"]],
        }
    }
