"""The reasons to leave: all files of this folder that declare one, their order, ties and bands.

A reason is one file. Its docstring is the title, `FEATURES` declares its evidence and its
parts that the model sees, `FACTS` what the evidence rests on, `NEEDS` the groups of columns of
which a shop must have one, `BLIND` what it cannot see; the kernel with the name of the file
computes them. `STEADY` evidence changes with a purchase only; other evidence becomes strong on no
other days than `evidence.next_rise` names.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.columns import Feature, absent_values
from features.records import NEVER, Floats
from features.settings import Windows
from models.reasons.settings import ReasonRules

TOOLS = {"catalogue", "context", "evidence", "settings"}
OTHER_UNKNOWN = "other_unknown"
PARTS = ("__doc__", "NEEDS", "FEATURES", "FACTS", "BLIND")
# Types of facts in records: `id`, `product` and `category` are places of rows of the customer.
TYPES: dict[str, type[np.generic]] = {"ratio": np.float32}


class Reason(NamedTuple):
    """The evidence of one file, and the kernel that computes it for one past."""

    name: str
    title: str
    needs: tuple[tuple[str, ...], ...]  # groups of columns: one of them is enough
    features: tuple[Feature, ...]
    facts: Mapping[str, Any]  # name: day, number, ratio, id, product, category, or names
    blind: str  # what the evidence cannot see
    by_purchase: bool  # the evidence changes with a purchase only
    kernel: Callable[..., None]

    def is_recorded(self, delivered: Set[str]) -> bool:
        """Return whether a shop records what the evidence needs; `delivered`: see `recorded`."""
        return any(delivered >= {*group} for group in self.needs)


def reason_of(module: ModuleType) -> Reason:
    """Return the reason that a module defines. Raises TypeError for one that is incomplete."""
    name = module.__name__.rpartition(".")[2]
    missing = [part for part in (*PARTS, name) if not hasattr(module, part)]
    if missing:
        raise TypeError(
            f"{module.__file__} has no {', '.join(missing)}: complete the reason, "
            "or move the file out of models/reasons"
        )
    by_purchase, run = getattr(module, "STEADY", False), getattr(module, name)
    parts = [getattr(module, part) for part in PARTS[1:]]
    return Reason._make([name, str(module.__doc__), *parts, by_purchase, run])


_FILES = [each.name for each in pkgutil.iter_modules([str(Path(__file__).parent)])]
_MODULES = [
    importlib.import_module(f"models.reasons.{name}") for name in _FILES if name not in TOOLS
]
_MODULES.sort(key=lambda module: (getattr(module, "ORDER", len(_MODULES)), module.__name__))
CATALOGUE = tuple(map(reason_of, _MODULES))
REASONS = tuple(reason.name for reason in CATALOGUE)
EVIDENCE_FEATURES = tuple(feature for reason in CATALOGUE for feature in reason.features)


def _absent() -> npt.NDArray[Any]:
    """Return one EVIDENCE record without evidence: the features, then the facts of all reasons."""
    features = absent_values(EVIDENCE_FEATURES, Windows((), ()))
    facts = [
        (
            f"{reason.name}_{fact}",
            TYPES.get(kind, np.int32) if isinstance(kind, str) else np.int8,
            kind,
        )
        for reason in CATALOGUE
        for fact, kind in reason.facts.items()
    ]
    facts += [(f"{r.name}_table", np.int8, "") for r in CATALOGUE if "id" in r.facts]
    names = [(name, np.dtype(np.float32)) for name in features.dtype.names or ()]
    fields = names + [(name, np.dtype(kind)) for name, kind, _ in facts]
    absent = np.zeros(1, np.dtype((np.record, np.dtype(fields, align=True))))
    for name in features.dtype.names or ():
        absent[name] = features[name]
    for name, _, kind in facts:
        absent[name] = NEVER if kind == "day" else 0
    return absent


ABSENT = _absent()
EVIDENCE = ABSENT.dtype
"""One row per customer and snapshot. Facts of a reason mean nothing where its evidence is 0."""


class Primary(NamedTuple):
    """Strongest and second reason of each row (place in REASONS, -1 for none), their evidence."""

    reason: npt.NDArray[np.int8]
    evidence: Floats
    reason_2: npt.NDArray[np.int8]
    evidence_2: Floats


def primary(evidence: Any, rules: ReasonRules) -> Primary:
    """Return the strongest reason of each row, and the next one; both are at least weak.

    `evidence` has one column per reason, in their order; nan where the shop does not record it.
    Reasons within `tie` of the strongest count as equal: the first in the order of REASONS, the
    most certain and most repairable, is taken.
    """
    left = np.array(np.nan_to_num(evidence, nan=0.0), np.float64)
    rows, strongest = np.arange(len(left)), []
    for _ in range(2):
        best = left.max(axis=1, initial=0)
        first = np.argmax(left >= best[:, None] - rules.tie, axis=1)
        value = left[rows, first]
        weak = value >= rules.weak
        strongest += [np.where(weak, first, -1).astype(np.int8), np.where(weak, value, np.nan)]
        left[rows, first] = -1
    return Primary(*strongest)


def band(evidence: Any, rules: ReasonRules) -> npt.NDArray[np.str_]:
    """Return strong, medium, weak or none for each value of evidence."""
    edges = [rules.weak, rules.medium, rules.strong]
    names = np.array(["none", "weak", "medium", "strong"])
    bands: npt.NDArray[np.str_] = names[np.searchsorted(edges, np.nan_to_num(evidence), "right")]
    return bands
