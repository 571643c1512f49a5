"""Everything that is wrong with a shop's rows, at once: by column, with a remedy for the cause.

Computed only after a run was refused, so that sound data pays nothing for it. `staging.py` gives a
row the first rule it breaks; here each column counts for itself, since a row may break several.
"""

import duckdb

from pipeline.inputs.checks import CODES, RowRule, delivered_sql, first_broken, value_sql
from pipeline.inputs.contract import TABLES, InputColumn, InputTable
from pipeline.inputs.database import Db, fetch_all, fetch_value, identifier, literal
from pipeline.inputs.fates import rule_settings
from pipeline.inputs.finding import PLACES, Finding, staged_findings
from pipeline.inputs.init.columns import form_of
from pipeline.inputs.init.times import MACRO
from pipeline.inputs.origins import raw_column
from pipeline.inputs.staging import Types, delivered_tables, schema_errors
from pipeline.runtime.errors import InputError, Refused
from pipeline.runtime.sections import Ingest

WHOLE = 0.5  # of a column's values: then it is written in another form, not mistyped
FORMS = ("E_TIME", "E_NUMBER", "E_NO_TIME")


def everything_wrong(db: Db, place: str, params: Ingest, first: Refused) -> Refused:
    """Return one error with all that is wrong, most harmful first; `first`: the one that stopped.

    What stops a run comes before what exceeds a limit, and much before little. What follows from
    another finding comes last.
    """
    delivered = delivered_tables(db)
    errors = list(schema_errors(delivered, place))
    wrong: list[Finding] = []
    for table, types in delivered.items():
        try:
            wrong += table_findings(db, TABLES[table].with_own(types), types, params)
        except duckdb.Error:
            continue  # what cannot be read at all is what stopped the run
    refused = [f for f in wrong if f.stops or f.is_above(params)]
    related = _about_other_rows(db, delivered, params)
    refused.sort(key=lambda f: (not f.stops, -f.count / max(f.total, 1)))
    errors += [finding.error(params, place) for finding in [*refused, *related]]
    if first.code not in {error.code for error in errors}:
        errors.insert(0 if isinstance(first, InputError) else len(refused), first)
    return errors[0].with_others(errors[1:])


def table_findings(db: Db, table: InputTable, types: Types, params: Ingest) -> list[Finding]:
    """Return for each column the rules that its rows break, each row counted under the first."""
    columns = [column for column in table.columns if column.name in types]
    origin = {"source_file": literal(table.name), "source_line": "row_number() over ()"}
    raw = [delivered_sql(table, column, types[column.name]) for column in columns]
    raw += [name if name in types else f"{sql} as {name}" for name, sql in origin.items()]
    read = [f"{value_sql(column, types[column.name])} as v_{column.name}" for column in columns]
    settings = rule_settings(db, params)
    broken = [
        f"{first_broken(table, [column], types, settings)} as b_{column.name}" for column in columns
    ]
    source = f"(select {', '.join(raw)} from {identifier(table.name)})"
    db.execute(f"""create or replace temp table judged as
        select {", ".join(["*", *broken])} from (select {", ".join(["*", *read])} from {source})""")
    total = fetch_value(db, "select count(*) from judged")
    findings = []
    for column in columns:
        b, raw_name = f"b_{column.name}", raw_column(db, table.name, column.name)
        sql = f"""select split_part({b}, ' ', 1), count(*), {PLACES}
            from judged where {b} is not null group by 1"""
        for code, count, places in fetch_all(db, sql):
            rule = CODES[code]
            shape, convert = "", ""
            if code.startswith(FORMS) and types[column.name] == "VARCHAR":
                shape, convert = _form(db, column, code, count, raw_name)
            findings.append(
                Finding(
                    table.name, column.name, rule, count, total, places, raw_name, shape, convert
                )
            )
    return findings


def _form(db: Db, column: InputColumn, code: str, count: int, raw: str) -> tuple[str, str]:
    """Return the shape of most values of a column, and the SQL that converts it, if it is most.

    No value of a customer is shown.
    """
    x = f"x_{column.name}"
    if count < WHOLE * fetch_value(db, f"select count({x}) from judged"):
        return "", ""
    shape = f"regexp_replace(regexp_replace({x}, '[0-9]', '9', 'g'), '\\p{{L}}', 'A', 'g')"
    sql = f"""select {shape}, count(*) from judged where b_{column.name} is not null
        and {x} is not null group by 1 order by 2 desc, 1 limit 1"""
    shapes = fetch_all(db, sql)
    if not shapes:
        return "", ""
    name = identifier(raw)
    form = form_of(db, "judged", x)
    converted = ""
    if column.kind == "time" and form.time:
        converted = form.time.sql(name)
        if form.time.is_ambiguous:
            converted = f"{converted} (or day and month the other way round)"
    elif column.kind != "time" and form.number:
        converted = form.number.sql(name)
    is_converted = converted and converted != name
    if column.kind == "time" and form.time and form.time.has_names:
        macros = " ".join(line.strip() for line in MACRO.splitlines()[1:])
        return shapes[0][0][:40], f"{converted} as {column.name}, after {macros}"
    return shapes[0][0][:40], f"{converted} as {column.name}" if is_converted else ""


def _about_other_rows(db: Db, delivered: dict[str, Types], params: Ingest) -> list[Finding]:
    """Return the rules about other rows that too many staged rows break, most rows first."""
    staged = "select table_name from information_schema.tables where table_name like 'staged_%'"
    names = {name for (name,) in fetch_all(db, staged)}
    findings = [
        finding
        for table in delivered
        if f"staged_{table}" in names
        for finding in sorted(staged_findings(db, table, params), key=lambda f: -f.count)
    ]
    return [finding for finding in findings if not isinstance(finding.rule, RowRule)]
