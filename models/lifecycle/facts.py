"""One fact about many customers.

Each of its values is held once, so that it is looked at and spelled once, however many share it.
"""

import datetime as dt
from collections.abc import Callable
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Flags

Figures = npt.NDArray[Any]


class Fact(NamedTuple):
    """`values`.

    What may be told, dates as ISO text; `codes`: which of them is told of each customer, -1 for
    none.
    """

    values: list[Any]
    codes: npt.NDArray[np.int32]

    def holds(self, test: Callable[[Any], Any]) -> Flags:
        """Of whom it is told and passes the test."""
        return np.array([*map(test, self.values), False], bool)[self.codes]

    def equals(self, value: Any) -> Flags:
        """Of whom this value is told."""
        return self.holds(lambda told: told == value)

    def each(self, absent: Any) -> Figures:
        """The value of each customer."""
        return np.array([*self.values, absent])[self.codes]

    def spelled(self, spell: Callable[[Any], str], absent: str | None = None) -> pa.Array:
        """The value of each customer as text."""
        texts = pa.array([*map(spell, self.values), absent], pa.string())
        return texts.take(pa.array(np.where(self.codes < 0, len(self.values), self.codes)))

    def or_else(self, other: "Fact") -> "Fact":
        """This one, and the other where nothing is told."""
        others = np.where(other.codes < 0, -1, other.codes + len(self.values))
        return Fact(
            [*self.values, *other.values],
            np.where(self.codes < 0, others, self.codes).astype(np.int32),
        )


Facts = dict[str, Fact]


def fact(told: Any, where: Flags) -> Fact:
    """A column of a table, or an array, told of those customers where it is not null."""
    column = (
        told.combine_chunks()
        if isinstance(told, pa.ChunkedArray)
        else told
        if isinstance(told, pa.Array)
        else pa.array(told)
    )
    held = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = [
        value.isoformat() if isinstance(value, dt.date) else value
        for value in held.dictionary.to_pylist()
    ]
    codes = held.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Fact(values, np.where(where, codes, -1).astype(np.int32))


def same(value: Any, where: Flags) -> Fact:
    """One value told of these customers."""
    return Fact([value], np.where(where, 0, -1).astype(np.int32))


def of_these(facts: Facts, which: npt.NDArray[np.intp]) -> Facts:
    """The facts of these customers alone."""
    return {name: Fact(told.values, told.codes[which]) for name, told in facts.items()}


def of_one(facts: Facts, which: int) -> dict[str, Any]:
    """What is told of one customer."""
    return {
        name: told.values[told.codes[which]]
        for name, told in facts.items()
        if told.codes[which] >= 0
    }


def say(facts: Facts, template: str, **phrases: Any) -> pa.Array:
    """A text per customer.

    The template with each {name} replaced by that phrase or else by that fact; null where it is not
    told.
    """
    pieces: list[Any] = []
    for before, name, _, _ in Formatter().parse(template):
        if name is None:
            pieces.append(before)
        elif name in phrases:
            pieces += [before, phrases[name]]
        else:
            pieces.append(facts[name].spelled(lambda value, before=before: f"{before}{value}"))  # type: ignore[misc]
    return pc.binary_join_element_wise(*pieces, "")


def only(where: Flags, text: Any, otherwise: str = "") -> pa.Array:
    """A phrase for these customers, another for the rest."""
    return pc.if_else(pa.array(where), text, otherwise)
