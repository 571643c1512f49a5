"""From raw tables to the views of the shop's SQL: orders, then the tables beside them."""

import re

from pipeline.inputs.database import fetch_all
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.credits import add_unlisted_credits
from pipeline.inputs.init.draft import Draft, Part
from pipeline.inputs.init.exports import recognised, statements
from pipeline.inputs.init.item_lists import split_items
from pipeline.inputs.init.joins import join_lines, join_products
from pipeline.inputs.init.orders import draft_orders
from pipeline.inputs.init.others import draft_tagged_complaints, lists_returns, part_of
from pipeline.inputs.init.questions import Answers, confirm, show
from pipeline.inputs.init.roles import by_values
from pipeline.inputs.init.segments import draft_segments
from pipeline.inputs.init.tables import MANY, Kind, RawTable, kind_of, with_properties
from pipeline.inputs.init.times import MACRO
from pipeline.inputs.refusals import refusal
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import say

# what a line of orders needs, and the option that names its column
NEEDED = {"customer": "--customer", "ordered_at": "--time"}
ALIKE = 0.6  # of the columns of two tables: files of one kind, one of which has a column more


def draft_tables(draft: Draft, tables: list[RawTable], answers: Answers) -> dict[str, Column]:
    """Draft the SQL of all tables; return the roles of the columns of the orders."""
    tables = [with_properties(draft.db, table, answers.columns) for table in tables]
    kinds: dict[str, Kind] = {t.name: kind_of(t, answers.columns, len(tables) == 1) for t in tables}
    export = next((table for table in tables if recognised(table)), None)
    orders = export or _largest(tables, kinds, "orders")
    if orders is None:
        raise refusal("E_NO_TABLE init", ", ".join(t.file for t in tables))
    _use_one(tables, kinds, orders)
    roles = orders.roles("orders", answers.columns)
    if all(re.fullmatch(r"column_\d+", column.name) for column in orders.columns):
        roles = by_values(orders.columns, roles)
    if not export:
        _check_roles(orders, roles)
    for table in tables:
        own = table.roles(kinds[table.name], answers.columns)
        if table is not export:
            show(table, kinds[table.name], roles if table is orders else own)
    if export:
        say(f"{export.file}: {export.rows} rows, an export of {recognised(export).split('.')[0]}")
        for statement in statements(recognised(export), export):
            draft.add(statement)
    else:
        confirm(answers)
        roles = _draft_lines(draft, tables, kinds, orders, roles, answers)
    _draft_others(draft, tables, kinds, answers)
    draft_segments(draft, tables, kinds, orders, answers)
    return roles


def _largest(tables: list[RawTable], kinds: dict[str, Kind], kind: Kind) -> RawTable | None:
    of_kind = [table for table in tables if kinds[table.name] == kind]
    return max(of_kind, key=lambda table: table.rows, default=None)


def _use_one(tables: list[RawTable], kinds: dict[str, Kind], orders: RawTable) -> None:
    """Use one table of orders, and one each of lines and products; say so of the others."""
    own = {column.name.lower() for column in orders.columns}
    for kind in ("orders", "lines", "products"):
        used = orders if kind == "orders" else _largest(tables, kinds, kind)
        for table in tables:
            if kinds[table.name] == kind and table is not used and used:
                names = {column.name.lower() for column in table.columns}
                if used is orders and len(own & names) >= ALIKE * len(own | names):
                    other = ", ".join(sorted(own ^ names))
                    rule = f"has orders as {orders.file} has, but not the same columns: {other}"
                    fix = "give all files the same columns, empty where there is nothing"
                    raise ConfigError("E_INIT", table.file, rule, fix)
                say(f"{table.file}: not used, since {used.file} has the {kind}")
                kinds[table.name] = "unused"
    kinds[orders.name] = "orders"


def _draft_lines(
    draft: Draft,
    tables: list[RawTable],
    kinds: dict[str, Kind],
    orders: RawTable,
    roles: dict[str, Column],
    answers: Answers,
) -> dict[str, Column]:
    """Draft the lines of the orders, and what they say came back; return their roles."""
    if any(column.time and column.time.has_names for t in tables for column in t.columns):
        draft.add(MACRO)
    tagged = roles.pop("complaint", None)
    draft.lists_returns = lists_returns(tables, kinds, answers.columns)
    source, joined = join_lines(orders, roles, _largest(tables, kinds, "lines"), answers.columns)
    source, joined = join_products(source, joined, _largest(tables, kinds, "products"))
    source, joined = split_items(draft, joined, source)
    draft_orders(draft, orders, joined, source)
    if tagged:
        draft_tagged_complaints(draft, orders, {**roles, "complaint": tagged})
    return joined


def _draft_others(
    draft: Draft, tables: list[RawTable], kinds: dict[str, Kind], answers: Answers
) -> None:
    """Draft the tables beside orders, each from all files that have rows of it."""
    parts: dict[Kind, list[Part]] = {}
    for table in tables:
        kind = kinds[table.name]
        if kind not in ("customers", "returns", "complaints", "suppressions"):
            continue
        own = table.roles(kind, answers.columns)
        parts.setdefault(kind, []).extend(part_of(draft, kind, table, own))
        if own.keys() & {"optout", "consent"} and kind == "customers":
            parts.setdefault("suppressions", []).extend(part_of(draft, "suppressions", table, own))
    views = "select view_name from duckdb_views() where schema_name = 'main' and not internal"
    drafted = {name for (name,) in fetch_all(draft.db, views)}
    for kind, own_parts in parts.items():
        if own_parts and kind in drafted:
            draft.remarks.append(f"the tables of {kind} are not used: the orders say it already")
        elif own_parts:
            draft.add_parts(
                "listed" if kind == "returns" and "credits" in drafted else kind, own_parts
            )
    if "credits" in drafted:
        add_unlisted_credits(draft)


def _check_roles(table: RawTable, roles: dict[str, Column]) -> None:
    if missing := [role for role in NEEDED if role not in roles]:
        names = ", ".join(column.name for column in table.columns)
        fix = " and ".join(f"{NEEDED[role]} COLUMN" for role in missing)
        rule = f"no column is plainly the {' or the '.join(missing)}; the columns are {names}"
        raise ConfigError("E_INIT", table.file, rule.replace("ordered_at", "time"), f"say {fix}")
    customer = roles["customer"]
    if customer.distinct == table.rows and table.rows >= MANY:
        rule = f"each row has another {customer.name}, so nobody bought twice"
        fix = "deliver one row per order, not one per customer, or say --customer COLUMN"
        raise ConfigError("E_INIT", table.file, rule, fix)
