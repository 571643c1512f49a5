"""The order of a partition's lines, and their numbers: of orders and of the lines of an order."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.kernel import entry, kernel
from features.records import NEVER, Ints, Longs

LINE = """customer day basket sku category quantity amount promised delivered cancelled order_id
    line_id""".split()
LACKING = ("promised", "delivered", "cancelled", "line_id")
Characters = npt.NDArray[np.uint8]


class Texts(NamedTuple):
    """One text per row, all in one array of characters."""

    start: Ints
    characters: Characters


class Lines(NamedTuple):
    """The columns of a partition's lines by which they are sorted, in any order of the rows."""

    customer: Ints
    day: Ints
    order_hash: Longs
    order_id: Texts
    line_id: Texts
    ordered_at: Longs
    sku: Ints
    category: Ints
    quantity: npt.NDArray[np.float64]
    amount: Longs
    promised: Ints
    delivered: Ints
    cancelled: Ints


@kernel
def compare_texts(texts: Texts, one: int, other: int) -> int:
    """Return -1, 0 or 1 as one row's text is before, equal to or behind another's."""
    a, end_a = texts.start[one], texts.start[one + 1]
    b, end_b = texts.start[other], texts.start[other + 1]
    while a < end_a and b < end_b:
        if texts.characters[a] != texts.characters[b]:
            return -1 if texts.characters[a] < texts.characters[b] else 1
        a += 1
        b += 1
    return int(a < end_a) - int(b < end_b)


@kernel
def content(lines: Lines, row: int) -> tuple[Any, ...]:
    """What orders the lines of an order that have the same id, or none."""
    moved = lines.promised[row], lines.delivered[row], lines.cancelled[row]
    bought = lines.sku[row], lines.category[row], lines.quantity[row], lines.amount[row]
    return lines.ordered_at[row], *bought, *moved


@kernel
def is_behind(lines: Lines, one: int, other: int) -> bool:
    """Whether a line comes after another one of the same customer and day."""
    step = compare_texts(lines.order_id, one, other)
    if step == 0:
        step = compare_texts(lines.line_id, one, other)
    return step > 0 if step != 0 else content(lines, one) > content(lines, other)


@entry
def sort_days(lines: Lines, order: Longs, merged: Longs) -> None:
    """Sort the lines of each customer and day by a merge sort; `order` is sorted by both.

    `merged` is as long as `order` and receives what is merged.
    """
    begin = 0
    while begin < len(order):
        first, end = order[begin], begin + 1
        while (
            end < len(order)
            and lines.customer[order[end]] == lines.customer[first]
            and lines.day[order[end]] == lines.day[first]
        ):
            end += 1
        width = 1
        while width < end - begin:
            for left in range(begin, end, 2 * width):
                middle, right = min(left + width, end), min(left + 2 * width, end)
                a, b = left, middle
                for to in range(left, right):
                    if b == right or (a < middle and not is_behind(lines, order[a], order[b])):
                        merged[to] = order[a]
                        a += 1
                    else:
                        merged[to] = order[b]
                        b += 1
                for at in range(left, right):
                    order[at] = merged[at]
            width *= 2
        begin = end


@kernel
def slot_of(lines: Lines, order: Longs, slots: Longs, begin: int, row: int) -> int:
    """The slot of the row's order among those of a customer, whose lines start at `begin`."""
    mask = len(slots) - 1
    slot = lines.order_hash[row] & mask
    # what an earlier customer left in a slot is void
    while slots[slot] > begin and compare_texts(lines.order_id, order[slots[slot] - 1], row) != 0:
        slot = (slot + 1) & mask
    return int(slot)


@entry
def number_orders(
    lines: Lines, order: Longs, slots: Longs, counts: Ints, basket: Ints, number: Ints
) -> None:
    """Number each customer's orders from 0, and the lines of an order from 1, as they are sorted.

    `slots`: zeros, a power of two of them and more than a customer has lines; one holds the place
    of an order's first line, from 1. `counts`: zeros, one per line. `basket` and `number` are by
    row.
    """
    begin, baskets = 0, 0
    for i in range(len(order)):
        row = order[i]
        if lines.customer[row] != lines.customer[order[begin]]:
            begin, baskets = i, 0
        slot = slot_of(lines, order, slots, begin, row)
        if slots[slot] <= begin:
            slots[slot] = i + 1
            basket[row] = baskets
            baskets += 1
        first = slots[slot] - 1
        basket[row] = basket[order[first]]
        counts[first] += 1
        number[row] = counts[first]


def _texts(column: pa.Array) -> Texts:
    """Return the buffers of a text column; a null is an empty text."""
    _, start, characters = column.buffers()
    starts = np.frombuffer(start, np.int32)[column.offset : column.offset + len(column) + 1]
    return Texts(starts, np.frombuffer(characters or b"", np.uint8))


def _sorted(lines: Lines) -> Longs:
    """Return the rows by customer, day, order, line and content."""
    order = np.argsort(lines.customer.astype(np.int64) << 32 | lines.day)
    sort_days(lines, order, np.empty_like(order))
    return order


def in_order(table: pa.Table) -> pa.Table:
    """Return a partition's lines by customer, day, order_id and line_id, with `basket` numbered.

    A line without an id gets its number within the order by its content: so the order of the rows
    in a file does not matter. `table` may lack LACKING: then no line of the shop has it.
    """
    size = len(table)
    never = pa.array(np.full(size, NEVER, np.int32))
    none = dict.fromkeys(LACKING, never) | {"line_id": pa.nulls(size, pa.string())}
    columns = none | {name: table[name].combine_chunks() for name in table.column_names}
    ids = columns["line_id"]
    named = ids.null_count == 0
    content: dict[str, Any] = {
        name: _texts(columns[name]) if name[-3:] == "_id" else columns[name].to_numpy()
        for name in Lines._fields
    }
    lines = Lines(**content)
    if not named:
        lines = lines._replace(line_id=_texts(none["line_id"]))
    order = _sorted(lines)
    longest = int(np.bincount(lines.customer).max(initial=0))
    slots = np.zeros(1 << (2 * longest).bit_length(), np.int64)
    basket, number = np.empty(size, np.int32), np.empty(size, np.int32)
    number_orders(lines, order, slots, np.zeros(size, np.int32), basket, number)
    if not named:
        most = int(number.max(initial=0))
        written = pa.array([f"{n:04d}" for n in range(most + 1)], pa.string())
        own = written.take(pa.array(number))
        columns["line_id"] = pc.coalesce(ids, own) if ids.null_count < size else own
        if ids.null_count < size or most > 9999:  # the order of texts is another one
            order = _sorted(lines._replace(line_id=_texts(columns["line_id"])))
    columns["basket"] = pa.array(basket)
    moved = [name for name in LINE if columns[name] is not never]
    rows = pa.table({name: columns[name] for name in moved}).take(pa.array(order))
    return pa.table({name: rows[name] if name in moved else never for name in LINE})
