"""Stage `ingest`: a shop's raw files -> checked events, partitioned by customer; every row is
accounted for.

The shop's SQL makes the input tables of `contract.py` as views over `raw.<file>`. Rows that break a
rule are set aside in quarantine with their place and code; above a limit set per code the run ends.
"""

import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from pipeline.inputs import partitions
from pipeline.inputs.checks import CODES, REFERENCES, UNKNOWN
from pipeline.inputs.contract import TABLES
from pipeline.inputs.files import quoted, register, unreadable
from pipeline.inputs.staging import (
    delivered,
    first,
    refuse_empty,
    refuse_unsafe,
    rows,
    set_aside_duplicates,
    stage,
)
from pipeline.runtime.errors import ConfigError, InputError, QualityError
from pipeline.runtime.params import Engine
from pipeline.runtime.params import Ingest as Settings
from pipeline.runtime.progress import say
from pipeline.runtime.store import Folder

MEMORY = "3GB"
EVENTS = [table.name for table in TABLES.values() if table.event and table.name != "customers"]


def _open(params: Settings, engine: Engine, folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that moves what does not fit to disk, reads nothing but the shop's
    folder, and knows its time zone.
    """
    spill = str(Path(tempfile.gettempdir()) / f"corekeep-{time.time_ns()}")
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": engine.threads,
        "memory_limit": MEMORY,
        "temp_directory": spill,
        "autoinstall_known_extensions": False,
    }
    db = duckdb.connect(config=config)
    db.execute(f"set TimeZone = {quoted(params.timezone)}")
    db.execute(f"set allowed_directories = [{quoted(str(folder))}]")
    db.execute("set enable_external_access = false")
    db.execute(f"set variable folder = {quoted(str(folder))}")
    return db


def _judge(
    db: duckdb.DuckDBPyConnection, place: str, params: Settings
) -> dict[str, dict[str, str]]:
    """Stage every table of the contract and judge its rows one by one.

    The tables delivered, with the types of their columns.
    """
    # a clock a day off, or a zone further east, is no lie
    now = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    values = {
        "zone": quoted(params.timezone),
        "currency": quoted(params.currency),
        "max_amount": str(params.max_amount),
        "now": f"timestamp '{now:%Y-%m-%d %H:%M:%S}'",
    }
    found = delivered(db, place)
    for table in TABLES.values():
        stage(db, table, found.get(table.name, {}), values)
        if table.name in found:
            refuse_empty(db, table, place)
            refuse_unsafe(db, table)
            set_aside_duplicates(db, table, found[table.name])
    return found


def _set_fate(db: duckdb.DuckDBPyConnection, table: str, fate: str, condition: str) -> None:
    """Give the rows of a table still accepted, for which the condition on t holds, this fate."""
    db.execute(
        f"update staged_{table} as t set fate = {quoted(fate)} where t.fate is null and {condition}"
    )


def _relate(db: duckdb.DuckDBPyConnection, table: str) -> None:
    """Set aside rows of erased customers and rows whose references lead nowhere."""
    _set_fate(
        db,
        table,
        "erased",
        "exists (from staged_customers c where c.customer_id = t.customer_id and c.fate = 'erased')",
    )
    for reference in REFERENCES:
        if table in reference.tables:
            _set_fate(db, table, f"{reference.code} {reference.column}", reference.breaks)


def _end(db: duckdb.DuckDBPyConnection, params: Settings, place: str) -> dt.date:
    """The day at whose first midnight the data ends."""
    newest = rows(db, "select max(ordered_at)::date from accepted_orders")[0][0]
    if newest is None:
        raise InputError(
            "E_NO_ORDERS",
            place,
            "not one order is left",
            "deliver orders with a customer, an id and a time",
        )
    return (
        dt.date.fromisoformat(params.data_end) if params.data_end else newest + dt.timedelta(days=1)
    )


def _settle(
    db: duckdb.DuckDBPyConnection, found: dict[str, dict[str, str]], params: Settings, place: str
) -> dt.date:
    """Decide the fate of every row with regard to the others; the day the data ends."""
    if "customers" in found:
        _set_fate(db, "customers", "erased", "t.erased_at is not null")
        _relate(db, "orders")
    _check_limits(db, "orders", params)
    end = _end(db, params, place)
    events = [table for table in found if table in EVENTS]
    for table in events:
        _set_fate(db, table, "out_of_window", f"t.{TABLES[table].event} >= timestamp '{end}'")
    if not rows(db, "from accepted_orders limit 1"):
        raise ConfigError(
            "E_DATA_END", "ingest.data_end", "no order lies before it", "set a later day, or null"
        )
    if "customers" not in found:
        sql = "insert into staged_customers (customer_id, created_at) select customer_id, min(ordered_at) from accepted_orders group by 1"
        db.execute(sql)
    for table in found:
        if table not in ("customers", "orders") and "customer_id" in TABLES[table].names:
            _relate(db, table)
    if "customers" in found:
        seen = " or ".join(
            f"exists (from accepted_{table} e where e.customer_id = t.customer_id)"
            for table in events
        )
        _set_fate(
            db, "customers", "out_of_window", f"t.created_at >= timestamp '{end}' and not ({seen})"
        )
    if "suppressions" in found:
        _set_fate(db, "suppressions", "out_of_window", UNKNOWN)
    return end


def _check_limits(db: duckdb.DuckDBPyConnection, table: str, params: Settings) -> None:
    """Stop where one code takes more rows of a table than it may."""
    limits = params.quarantine_limit
    total = rows(db, f"select count(*) from staged_{table}")[0][0]
    for (code,) in rows(
        db,
        f"select distinct split_part(fate, ' ', 1) from staged_{table} where starts_with(fate, 'E_') order by all",
    ):
        place, count = first(db, table, f"starts_with(fate, '{code} ')")
        limit = limits.get(code, limits["default"])
        if count > limit * total:
            rule = CODES[code]
            says = f"{table}: {rule.says}: {count} of {total} rows, the limit is {limit:.2%}"
            column = rows(
                db,
                f"""select min_by(split_part(fate, ' ', 2), (source_file, source_line)) from staged_{table}
                    where starts_with(fate, '{code} ')""",
            )[0][0]
            raise QualityError(
                code,
                f"{place} {column}",
                says,
                f"{rule.fix}; or set ingest.quarantine_limit.{code} with the reason",
            )


def _account(
    db: duckdb.DuckDBPyConnection, found: dict[str, dict[str, str]]
) -> dict[str, dict[str, Any]]:
    """What became of every row, by table, each term counted on its own.

    What came in from the source, what is accepted as it is written.
    """
    tables = {}
    for table in (t for t in TABLES if t in found):
        written = {"customers": "customers_known", "market_events": "accepted_market_events"}.get(
            table, f"placed_{table}"
        )
        rows_in = rows(db, f"select count(*) from main.{table}")[0][0]
        accepted = rows(db, f"select count(*) from {written}")[0][0]
        fate = "split_part(fate, ' ', 1)"
        fates = dict(
            rows(
                db,
                f"select {fate}, count(*) from staged_{table} where fate is not null group by all order by all",
            )
        )
        codes = {code: count for code, count in fates.items() if code in CODES}
        others = {
            other: fates.get(other, 0) for other in ("exact_duplicate", "out_of_window", "erased")
        }
        if rows_in != accepted + sum(codes.values()) + sum(others.values()):
            raise RuntimeError(
                f"{table}: {rows_in} rows came in, {accepted} accepted, {codes} set aside, {others}"
            )
        tables[table] = {
            "rows_in": rows_in,
            "accepted": accepted,
            "quarantined": codes,
            "exact_duplicates": others["exact_duplicate"],
            "out_of_window": others["out_of_window"],
            "erased": others["erased"],
        }
        say(f"{table}: {accepted} of {rows_in} rows accepted")
    return tables


def _quarantine(
    db: duckdb.DuckDBPyConnection, found: dict[str, dict[str, str]]
) -> Iterator[tuple[str, Any]]:
    """One row per row set aside: where it came from and why; nothing of what it held."""
    for table in (t for t in TABLES if t in found):
        sql = f"""
            select source_file as file, source_line as line, split_part(fate, ' ', 2) as "column", split_part(fate, ' ', 1) as code
            from staged_{table} where starts_with(fate, 'E_') order by all"""
        yield f"{table}.parquet", db.sql(sql).to_arrow_table()


def ingest(
    shops: Folder, sources: str, params: Settings, engine: Engine, shop: str
) -> dict[str, Any]:
    """Events, quarantine and account of one shop; events are read partition by partition while they
    are written.

    Raises ConfigError for parameters, InputError for files and tables that break the contract,
    QualityError for too many bad rows.
    """
    if unknown := [code for code in params.quarantine_limit if code not in (*CODES, "default")]:
        raise ConfigError(
            "E_PARAM",
            f"ingest.quarantine_limit.{unknown[0]}",
            "there is no such code",
            f"one of: {', '.join(CODES)}",
        )
    place = f"sources/{shop}.sql"
    db = _open(params, engine, shops.path.resolve())
    register(db, shops)
    try:
        db.execute(sources)
        found = _judge(db, place, params)
    except (
        duckdb.ProgrammingError,
        duckdb.DataError,
        duckdb.IOException,
        duckdb.PermissionException,
    ) as error:
        raise unreadable(error, place) from None
    end = _settle(db, found, params, place)
    for table in found:
        _check_limits(db, table, params)
    parts = partitions.number(db, engine.lines_per_partition)
    partitions.place(db, parts)
    account = _account(db, found)
    first_event, lines = rows(db, "select min(ordered_at)::date, count(*) from accepted_orders")[0]
    meta = {
        "tables": {
            table: [name for name in TABLES[table].names if name in columns]
            for table, columns in found.items()
        },
        "currency": params.currency,
        "timezone": params.timezone,
        "data_end": end.isoformat(),
        "first_event": first_event.isoformat(),
        "partitions": parts,
        "customers": rows(db, "select count(*) from customers_known")[0][0],
        "lines": lines,
    }
    return {
        "events": partitions.write(db, parts, meta),
        "quarantine": _quarantine(db, found),
        "ingest": {"tables": account},
    }
