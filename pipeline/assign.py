"""Stage `assign`: the life-cycle stage of every known customer at every snapshot, and the life cycle over time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.records import scratch
from features.settings import Cycle, Promise
from models.lifecycle import ACTIVITIES, STAGES, STATE, STATUSES, follow
from models.settings import Limits
from models.tracking import moves, net_flow, stage_counts, stage_profile, transitions
from pipeline.engine import customer_ids, dates, day_number, iso_date, load_tables, over, shop_of
from pipeline.params import Engine
from pipeline.store import Folder

REASONS = ("unrepaired", "service_failure", "competitor", "boredom")


def words(codes: npt.NDArray[np.int8], names: tuple[str, ...]) -> pa.Array:
    """Codes as their names; the empty name as null."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=np.isin(codes, [i for i, n in enumerate(names) if not n])), list(names))


def lifecycle_table(found: npt.NDArray[Any], ids: pa.Array, at: npt.NDArray[np.int32], complaints_known: bool) -> pa.Table:
    """One row per customer and snapshot. Evidence of reasons is null while no reason is looked for."""
    never = pa.nulls(len(found), pa.float32())
    return pa.table(
        {
            "customer_id": ids,
            "snapshot": dates(at),
            "stage": words(found["stage"], STAGES),
            "activity": words(found["activity"], ACTIVITIES),
            "status": words(found["status"], STATUSES),
            "since": dates(found["since"]),
            "scored": found["scored"],
            "reactivated": found["reactivated"],
            "confidence": pa.array(["normal" if complaints_known else "low"] * len(found)).dictionary_encode(),
            **{f"evidence_{reason}": never for reason in REASONS},
            "late_on": dates(found["late_on"]),
            "defects_on": pa.nulls(len(found), pa.date32()),
            "lapses_on": dates(found["lapses_on"]),
            "first_on": dates(found["first_on"]),
            "last_purchase_on": dates(found["last_purchase_on"]),
            "core_since": dates(found["core_since"]),
            **{c: found[c] for c in ("purchases", "cycle_days", "cycle_log_sd", "open_past_promise", "net_spend_365d")},
        }
    )


def assign(
    events: Folder, calibration: dict[str, Any], params: Limits, cycle: Cycle, promise: Promise, engine: Engine
) -> Iterator[tuple[str, Any]]:
    """`lifecycle`: one row per customer and snapshot. Over the regular ones: `stage_counts`, `transitions`, `stage_profile`, `net_flow`."""
    shop = shop_of(calibration, cycle, promise)
    snapshots = np.array(sorted({day_number(s) for s in calibration["snapshots"] + calibration["tracking"]}), np.int32)
    regular = np.array([day_number(s) for s in calibration["tracking"]], np.int32)
    complaints_known = "complaints" in events.read("meta.json")["tables"]
    tracked: list[pd.DataFrame] = []

    def work(partition: str) -> tuple[pa.Table, pd.DataFrame]:
        tables = load_tables(events, partition)
        size = int((tables.known[:, None] < snapshots).sum())
        found, customers, at = np.zeros(size, STATE), np.empty(size, np.int32), np.empty(size, np.int32)
        follow(tables, snapshots, shop, params, scratch(tables), found, customers, at)
        ids = customer_ids(events, partition)
        kept = np.isin(at, regular)
        fields = ("purchases", "first_on", "cycle_days", "cycle_log_sd", "net_spend_365d")
        frame = pd.DataFrame({"customer": customers[kept], "as_of_day": at[kept], **{f: found[f][kept] for f in fields}})
        frame["stage"] = pd.Categorical.from_codes(found["stage"][kept].astype(int), pd.Index(STAGES))
        frame["activity"] = pd.Categorical.from_codes(found["activity"][kept].astype(int), pd.Index(ACTIVITIES))
        return lifecycle_table(found, ids.take(pa.array(customers)), at, complaints_known), frame

    def parts() -> Iterator[tuple[str, pa.Table]]:
        customers = 0
        for name, (table, frame) in over(events, engine, work, "life cycle"):
            frame["customer"] += customers  # numbers are per partition
            customers = int(frame["customer"].max()) + 1 if len(frame) else customers
            tracked.append(frame)
            yield name, table

    yield "lifecycle", parts()
    regular_states = pd.concat(tracked, ignore_index=True)
    regular_states.insert(0, "as_of", regular_states["as_of_day"].map({int(day): iso_date(day) for day in regular}))
    moved = moves(regular_states)
    yield "stage_counts", stage_counts(regular_states.sort_values("as_of", kind="stable"))
    yield "transitions", transitions(moved)
    yield "stage_profile", stage_profile(regular_states.sort_values("as_of", kind="stable"))
    yield "net_flow", net_flow(regular_states, moved, params.leak_periods)
