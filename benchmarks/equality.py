"""Whether systems found the same.

Every cell of every column, float32 to within 1e-5 of its size; absent equals absent.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.columns import COLUMNS

TOLERANCE = 1e-5


def _rows(out: Path) -> dict[str, np.ndarray]:
    """All rows, by customer and snapshot."""
    table = pq.read_table(out)
    keys = [table["snapshot"].cast("timestamp[s]").to_numpy(), table["customer_id"].to_numpy()]
    order = np.lexsort(keys)
    found = {name: np.asarray(table[name].to_numpy(), np.float32)[order] for name in COLUMNS}
    return {"customer_id": keys[1][order], "snapshot": keys[0][order], **found}


def differences(one: Path, other: Path) -> list[str]:
    """The columns in which two folders of rows differ, each with the number of cells."""
    left, right = _rows(one), _rows(other)
    if any(not np.array_equal(left[key], right[key]) for key in ("customer_id", "snapshot")):
        return [
            f"customers and snapshots: {len(left['snapshot'])} rows, {len(right['snapshot'])} rows"
        ]
    found = []
    for name in COLUMNS:
        different = ~np.isclose(
            left[name], right[name], rtol=TOLERANCE, atol=TOLERANCE / 10, equal_nan=True
        )
        if different.any():
            found.append(f"{name}: {different.sum()} of {len(different)} cells")
    return found


def rows_of(out: Path) -> int:
    """How many rows a system wrote."""
    return sum(pq.read_metadata(path).num_rows for path in out.glob("*.parquet"))
