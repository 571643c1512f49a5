"""The life cycle of a partition as a table: the rows of data/lifecycle."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import NEVER, Ints, Records, Shop
from features.settings import IptRules, Sla
from models.lifecycle.core_rules import CONDITIONS
from models.lifecycle.limits import Limits
from models.lifecycle.state_machine import ACTIVITIES, STAGES, STATE, STATUSES, life_cycle
from pipeline.engine.calendar import dates, shop_of
from pipeline.engine.part import Part
from pipeline.runtime.store import Folder

REASONS = ("unrepaired", "service_failure", "competitor", "boredom")
LACKS = tuple(  # the conditions of core that each combination of bits names
    ",".join(row.name for bit, row in enumerate(CONDITIONS) if code >> bit & 1)
    for code in range(1 << len(CONDITIONS))
)
NAMES = {"stage": STAGES, "activity": ACTIVITIES, "status": STATUSES, "lacks": LACKS}
COUNTED = (  # columns that the life cycle over time is counted from
    *("stage", "activity", "purchases", "ipt_days", "ipt_log_sd"),
    *("net_spend_365d", "purchases_365d", "weekday", "month"),
)


def named(codes: npt.NDArray[np.integer], names: tuple[str, ...]) -> pa.Array:
    """Codes as their names; the empty name as null."""
    empty = [code for code, name in enumerate(names) if not name]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=np.isin(codes, empty)), list(names))


def lifecycle_table(states: Records, ids: pa.Array, at: Ints, complaints_known: bool) -> pa.Table:
    """One row per customer and snapshot, from STATE rows and the ids and days beside them.

    Null: satisfaction where the shop records no complaints, evidence of reasons everywhere.
    """
    columns: dict[str, Any] = {"customer_id": ids, "snapshot": dates(at)}
    for name in STATE.names or ():
        if name in NAMES:
            columns[name] = named(states[name], NAMES[name])
        elif name.endswith(("_on", "since")):
            columns[name] = dates(states[name])
        elif name == "satisfaction":
            unknown = np.full(len(states), not complaints_known)
            confidence = pa.array(["normal" if complaints_known else "low"] * len(states))
            columns[name] = pa.array(states[name], mask=unknown)
            columns["confidence"] = confidence.dictionary_encode()
            columns |= {f"evidence_{r}": pa.nulls(len(states), pa.float32()) for r in REASONS}
        else:
            columns[name] = states[name]
    return pa.table(columns)


def lifecycle_rows(
    part: Part, snapshots: Ints, shop: Shop, limits: Limits, complaints_known: bool
) -> pa.Table:
    """The rows of data/lifecycle of a partition: one per customer and snapshot."""
    customers, at, states = life_cycle(part.tables, snapshots, shop, limits)
    return lifecycle_table(states, part.customer_id.take(pa.array(customers)), at, complaints_known)


def lifecycle_work(
    events: Folder,
    calibration: dict[str, Any],
    limits: Limits,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
) -> Callable[..., pa.Table]:
    """Return `lifecycle_rows` as a function of a partition and snapshots, by the shop's rules."""
    complaints_known = "complaints" in events.read("meta.json")["tables"]
    if limits.core_needs_complaints and not complaints_known:
        limits = limits._replace(core_max_complaints_per_purchase=-1.0)  # which nobody reaches
    shop = shop_of(calibration, ipt, sla, closed)
    return partial(lifecycle_rows, shop=shop, limits=limits, complaints_known=complaints_known)


def states_over_time(lifecycle: pa.Table, days: dict[str, int]) -> pd.DataFrame:
    """The rows of data/lifecycle at these days (ISO date: day number), for `LifecycleOverTime`."""
    day = lifecycle["snapshot"].cast(pa.int32())
    rows = lifecycle.filter(pc.is_in(day, pa.array(days.values(), pa.int32())))
    codes = np.searchsorted(list(days.values()), rows["snapshot"].cast(pa.int32()).to_numpy())
    states: pd.DataFrame = rows.select(COUNTED).to_pandas()
    states["as_of"] = pd.Categorical.from_codes(codes, pd.Index(days))
    ids = rows["customer_id"].combine_chunks().dictionary_encode()
    states["customer"] = ids.indices.to_numpy()
    states["first_on"] = rows["first_on"].cast(pa.int32()).fill_null(NEVER).to_numpy()
    return states
