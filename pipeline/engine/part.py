"""A partition of whole customers, read from data/events and checked before a kernel sees it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.records import KINDS, TIMES, Flags, Tables
from pipeline.runtime.errors import InputError
from pipeline.runtime.store import Folder

# What is needed of the table of customers.
CUSTOMERS = pa.schema(
    {"customer_id": pa.string(), "known": pa.int32(), "profiling_objection": pa.bool_()}
)


class Part(NamedTuple):
    """Whole customers.

    All their events, their ids, and whether a profile may be made of each: he has not objected.
    """

    tables: Tables
    customer_id: pa.Array
    profiled: Flags


Work = Callable[[Part], pa.Table]


def partitions(events: Folder) -> list[str]:
    """File names of the customer partitions, the same in every table's folder."""
    return [name.removeprefix("customers/") for name in events.names("customers/*.parquet")]


def part_of(name: str, read: Callable[[str, list[str]], pa.Table]) -> Part:
    """A partition from the columns of its tables, their order checked.

    A kernel trusts it. `read` takes a table and its columns.
    """
    customers = read("customers", CUSTOMERS.names)
    # of its own, as the others: kernels are compiled for one kind
    arrays: list[npt.NDArray[Any]] = [customers["known"].to_numpy().copy()]
    for kind, record in KINDS.items():
        found = read(kind, ["customer", *(record.names or ())])
        records = np.empty(len(found), record)
        for field in record.names or ():
            records[field] = found[field].to_numpy()
        owner, time = found["customer"].to_numpy(), records[TIMES[kind]]
        step = np.diff(owner)
        if (step < 0).any() or (np.diff(time)[step == 0] < 0).any():
            raise InputError(
                "E_ORDER",
                f"{kind}/{name}",
                "not sorted by customer and time",
                "run the stage `ingest`",
            )
        arrays += [np.searchsorted(owner, np.arange(len(customers) + 1)).astype(np.int64), records]
    return Part(
        Tables(*arrays),
        customers["customer_id"].combine_chunks(),
        ~customers["profiling_objection"].to_numpy(),
    )
