"""Whether systems agree in every cell of every column, to a relative error of 1e-5.

Absent equals absent.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.columns import COLUMNS

TOLERANCE = 1e-5


def _files(out: Path) -> list[Path]:
    """Return the files of features: of this project in a folder of that name."""
    return sorted(out.glob("*.parquet")) or sorted(out.glob("features/*.parquet"))


def _rows(out: Path) -> dict[str, np.ndarray]:
    """Return all columns, sorted by customer and snapshot."""
    table = pq.read_table(_files(out))
    keys = [
        table["snapshot"].cast("timestamp[s]").to_numpy(),
        table["customer_id"].cast("int64").to_numpy(),
    ]
    order = np.lexsort(keys)
    columns = {name: np.asarray(table[name].to_numpy(), np.float32)[order] for name in COLUMNS}
    return {"customer_id": keys[1][order], "snapshot": keys[0][order], **columns}


def differences(one: Path, other: Path) -> list[str]:
    """Return the columns in which two folders differ, each with its number of cells."""
    left, right = _rows(one), _rows(other)
    if any(not np.array_equal(left[key], right[key]) for key in ("customer_id", "snapshot")):
        return [
            f"customers and snapshots: {len(left['snapshot'])} rows, {len(right['snapshot'])} rows"
        ]
    columns = []
    for name in COLUMNS:
        different = ~np.isclose(
            left[name], right[name], rtol=TOLERANCE, atol=TOLERANCE / 10, equal_nan=True
        )
        if different.any():
            columns.append(f"{name}: {different.sum()} of {len(different)} cells")
    return columns


def rows_of(out: Path) -> int:
    """Return the number of rows that a system wrote."""
    return sum(pq.read_metadata(path).num_rows for path in _files(out))
