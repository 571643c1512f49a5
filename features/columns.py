"""A feature column, declared once: name, unit, meaning, absent value, needs and direction."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.settings import Windows

# A numpy record with a field per feature, which starts as absent. A kernel that writes to a field
# that is not declared does not compile.
Values = Any


@dataclass(frozen=True)
class Feature:
    """One float32 column, or one column per window.

    `absent` is the value of a past that does not determine the feature. `needs` names the input
    tables and columns ("returns", "orders.sku") without which a shop does not have the feature.
    `monotone` is +1 where a higher value can only speak for defection and -1 where it can only
    speak against it, by the meaning of the feature and not by any data; 0 where it may be either.
    `reason` names the reason to leave that the feature speaks for, if it speaks for one.
    `windows` names the list of windows in params.yaml that each make a column: an array in
    `Values`, and `{days}` in the meaning stands for the length of the window.
    """

    name: str
    unit: str
    meaning: str
    absent: float = np.nan
    needs: tuple[str, ...] = ()
    monotone: Literal[-1, 0, 1] = 0
    windows: Literal["", "counts", "trends"] = ""
    reason: str = ""

    def is_recorded(self, delivered: Set[str]) -> bool:
        """Return whether a shop records what the feature needs; `delivered`: see `recorded`."""
        return delivered >= {*self.needs}


def recorded(tables: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names of tables and of their columns: "returns", "orders.sku"."""
    return {*tables, *(f"{table}.{name}" for table, names in tables.items() for name in names)}


def expand(features: Iterable[Feature], windows: Windows) -> tuple[Feature, ...]:
    """Return one feature per column, in the order of the columns in files."""
    return tuple(
        replace(
            feature,
            name=f"{feature.name}_{days}d" if days else feature.name,
            meaning=feature.meaning.format(days=days),
            windows="",
        )
        for feature in features
        for days in (getattr(windows, feature.windows) if feature.windows else (0,))
    )


def absent_values(features: Iterable[Feature], windows: Windows) -> npt.NDArray[Any]:
    """Return one record with every feature absent; seen as float32 it has the order of `expand`."""
    features = tuple(features)
    shapes = [(len(getattr(windows, f.windows)),) if f.windows else () for f in features]
    fields = [(f.name, np.float32, shape) for f, shape in zip(features, shapes, strict=True)]
    # np.record, so that fields are attributes also where the kernels run uncompiled.
    values = np.empty(1, np.dtype((np.record, fields)))
    for feature in features:
        values[feature.name] = feature.absent
    return values
