"""A published list as a table in PostgreSQL: a staging table, swapped in one transaction."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.delivery.published import published_table
from pipeline.runtime.errors import ConfigError, StorageError
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import MANIFEST
from pipeline.runtime.store import Folder

TABLE = "corekeep_scored"
TYPES = {"string": "text", "double": "double precision", "int64": "bigint", "date32[day]": "date",
         "bool": "boolean", "int32": "integer", "float": "real"}  # fmt: skip


def _place(uri: str) -> str:
    """Return the address without user and password."""
    parts = urlsplit(uri)
    return f"postgresql://{parts.hostname or ''}{parts.path}"


def require_address(uri: str) -> None:
    """Raise ConfigError unless this is an address of PostgreSQL and its client is installed."""
    if find_spec("psycopg") is None:
        fix = "pip install 'psycopg[binary]'"
        raise ConfigError("E_SINK", "--sink", "the package psycopg is missing", fix)
    if urlsplit(uri).scheme not in ("postgresql", "postgres"):
        raise ConfigError("E_SINK", "--sink", "not a PostgreSQL address", "postgresql://host/name")


def sink(folder: Path, uri: str) -> int:
    """Replace the rows of a list's snapshot in the table of all lists; return how many there are.

    A run that is killed leaves the table as it was, and a second run leaves it as the first did.
    Raises StorageError where the server cannot be reached or refuses, without the password.
    """
    require_address(uri)
    import psycopg
    from psycopg import sql

    lists = Folder(folder)
    manifest = lists.read(MANIFEST)
    rows = published_table(lists, "scored.parquet", manifest)
    table, staging = sql.Identifier(TABLE), sql.Identifier(f"{TABLE}_staging")
    names = sql.SQL(", ").join(map(sql.Identifier, ["shop", *rows.column_names]))
    kinds = [f'"{field.name}" {_type_of(field.type)}' for field in rows.schema]
    columns = sql.SQL(", ".join(["shop text", *kinds]))
    try:
        with psycopg.connect(uri, connect_timeout=10) as connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [TABLE])
            create = sql.SQL(
                "create table if not exists {} ({}, primary key (shop, as_of, customer_id))"
            )
            cursor.execute(create.format(table, columns))
            temporary = sql.SQL("create temporary table {} ({}) on commit drop")
            cursor.execute(temporary.format(staging, columns))
            copy = sql.SQL("copy {} ({}) from stdin").format(staging, names)
            with cursor.copy(copy) as stream:
                for row in _tuples(rows):
                    stream.write_row((manifest["shop"], *row))
            key = [manifest["shop"], manifest["snapshot"]]
            delete = sql.SQL("delete from {} where shop = %s and as_of = %s").format(table)
            cursor.execute(delete, key)
            insert = sql.SQL("insert into {} ({}) select {} from {}")
            cursor.execute(insert.format(table, names, names, staging))
            written = cursor.rowcount
    except psycopg.Error as error:
        code = error.sqlstate or type(error).__name__
        fix = "check address, rights and the columns of the table"
        raise StorageError("E_SINK", _place(uri), f"PostgreSQL refused: {code}", fix) from None
    say(f"{written} rows of {manifest['snapshot']} in the table {TABLE}, {_place(uri)}")
    return written


def _type_of(kind: pa.DataType) -> str:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return TYPES[str(kind)]


def _tuples(rows: pa.Table) -> Any:
    for batch in rows.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
