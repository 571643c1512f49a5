"""The rules of rules.yaml, compiled to one SQL pass per table, and the SQL that reads a column."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.inputs.contract import InputColumn, InputTable, Kind
from pipeline.runtime.resources import read_yaml_table

BLANKS = "E' \\t\\r\\n\u00a0'"
ZONE = r"([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"
OFFSET = rf":[0-9.]+\s?{ZONE}$"
CLOCK = rf"[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.][0-9]+)?)?\s?{ZONE}?"
ISO = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([ T]{CLOCK})?"
TYPES: dict[Kind, str] = dict.fromkeys(("money", "quantity", "number"), "double")
TYPES |= {"time": "timestamp", "flag": "boolean"}
# amounts are kept in ten-thousandths; a kind that is not named here is text
STORED = {**TYPES, "money": "bigint"}
CORRECT_ROWS = "correct the rows, or leave them out in the shop's SQL with the reason as a comment"


@dataclass(frozen=True)
class RowRule:
    """One rule for a row by itself; rules.yaml explains the fields."""

    code: str
    kinds: tuple[Kind, ...]
    applies_to: Literal["any", "text", "naive", "filled", "event", "later", "customer"]
    holds: str
    message: str
    where: str | None = None
    fix: str = CORRECT_ROWS
    stops: bool = False

    def concerns(self, column: InputColumn, table: InputTable, delivered: str) -> bool:
        """Whether the rule must be checked for a column of the DuckDB type `delivered`."""
        applies = {
            "any": True,
            "text": delivered == "VARCHAR",
            "naive": delivered != "DATE" and not _has_offset(delivered),
            "filled": column.required or column.filled,
            "event": column.name == table.event,
            "later": column.not_before is not None,
            "customer": column.name == "customer_id",
        }
        return column.kind in self.kinds and applies[self.applies_to]


@dataclass(frozen=True)
class Reference:
    """One rule for a row with regard to other rows; rules.yaml explains the fields."""

    code: str
    tables: tuple[str, ...]
    column: str
    breaks: str
    message: str
    fix: str


_RULES = read_yaml_table(__file__, "rules.yaml")
ROW_RULES = tuple(RowRule(code, **rule) for code, rule in _RULES["rows"].items())
REFERENCES = tuple(Reference(code, **rule) for code, rule in _RULES["references"].items())
UNKNOWN_CUSTOMER = _RULES["references"]["E_UNKNOWN_CUSTOMER"]["breaks"]
RULES: tuple[RowRule | Reference, ...] = (*ROW_RULES, *REFERENCES)
CODES = {rule.code: rule for rule in RULES}


def delivered_sql(table: InputTable, column: InputColumn, delivered: str) -> str:
    """SQL for a column as delivered, `x_<name>`: texts without outer blanks, blank texts as null.

    Treatments are a list that people re-import. An apostrophe in front of a cell made it safe for
    spreadsheets, so it is removed.
    """
    plain = f'"{column.name}"'
    if delivered != "VARCHAR":
        return f"{plain} as x_{column.name}"
    if table.name == "treatments":
        plain = f"regexp_replace({plain}, E'^\\'(\\'*[=+@\\t\\r-])', '\\1')"
    # most texts begin and end with a printable character, and trim takes five times as long
    return f"""case when ord({plain}) between 33 and 126 and ord({plain}[-1]) between 33 and 126
        then {plain} else nullif(trim({plain}, {BLANKS}), '') end as x_{column.name}"""


def _has_offset(delivered: str) -> bool:
    """Whether a DuckDB type is an instant rather than a local time."""
    return "TZ" in delivered or "TIME ZONE" in delivered


def value_sql(column: InputColumn, delivered: str) -> str:
    """SQL for the value of a column `x_<name>` of a DuckDB type; null where it cannot be read."""
    x, text = f"x_{column.name}", delivered == "VARCHAR"
    if column.kind in ("id", "text", "choice", "currency"):
        return f"{x}::varchar"
    if column.kind == "time" and text:
        return f"""case when not regexp_full_match({x}, '{ISO}') then null
            when regexp_matches({x}, '{OFFSET}') then try_cast({x} as timestamptz)::timestamp
            else try_cast({x} as timestamp) end"""
    if _has_offset(delivered):
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


def first_broken_rule(table: InputTable, types: dict[str, str], settings: dict[str, str]) -> str:
    """SQL for the first rule that a row breaks, as 'CODE column'; null where it breaks none.

    `types`: the DuckDB type of each delivered column. `settings`: SQL for {zone}, {now},
    {currency} and {max_amount} of the rules.
    """
    return first_broken(table, table.columns, types, settings)


def first_broken(
    table: InputTable,
    columns: Iterable[InputColumn],
    types: dict[str, str],
    settings: dict[str, str],
) -> str:
    """SQL for the first rule that a row breaks in some columns; see `first_broken_rule`."""
    columns = tuple(columns)
    branches = [
        f"when {_broken(rule, column, settings)} then '{rule.code} {column.name}'"
        for rule in ROW_RULES
        for column in columns
        if column.name in types and rule.concerns(column, table, types[column.name])
    ]
    return f"(case {' '.join(branches)} end)" if branches else "null"


def _broken(rule: RowRule, column: InputColumn, settings: dict[str, str]) -> str:
    """SQL that is true of a row that breaks a rule in one column.

    Only names in braces are filled in, not {2} of a pattern.
    """
    values = {
        "v": f"v_{column.name}",
        "x": f"x_{column.name}",
        "start": f"v_{column.not_before}",
        "choices": ", ".join(f"'{choice}'" for choice in column.choices),
        **settings,
    }
    broken = f"({rule.holds}) is not true"
    if rule.where:
        # unlike `and`, this computes the second part only for the rows of the first
        broken = f"case when {rule.where} then {broken} else false end"
    return re.sub(r"\{([a-z_]+)\}", lambda match: values[match[1]], broken)
