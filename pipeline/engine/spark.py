"""The kernels on Spark: each partition goes whole to one task as Arrow, and its table comes back.
The only file that knows pyspark.

All tables travel as one stream of tagged rows. Executors import this project, so it has to be
installed there: docs/spark.md.
"""

import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.records import KINDS
from pipeline.engine.java import java
from pipeline.engine.part import CUSTOMERS, Work, part_of
from pipeline.runtime import errors
from pipeline.runtime.errors import ConfigError, InputError, Refused
from pipeline.runtime.params import Spark
from pipeline.runtime.store import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SETTINGS = {
    "spark.log.level": "OFF",  # what goes wrong is told in one line; WARN in `conf` tells more
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
SQL_TYPES = {
    "bool": "boolean",
    "double": "double",
    "int8": "tinyint",
    "int32": "int",
    "int64": "bigint",
    "string": "string",
}
RESULT = pa.schema({"found": pa.binary(), "refused": pa.list_(pa.string())})


def _answers(master: str) -> None:
    """Refuse a standalone master that is not there.

    Spark itself would try for a minute and then fail elsewhere.
    """
    addresses = re.findall(r"([^/,:]+):(\d+)", master) if master.startswith("spark://") else []
    for host, port in addresses:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except OSError:
            continue
    if addresses:
        raise ConfigError(
            "E_SPARK",
            "engine.spark.master",
            "no master answers there",
            "start it, or correct the address",
        )


def _reason(error: Exception) -> str:
    """The first line of what Spark says that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next(
        (line for line in lines if line and not line.startswith("An error occurred while calling")),
        type(error).__name__,
    )


def session(settings: Spark) -> "SparkSession":
    """The running session, or a new one, which lasts as long as the process."""
    # What is used here meets Arrow only.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        fix = "install the extra `spark` as docs/spark.md says, or set engine.kind to local"
        raise ConfigError("E_SPARK", "engine.kind", "pyspark is not installed", fix) from None
    _answers(settings.master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if settings.master.startswith("local"):
        # the machine's name may lead elsewhere, or nowhere
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName("corekeep").master(settings.master)
    for key, value in {**SETTINGS, **settings.conf}.items():
        builder = builder.config(key, value)
    try:
        with java():
            return builder.getOrCreate()
    except (PySparkException, Py4JError) as error:
        raise ConfigError(
            "E_SPARK",
            "engine.spark",
            f"Spark does not start: {_reason(error)}",
            "correct master or conf",
        ) from None


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong in Spark, in one line.

    An error of this project's own code keeps its traceback.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException, PythonException

    try:
        yield
    except PythonException as error:
        if re.search("No module named '?(pipeline|features|models)", str(error)):
            raise ConfigError(
                "E_SPARK",
                "engine.spark",
                "executors do not have corekeep",
                "install its wheel there",
            ) from None
        raise
    except (PySparkException, Py4JError, ConnectionError) as error:
        # The kind of error alone: what Spark says of it may quote values.
        kind = isinstance(error, PySparkException) and error.getCondition() or type(error).__name__
        fix = "look at its log: spark.log.level WARN in engine.spark.conf"
        raise ConfigError("E_SPARK", "engine.spark", f"Spark fails: {kind}", fix) from None


def _table(spark: "SparkSession", events: Folder, namespace: str | None, table: str) -> "DataFrame":
    """A table of the events, `part` being the name of each row's partition.

    Refuses one that is not there or lacks a column.
    """
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions

    place = f"{namespace or 'data/events'}/{table}"
    try:
        if namespace is None:
            # Spark reads a path as a pattern
            path = re.sub(r"([\\\[\]{}*?])", r"\\\1", str(events.path.resolve() / table))
            found = spark.read.parquet(f"file://{path}").withColumn(
                "part", functions.col("_metadata.file_name")
            )
        else:
            found = spark.table(f"{namespace}.{table}")
    except AnalysisException as error:
        raise InputError(
            "E_NO_TABLE", place, _reason(error), "correct engine.spark.events, or load the table"
        ) from None
    needed = ["part", "customer", *([] if table == "customers" else ["row"]), *TABLES[table].names]
    if missing := [name for name in needed if name not in found.columns]:
        raise InputError(
            "E_NO_COLUMN",
            place,
            f"missing: {', '.join(missing)}",
            "run the stage `ingest`, or load the table again",
        )
    return found


def _stream(
    spark: "SparkSession", events: Folder, namespace: str | None, names: list[str]
) -> "DataFrame":
    """All tables as one, a partition to a task: `part` and `kind` are the places of partition and
    table in their lists.

    `row` is a row's place in its table and partition; that of a customer is his number.
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
        # What is of no such type becomes null, and is refused as a value that is missing.
        columns = [
            functions.col(field.name).try_cast(SQL_TYPES[str(field.type)]) for field in schema
        ]
        rows = _table(spark, events, namespace, table)
        tagged.append(
            rows.select(
                *(column.try_cast("int").alias(tag) for tag, column in tags.items()), *columns
            )
        )
    together = reduce(lambda some, more: some.unionByName(more, allowMissingColumns=True), tagged)
    return together.repartitionById(len(names), "part").sortWithinPartitions("kind", "row")


def _reader(
    batches: list[pa.RecordBatch], number: int, name: str
) -> Callable[[str, list[str]], pa.Table]:
    """Reads a table of one partition from its rows of the stream, all of which are there and once."""
    rows = pa.Table.from_batches(batches) if batches else None
    fix = "load the tables again from data/events"
    if rows and not pc.all(pc.equal(rows["part"], number).fill_null(False)).as_py():
        raise InputError(
            "E_PART",
            "engine.spark.events",
            "there are rows of a partition that data/events does not have",
            fix,
        )
    bounds = (
        np.searchsorted(rows["kind"].to_numpy(), np.arange(len(TABLES) + 1))
        if rows
        else np.zeros(len(TABLES) + 1, int)
    )

    def read(table: str, columns: list[str]) -> pa.Table:
        kind = list(TABLES).index(table)
        start, end = bounds[kind], bounds[kind + 1]
        if rows is None or start == end:
            return _nothing(table, columns)
        found = rows.slice(start, end - start)
        whole = np.array_equal(found["row"].to_numpy(), np.arange(len(found)))
        if not whole or sum(found[column].null_count for column in columns):
            raise InputError(
                "E_ROWS",
                f"{table}/{name}",
                "rows or values are missing, or rows are there twice",
                fix,
            )
        return found.select(columns)

    return read


def _nothing(table: str, columns: list[str]) -> pa.Table:
    """The table without rows."""
    types = {"customer": pa.int32(), **{field.name: field.type for field in TABLES[table]}}
    return pa.schema({column: types[column] for column in columns}).empty_table()


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _task(
    batches: Iterator[pa.RecordBatch], names: list[str], work: Work
) -> Iterator[pa.RecordBatch]:
    """One row: the work's table for the task's partition, or why it is refused."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context
    number = context.partitionId()
    found, refused = None, None
    try:
        found = _packed(
            work(part_of(names[number], _reader(list(batches), number, names[number])))
        ).to_pybytes()
    except Refused as error:
        refused = [type(error).__name__, error.code, error.place, error.rule, error.fix]
    yield pa.RecordBatch.from_pydict({"found": [found], "refused": [refused]}, RESULT)


def on_spark(
    events: Folder, settings: Spark, names: list[str], work: Work
) -> Iterator[tuple[str, pa.Table]]:
    """The work's table for each partition, in order, one of them in memory at a time."""
    spark = session(settings)
    from pyspark import StorageLevel

    # compiles the kernels once, where otherwise all workers would at the same time
    work(part_of("", _nothing))
    with _told():
        stream = _stream(spark, events, settings.events, names)
        results = stream.mapInArrow(
            partial(_task, names=names, work=work), "found binary, refused array<string>"
        )
        # Fetched one by one they would also be computed one by one: so all are computed first, and
        # wait on disk.
        results.persist(StorageLevel.DISK_ONLY)
        try:
            results.count()
            for name, row in zip(names, results.toLocalIterator(), strict=True):
                if row.refused:
                    kind, *told = row.refused
                    raise getattr(errors, kind)(*told)
                yield name, pa.ipc.open_stream(row.found).read_all()
        finally:
            results.unpersist()
