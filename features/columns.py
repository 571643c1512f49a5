"""What a feature column is, declared once: name, unit, meaning, absence, the table it needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# A row is a numpy record whose fields are the declared columns: writing to a name that is not declared fails at compile time.
Row = Any


@dataclass(frozen=True)
class Column:
    """One feature. `absent` is its value where the past has nothing to tell, `needs` the table without which it is not there at all."""

    name: str
    unit: str
    meaning: str
    absent: float = np.nan
    needs: str = "orders"


def empty(columns: tuple[Column, ...], rows: int) -> npt.NDArray[Any]:
    """Rows with every column at its absent value."""
    # np.record, so that fields are attributes also where the kernels run uncompiled.
    table = np.empty(rows, np.dtype((np.record, [(c.name, np.float32) for c in columns])))
    for column in columns:
        table[column.name] = column.absent
    return table
