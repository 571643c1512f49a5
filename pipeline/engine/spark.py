"""Runs kernels on Spark: one task gets one partition as Arrow and returns its table. Runs scorers
there, and writes lists to a lake.

The only file that imports pyspark. All tables travel as one stream of tagged rows. Executors import
this project, so it has to be installed there: docs/how-to/spark.md.
"""

import json
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import KINDS
from pipeline.engine.java import java
from pipeline.engine.part import CUSTOMERS, IDS, Work, part_of
from pipeline.runtime import errors
from pipeline.runtime.errors import ConfigError, InputError, Refused
from pipeline.runtime.sections import Spark
from pipeline.runtime.store import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = 50_000  # that a task scores: features of some 40 MB
SETTINGS = {
    "spark.log.level": "OFF",  # errors are shown in one line; WARN in `conf` shows more
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # it would merge small partitions, and one task is to be one partition
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.session.timeZone": "UTC",
}

RECORDS = {
    kind: pa.schema({name: pa.from_numpy_dtype(record[name]) for name in record.names or ()})
    for kind, record in KINDS.items()
}
TABLES = {"customers": CUSTOMERS, **RECORDS}
for _table_name, _id in IDS.items():
    TABLES[_table_name] = TABLES[_table_name].append(pa.field(_id, pa.string()))
# others have the same name
SQL_TYPES = {"bool": "boolean", "int8": "tinyint", "int32": "int", "int64": "bigint"}
RESULT = pa.schema({"table": pa.binary(), "refused": pa.list_(pa.string())})


def _check_master(master: str) -> None:
    """Refuse a standalone master that does not answer; Spark would try for a minute first."""
    addresses = re.findall(r"([^/,:]+):(\d+)", master) if master.startswith("spark://") else []
    for host, port in addresses:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except OSError:
            continue
    if addresses:
        fix = "start it, or correct the address"
        raise ConfigError("E_SPARK", "engine.spark.master", "no master answers there", fix)


def _reason(error: Exception) -> str:
    """Return the first informative line of an error of Spark."""
    lines = (line.strip() for line in str(error).splitlines())
    noise = "An error occurred while calling"
    return next((x for x in lines if x and not x.startswith(noise)), type(error).__name__)


