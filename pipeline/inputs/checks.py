"""The rules of rules.yaml, compiled to one SQL pass per table, and the SQL that reads a column."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.inputs.contract import InputColumn, InputTable, Kind
from pipeline.inputs.database import literal
from pipeline.runtime.resources import read_yaml_table

BLANKS = "E' \\t\\r\\n\u00a0'"
ZONE = r"([Zz]|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)"
OFFSET = rf":[0-9.]+\s?{ZONE}$"
CLOCK = rf"[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?\s?{ZONE}?"
ISO = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([ T]{CLOCK})?"
TYPES: dict[Kind, str] = dict.fromkeys(("money", "quantity", "number"), "double")
TYPES |= {"time": "timestamp", "flag": "boolean"}
# a form with an offset that the rules allow -> the form that DuckDB reads
OFFSETS = {"z": "Z", "UTC": "Z", "GMT": "Z", " Z": "Z", " +": "+", " -": "-"}
# amounts are kept in ten-thousandths; a kind that is not named here is text
STORED = {**TYPES, "money": "bigint"}
CUSTOMERS = ("customer_id", "canonical_id")
CORRECT_ROWS = "correct the rows, or leave them out in the shop's SQL with the reason as a comment"


def _has_offset(delivered: str) -> bool:
    """Whether a DuckDB type is an instant rather than a local time."""
    return "TZ" in delivered or "TIME ZONE" in delivered


# what a rule is for, by `applies_to` of rules.yaml
APPLIES: dict[str, Callable[[InputColumn, InputTable, str], bool]] = {
    "any": lambda column, table, kind: True,
    "text": lambda column, table, kind: kind == "VARCHAR",
    "naive": lambda column, table, kind: kind != "DATE" and not _has_offset(kind),
    "filled": lambda column, table, kind: column.required or column.filled,
    "filled_text": lambda c, table, kind: (c.required or c.filled) and kind == "VARCHAR",
    "event": lambda column, table, kind: column.name == table.event,
    "event_text": lambda column, table, kind: column.name == table.event and kind == "VARCHAR",
    "event_instant": lambda column, table, kind: column.name == table.event and _has_offset(kind),
    "later": lambda column, table, kind: column.not_before is not None,
    "customer": lambda column, table, kind: column.name == "customer_id",
    "lines": lambda column, table, kind: table.name == "orders",
    "never": lambda column, table, kind: False,
}


@dataclass(frozen=True)
class RowRule:
    """One rule for a row by itself; rules.yaml explains the fields."""

    code: str
    kinds: tuple[Kind, ...]
    applies_to: str  # a key of `APPLIES`
    holds: str
    message: str
    where: str | None = None
    fix: str = CORRECT_ROWS
    stops: bool = False

    def concerns(self, column: InputColumn, table: InputTable, delivered: str) -> bool:
        """Whether the rule must be checked for a column of the DuckDB type `delivered`."""
        return column.kind in self.kinds and APPLIES[self.applies_to](column, table, delivered)


@dataclass(frozen=True)
class Reference:
    """One rule for a row with regard to other rows; rules.yaml explains the fields."""

    code: str
    tables: tuple[str, ...]
    column: str
    breaks: str
    message: str
    fix: str

    @property
    def needs(self) -> set[str]:
        """The columns of the row itself, t, without which no row breaks the rule."""
        return set(re.findall(r"\bt\.(\w+)", self.breaks))


@dataclass(frozen=True)
class Clash:
    """One rule for the rows of a table with one key; rules.yaml explains the fields."""

    code: str
    message: str
    fix: str
    stops: bool


@dataclass(frozen=True)
class Plausible:
    """One rule for orders that no shop has; rules.yaml explains the fields."""

    code: str
    column: str
    breaks: str
    message: str
    fix: str


_RULES = read_yaml_table(__file__, "rules.yaml")
ROW_RULES = tuple(RowRule(code, **rule) for code, rule in _RULES["rows"].items())
REFERENCES = tuple(Reference(code, **rule) for code, rule in _RULES["references"].items())
UNKNOWN_CUSTOMER = _RULES["references"]["E_UNKNOWN_CUSTOMER"]["breaks"]
CLASHES = tuple(Clash(code, **rule) for code, rule in _RULES["clashes"].items())
NOTES = tuple(RowRule(name, **note) for name, note in _RULES["notes"].items())
FLAGS: dict[str, list[str]] = _RULES["flags"]
PLAUSIBLE = {code: Plausible(code, **rule) for code, rule in _RULES["plausible"].items()}
Rule = RowRule | Reference | Clash | Plausible
RULES: tuple[Rule, ...] = (*ROW_RULES, *REFERENCES, *CLASHES, *PLAUSIBLE.values())
CODES = {rule.code: rule for rule in RULES}


def delivered_sql(table: InputTable, column: InputColumn, delivered: str) -> str:
    """SQL for a column as delivered, `x_<name>`: texts without outer blanks, blank texts as null.

    An id is delivered as it stands as well, `r_<name>`.
    Treatments are a list that people re-import. An apostrophe in front of a cell made it safe for
    spreadsheets, so it is removed.
    """
    plain = f'"{column.name}"'
    if delivered != "VARCHAR":
        return f"{plain} as x_{column.name}"
    if table.name == "treatments":
        plain = f"regexp_replace({plain}, E'^\\'(\\'*[=+@\\t\\r-])', '\\1')"
    as_it_stands = f"{plain} as r_{column.name}, " if column.kind == "id" else ""
    # most texts begin and end with a printable character, and trim takes five times as long
    return f"""{as_it_stands}
        case when ord({plain}) between 33 and 126 and ord({plain}[-1]) between 33 and 126
        then {plain} else nullif(trim({plain}, {BLANKS}), '') end as x_{column.name}"""


def value_sql(column: InputColumn, delivered: str) -> str:
    """SQL for the value of a column `x_<name>` of a DuckDB type; null where it cannot be read."""
    x, text = f"x_{column.name}", delivered == "VARCHAR"
    if column.kind == "id" and text:
        one = f"nfc_normalize({x})"
        # capitals mean nothing in an address
        is_customer = column.name in CUSTOMERS
        return f"if(contains({x}, '@'), lower({one}), {one})" if is_customer else one
    if column.kind in ("id", "text", "choice", "currency"):
        return f"{x}::varchar"
    if column.kind == "time" and text:
        instant = x
        for form, read in OFFSETS.items():
            instant = f"replace({instant}, '{form}', '{read}')"
        return f"""case when not regexp_full_match({x}, '{ISO}') then null
            when regexp_matches({x}, '{OFFSET}') then try_cast({instant} as timestamptz)::timestamp
            else try_cast({x} as timestamp) end"""
    if column.kind == "flag" and text:
        words = {value: ", ".join(map(literal, FLAGS[value])) for value in ("true", "false")}
        return f"""case when lower({x}) in ({words["true"]}) then true
            when lower({x}) in ({words["false"]}) then false end"""
    if column.kind == "time" and _has_offset(delivered):
        # in one step nanoseconds become null
        return f"try_cast(try_cast({x} as timestamptz) as timestamp)"
    return f"try_cast({x} as {TYPES[column.kind]})"


def amount_sql(column: InputColumn, delivered: str) -> str:
    """SQL for an amount in ten-thousandths of the currency: sums do not depend on their order."""
    x = f"x_{column.name}"
    if delivered in ("FLOAT", "DOUBLE"):
        return f"try_cast(round({x}::double * 10000) as bigint)"
    # a product has to fit as well
    return f"try_cast(try_cast({x} as decimal(18, 4))::decimal(38, 4) * 10000 as bigint)"


def notes_sql(table: InputTable, types: dict[str, str], settings: dict[str, str]) -> str:
    """SQL for the notes of a row, the bit of each by its position in NOTES."""
    bits = [
        f"if({_applied(note, '({})', column, settings)}, {1 << position}, 0)::usmallint"
        for position, note in enumerate(NOTES)
        for column in table.columns
        if column.name in types and note.concerns(column, table, types[column.name])
    ]
    return " | ".join(["0::usmallint", *bits])


def first_broken(
    table: InputTable,
    columns: Iterable[InputColumn],
    types: dict[str, str],
    settings: dict[str, str],
) -> str:
    """SQL for the first rule that a row breaks in some columns, as 'CODE column', or null.

    `types`: the DuckDB type of each delivered column. `settings`: SQL for {zone}, {now},
    {currency} and {max_amount} of the rules.
    """
    columns = tuple(columns)

    def broken(rule: RowRule, column: InputColumn) -> str:
        return _applied(rule, "({}) is not true", column, settings)

    branches = [
        f"when {broken(rule, column)} then '{rule.code} {column.name}'"
        for rule in ROW_RULES
        for column in columns
        if column.name in types and rule.concerns(column, table, types[column.name])
    ]
    return f"(case {' '.join(branches)} end)" if branches else "null"


def _applied(rule: RowRule, form: str, column: InputColumn, settings: dict[str, str]) -> str:
    """SQL of a rule for one column, where `form` says what of it has to hold.

    Only names in braces are filled in, not {2} of a pattern.
    """
    values = {
        "v": f"v_{column.name}",
        "x": f"x_{column.name}",
        "r": f"r_{column.name}",
        "start": f"v_{column.not_before}",
        "choices": ", ".join(f"'{choice}'" for choice in column.choices),
        **settings,
    }
    sql = form.format(rule.holds)
    if rule.where:
        # unlike `and`, this computes the second part only for the rows of the first
        sql = f"case when {rule.where} then {sql} else false end"
    return re.sub(r"\{([a-z_]+)\}", lambda match: values[match[1]], sql)
