"""Everything that is wrong with a shop's rows, at once: by column, with a remedy for the cause.

Computed only after a run was refused, so that sound data pays nothing for it. `staging.py` gives a
row the first rule it breaks; here each column counts for itself, since a row may break several.
"""

from dataclasses import dataclass

import duckdb

from pipeline.inputs.checks import (
    CODES,
    Clash,
    RowRule,
    Rule,
    delivered_sql,
    first_broken,
    value_sql,
)
from pipeline.inputs.contract import FORBIDDEN, TABLES, InputColumn, InputTable
from pipeline.inputs.database import Db, fetch_all, fetch_value, identifier, literal
from pipeline.inputs.fates import rule_settings
from pipeline.inputs.init.columns import form_of
from pipeline.inputs.init.times import MACRO
from pipeline.inputs.origins import raw_column
from pipeline.inputs.refusals import refusal
from pipeline.inputs.staging import Types
from pipeline.runtime.errors import InputError, QualityError, Refused
from pipeline.runtime.sections import Ingest

PLACES = 3  # offenders named per finding
WHOLE = 0.5  # of a column's values: then it is written in another form, not mistyped
FORMS = ("E_TIME", "E_NUMBER", "E_NO_TIME")


@dataclass(frozen=True)
class Finding:
    """One rule that rows of one column break. `places`: the first ones, as file:line."""

    table: str
    column: str
    rule: Rule
    count: int
    total: int
    places: list[str]
    raw: str  # the raw column
    shape: str = ""  # how most of the values are written: 9 for a digit, A for a letter
    convert: str = ""  # the SQL that converts them

    @property
    def stops(self) -> bool:
        return isinstance(self.rule, RowRule) and self.rule.stops

    def limit(self, params: Ingest) -> float:
        return params.quarantine_limit.get(self.rule.code, params.quarantine_limit["default"])

    def error(self, params: Ingest, place: str) -> Refused:
        """Return the finding as an error. `place` names the shop's SQL."""
        column = TABLES[self.table].column(self.column)
        message = self.rule.message.format(choices=", ".join(column.choices))
        count = f"{self.count} of {self.total} rows" if self.total else f"{self.count} rows"
        rule = f"{self.table}: {message}: {count}"
        if len(self.places) > 1:
            rule += f", first {', '.join(self.places)}"
        where = f"{self.places[0]} {self.raw}"
        fix = self.rule.fix
        if self.shape:
            rule += f"; most are written as {self.shape}"
            fix = f"in {place} select {self.convert}" if self.convert else f"convert it in {place}"
        if isinstance(self.rule, Clash):
            where = f"{' and '.join(self.places[:2])} {self.raw}"
            fix += f"; or set ingest.quarantine_limit.{self.rule.code} with the reason"
            return InputError(self.rule.code, where, rule, fix)
        if self.stops:
            return InputError(self.rule.code, where, rule, fix)
        rule += f", the limit is {self.limit(params):.2%}"
        if not self.shape:
            fix += f"; or set ingest.quarantine_limit.{self.rule.code} with the reason"
        return QualityError(self.rule.code, where, rule, fix)


def everything_wrong(db: Db, place: str, params: Ingest, first: Refused) -> Refused:
    """Return one error with all that is wrong, most harmful first; `first`: the one that stopped.

    What stops a run comes before what exceeds a limit, and much before little. What follows from
    another finding comes last.
    """
    delivered = _types(db)
    errors = schema_errors(delivered, place)
    wrong: list[Finding] = []
    for table, types in delivered.items():
        try:
            wrong += table_findings(db, TABLES[table].with_own(types), types, params)
        except duckdb.Error:
            continue  # what cannot be read at all is what stopped the run
    refused = [f for f in wrong if f.stops or f.count > f.limit(params) * f.total]
    related = _related(db, delivered, params)
    refused.sort(key=lambda f: (not f.stops, -f.count / max(f.total, 1)))
    errors += [finding.error(params, place) for finding in [*refused, *related]]
    if first.code not in {error.code for error in errors}:
        errors.insert(0 if isinstance(first, InputError) else len(refused), first)
    return errors[0].with_others(errors[1:])


def _types(db: Db) -> dict[str, Types]:
    """Return the types of the columns of every table of the contract that the SQL creates."""
    delivered: dict[str, Types] = {}
    sql = """select table_name, lower(column_name), data_type
        from information_schema.columns where table_schema = 'main'"""
    for table, column, kind in fetch_all(db, sql):
        if table in TABLES:
            delivered.setdefault(table, {})[column] = kind
    return delivered


def schema_errors(delivered: dict[str, Types], place: str) -> list[Refused]:
    """Return what is wrong with the columns themselves, of all tables."""
    errors: list[Refused] = []
    missing = [
        f"{table}.{column}"
        for table, types in delivered.items()
        for column in TABLES[table].required
        if column not in types
    ]
    if missing:
        errors.append(refusal("E_NO_COLUMN", place, columns=", ".join(missing)))
    for table, types in delivered.items():
        for column, kind in types.items():
            where = f"{place} {table}.{column}"
            if column in FORBIDDEN:
                errors.append(refusal("E_FORBIDDEN", where))
            elif column in TABLES[table].names:
                is_id = TABLES[table].column(column).kind == "id"
                if is_id and kind in ("FLOAT", "DOUBLE"):
                    errors.append(refusal("E_ID_TYPE", where))
    return errors


def table_findings(db: Db, table: InputTable, types: Types, params: Ingest) -> list[Finding]:
    """Return for each column the rules that its rows break, each row counted under the first."""
    columns = [column for column in table.columns if column.name in types]
    origin = {"source_file": literal(table.name), "source_line": "row_number() over ()"}
    raw = [delivered_sql(table, column, types[column.name]) for column in columns]
    raw += [name if name in types else f"{sql} as {name}" for name, sql in origin.items()]
    read = [f"{value_sql(column, types[column.name])} as v_{column.name}" for column in columns]
    broken = [
        f"{first_broken(table, [column], types, rule_settings(db, params))} as b_{column.name}"
        for column in columns
    ]
    source = f"(select {', '.join(raw)} from {identifier(table.name)})"
    db.execute(f"""create or replace temp table judged as
        select {", ".join(["*", *broken])} from (select {", ".join(["*", *read])} from {source})""")
    total = fetch_value(db, "select count(*) from judged")
    findings = []
    for column in columns:
        b, raw_name = f"b_{column.name}", raw_column(db, table.name, column.name)
        sql = f"""select split_part({b}, ' ', 1), count(*),
            (list(source_file || ':' || source_line order by source_file, source_line))[:{PLACES}]
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


def _related(db: Db, delivered: dict[str, Types], params: Ingest) -> list[Finding]:
    """Return the rules about other rows that too many staged rows break."""
    findings = []
    staged = "select table_name from information_schema.tables where table_name like 'staged_%'"
    names = {name for (name,) in fetch_all(db, staged)}
    for table in delivered:
        if f"staged_{table}" not in names:
            continue
        total = fetch_value(db, f"select count(*) from staged_{table}")
        sql = f"""select fate, count(*),
            (list(source_file || ':' || source_line order by source_file, source_line))[:{PLACES}]
            from staged_{table} where starts_with(fate, 'E_') group by 1 order by 2 desc"""
        for fate, count, places in fetch_all(db, sql):
            code, column = fate.split(" ")
            if not isinstance(CODES[code], RowRule):
                raw = raw_column(db, table, column)
                findings.append(Finding(table, column, CODES[code], count, total, places, raw))
    return [f for f in findings if f.count > f.limit(params) * f.total]
