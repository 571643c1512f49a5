"""Runs kernels over customer partitions, and scorers over rows: on threads, or on Spark.

Threads run in parallel because the kernels release the interpreter's lock.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.part import Work, part_of, partitions
from pipeline.runtime.progress import progress
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder


def _on_threads(
    events: Folder, threads: int, names: list[str], work: Work
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the tables in order, with at most one partition more in memory than threads."""

    def read(table: str, columns: list[str], name: str) -> pa.Table:
        with pq.ParquetFile(events.path / table / name) as file:  # read_table seeks a data set
            return file.read(columns, use_threads=False)

    def result(name: str) -> pa.Table:
        return work(part_of(name, partial(read, name=name)))

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[str, Future[pa.Table]]] = deque()
        for name in names:
            waiting.append((name, pool.submit(result, name)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def over(events: Folder, engine: Engine, work: Work, label: str) -> Iterator[tuple[str, pa.Table]]:
    """Yield file name and table of each partition, in order.

    `work` must be a function of a module, its constants bound by `functools.partial`, so that it
    can be sent to another machine.
    """
    names = partitions(events)
    if engine.kind == "spark":
        from pipeline.engine.spark import on_spark

        return progress(on_spark(events, engine.spark, names, work), len(names), label)
    return progress(_on_threads(events, engine.threads, names, work), len(names), label)


def by_rows(work: Callable[[pd.DataFrame], Any], engine: Engine) -> Callable[[pd.DataFrame], Any]:
    """Return a function of rows with the results of `work`, which treats each row alone.

    The result is an array or a frame with one entry for each row.
    """
    if engine.kind == "local":
        return work
    from pipeline.engine.spark import rows_on_spark

    def run(rows: pd.DataFrame) -> Any:
        parts = rows_on_spark(rows, engine.spark, work) or [work(rows)]
        if isinstance(parts[0], pd.DataFrame):
            return pd.concat(parts, ignore_index=True)
        return np.concatenate(parts)

    return run
