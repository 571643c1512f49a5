"""The input contract for people, JSON Schema and dbt, from pipeline/inputs/contract.yaml."""

from typing import Any

import yaml

from pipeline.docs.markdown import table
from pipeline.inputs.contract import TABLES, InputColumn, InputTable
from pipeline.runtime.resources import read_text
from pipeline.runtime.store import to_json

REQUIRED = ["orders"]
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    # kind: what a value is in words, in dbt's data_type, in JSON Schema
    "id": ("text", "varchar", {"type": "string"}),
    "text": ("text", "varchar", {"type": "string"}),
    "time": ("a date or time", "timestamp", {"type": "string"}),
    "money": ("an amount", "double", {"type": "number"}),
    "quantity": ("a number", "double", {"type": "number"}),
    "number": ("a number", "double", {"type": "number"}),
    "flag": ("true or false", "boolean", {"type": "boolean"}),
    "choice": ("one of", "varchar", {"type": "string"}),
    "currency": ("three letters", "varchar", {"type": "string"}),
}


def _needs_value(column: InputColumn) -> bool:
    """Return whether every row needs a value, where the table has the column."""
    return column.required or column.filled


def _in_words(column: InputColumn) -> str:
    words = KINDS[column.kind][0]
    return f"{words} {', '.join(column.choices)}" if column.choices else words


def _in_every_row(column: InputColumn) -> str:
    return "required" if column.required else "if the column is there" if column.filled else ""


def _section(of: InputTable) -> str:
    rows = [(f"`{c.name}`", _in_words(c), _in_every_row(c), c.meaning) for c in of.columns]
    more = (
        f" And up to {of.own_columns} columns of any name, each a text." if of.own_columns else ""
    )
    key = f" Key: {', '.join(f'`{name}`' for name in of.key)}." if of.key else ""
    need = " Required." if of.name in REQUIRED else ""
    columns = table("column, value, in every row, meaning", rows)
    return f"\n## {of.name}\n\nA row is {of.row}.{need}{key}{more}\n\n{columns}\n"


def contract_markdown() -> str:
    """Return the reference page of the input tables."""
    tables = "".join(map(_section, TABLES.values()))
    return read_text(__file__, "contract.md").format(tables=tables)


def _json_column(column: InputColumn) -> dict[str, Any]:
    of: dict[str, Any] = {"description": column.meaning, **KINDS[column.kind][2]}
    if column.choices:
        of["enum"] = list(column.choices)
    if not _needs_value(column):
        of["type"] = [of["type"], "null"]
    return of


def contract_json_schema() -> str:
    """Return the JSON Schema of an object with an array of rows per table."""
    rows = {
        of.name: {
            "type": "object",
            "description": f"A row is {of.row}.",
            "properties": {column.name: _json_column(column) for column in of.columns},
            "required": of.required,
        }
        for of in TABLES.values()
    }
    return to_json(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "corekeep input tables",
            "type": "object",
            "properties": {
                name: {"type": "array", "items": {"$ref": f"#/$defs/{name}"}} for name in rows
            },
            "required": REQUIRED,
            "$defs": rows,
        }
    )


def _dbt_column(of: InputTable, column: InputColumn) -> dict[str, Any]:
    tests: list[Any] = ["not_null"] if _needs_value(column) else []
    tests += ["unique"] if of.key == (column.name,) else []
    if column.choices:
        tests.append({"accepted_values": {"values": list(column.choices)}})
    about = {"name": column.name, "description": column.meaning}
    about["data_type"] = KINDS[column.kind][1]
    return {**about, "data_tests": tests} if tests else about


def contract_dbt() -> str:
    """Return dbt's schema.yml: a model per table, with the tests that dbt brings along."""
    models = [
        {
            "name": of.name,
            "description": f"A row is {of.row}.",
            "columns": [_dbt_column(of, column) for column in of.columns],
        }
        for of in TABLES.values()
    ]
    head = "# Made by `corekeep docs`. Delete the models and columns that you do not have.\n"
    written: str = yaml.safe_dump(
        {"version": 2, "models": models}, sort_keys=False, allow_unicode=True, width=100
    )
    return head + written
