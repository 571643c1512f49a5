"""From the views of a shop's SQL to typed rows with a fate: one pass of the rules.

A row's fate is null while it is accepted, else `exact_duplicate`, `out_of_window`, `erased`,
`rebilled`, or 'CODE column' of the rule it broke.
"""

import re

from pipeline.inputs.checks import (
    CODES,
    CUSTOMERS,
    STORED,
    RowRule,
    amount_sql,
    delivered_sql,
    first_broken_rule,
    notes_sql,
    value_sql,
)
from pipeline.inputs.contract import FORBIDDEN, ORIGIN, PROTECTED, TABLES, InputTable
from pipeline.inputs.database import Db, fetch_all, identifier, literal
from pipeline.inputs.origins import raw_column
from pipeline.inputs.refusals import refusal
from pipeline.runtime.errors import InputError
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


def delivered_types(db: Db, place: str) -> dict[str, Types]:
    """Return the delivered tables, and the DuckDB type of each column. Raises InputError."""
    delivered: dict[str, Types] = {}
    columns = """select table_name, lower(column_name), data_type
        from information_schema.columns where table_schema = 'main'"""
    for table, column, kind in fetch_all(db, columns):
        if table in TABLES:
            # a column of a parquet file that is null throughout may have no type at all
            delivered.setdefault(table, {})[column] = "VARCHAR" if kind == '"NULL"' else kind
    if "orders" not in delivered:
        raise refusal("E_NO_TABLE", place)
    needed = [(table, column) for table in delivered for column in TABLES[table].required]
    if missing := [f"{t}.{column}" for t, column in needed if column not in delivered[t]]:
        raise refusal("E_NO_COLUMN", place, columns=", ".join(missing))
    for table, types in delivered.items():
        _check_columns(TABLES[table], types, place)
    return delivered


def _check_columns(table: InputTable, types: Types, place: str) -> None:
    """Refuse a forbidden column, or one whose type lost its values; warn of a column not read."""
    own, full = table.own(types), table.with_own(types)
    if len(own) > table.own_columns:
        raise refusal("E_SEGMENTS", f"{place} {table.name}", most=table.own_columns)
    for column, kind in types.items():
        where = f"{place} {table.name}.{column}"
        if column in FORBIDDEN:
            raise refusal("E_FORBIDDEN", where)
        if column in PROTECTED:
            raise refusal("E_PROTECTED", where)
        if column not in full.names:
            continue
        wanted = full.column(column).kind
        if wanted == "id" and kind in ("FLOAT", "DOUBLE"):
            raise refusal("E_ID_TYPE", where)
        if wanted == "time" and kind not in ("VARCHAR", "DATE") and kind[:9] != "TIMESTAMP":
            rule = CODES["E_TIME_NUMBER"]
            raise InputError(rule.code, where, rule.message, rule.fix)
        if column in own and not re.fullmatch(OWN_NAME, column):
            raise refusal("E_SEGMENTS name", where)
        scalar = kind.partition("(")[0] in SCALARS or kind.startswith("TIME")
        if not scalar or (wanted in NUMBERS and kind.startswith(("DATE", "TIME"))):
            raise refusal("E_TYPE", where, type=kind, kind=wanted)
    unknown = [column for column in types if column not in (*full.names, *ORIGIN)]
    if unknown and table.name != "treatments":  # a re-imported list has more columns
        warn(f"{place} {table.name}: not in the contract, not read: {', '.join(unknown)}")


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
    `settings`: see `first_broken_rule`.
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
               ({first_broken_rule(table, types, settings)})::varchar as fate,
               {notes_sql(table, types, settings)} as notes
        from (select {", ".join(["*", *read])} from {source})""")
    db.execute("set preserve_insertion_order = true")


def first_place(db: Db, table: str, condition: str) -> tuple[str, int]:
    """Return the place of the first staged row t that meets a condition, and how many do."""
    sql = f"""select min_by(source_file || ':' || source_line, (source_file, source_line)), count(*)
        from staged_{table} t where {condition}"""
    place, count = fetch_all(db, sql)[0]
    return place, count


def refuse_unsafe(db: Db, table: InputTable) -> None:
    """Refuse a table with rows that break a rule that stops the run."""
    fates = f"select distinct fate from staged_{table.name} where fate is not null order by 1"
    for (fate,) in fetch_all(db, fates):
        code, column = fate.split(" ")
        rule = CODES[code]
        if isinstance(rule, RowRule) and rule.stops:
            place, count = first_place(db, table.name, f"fate = {literal(fate)}")
            message = rule.message.format(choices=", ".join(table.column(column).choices))
            message = f"{table.name}: {message} ({count} rows)"
            place = f"{place} {raw_column(db, table.name, column)}"
            raise InputError(code, place, message, rule.fix)
