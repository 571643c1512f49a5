"""The remedy for a column in another form: the SQL that converts what the column holds."""

from typing import Any

from pipeline.inputs.database import Db, fetch_all, identifier, literal
from pipeline.inputs.origins import raw_column
from pipeline.runtime.resources import read_yaml_table

FORMS: dict[str, dict[str, str]] = read_yaml_table(__file__, "forms.yaml")
CODES = {
    "E_NUMBER_UNREADABLE": "number",
    "E_NUMBER_COMMA": "number",
    "E_TIME_UNREADABLE": "time",
    "E_TIME_AMBIGUOUS": "time",
    "E_TIME_NUMBER": "time",
}
WHOLE = 0.9  # a column of which this share has one form is in that form


def reads(form: str, sql: str) -> str:
    """SQL for the value of a text `c` in a form; null for a text in another form."""
    sql, text = sql.format(c="c"), FORMS["texts"].get(form)
    return f"case when regexp_full_match(c, {literal(text)}) then {sql} end" if text else sql


def conversion(db: Db, table: str, column: str, rule: Any) -> str | None:
    """Return the remedy for a column that is in another form throughout; None for a few bad rows.

    It shows a form with nines for digits and letters, never a value.
    """
    kind = CODES.get(rule.code)
    if not kind:
        return None
    name = identifier(column)
    delivered = f"(select trim({name}) as c from main.{table} where trim({name}) <> '')"
    broken = f"fate = {literal(f'{rule.code} {column}')}"
    share = f"""select count(*) filter (where {broken}) >= 0.5 * count(*) from staged_{table}
        where fate is null or {broken}"""
    if not fetch_all(db, share)[0][0]:
        return None
    fits = {form: f"({reads(form, sql)}) is not null" for form, sql in FORMS[kind].items()}
    counts = ", ".join(f"count(*) filter (where {fit})" for fit in fits.values())
    total, *fitting = fetch_all(db, f"select count(*), {counts} from {delivered}")[0]
    best = max(fitting)
    if best < WHOLE * total:
        return None
    raw = identifier(raw_column(db, table, column))
    ways = {
        form: f"{FORMS[kind][form].format(c=raw)} as {column}"
        for form, count in zip(fits, fitting, strict=True)
        if count == best
    }
    choice = "; or, ".join(f"for {form}: {sql}" for form, sql in ways.items())
    sql = choice if len(ways) > 1 else next(iter(ways.values()))
    shape = r"regexp_replace(regexp_replace(c, '[0-9]', '9', 'g'), '\pL', 'a', 'g')"
    shown = f"select {shape}, count(*) from {delivered} group by 1 order by 2 desc, 1 limit 1"
    shape = fetch_all(db, shown)[0][0]
    return f"the column is written as {shape}: write in the shop's SQL {sql}"
