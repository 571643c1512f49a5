"""Stage `extract`.

One row per customer and snapshot, every feature column the shop's tables allow.
"""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.catalogue import FEATURES, feature_matrix, is_recorded
from features.columns import expand
from features.records import NEVER, Ints, Shop
from features.settings import IptRules, Sla, Windows
from pipeline.engine.calendar import dates, day_number, shop_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.params import Engine
from pipeline.runtime.store import Folder


def rows(part: Part, snapshots: Ints, shop: Shop, columns: list[tuple[int, str]]) -> pa.Table:
    """The features of a partition.

    `columns` are places in the matrix of all features, and names.
    """
    known = np.where(part.profiled, part.tables.known, NEVER).astype(np.int32)
    customers, at, matrix = feature_matrix(part.tables._replace(known=known), snapshots, shop)
    named = {"customer_id": part.customer_id.take(pa.array(customers)), "snapshot": dates(at)}
    return pa.table({**named, **{name: matrix[i] for i, name in columns}})


def extract(
    events: Folder,
    calibration: dict[str, Any],
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    windows: Windows,
    engine: Engine,
) -> dict[str, Any]:
    """`features`: customer_id, snapshot and float32 columns, sorted by customer and snapshot within
    a partition.

    `monotone_constraints`: those of the columns that can only speak for defection (+1) or only
    against it (-1).

    Who objects to profiling has no row, hence no part in training, scores or evaluation.
    """
    snapshots = np.array([day_number(s) for s in calibration["snapshots"]], np.int32)
    tables_and_columns = events.read("meta.json")["tables"]
    found = [
        (i, c)
        for i, c in enumerate(expand(FEATURES, windows))
        if is_recorded(c, tables_and_columns)
    ]
    columns = [(i, c.name) for i, c in found]
    work = partial(
        rows,
        snapshots=snapshots,
        shop=shop_of(calibration, ipt, sla, closed, windows),
        columns=columns,
    )
    return {
        "features": over(events, engine, work, "features"),
        "monotone_constraints": {c.name: c.monotone for _, c in found if c.monotone},
    }
