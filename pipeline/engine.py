"""Maps kernels over customer partitions: threads here, because the kernels release the interpreter's lock, or Spark."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.records import KINDS, TIMES, Flags, Ints, Shop, Tables
from features.settings import Cycle, Promise, Windows
from pipeline.errors import InputError
from pipeline.params import WEEKDAYS, Engine
from pipeline.progress import progress
from pipeline.store import Folder

EPOCH = dt.date(1970, 1, 1)
NO_WINDOWS = Windows((), ())
LAST_DAY = "2200-01-01"  # no deadline is later
# What is needed of the table of customers.
CUSTOMERS = pa.schema({"customer_id": pa.string(), "known": pa.int32(), "profiling_objection": pa.bool_()})


class Part(NamedTuple):
    """Whole customers: all their events, their ids, and whether a profile may be made of each: he has not objected."""

    tables: Tables
    customer_id: pa.Array
    profiled: Flags


Work = Callable[[Part], pa.Table]


def day_number(date: str) -> int:
    """Days from 1970-01-01 to an ISO date."""
    return (dt.date.fromisoformat(date) - EPOCH).days


def iso_date(day: int) -> str:
    """The ISO date that many days after 1970-01-01."""
    return (EPOCH + dt.timedelta(days=int(day))).isoformat()


def partitions(events: Folder) -> list[str]:
    """File names of the customer partitions, the same in every table's folder."""
    return [name.removeprefix("customers/") for name in events.names("customers/*.parquet")]


def part_of(name: str, read: Callable[[str, list[str]], pa.Table]) -> Part:
    """A partition from the columns of its tables, their order checked: a kernel trusts it. `read` takes a table and its columns."""
    customers = read("customers", CUSTOMERS.names)
    arrays: list[npt.NDArray[Any]] = [customers["known"].to_numpy().copy()]  # of its own, as the others: kernels are compiled for one kind
    for kind, record in KINDS.items():
        found = read(kind, ["customer", *(record.names or ())])
        records = np.empty(len(found), record)
        for field in record.names or ():
            records[field] = found[field].to_numpy()
        owner, time = found["customer"].to_numpy(), records[TIMES[kind]]
        step = np.diff(owner)
        if (step < 0).any() or (np.diff(time)[step == 0] < 0).any():
            raise InputError("E_ORDER", f"{kind}/{name}", "not sorted by customer and time", "run the stage `ingest`")
        arrays += [np.searchsorted(owner, np.arange(len(customers) + 1)).astype(np.int64), records]
    return Part(Tables(*arrays), customers["customer_id"].combine_chunks(), ~customers["profiling_objection"].to_numpy())


def opened_by(closed: Iterable[str]) -> Ints:
    """On how many days before each day, from 1970-01-01 on, a shop was open that closes on these weekdays and dates; empty if on none."""
    days = np.arange(day_number(LAST_DAY))
    shut = [WEEKDAYS.index(day) for day in closed if day in WEEKDAYS]
    dates_shut = [day_number(day) for day in closed if day not in WEEKDAYS]
    open_on = ~(np.isin((days + 3) % 7, shut) | np.isin(days, dates_shut))  # 1970-01-01 was a Thursday
    return np.concatenate([[0], np.cumsum(open_on)]).astype(np.int32) if shut or dates_shut else np.empty(0, np.int32)


def shop_of(calibration: dict[str, Any], cycle: Cycle, promise: Promise, closed: Iterable[str], windows: Windows = NO_WINDOWS) -> Shop:
    """What the kernels need to know of the shop: its rules, its frozen rhythm, its closed days and, for features, the windows."""
    counts, trends = (np.array(days, np.int32) for days in windows)
    return Shop(cycle, promise, float(calibration["usual_gap"]), float(calibration["log_sd"]), opened_by(closed), counts, trends)


def dates(days: npt.NDArray[np.int32]) -> pa.Array:
    """Day numbers as dates; those that never come as null."""
    return pa.array(days, pa.int32(), mask=days == 2**31 - 1).cast(pa.date32())


def _on_threads(events: Folder, threads: int, names: list[str], work: Work) -> Iterator[tuple[str, pa.Table]]:
    """No more partitions are in memory than threads plus one."""

    def done(name: str) -> pa.Table:
        return work(part_of(name, lambda table, columns: pq.read_table(events.path / table / name, columns=columns)))

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[str, Future[pa.Table]]] = deque()
        for name in names:
            waiting.append((name, pool.submit(done, name)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def over(events: Folder, engine: Engine, work: Work, label: str) -> Iterator[tuple[str, pa.Table]]:
    """The work's table for each partition, in order, by the name of its file.

    `work` is a function of a module, its constants bound by `functools.partial`, so that it can be sent to another machine.
    """
    names = partitions(events)
    if engine.kind == "spark":
        from pipeline.spark import on_spark

        return progress(on_spark(events, engine.spark, names, work), len(names), label)
    return progress(_on_threads(events, engine.threads, names, work), len(names), label)
