"""Stage `extract`: one row per customer and snapshot, every feature column the shop's tables allow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from features.catalogue import COLUMNS, available, describe_all
from features.columns import empty
from features.history import scratch
from features.settings import Cycle, Promise
from pipeline.engine import customer_ids, dates, day_number, load_tables, over, profiled, shop_of
from pipeline.params import Engine
from pipeline.store import Folder


def extract(
    events: Folder, calibration: dict[str, Any], cycle: Cycle, promise: Promise, engine: Engine
) -> dict[str, Iterator[tuple[str, pa.Table]]]:
    """`features`: customer_id, snapshot and float32 columns, sorted by customer and snapshot within a partition.

    Who objects to profiling has no row, hence no part in training, scores or evaluation.
    """
    shop = shop_of(calibration, cycle, promise)
    snapshots = np.array([day_number(s) for s in calibration["snapshots"]], np.int32)
    columns = available(events.read("meta.json")["tables"])

    def work(partition: str) -> pa.Table:
        tables = load_tables(events, partition)
        size = int((tables.known[:, None] < snapshots).sum())
        rows, customers, at = empty(COLUMNS, size), np.empty(size, np.int32), np.empty(size, np.int32)
        describe_all(tables, snapshots, shop, scratch(tables), rows, customers, at)
        kept = profiled(events, partition)[customers]
        rows, customers, at = rows[kept], customers[kept], at[kept]
        named = {"customer_id": customer_ids(events, partition).take(pa.array(customers)), "snapshot": dates(at)}
        return pa.table({**named, **{c.name: np.ascontiguousarray(rows[c.name]) for c in columns}})

    return {"features": over(events, engine, work, "features")}
