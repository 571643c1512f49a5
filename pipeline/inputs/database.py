"""The DuckDB database in which a shop's raw files are read, checked and numbered."""

import re
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from pipeline.inputs.plain import plain_folder
from pipeline.runtime.sections import Engine

Db = duckdb.DuckDBPyConnection
MEMORY = "800MB"  # of DuckDB; arrays of a partition and of hashes come on top


def open_database(timezone: str, engine: Engine, folder: Path) -> Db:
    """Open a database in memory that knows the shop's time zone.

    It reads only the shop's folder and the plain copies of its files.

    What does not fit into memory moves to disk.
    """
    spill, here = f"{tempfile.gettempdir()}/corekeep-{time.time_ns()}", literal(str(folder))
    # DuckDB compares the text of a path, and that of `one_file` may differ from the folder's.
    allowed = ", ".join((here, one_file(folder), one_file(plain_folder())))
    db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    db.execute(f"""
        set threads = {engine.threads};
        set memory_limit = '{MEMORY}';
        set temp_directory = {literal(spill)};
        set TimeZone = {literal(timezone)};
        set allowed_directories = [{allowed}];
        set enable_external_access = false;
        set variable folder = {here}""")
    return db


def fetch_all(db: Db, sql: str) -> list[Any]:
    """Return the rows of a query with a short result."""
    return db.execute(sql).fetchall()


def fetch_value(db: Db, sql: str) -> Any:
    """Return the first value of the first row of a query."""
    return fetch_all(db, sql)[0][0]


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def one_file(path: Path) -> str:
    """Return the path of one file as an SQL literal: DuckDB takes a path as a pattern."""
    return literal(re.sub(r"[\[*?]", r"[\g<0>]", str(path)))


def identifier(text: str) -> str:
    """Return a text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'
