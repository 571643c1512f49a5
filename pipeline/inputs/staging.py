"""From the views of a shop's SQL to typed rows with a fate: one pass of the rules.

A row's fate is null while it is accepted, else `exact_duplicate`, `out_of_window`, `erased`,
`rebilled`, or 'CODE column' of the rule it broke.
"""

import re
from collections.abc import Iterator

from pipeline.inputs.checks import (
    CODES,
    CUSTOMERS,
    STORED,
    amount_sql,
    delivered_sql,
    first_broken,
    notes_sql,
    value_sql,
)
from pipeline.inputs.contract import FORBIDDEN, ORIGIN, PROTECTED, TABLES, InputTable, Kind
from pipeline.inputs.database import Db, fetch_all, identifier, literal
from pipeline.inputs.refusals import refusal
from pipeline.runtime.errors import InputError, Refused
from pipeline.runtime.progress import warn

WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
# types of DuckDB whose values a column can hold; others would become null without a word
SCALARS = {
    *("VARCHAR", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UUID", "ENUM"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL", "DATE"),
}
OWN_NAME = "[a-z][a-z0-9_]*"  # of a segment: a column of lists and exports
NUMBERS = ("money", "quantity", "number", "flag")
# columns that a later step fills or changes, whether or not a shop delivers them
CHANGED = {
    "customers": ("erased_at", "do_not_contact", "profiling_objection"),
    "orders": ("quantity", "net_amount"),
    "returns": ("currency",),
}
Types = dict[str, str]  # the DuckDB type of each column


def delivered_tables(db: Db) -> dict[str, Types]:
    """Return the tables of the contract that the SQL creates, and the type of each column."""
    delivered: dict[str, Types] = {}
    columns = """select table_name, lower(column_name), data_type
        from information_schema.columns where table_schema = 'main'"""
    for table, column, kind in fetch_all(db, columns):
        if table in TABLES:
            # a column of a parquet file that is null throughout may have no type at all
            delivered.setdefault(table, {})[column] = "VARCHAR" if kind == '"NULL"' else kind
    return delivered


def delivered_types(db: Db, place: str) -> dict[str, Types]:
    """Return `delivered_tables`; warn of columns that are not read. Raises InputError."""
    delivered = delivered_tables(db)
    if "orders" not in delivered:
        raise refusal("E_NO_TABLE", place)
    for error in schema_errors(delivered, place):
        raise error
    for table, types in delivered.items():
        known = (*TABLES[table].with_own(types).names, *ORIGIN)
        unknown = [column for column in types if column not in known]
        if unknown and table != "treatments":  # a re-imported list has more columns
            warn(f"{place} {table}: not in the contract, not read: {', '.join(unknown)}")
    return delivered


def schema_errors(delivered: dict[str, Types], place: str) -> Iterator[Refused]:
    """Yield all that is wrong with the columns themselves: missing, forbidden, of a wrong type."""
    needed = [(table, column) for table in delivered for column in TABLES[table].required]
    if missing := [f"{t}.{column}" for t, column in needed if column not in delivered[t]]:
        yield refusal("E_NO_COLUMN", place, columns=", ".join(missing))
    for name, types in delivered.items():
        table = TABLES[name]
        own = table.own(types)
        if len(own) > table.own_columns:
            yield refusal("E_SEGMENTS", f"{place} {name}", most=table.own_columns)
        kinds = {column.name: column.kind for column in table.with_own(types).columns}
        for column, delivered_as in types.items():
            where, wanted = f"{place} {name}.{column}", kinds.get(column)
            if column in FORBIDDEN:
                yield refusal("E_FORBIDDEN", where)
            elif column in PROTECTED:
                yield refusal("E_PROTECTED", where)
            elif column in own and not re.fullmatch(OWN_NAME, column):
                yield refusal("E_SEGMENTS name", where)
            elif wanted:
                yield from _type_error(wanted, delivered_as, where)


