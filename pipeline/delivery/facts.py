"""Facts about many customers: each distinct value is held, read and formatted once."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Flags


class Fact(NamedTuple):
    """The distinct values of a fact (dates as ISO text), and each customer's code; -1 for none."""

    values: list[Any]
    codes: npt.NDArray[np.int32]

    def holds(self, test: Callable[[Any], Any]) -> Flags:
        """Flag the customers whose value passes the test."""
        return np.array([*map(test, self.values), False], bool)[self.codes]

    def equals(self, value: Any) -> Flags:
        """Flag the customers who have this value."""
        return self.holds(lambda each: each == value)

    def each(self, absent: Any) -> npt.NDArray[Any]:
        """Return the value of each customer."""
        return np.array([*self.values, absent])[self.codes]

    def spelled(self, spell: Callable[[Any], str], absent: str | None = None) -> pa.Array:
        """Return the value of each customer as text."""
        texts = pa.array([*map(spell, self.values), absent], pa.string())
        return texts.take(pa.array(np.where(self.codes < 0, len(self.values), self.codes)))

    def or_else(self, other: "Fact") -> "Fact":
        """Return this fact, and the other where this one is absent."""
        others = np.where(other.codes < 0, -1, other.codes + len(self.values))
        codes = np.where(self.codes < 0, others, self.codes).astype(np.int32)
        return Fact([*self.values, *other.values], codes)


Facts = dict[str, Fact]


def fact(column: Any, where: Flags) -> Fact:
    """A table's column or an array as a fact about the customers `where` it is not null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else pa.array(column)
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    values = [
        value.isoformat() if isinstance(value, dt.date) else value
        for value in encoded.dictionary.to_pylist()
    ]
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Fact(values, np.where(where, codes, -1).astype(np.int32))


def constant(value: Any, where: Flags) -> Fact:
    """One value as a fact about these customers."""
    return Fact([value], np.where(where, 0, -1).astype(np.int32))


def combined(function: Callable[..., Any], *facts: Fact) -> Fact:
    """The function's value for the facts of each customer, None for an absent fact."""
    values = [function(*each) for each in itertools.product(*([*f.values, None] for f in facts))]
    codes = np.zeros(len(facts[0].codes), np.int64)
    for each in facts:
        place = np.where(each.codes < 0, len(each.values), each.codes)
        codes = codes * (len(each.values) + 1) + place
    return Fact(values, codes.astype(np.int32))


def of_these(facts: Facts, which: npt.NDArray[np.intp]) -> Facts:
    """Return the facts of these customers alone."""
    return {name: Fact(each.values, each.codes[which]) for name, each in facts.items()}


def counted(nouns: str | None, value: Any) -> str:
    """A value, with its noun in the singular or plural: `nouns` is one|many, or empty."""
    if not nouns:
        return str(value)
    one, _, many = nouns.partition("|")
    return f"{value} {one if value == 1 else many}"


def say(facts: Facts, template: str, **phrases: pa.Array) -> pa.Array:
    """Return a text per customer; null if a fact in it is absent.

    {name} stands for that phrase or fact, {name:purchase|purchases} for a fact with its noun.
    """
    pieces: list[Any] = []
    for text, name, nouns, _ in Formatter().parse(template):
        pieces.append(text)
        if name in phrases:
            pieces.append(phrases[name])
        elif name is not None:
            pieces.append(facts[name].spelled(partial(counted, nouns)))
    size = len(next(iter(facts.values())).codes)
    return pc.binary_join_element_wise(pa.repeat("", size), *pieces, "")


def in_order(parts: Iterable[tuple[npt.NDArray[np.intp], pa.Array]]) -> pa.Array:
    """Return one text per customer from groups of them: their places, and a text for each."""
    places, texts = zip(*parts, strict=True)
    return pa.concat_arrays(texts).take(pa.array(np.argsort(np.concatenate(places))))


def only(where: Flags, text: Any, otherwise: str = "") -> pa.Array:
    """Return a phrase for these customers and another for the others."""
    return pc.if_else(pa.array(where), text, otherwise)


def listed(phrases: list[tuple[Flags, pa.Array]]) -> pa.Array:
    """Return the phrases that hold for each customer with commas between them, or an empty text."""
    # A row of nulls alone would be left out of the result.
    none = ~np.any([where for where, _ in phrases], axis=0)
    texts = [pc.if_else(pa.array(where), text, None) for where, text in [*phrases, (none, "")]]
    return pc.binary_join_element_wise(*texts, ", ", null_handling="skip")
