"""Maps kernels over customer partitions: threads here, because the kernels release the interpreter's lock."""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.records import KINDS, TIMES, Shop, Tables
from features.settings import Cycle, Promise, Windows
from pipeline.errors import InputError
from pipeline.params import Engine
from pipeline.progress import progress
from pipeline.store import Folder

T = TypeVar("T")

EPOCH = dt.date(1970, 1, 1)
NO_WINDOWS = Windows((), ())


def day_number(date: str) -> int:
    """Days from 1970-01-01 to an ISO date."""
    return (dt.date.fromisoformat(date) - EPOCH).days


def iso_date(day: int) -> str:
    """The ISO date that many days after 1970-01-01."""
    return (EPOCH + dt.timedelta(days=int(day))).isoformat()


def partitions(events: Folder) -> list[str]:
    """File names of the customer partitions, the same in every table's folder."""
    return [name.removeprefix("customers/") for name in events.names("customers/*.parquet")]


def load_tables(events: Folder, partition: str) -> Tables:
    """All tables of one partition as arrays, their order checked: a kernel trusts it."""
    customers = pq.read_table(events.path / "customers" / partition, columns=["known"])

    arrays: list[npt.NDArray[Any]] = [customers["known"].to_numpy()]
    for kind, record in KINDS.items():
        read = pq.read_table(events.path / kind / partition, columns=["customer", *(record.names or ())])
        records = np.empty(len(read), record)
        for name in record.names or ():
            records[name] = read[name].to_numpy()
        owner, time = read["customer"].to_numpy(), records[TIMES[kind]]
        step = np.diff(owner)
        if (step < 0).any() or (np.diff(time)[step == 0] < 0).any():
            raise InputError("E_ORDER", f"data/events/{kind}/{partition}", "not sorted by customer and time", "run the stage `ingest`")
        arrays += [np.searchsorted(owner, np.arange(len(customers) + 1)).astype(np.int64), records]
    return Tables(*arrays)


def customer_ids(events: Folder, partition: str) -> pa.Array:
    """The ids of a partition's customers, by their number in it."""
    return pq.read_table(events.path / "customers" / partition, columns=["customer_id"])["customer_id"].combine_chunks()


def profiled(events: Folder, partition: str) -> npt.NDArray[np.bool_]:
    """Whether a profile may be made of each customer of a partition: he has not objected."""
    objection = pq.read_table(events.path / "customers" / partition, columns=["profiling_objection"])["profiling_objection"]
    return np.asarray(~objection.to_numpy())


def shop_of(calibration: dict[str, Any], cycle: Cycle, promise: Promise, windows: Windows = NO_WINDOWS) -> Shop:
    """What the kernels need to know of the shop: its rules, its frozen rhythm and, for features, the windows."""
    counts, trends = (np.array(days, np.int32) for days in windows)
    return Shop(cycle, promise, float(calibration["usual_gap"]), float(calibration["log_sd"]), counts, trends)


def dates(days: npt.NDArray[np.int32]) -> pa.Array:
    """Day numbers as dates; those that never come as null."""
    return pa.array(days, pa.int32(), mask=days == 2**31 - 1).cast(pa.date32())


def over(events: Folder, engine: Engine, work: Callable[[str], T], label: str) -> Iterator[tuple[str, T]]:
    """The work's result for each partition, in order; no more partitions in memory than threads plus one."""
    names = partitions(events)

    def results() -> Iterator[tuple[str, T]]:
        with ThreadPoolExecutor(engine.threads) as pool:
            waiting: deque[tuple[str, Future[T]]] = deque()
            for name in names:
                waiting.append((name, pool.submit(work, name)))
                if len(waiting) > engine.threads:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()

    return progress(results(), len(names), label)