def _type_error(wanted: Kind, delivered: str, where: str) -> Iterator[InputError]:
    """Yield the error for a column whose type has lost its values, or cannot hold them."""
    is_time, scalar = delivered.startswith("TIME"), delivered.partition("(")[0] in SCALARS
    if wanted == "id" and delivered in ("FLOAT", "DOUBLE"):
        yield refusal("E_ID_TYPE", where)
    elif wanted == "time" and delivered not in ("VARCHAR", "DATE") and delivered[:9] != "TIMESTAMP":
        rule = CODES["E_TIME_NUMBER"]
        yield InputError(rule.code, where, rule.message, rule.fix)
    elif not (scalar or is_time) or (wanted in NUMBERS and (is_time or delivered == "DATE")):
        yield refusal("E_TYPE", where, type=delivered, kind=wanted)


def whole_numbers(delivered: dict[str, Types]) -> set[str]:
    """Return the ids and texts of orders that are whole numbers in every table that has them.

    They stay numbers until they are written as text: a join or a sort of numbers costs a third.
    """
    orders = [c.name for c in TABLES["orders"].columns if c.kind in ("id", "text")]
    types = {name: {t[name] for t in delivered.values() if name in t} for name in orders}
    canonical = delivered.get("aliases", {}).get("canonical_id")
    types["customer_id"] |= {canonical} if canonical else set()
    whole = {name for name, kinds in types.items() if kinds and kinds <= WHOLE}
    return {*whole, *CUSTOMERS} if "customer_id" in whole else whole


def _declared(table: InputTable, types: Types, whole: set[str]) -> str:
    """SQL of a staged table's columns. One that a shop lacks is null without taking room.

    DuckDB would write the nulls of a stored column, and pin those of a column added later.
    """
    columns = []
    for column in table.columns:
        kind = "bigint" if column.name in whole else STORED.get(column.kind, "varchar")
        stored = not types or column.name in (*types, *CHANGED.get(table.name, ()))
        absent = "" if stored else f" generated always as (null::{kind}) virtual"
        columns.append(f"{identifier(column.name)} {kind}{absent}")
    # narrow bits: what a row takes is written and read once per pass
    own = ("source_file varchar", "source_line bigint", "fate varchar", "notes usmallint")
    return ", ".join((*columns, *own))


def stage_table(
    db: Db, table: InputTable, types: Types, whole: set[str], settings: dict[str, str]
) -> None:
    """Create `staged_<table>`: values of the contract's types, the origin of each row, its fate.

    A table that was not delivered has no rows. `whole`: the ids and texts that stay numbers.
    `settings`: see `first_broken`.
    """
    delivered = [column for column in table.columns if column.name in types]
    name = f"staged_{table.name}"
    db.execute(f"create table {name} ({_declared(table, types, whole)})")
    db.execute(f"create view accepted_{table.name} as from {name} where fate is null")
    if not delivered:
        return
    absent = {"source_file": literal(table.name), "source_line": "row_number() over ()"}
    origin = {name: f"{sql} as {name}" for name, sql in absent.items()}
    raw = [delivered_sql(table, column, types[column.name]) for column in delivered]
    raw += [column if column in types else origin[column] for column in ORIGIN]
    read = [
        f"x_{c.name}::bigint as v_{c.name}"
        if c.name in whole
        else f"{value_sql(c, types[c.name])} as v_{c.name}"
        for c in delivered
    ]
    values = [
        f"{amount_sql(c, types[c.name]) if c.kind == 'money' else f'v_{c.name}'} "
        f"as {identifier(c.name)}, "
        for c in delivered
    ]
    source = f"(select {', '.join(raw)} from {identifier(table.name)})"
    # rows carry their place, so they may be stored in any order, which takes two thirds of the time
    db.execute("set preserve_insertion_order = false")
    db.execute(f"""
        insert into {name} by name
        select {"".join(values)}
               source_file::varchar as source_file, source_line::bigint as source_line,
               ({first_broken(table, table.columns, types, settings)})::varchar as fate,
               {notes_sql(table, types, settings)} as notes
        from (select {", ".join(["*", *read])} from {source})""")
    db.execute("set preserve_insertion_order = true")
