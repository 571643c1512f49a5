"""Stage `label`.

What became of each customer after each snapshot. The only reader of the future.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.kernel import entry, kernel
from features.records import NEVER, Bytes, Flags, Ints, Tables
from pipeline.engine.calendar import dates, day_number
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.params import Engine
from pipeline.runtime.store import Folder


@kernel
def next_purchase(tables: Tables, customer: int, snapshot: int, until: int) -> int:
    """The day of the first purchase in [snapshot, until) that is not cancelled before `until`.

    NEVER without one.
    """
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        line = tables.lines[i]
        if line.day >= until:
            break
        if (
            line.day >= snapshot
            and line.quantity > 0
            and line.amount > 0
            and line.cancelled >= until
        ):
            return int(line.day)
    return NEVER


@entry
def outcomes(
    tables: Tables,
    snapshots: Ints,
    horizon: int,
    end: int,
    customers: Ints,
    at: Ints,
    defected: Flags,
    returned: Bytes,
) -> None:
    """Per customer and mature snapshot.

    No purchase within the horizon, and whether one came in the two horizons after (-1 unknown).
    """
    count = 0
    for customer in range(len(tables.known)):
        for snapshot in snapshots:
            if tables.known[customer] >= snapshot:
                continue
            first = next_purchase(tables, customer, snapshot, snapshot + horizon)
            customers[count], at[count] = customer, snapshot
            defected[count] = first == NEVER
            returned[count] = -1
            if first == NEVER and snapshot + 3 * horizon <= end:
                returned[count] = (
                    next_purchase(tables, customer, snapshot + horizon, snapshot + 3 * horizon)
                    != NEVER
                )
            count += 1


def rows(part: Part, snapshots: Ints, horizon: int, end: int) -> pa.Table:
    """The labels of a partition."""
    size = int((part.tables.known[:, None] < snapshots).sum())
    customers, at = np.empty(size, np.int32), np.empty(size, np.int32)
    defected, returned = np.empty(size, np.bool_), np.empty(size, np.int8)
    outcomes(part.tables, snapshots, horizon, end, customers, at, defected, returned)
    return pa.table(
        {
            "customer_id": part.customer_id.take(pa.array(customers)),
            "snapshot": dates(at),
            "defected": defected,
            "returned": pa.array(returned == 1, mask=returned < 0),
        }
    )


def label(
    events: Folder, calibration: dict[str, Any], engine: Engine
) -> dict[str, Iterator[tuple[str, pa.Table]]]:
    """`labels`: one row per customer and snapshot whose horizon lies within the data: customer_id,
    snapshot, defected, returned.

    `defected`: no purchase in [snapshot, snapshot + horizon). `returned`: a defector who bought in
    the two horizons after; null for the others and where the data ends before.
    """
    horizon, end = calibration["horizon_days"], day_number(calibration["data_end"])
    days = np.array([day_number(s) for s in calibration["snapshots"]], np.int32)
    work = partial(rows, snapshots=days[days + horizon <= end], horizon=horizon, end=end)
    return {"labels": over(events, engine, work, "labels")}
