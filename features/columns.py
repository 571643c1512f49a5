"""What a feature column is, declared once.

Name, unit, meaning, absence, what must be recorded for it, direction.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.settings import Windows

# A row is a numpy record whose fields are the declared columns: writing to a name that is not
# declared fails at compile time.
Row = Any


@dataclass(frozen=True)
class Column:
    """One feature: a float32.

    `absent` is its value where the past has nothing to tell. `needs` is what a shop must record,
    else the column is not there at all: tables, or columns of tables of the input contract.
    `direction` is +1 where a higher value can only speak for defection, -1 where only against it,
    by the meaning of the column and not by any data; 0 where it may be either. `windows` makes it
    one column for each of those windows, in `row` an array; `{days}` in its meaning is the window's
    length.
    """

    name: str
    unit: str
    meaning: str
    absent: float = np.nan
    needs: tuple[str, ...] = ()
    monotone: Literal[-1, 0, 1] = 0
    windows: Literal["", "counts", "trends"] = ""


def spread(declared: Iterable[Column], windows: Windows) -> tuple[Column, ...]:
    """The columns as they stand in files: one for each window of those that have windows."""
    return tuple(
        replace(
            c,
            name=f"{c.name}_{days}d" if days else c.name,
            meaning=c.meaning.format(days=days),
            windows="",
        )
        for c in declared
        for days in (getattr(windows, c.windows) if c.windows else (0,))
    )


def blank(declared: Iterable[Column], windows: Windows) -> npt.NDArray[Any]:
    """One row with every column at its absent value.

    Seen as float32 it is the columns in the order of `spread`.
    """
    declared = tuple(declared)
    fields = [
        (c.name, np.float32, (len(getattr(windows, c.windows)),))
        if c.windows
        else (c.name, np.float32)
        for c in declared
    ]
    # np.record, so that fields are attributes also where the kernels run uncompiled.
    row = np.empty(1, np.dtype((np.record, fields)))
    for column in declared:
        row[column.name] = column.absent
    return row
