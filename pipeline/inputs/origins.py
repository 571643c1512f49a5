"""Where the rows of a shop's views come from: file, line and column, also where the SQL is silent.

A view that does not select `source_file` and `source_line` gets them, if each of its rows is one
row of a raw table: it reads raw tables or views of them, without grouping.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from pipeline.inputs.contract import ORIGIN
from pipeline.inputs.database import Db, fetch_all, identifier

VIEW = re.compile(r"^CREATE VIEW (?:\w+|\"[^\"]+\"|\.)+ AS (.*?);?\s*$", re.DOTALL | re.IGNORECASE)
Node = dict[str, Any]
COLUMN: Node = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": ""}


@dataclass
class Origins:
    """The views of a database, completed one after the other; `columns`: the raw column of each."""

    db: Db
    aggregates: frozenset[str]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    _seen: dict[str, bool] = field(default_factory=dict)
    _added: dict[int, bool] = field(default_factory=dict)  # by named query

    def complete(self, view: str) -> bool:
        """Add the origin to a view where it is missing; return whether the view has it."""
        if view not in self._seen:
            self._seen[view] = False  # a view cannot name itself
            self._seen[view] = self._complete(view)
        return self._seen[view]

    def _complete(self, view: str) -> bool:
        sql = "select sql from duckdb_views() where schema_name = 'main' and view_name = $1"
        definition = self.db.execute(sql, [view]).fetchall()
        match = VIEW.match(definition[0][0]) if definition else None
        if not match:
            return False
        parse = "select json_serialize_sql($1::varchar)"
        tree = json.loads(self.db.execute(parse, [match[1]]).fetchall()[0][0])
        if tree["error"] or len(tree["statements"]) != 1:
            return False
        node = tree["statements"][0]["node"]
        self.columns[view] = self._raw_columns(node)
        names = {row[0].lower() for row in fetch_all(self.db, f"describe {identifier(view)}")}
        if names >= {*ORIGIN}:
            return True
        if names & {*ORIGIN} or not self._add(node, {}):
            return False
        unparse = "select json_deserialize_sql($1::json)"
        try:
            text = self.db.execute(unparse, [json.dumps(tree)]).fetchall()[0][0]
            self.db.execute(f"create or replace view main.{identifier(view)} as {text}")
            self.db.sql(f"select {', '.join(ORIGIN)} from main.{identifier(view)}")
        except duckdb.Error:  # an SQL that cannot be written back stays as it is
            self.db.execute(f"create or replace view main.{identifier(view)} as {match[1]}")
            return False
        return True

    def _add(self, node: Node, known: dict[str, Node]) -> bool:
        """Add the origin to a query; return False where its rows are no single raw rows."""
        known = {**known, **_named_queries(node)}
        if node["type"] == "SET_OPERATION_NODE":
            sides = node.get("children") or [node["left"], node["right"]]
            is_all = node["setop_type"].startswith("UNION") and node["setop_all"]
            return is_all and all([self._add(side, known) for side in sides])
        distinct = any(change["type"] == "DISTINCT_MODIFIER" for change in node["modifiers"])
        if node["type"] != "SELECT_NODE" or node["group_expressions"] or distinct:
            return False
        if self._aggregates(node["select_list"]):
            return False
        source = self._source(node["from_table"], known)
        if not source:
            return False
        node["select_list"] += [{**COLUMN, "column_names": [source, name]} for name in ORIGIN]
        return True

    def _source(self, table: Node, known: dict[str, Node]) -> str | None:
        """Return the name under which the first table of a query has its origin."""
        if table["type"] == "JOIN":
            if table["join_type"] not in ("INNER", "LEFT"):  # a row may have no raw row
                return None
            return self._source(table["left"], known)
        if table["type"] == "SUBQUERY":
            has = self._add(table["subquery"]["node"], known)
            return table["alias"] if has else None
        if table["type"] != "BASE_TABLE":
            return None
        name, schema = table["table_name"], table["schema_name"]
        if schema == "raw":
            has = True
        elif not schema and name in known:
            if id(known[name]) not in self._added:
                self._added[id(known[name])] = self._add(known[name], known)
            has = self._added[id(known[name])]
        else:
            has = schema in ("", "main") and self.complete(name)
        return (table["alias"] or name) if has else None

    def _aggregates(self, part: Any) -> bool:
        """Whether an expression groups rows; a window function does not."""
        if isinstance(part, list):
            return any(self._aggregates(each) for each in part)
        if not isinstance(part, dict) or part.get("class") in ("WINDOW", "SUBQUERY"):
            return False
        is_one = part.get("class") == "FUNCTION" and part.get("function_name") in self.aggregates
        return is_one or any(self._aggregates(each) for each in part.values())

    def _raw_columns(self, node: Node) -> dict[str, str]:
        """Return the raw column from which each column of a query comes, where it is only one."""
        while node["type"] == "SET_OPERATION_NODE":
            node = (node.get("children") or [node["left"]])[0]
        if node["type"] != "SELECT_NODE":
            return {}
        before: dict[str, str] = {}
        table = node["from_table"]
        if table["type"] == "SUBQUERY" or table.get("table_name") in _named_queries(node):
            return {}
        if table["type"] == "BASE_TABLE" and table["schema_name"] in ("", "main"):
            self.complete(table["table_name"])
            before = self.columns.get(table["table_name"], {})
        columns = {}
        for entry in node["select_list"]:
            names = {name[-1] for name in _references(entry)}
            own = entry.get("alias") or (entry.get("column_names") or [""])[-1]
            if own and len(names) == 1:
                (name,) = names
                columns[own.lower()] = before.get(name.lower(), name)
        return columns


@cache
def _aggregates() -> frozenset[str]:
    """Return the names of DuckDB's own aggregates; a shop's SQL can add none."""
    sql = "select function_name from duckdb_functions() where function_type = 'aggregate'"
    with duckdb.connect() as db:
        return frozenset(name for (name,) in db.sql(sql).fetchall())


def _named_queries(node: Node) -> dict[str, Node]:
    """Return the queries that a `with` names."""
    entries = node.get("cte_map", {}).get("map", [])
    return {entry["key"]: entry["value"]["query_node"] for entry in entries}


def _references(part: Any) -> list[list[str]]:
    """Return the columns that an expression names."""
    if isinstance(part, list):
        return [name for each in part for name in _references(each)]
    if not isinstance(part, dict):
        return []
    if part.get("class") == "COLUMN_REF":
        return [part["column_names"]]
    return [name for each in part.values() for name in _references(each)]


def add_origins(db: Db) -> None:
    """Add the origin to all views of the shop's SQL, and name their raw columns.

    Creates the table `raw_columns`: one row per column of a view that comes from one raw column.
    """
    origins = Origins(db, _aggregates())
    views = """select view_name from duckdb_views() where schema_name = 'main' and not internal"""
    for (view,) in fetch_all(db, views):
        origins.complete(view)
    db.execute("create table raw_columns (view_name varchar, column_name varchar, raw varchar)")
    for view, columns in origins.columns.items():
        for column, raw in columns.items():
            db.execute("insert into raw_columns values ($1, $2, $3)", [view.lower(), column, raw])


def raw_column(db: Db, table: str, column: str) -> str:
    """Return the raw column from which a column of an input table comes, else its own name."""
    sql = "select raw from raw_columns where view_name = $1 and column_name = $2"
    rows = db.execute(sql, [table, column]).fetchall()
    return str(rows[0][0]) if rows else column
