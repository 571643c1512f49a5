"""From the views of a shop's SQL to typed rows with a fate: one pass of the rules, then rows
delivered twice and ids that clash.

A row's fate is null while it is accepted, else `exact_duplicate`, `out_of_window`, `erased`, or
'CODE column' of the rule it broke.
"""

from typing import Any

import duckdb

from pipeline.inputs.checks import CODES, STORED, Rule, delivering, reading, units, verdict
from pipeline.inputs.contract import FORBIDDEN, TABLES, Table
from pipeline.inputs.files import name, quoted
from pipeline.runtime.errors import InputError
from pipeline.runtime.progress import say

PLACE = ("source_file", "source_line")


def rows(db: duckdb.DuckDBPyConnection, sql: str) -> list[Any]:
    """What a query returns, for queries whose answer is short."""
    return db.execute(sql).fetchall()


def delivered(db: duckdb.DuckDBPyConnection, place: str) -> dict[str, dict[str, str]]:
    """The contract's tables among the shop's views.

    The DuckDB type of each column. Refuses what the contract refuses.
    """
    found: dict[str, dict[str, str]] = {}
    columns = "select table_name, lower(column_name), data_type from information_schema.columns where table_schema = 'main'"
    for table, column, kind in rows(db, columns):
        if table in TABLES:
            found.setdefault(table, {})[column] = kind
    if "orders" not in found:
        raise InputError(
            "E_NO_TABLE",
            place,
            "it makes no view `orders`",
            "create view orders as select ... from raw.<file>",
        )
    missing = [
        f"{table}.{column}"
        for table in found
        for column in TABLES[table].required
        if column not in found[table]
    ]
    if missing:
        raise InputError(
            "E_NO_COLUMN",
            place,
            f"missing: {', '.join(missing)}",
            "select a column under each of these names",
        )
    for table, types in found.items():
        _check_columns(TABLES[table], types, place)
    return found


def _check_columns(table: Table, types: dict[str, str], place: str) -> None:
    """Refuse a column that tells the future, or whose type shows that its values were lost on the
    way; name those not read.
    """
    for column, kind in types.items():
        where = f"{place} {table.name}.{column}"
        if column in FORBIDDEN:
            raise InputError(
                "E_FORBIDDEN",
                where,
                "what is to be predicted is never an input",
                "leave the column out",
            )
        if column not in table.names:
            continue
        wanted = table.column(column).kind
        if wanted == "id" and kind in ("FLOAT", "DOUBLE"):
            raise InputError(
                "E_ID_TYPE",
                where,
                "an id read as a float has lost digits",
                "cast it to bigint or text",
            )
        if (
            wanted == "time"
            and kind not in ("VARCHAR", "DATE")
            and not kind.startswith("TIMESTAMP")
        ):
            rule = CODES["E_TIME_NUMBER"]
            raise InputError(rule.code, where, rule.says, rule.fix)
    unknown = [column for column in types if column not in (*table.names, *PLACE)]
    if unknown and table.name != "treatments":  # the people's list put back has more columns
        say(f"warning: {place} {table.name}: not in the contract, not read: {', '.join(unknown)}")


def stage(
    db: duckdb.DuckDBPyConnection, table: Table, types: dict[str, str], values: dict[str, str]
) -> None:
    """Make `staged_<table>`.

    Values of the contract's types, where each row came from, its fate. Without rows for a table not
    delivered.
    """
    present = [column for column in table.columns if column.name in types]
    kept = []
    for column in table.columns:
        value = f"null::{STORED.get(column.kind, 'varchar')}"
        if column in present:
            value = (
                units(column, types[column.name]) if column.kind == "money" else f"v_{column.name}"
            )
        kept.append(f"{value} as {name(column.name)}")
    origin = {
        "source_file": f"{quoted(table.name)} as source_file",
        "source_line": "row_number() over () as source_line",
    }
    raw = [delivering(table, c, types[c.name]) for c in present] + [
        column if column in types else origin[column] for column in PLACE
    ]
    read = [f"{reading(c, types[c.name])} as v_{c.name}" for c in present]
    source = (
        f"(select {', '.join(raw)} from {name(table.name)})"
        if present
        else "(select '' as source_file, 0 as source_line limit 0)"
    )
    db.execute(f"""
        create table staged_{table.name} as
        select {", ".join(kept)}, source_file::varchar as source_file, source_line::bigint as source_line,
               ({verdict(table, types, values)})::varchar as fate
        from (select {", ".join(["*", *read])} from {source})""")
    db.execute(f"create view accepted_{table.name} as from staged_{table.name} where fate is null")


