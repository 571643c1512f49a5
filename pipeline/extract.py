"""Stage `extract`: one row per customer and snapshot, every feature column the shop's tables allow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from features.catalogue import DECLARED, feature_matrix, recorded
from features.columns import spread
from features.records import NEVER
from features.settings import Cycle, Promise, Windows
from pipeline.engine import customer_ids, dates, day_number, load_tables, over, profiled, shop_of
from pipeline.params import Engine
from pipeline.store import Folder


def extract(
    events: Folder, calibration: dict[str, Any], cycle: Cycle, promise: Promise, windows: Windows, engine: Engine
) -> dict[str, Iterator[tuple[str, pa.Table]]]:
    """`features`: customer_id, snapshot and float32 columns, sorted by customer and snapshot within a partition.

    Who objects to profiling has no row, hence no part in training, scores or evaluation.
    """
    shop = shop_of(calibration, cycle, promise, windows)
    snapshots = np.array([day_number(s) for s in calibration["snapshots"]], np.int32)
    tables_and_columns = events.read("meta.json")["tables"]
    columns = [(i, c.name) for i, c in enumerate(spread(DECLARED, windows)) if recorded(c, tables_and_columns)]

    def work(partition: str) -> pa.Table:
        tables = load_tables(events, partition)
        known = np.where(profiled(events, partition), tables.known, NEVER).astype(np.int32)
        customers, at, found = feature_matrix(tables._replace(known=known), snapshots, shop)
        named = {"customer_id": customer_ids(events, partition).take(pa.array(customers)), "snapshot": dates(at)}
        return pa.table({**named, **{name: found[i] for i, name in columns}})

    return {"features": over(events, engine, work, "features")}
