"""The feature catalogue: all families of the folder families/, and the matrix of their features.

A family is one file. Its docstring is the title, `FEATURES` declares the features, the kernel with
the name of the file computes them, and `ORDER` places its columns among those of the other
families. A family without `ORDER` comes last.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features import families
from features.columns import Feature, Values, absent_values
from features.history import begin_customer, past_before
from features.kernel import entry, one_after_another
from features.records import (
    Buffers,
    Ints,
    Longs,
    Past,
    Shop,
    Singles,
    Tables,
    buffers_for,
    known_pairs,
)
from features.settings import Windows


class Family(NamedTuple):
    """The features of one file, and the kernel that computes them for one past."""

    name: str
    title: str
    features: tuple[Feature, ...]
    kernel: Callable[[Past, Shop, Values], None]


def family_of(module: ModuleType) -> Family:
    """Return the family that a module defines. Raises TypeError for one that is incomplete."""
    name = module.__name__.rpartition(".")[2]
    missing = [part for part in ("__doc__", "FEATURES", name) if not getattr(module, part, None)]
    if missing:
        raise TypeError(
            f"{module.__file__} has no {', '.join(missing)}: complete the feature family, "
            "or move the file out of features/families"
        )
    return Family(name, str(module.__doc__), module.FEATURES, getattr(module, name))


_MODULES = [
    importlib.import_module(f"{families.__name__}.{module.name}")
    for module in pkgutil.iter_modules(families.__path__)
]
_MODULES.sort(key=lambda module: (getattr(module, "ORDER", math.inf), module.__name__))
FAMILIES = tuple(map(family_of, _MODULES))
FEATURES = tuple(feature for family in FAMILIES for feature in family.features)

all_families = one_after_another([family.kernel for family in FAMILIES])


@entry
def write_features(
    tables: Tables,
    snapshots: Ints,
    shop: Shop,
    buffers: Buffers,
    absent: Values,
    values: Values,
    cells: Singles,
    kept: Longs,
    matrix: Any,
) -> None:
    """Fill one column of `matrix` per pair of `known_pairs`, one row per place of `kept`.

    `cells` is the one record of `values` seen as float32. It is filled again and again and copied
    field by field, so that one feature of all customers is contiguous, as files want it.
    """
    count = 0
    for customer in range(len(tables.known)):  # one loop over the pairs would be a fifth slower
        begin_customer(tables, customer, buffers)
        for k in range(len(snapshots)):
            if tables.known[customer] < snapshots[k]:
                values[0] = absent[0]
                all_families(past_before(tables, customer, snapshots[k], buffers), shop, values[0])
                for i in range(len(kept)):
                    matrix[i, count] = cells[kept[i]]
                count += 1


def feature_matrix(
    tables: Tables, snapshots: Ints, shop: Shop, kept: Sequence[int] | None = None
) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
    """Return `known_pairs` and a matrix with one column per pair.

    The matrix has a row for each of `expand(FEATURES, windows)`, in their order, or for those at
    the places `kept`: those that a shop does not record would take memory.
    """
    customers, days = known_pairs(tables, snapshots)
    absent = absent_values(FEATURES, Windows(tuple(shop.counts), tuple(shop.trends)))
    values = absent.copy()
    cells = values.view(np.float32)
    places = np.arange(len(cells)) if kept is None else np.array(kept, np.int64)
    matrix = np.empty((len(places), len(days)), np.float32)
    buffers = buffers_for(tables, shop.opened)
    write_features(tables, snapshots, shop, buffers, absent, values, cells, places, matrix)
    return customers, days, matrix
