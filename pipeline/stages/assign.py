"""Stage `assign`: the life-cycle stage of every known customer at every snapshot."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.settings import CategoryRules, IptRules, Sla
from models.lifecycle.limits import Limits
from models.lifecycle.over_time import LifecycleOverTime, retention_warning
from models.reasons.settings import ReasonRules
from pipeline.engine.calendar import day_number
from pipeline.engine.categories import category_falls
from pipeline.engine.lifecycle import lifecycle_work, states_over_time
from pipeline.engine.run import over
from pipeline.runtime.progress import warn
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder


def assign(
    events: Folder,
    calibration: dict[str, Any],
    trends: pa.Table,
    params: Limits,
    reasons: ReasonRules,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    categories: CategoryRules,
    engine: Engine,
) -> Iterator[tuple[str, Any]]:
    """Yield `lifecycle`, one row per customer and snapshot, and then the life cycle over time.

    `category_falls` has one row per customer and category at the end of the data.

    The snapshots of `tracking` are counted in `stage_counts`, `transitions`, `stage_profile`,
    `net_flow` and `retention`.
    """
    days = {iso: day_number(iso) for iso in calibration["tracking"]}
    scored = {day_number(iso) for iso in calibration["snapshots"]}
    snapshots = np.array(sorted({*days.values(), *scored}), np.int32)
    work = partial(
        lifecycle_work(events, calibration, trends, params, reasons, ipt, sla, closed),
        snapshots=snapshots,
    )
    over_time = LifecycleOverTime(days)

    def parts() -> Iterator[tuple[str, pa.Table]]:
        for name, table in over(events, engine, work, "life cycle"):
            over_time.add(states_over_time(table, days))
            yield name, table

    yield "lifecycle", parts()
    yield (
        "category_falls",
        category_falls(events, calibration, categories, ipt, sla, closed, engine),
    )
    yield "stage_counts", over_time.stage_counts()
    yield "transitions", over_time.transitions()
    yield "stage_profile", over_time.stage_profile()
    yield "net_flow", over_time.net_flow(params.leak_periods)
    retention = over_time.retention()
    yield "retention", retention
    if warning := retention_warning(retention):
        warn(warning)
