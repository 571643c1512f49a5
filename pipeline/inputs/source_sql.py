"""What the SQL of a shop may do: create views, macros and tables, with the same rows each time."""

import re

import duckdb

from pipeline.inputs.refusals import refusal

COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
RAW_TABLE = re.compile(r'(?<![\w"])"?raw"?\s*\.\s*(?:"((?:[^"]|"")+)"|(\w+))', re.IGNORECASE)
# each reading of a view with one of these gives other rows
RANDOM = re.compile(r"\b(random|uuid|gen_random_uuid|uuidv4|uuidv7|nextval)\s*\(", re.IGNORECASE)
ERROR = re.compile(r"\berror\s*\(", re.IGNORECASE)


def named_tables(sql: str) -> set[str]:
    """Return the raw tables that an SQL text names, in lower case."""
    names = RAW_TABLE.findall(COMMENT.sub(" ", sql))
    return {(quoted.replace('""', '"') or plain).lower() for quoted, plain in names}


def check_source(sql: str, place: str) -> None:
    """Refuse statements other than `create`, and functions that give other rows each time.

    `place` names the shop's SQL. Errors of syntax are left to DuckDB. Raises InputError.
    """
    plain = COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), sql)
    if function := RANDOM.search(plain):
        line = plain.count("\n", 0, function.start()) + 1
        raise refusal("E_SOURCE random", f"{place}:{line}", function=function[1].lower())
    if raised := ERROR.search(plain):
        line = plain.count("\n", 0, raised.start()) + 1
        raise refusal("E_SOURCE error", f"{place}:{line}")
    try:
        statements = duckdb.extract_statements(plain)
    except duckdb.Error:
        return
    for statement in statements:
        if statement.type != duckdb.StatementType.CREATE:
            text = statement.query.strip()
            line = plain.count("\n", 0, max(plain.find(text), 0)) + 1
            kind = text.split(maxsplit=1)[0].lower()
            raise refusal("E_SOURCE statement", f"{place}:{line}", statement=kind)
