"""Which raw table is what: orders, their lines, customers, products, returns, complaints."""

from dataclasses import dataclass, replace
from typing import Literal

from pipeline.inputs.database import Db, fetch_value, identifier
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.roles import OF_PRODUCT, ROLES, assign, read_name, score

Kind = Literal[
    "orders", "lines", "customers", "products", "returns", "complaints", "suppressions", "unused"
]
MANY = 20  # customers: with fewer, a column may follow them by chance
SURE = 5  # the name of a column that says who the customer is, as an address of e-mail does
FULLER = 0.1  # of the rows
ROLES_OF: dict[Kind, tuple[str, ...]] = {
    "orders": (
        *("customer", "order", "line", "ordered_at", "clock", "net_amount", "price", "quantity"),
        *("sku", "label", "category", "currency", "status", "cancelled_at", "delivered_at"),
        *("promised_at", "discount", "complaint", "cancelled_because", "refunded", "returned_at"),
    ),
    "lines": (
        *("order", "line", "net_amount", "price", "quantity", "sku", "label", "category"),
        *("discount",),
    ),
    "customers": ("customer", "created_at", "optout", "consent"),
    "products": ("sku", "category"),
    "returns": (
        *("return_id", "customer", "order", "sku", "quantity", "net_amount", "price"),
        *("returned_at", "ordered_at", "reason", "refunded"),
    ),
    "complaints": (
        *("complaint_id", "customer", "order", "opened_at", "ordered_at", "resolved_at"),
        *("severity", "reason", "category"),
    ),
    "suppressions": ("customer", "created_at", "optout"),
    "unused": (),
}


@dataclass(frozen=True)
class RawTable:
    """One raw table, or several of the same columns. `sql`: what rows are selected from.

    `title`: what people called it.
    """

    name: str
    title: str
    sql: str
    file: str
    columns: list[Column]

    @property
    def rows(self) -> int:
        return self.columns[0].rows if self.columns else 0

    def roles(self, kind: Kind, fixed: dict[str, str]) -> dict[str, Column]:
        """Return the column of each role that a table of this kind can have.

        `fixed`: names of columns by role, as people gave them.
        """
        by_name = {column.name.lower(): column for column in self.columns}
        given = {
            role: by_name[name.lower()]
            for role, name in fixed.items()
            if name.lower() in by_name and role in ROLES_OF[kind]
        }
        roles = assign(self.columns, given, ROLES_OF[kind])
        if (customer := roles.get("customer")) and "customer" not in given:
            # guests have no number in the shop, but an address
            fuller = [c for c in self.columns if c.share >= customer.share + FULLER]
            sure = [c for c in fuller if score(c, "customer") >= SURE and c not in roles.values()]
            roles["customer"] = max(sure, key=lambda c: score(c, "customer"), default=customer)
        if "label" in roles and "sku" not in roles:
            roles["sku"] = roles.pop("label")
        return roles


def with_properties(db: Db, table: RawTable, fixed: dict[str, str]) -> RawTable:
    """Return the table with the columns marked that each customer has one value of."""
    customer = table.roles("orders", fixed).get("customer")
    if customer is None or customer.distinct < MANY or table.rows < 2 * customer.distinct:
        return table
    columns = []
    for column in table.columns:
        if any(score(column, role) for role in OF_PRODUCT) and column is not customer:
            sql = f"""select count(distinct ({customer.sql}, {column.sql}))
                from profiled.{identifier(table.name)} where {column.sql} is not null"""
            is_own = fetch_value(db, sql) <= 1.02 * customer.distinct
            column = replace(column, of_customer=is_own and column.distinct > 1)  # noqa: PLW2901
        columns.append(column)
    return replace(table, columns=columns)


def _is_unique(column: Column) -> bool:
    return column.distinct == column.filled == column.rows


def concepts(name: str) -> set[str]:
    """Return what the words of a name mean."""
    return {concept for meaning in read_name(name).meanings for concept in meaning}


def kind_of(table: RawTable, fixed: dict[str, str], alone: bool) -> Kind:
    """Return what a raw table is. `alone`: no other table is there, so it holds the orders."""
    about = concepts(table.title)
    orders = table.roles("orders", fixed)
    best = {role: max((score(c, role) for c in table.columns), default=0) for role in ROLES}
    customer, sku = orders.get("customer"), orders.get("sku")
    of_order = best["order"] >= 7 or "order" in about
    one_a_row = customer is not None and _is_unique(customer)
    tests: list[tuple[Kind, bool]] = [
        ("orders", alone),
        ("suppressions", "optout" in about or about >= {"refused", "contact"}),
        ("complaints", best["severity"] > 0 or best["complaint_id"] > 0),
        ("complaints", "complaint" in about and "order" not in about),
        ("returns", "return" in about or best["return_id"] > 5),
        ("customers", one_a_row and not of_order),
        ("orders", {"customer", "ordered_at"} <= orders.keys()),
        ("products", sku is not None and _is_unique(sku) and not {"customer", "order"} & {*orders}),
        ("lines", "order" in orders and len(orders) > 1),
    ]
    return next((kind for kind, holds in tests if holds), "unused")
