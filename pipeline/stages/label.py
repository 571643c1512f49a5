"""Stage `label`: whether each customer bought after each snapshot."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.engine.calendar import day_number
from pipeline.engine.labels import label_rows
from pipeline.engine.run import over
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder


def label(
    events: Folder, calibration: dict[str, Any], engine: Engine
) -> dict[str, Iterator[tuple[str, pa.Table]]]:
    """`labels`: one row per customer and snapshot whose horizon lies within the data.

    `defected`: churned, that is no purchase in [snapshot, snapshot + horizon). `returned`: a
    churned customer who bought in the two horizons after; null for the others, and if the data ends
    before. `next_days`: days to the next purchase, if it comes within two horizons. `spend_next`:
    net spend in [snapshot, snapshot + value_days). Both are null where the data ends before.
    `spend_within`: net spend within the horizon.
    """
    horizon, end = calibration["horizon_days"], day_number(calibration["data_end"])
    days = np.array([day_number(s) for s in calibration["snapshots"]], np.int32)
    spans = {"horizon": horizon, "value_days": calibration["value_days"], "end": end}
    work = partial(label_rows, snapshots=days[days + horizon <= end], **spans)
    return {"labels": over(events, engine, work, "labels")}
