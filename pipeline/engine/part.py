"""A partition of whole customers, read from data/events and checked before a kernel sees it."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.records import KINDS, TIMES, Records, Tables
from pipeline.runtime.errors import InputError
from pipeline.runtime.store import Folder

# the columns that kernels need of the table of customers
CUSTOMERS = pa.schema(
    {"customer_id": pa.string(), "known": pa.int32(), "profiling_objection": pa.bool_()}
)

IDS = {"orders": "order_id", "returns": "return_id", "complaints": "complaint_id"}


class Part(NamedTuple):
    """Whole customers: all their events, and their ids. None objects to profiling."""

    tables: Tables
    customer_id: pa.Array
    ids: Callable[[str], pa.Array]  # of the rows of a table, read when they are needed


BLOCK = 2048  # records, of which the CPU's cache holds all fields


def columns_of(records: Records) -> dict[str, npt.NDArray[Any]]:
    """Return each field of the records as an array of its own, in two thirds of the time."""
    names = records.dtype.names or ()
    columns = {name: np.empty(len(records), records.dtype[name]) for name in names}
    for start in range(0, len(records), BLOCK):
        block = records[start : start + BLOCK]
        for name, column in columns.items():
            column[start : start + BLOCK] = block[name]
    return columns


Work = Callable[[Part], pa.Table]


def partitions(events: Folder) -> list[str]:
    """Return the file names of the customer partitions, the same in every table's folder."""
    return [name.removeprefix("customers/") for name in events.names("customers/*.parquet")]


def part_of(name: str, read: Callable[[str, list[str]], pa.Table]) -> Part:
    """Return a partition from the columns of its tables; `read` takes a table and its columns.

    Customers who object to profiling are left out, with all their events: nothing that is made
    from a partition can know them. Raises InputError for rows out of order, because kernels rely
    on it.
    """
    customers = read("customers", CUSTOMERS.names)
    profiled = ~customers["profiling_objection"].to_numpy()
    position = np.cumsum(profiled) - 1
    arrays: list[npt.NDArray[Any]] = [customers["known"].to_numpy()[profiled]]
    for kind, record in KINDS.items():
        rows = read(kind, ["customer", *(record.names or ())])
        records = np.empty(len(rows), record)
        for field in record.names or ():
            records[field] = rows[field].to_numpy()
        owner, time = rows["customer"].to_numpy(), records[TIMES[kind]]
        step = np.diff(owner)
        if (step < 0).any() or (np.diff(time)[step == 0] < 0).any():
            problem = "not sorted by customer and time"
            raise InputError("E_ORDER", f"{kind}/{name}", problem, "run the stage `ingest`")
        if not profiled.all():
            records, owner = records[profiled[owner]], position[owner[profiled[owner]]]
        starts = np.searchsorted(owner, np.arange(len(arrays[0]) + 1)).astype(np.int64)
        arrays += [starts, records]

    @cache
    def ids_of(table: str) -> pa.Array:
        rows = read(table, ["customer", IDS[table]])
        kept = pa.array(profiled[rows["customer"].to_numpy()])
        return rows[IDS[table]].combine_chunks().filter(kept)

    ids = customers["customer_id"].combine_chunks().filter(pa.array(profiled))
    return Part(Tables(*arrays), ids, ids_of)