def session(settings: Spark) -> "SparkSession":
    """Return the running session, or a new one that lasts as long as the process."""
    # only Arrow is used here
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        fix = "install the extra `spark` as docs/how-to/spark.md says, or set engine.kind to local"
        raise ConfigError("E_SPARK", "engine.kind", "pyspark is not installed", fix) from None
    _check_master(settings.master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if settings.master.startswith("local"):
        # the machine's name may not resolve to this machine
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName("corekeep").master(settings.master)
    for key, value in {**SETTINGS, **settings.conf}.items():
        builder = builder.config(key, value)
    try:
        with java():
            return builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        problem = f"Spark does not start: {_reason(error)}"
        raise ConfigError("E_SPARK", "engine.spark", problem, "correct master or conf") from None


@contextmanager
def _spark_errors() -> Iterator[None]:
    """Turn errors of Spark into one line; errors of this project's code keep their traceback."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException, PythonException

    try:
        yield
    except PythonException as error:
        if re.search("No module named '?(pipeline|features|models)", str(error)):
            problem, fix = "executors do not have corekeep", "install its wheel there"
            raise ConfigError("E_SPARK", "engine.spark", problem, fix) from None
        raise
    except (PySparkException, Py4JError, ConnectionError) as error:
        # only the kind of error: its text may quote values
        kind = isinstance(error, PySparkException) and error.getCondition() or type(error).__name__
        fix = "look at its log: spark.log.level WARN in engine.spark.conf"
        raise ConfigError("E_SPARK", "engine.spark", f"Spark fails: {kind}", fix) from None


def _table(spark: "SparkSession", events: Folder, namespace: str | None, table: str) -> "DataFrame":
    """Return a table of the events; its column `part` names the partition of each row.

    Raises InputError for a table that is missing or lacks a column.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions

    place = f"{namespace or 'data/events'}/{table}"
    try:
        if namespace is None:
            # Spark reads a path as a pattern
            path = re.sub(r"([\\\[\]{}*?])", r"\\\1", str(events.path.resolve() / table))
            frame = spark.read.parquet(f"file://{path}")
            frame = frame.withColumn("part", functions.col("_metadata.file_name"))
        else:
            frame = spark.table(f"{namespace}.{table}")
    except AnalysisException as error:
        fix = "correct engine.spark.events, or load the table"
        raise InputError("E_NO_TABLE", place, _reason(error), fix) from None
    needed = ["part", "customer", *([] if table == "customers" else ["row"]), *TABLES[table].names]
    if missing := [name for name in needed if name not in frame.columns]:
        fix = "run the stage `ingest`, or load the table again"
        raise InputError("E_NO_COLUMN", place, f"missing: {', '.join(missing)}", fix)
    return frame


def _stream(
    spark: "SparkSession", events: Folder, namespace: str | None, names: list[str]
) -> "DataFrame":
    """Return all tables as one, with one partition per task.

    `part` and `kind` are positions in their lists; `row` is that of a row in table and partition.
    """
    from pyspark.sql import functions

    tagged = []
    for kind, (table, schema) in enumerate(TABLES.items()):
        tags = {
            "part": functions.array_position(functions.lit(names), functions.col("part")) - 1,
            "kind": functions.lit(kind),
            "customer": functions.col("customer"),
            "row": functions.col("customer" if table == "customers" else "row"),
        }
        # a value of another type becomes null, and is refused as missing
        types = {field.name: str(field.type) for field in schema}
        columns = [functions.col(name).try_cast(SQL_TYPES.get(t, t)) for name, t in types.items()]
        columns += [column.try_cast("int").alias(tag) for tag, column in tags.items()]
        tagged.append(_table(spark, events, namespace, table).select(*columns))
    together = reduce(lambda some, more: some.unionByName(more, allowMissingColumns=True), tagged)
    return together.repartitionById(len(names), "part").sortWithinPartitions("kind", "row")


def _reader(
    batches: list[pa.RecordBatch], number: int, name: str
) -> Callable[[str, list[str]], pa.Table]:
    """Return a reader of one partition's tables from its rows of the stream, each of them once."""
    rows = pa.Table.from_batches(batches) if batches else None
    fix = "load the tables again from data/events"
    if rows and not pc.all(pc.equal(rows["part"], number).fill_null(False)).as_py():
        problem = "there are rows of a partition that data/events does not have"
        raise InputError("E_PART", "engine.spark.events", problem, fix)
    kinds = rows["kind"].to_numpy() if rows else np.empty(0, np.int32)
    bounds = np.searchsorted(kinds, np.arange(len(TABLES) + 1))

    def read(table: str, columns: list[str]) -> pa.Table:
        kind = list(TABLES).index(table)
        start, end = bounds[kind], bounds[kind + 1]
        if rows is None or start == end:
            return _empty_table(table, columns)
        part = rows.slice(start, end - start)
        whole = np.array_equal(part["row"].to_numpy(), np.arange(len(part)))
        if not whole or sum(part[column].null_count for column in columns):
            problem = "rows or values are missing, or rows are there twice"
            raise InputError("E_ROWS", f"{table}/{name}", problem, fix)
        return part.select(columns)

    return read


def _empty_table(table: str, columns: list[str]) -> pa.Table:
    """Return a table without rows."""
    types = {"customer": pa.int32(), **{field.name: field.type for field in TABLES[table]}}
    return pa.schema({column: types[column] for column in columns}).empty_table()


def _packed(table: pa.Table) -> bytes:
    sink, options = pa.BufferOutputStream(), pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _task(
    batches: Iterator[pa.RecordBatch], names: list[str], work: Work
) -> Iterator[pa.RecordBatch]:
    """Yield one row: the work's table for the task's partition, or why it is refused."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context
    number = context.partitionId()
    table, refused = None, None
    try:
        read = _reader(list(batches), number, names[number])
        table = _packed(work(part_of(names[number], read)))
    except Refused as error:
        refused = [type(error).__name__, error.code, error.place, error.rule, error.fix]
    yield pa.RecordBatch.from_pydict({"table": [table], "refused": [refused]}, RESULT)


def on_spark(
    events: Folder, settings: Spark, names: list[str], work: Work
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the work's table for each partition, in order, one of them in memory at a time."""
    spark = session(settings)
    from pyspark import StorageLevel

    # compile the kernels once here, not in all workers at the same time
    work(part_of("", _empty_table))
    with _spark_errors():
        stream = _stream(spark, events, settings.events, names)
        task = partial(_task, names=names, work=work)
        results = stream.mapInArrow(task, "table binary, refused array<string>")
        # Results fetched one by one are computed one by one. So all are computed first and wait on
        # disk.
        results.persist(StorageLevel.DISK_ONLY)
        try:
            results.count()
            for name, row in zip(names, results.toLocalIterator(), strict=True):
                if row.refused:
                    kind, *parts = row.refused
                    raise getattr(errors, kind)(*parts)
                yield name, pa.ipc.open_stream(row.table).read_all()
        finally:
            results.unpersist()


def rows_on_spark(
    rows: pd.DataFrame, settings: Spark, work: Callable[[pd.DataFrame], Any]
) -> list[Any]:
    """Return the work's result for each ROWS of the rows, in order; a task has so many."""
    parts = [rows.iloc[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    if not parts:
        return []
    context = session(settings).sparkContext
    with _spark_errors():
        results: list[Any] = context.parallelize(parts, len(parts)).map(work).collect()
    return results


def write_list(tables: Mapping[str, pa.Table], manifest: str, settings: Spark) -> None:
    """Let Spark write the tables of a list to `settings.lists`, and its manifest last.

    A table is a folder of parquet files with a folder `as_of=<snapshot>` for each list. Another
    list of the same day replaces it.
    """
    spark, day = session(settings), json.loads(manifest)["snapshot"]
    last = {"manifest": pa.table({"manifest": [manifest]})}
    with _spark_errors():
        for name, table in {**tables, **last}.items():
            rows = spark.createDataFrame(table).drop("as_of")
            rows.write.mode("overwrite").parquet(f"{settings.lists}/{name}/as_of={day}")
