"""From unsorted files to one partition of whole customers at a time, sorted by customer and day.

Lines are spilled to one file per partition while they are read. So memory holds a batch and the
partitions in work, whatever the size of the data.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.kernel import entry
from features.records import KINDS, LINE, NEVER, TIMES, UNIT, Ints, Longs, Records, Tables

SPILLED = np.dtype(
    {
        "names": ["customer_id", "amount", "day", "product", "category", "quantity"],
        "formats": [np.int64, np.int64, np.int32, np.int32, np.int16, np.int16],
    }
)
BATCH = 500_000
DAY_US = 86_400_000_000
# 2**64 over the golden ratio: its high bits spread ids that follow one another
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def part_of(ids: Longs, bits: int) -> npt.NDArray[np.uint64]:
    """Return the partition of each customer, below 2**bits."""
    return (ids.astype(np.uint64) * GOLDEN) >> np.uint64(64 - bits)


@entry
def scatter(part: Any, columns: Any, spilled: Any, ends: Longs) -> None:
    """Group the lines by partition, in the order of the file.

    `ends` holds the start of each partition, and afterwards its end.
    """
    customer_id, time, product, category, amount, quantity = columns
    for i in range(len(part)):
        to = spilled[ends[part[i]]]
        to.customer_id, to.day, to.product, to.category = (
            customer_id[i],
            time[i] // DAY_US,
            product[i],
            category[i],
        )
        to.amount, to.quantity = round(amount[i] * UNIT), quantity[i]
        ends[part[i]] += 1


@entry
def place(spilled: Any, number: Ints, next_line: Longs, start: Longs, lines: Any) -> None:
    """Put the lines in order of customer and day; `next_line` begins as a copy of `start`."""
    for i in range(len(spilled)):
        line, customer = spilled[i], number[i]
        at = next_line[customer]
        next_line[customer] += 1
        while at > start[customer] and lines[at - 1].day > line.day:
            lines[at] = lines[at - 1]
            at -= 1
        to = lines[at]
        to.amount, to.quantity, to.day, to.sku, to.category = (
            line.amount,
            line.quantity,
            line.day,
            line.product,
            line.category,
        )
        to.basket = i
        to.promised, to.delivered, to.cancelled = NEVER, NEVER, NEVER


def _spill(orders: Path, bits: int, files: list[IO[bytes]]) -> None:
    names = ["customer_id", "ordered_at", "product", "category", "amount", "quantity"]
    spilled = np.empty(BATCH, SPILLED)
    for path in sorted(orders.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=names):
            columns = tuple(
                batch[name].cast(pa.int64()).to_numpy()
                if name == "ordered_at"
                else batch[name].to_numpy()
                for name in names
            )
            part = part_of(columns[0], bits)
            counts = np.bincount(part.astype(np.int64), minlength=len(files))
            ends = np.cumsum(counts) - counts
            scatter(part, columns, spilled, ends)
            for file, end, count in zip(files, ends, counts, strict=True):
                spilled[end - count : end].tofile(file)


class Partitions:
    """The generated events by partition."""

    def __init__(self, data: Path, bits: int, files: list[IO[bytes]]) -> None:
        self.bits, self.files = bits, files
        _spill(data / "orders", bits, files)
        self.returns = self._split(pq.read_table(data / "returns.parquet"))
        self.complaints = self._split(pq.read_table(data / "complaints.parquet"))

    def _split(self, events: pa.Table) -> list[pa.Table]:
        part = part_of(events["customer_id"].to_numpy(), self.bits)
        order = np.argsort(part, kind="stable")
        edges = np.searchsorted(part[order], np.arange(len(self.files) + 1))
        events = events.take(order)
        return [events[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]

    def load(self, part: int) -> tuple[pa.Array, Tables]:
        """Return the ids of a partition's customers by number, and their events."""
        file = self.files[part]
        file.seek(0)
        spilled = np.fromfile(file, SPILLED)
        coded = pa.array(np.ascontiguousarray(spilled["customer_id"])).dictionary_encode()
        ids, number = coded.dictionary, coded.indices.to_numpy()
        start = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=len(ids)))])
        lines = np.empty(len(spilled), LINE)
        place(spilled, number, start[:-1].copy(), start, lines)
        returned, complained = self.returns[part], self.complaints[part]
        back = {
            "amount": _units(returned["amount"]),
            "day": _days(returned["returned_at"]),
            "defect": returned["defect"].to_numpy(),
        }
        back["basket"] = np.full(len(returned), -1, np.int32)
        cases = {
            "opened": _days(complained["opened_at"]),
            "resolved": _days(complained["resolved_at"]),
            "reopened": np.full(len(complained), NEVER, np.int32),
            "severity": complained["severity"].to_numpy(),
            "basket": np.full(len(complained), -1, np.int32),
        }
        return ids, Tables(
            lines["day"][start[:-1]],
            *(start, lines),
            *_sorted("returns", ids, returned["customer_id"], back),
            *_sorted("complaints", ids, complained["customer_id"], cases),
            *_sorted("touches", ids, pa.array([], pa.int64()), {"day": np.empty(0, np.int32)}),
        )


@contextmanager
def partitions(data: Path, bits: int, spill: Path) -> Iterator[Partitions]:
    """Split the events into 2**bits partitions, kept in unnamed files in the folder `spill`."""
    with ExitStack() as stack:
        files: list[IO[bytes]] = [
            stack.enter_context(TemporaryFile(dir=spill)) for _ in range(2**bits)
        ]
        yield Partitions(data, bits, files)


def _days(times: pa.ChunkedArray) -> Ints:
    """Return day numbers, NEVER where there is no time."""
    days = pc.fill_null(times.cast(pa.date32()).cast(pa.int32()), NEVER)
    return np.asarray(days.to_numpy())


def _units(amounts: pa.ChunkedArray) -> Longs:
    return np.asarray(np.round(amounts.to_numpy() * UNIT), np.int64)


def _sorted(
    kind: str, ids: pa.Array, owner_ids: pa.ChunkedArray, columns: dict[str, Any]
) -> tuple[Longs, Records]:
    """Return where each customer's events start, and the events by customer and day."""
    owner = np.asarray(pc.index_in(owner_ids, ids).to_numpy())
    order = np.lexsort((columns[TIMES[kind]], owner))
    records = np.empty(len(order), KINDS[kind])
    for name, column in columns.items():
        records[name] = column[order]
    return np.asarray(np.searchsorted(owner[order], np.arange(len(ids) + 1)), np.int64), records