def first(db: duckdb.DuckDBPyConnection, table: str, condition: str) -> tuple[str, int]:
    """The place of the first row for which the condition holds, and how many there are."""
    place, count = rows(
        db,
        f"""select min_by(source_file || ':' || source_line, (source_file, source_line)), count(*)
            from staged_{table} t where {condition}""",
    )[0]
    return place, count


def refuse_empty(db: duckdb.DuckDBPyConnection, table: Table, place: str) -> None:
    """Refuse a table without rows that nothing can be said without; the others may be empty."""
    if table.name in ("customers", "orders") and not rows(db, f"from staged_{table.name} limit 1"):
        fix = "export it again, or leave customers out altogether"
        raise InputError("E_NO_ROWS", f"{place} {table.name}", "the table has no rows", fix)


def refuse_unsafe(db: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Refuse a table some of whose rows show that it cannot be read safely as a whole."""
    for (fate,) in rows(
        db, f"select distinct fate from staged_{table.name} where fate is not null order by 1"
    ):
        code, column = fate.split(" ")
        rule = CODES[code]
        if isinstance(rule, Rule) and rule.stops:
            place, count = first(db, table.name, f"fate = {quoted(fate)}")
            says = rule.says.format(choices=", ".join(table.column(column).choices))
            raise InputError(
                code, f"{place} {column}", f"{table.name}: {says} ({count} rows)", rule.fix
            )


def set_aside_duplicates(
    db: duckdb.DuckDBPyConnection, table: Table, columns: dict[str, str]
) -> None:
    """Count rows delivered twice.

    Refuse two rows of one name that differ, and one order of two customers.
    """
    held = ", ".join(name(c) for c in table.names if c in columns)
    again = f"hash({held}) in (select hash({held}) from accepted_{table.name} group by all having count(*) > 1)"
    db.execute(f"""
        update staged_{table.name} set fate = 'exact_duplicate' where rowid in (
            select rowid from staged_{table.name} where fate is null and {again}
            qualify row_number() over (partition by {held} order by source_file, source_line) > 1)""")
    if table.key and all(column in columns for column in table.key):
        key = ", ".join(table.key)
        named = " and ".join(f"{column} is not null" for column in table.key)
        again = f"{named} and hash({key}) in (select hash({key}) from accepted_{table.name} where {named} group by all having count(*) > 1)"
        second = f"row_number() over (partition by {key} order by source_file, source_line) = 2"
        _refuse_second(
            db, table, again, second, "E_DUPLICATE_ID", key, "two rows of one id that differ"
        )
    if table.name == "orders":
        again = """hash(order_id) in (
            select hash(order_id) from accepted_orders group by all having min(hash(customer_id)) <> max(hash(customer_id)))"""
        second = "customer_id <> first_value(customer_id) over (partition by order_id order by source_file, source_line)"
        _refuse_second(
            db, table, again, second, "E_ORDER_CUSTOMERS", "order_id", "one order of two customers"
        )


def _refuse_second(
    db: duckdb.DuckDBPyConnection,
    table: Table,
    candidates: str,
    second: str,
    code: str,
    key: str,
    says: str,
) -> None:
    """Refuse the table if, among the few rows that may clash, there is one that does."""
    found = rows(
        db,
        f"""select source_file || ':' || source_line from staged_{table.name} where fate is null and {candidates}
            qualify {second} order by source_file, source_line limit 1""",
    )
    if found:
        raise InputError(
            code,
            f"{found[0][0]} {key}",
            f"{table.name}: {says}",
            "correct the ids, or deliver the valid row only",
        )
