"""Orders, their lines and their products in tables of their own: joined, each column by its table.

In the SQL, l is the table of lines, o of orders and p of products.
"""

from dataclasses import replace

from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.tables import RawTable

Roles = dict[str, Column]
OF_LINE = ("line", "net_amount", "price", "quantity", "sku", "label", "category", "discount")


def _of(alias: str, roles: Roles) -> Roles:
    """Return the roles with each column named by its table."""
    return {role: replace(column, sql=f"{alias}.{column.sql}") for role, column in roles.items()}


def join_lines(
    orders: RawTable, roles: Roles, lines: RawTable | None, fixed: dict[str, str]
) -> tuple[str, Roles]:
    """Return what the order lines are selected from, and the roles of its columns."""
    if lines is None or "order" not in roles:
        return orders.sql, roles
    own = _of("l", lines.roles("lines", fixed))
    header = _of("o", roles)
    has_amount = own.keys() & {"net_amount", "price"}
    kept = {
        role: column
        for role, column in header.items()
        if role not in OF_LINE or (role == "net_amount" and not has_amount)
    }
    source = (
        f"{lines.sql} l\nleft join {orders.sql} o on o.{roles['order'].sql} = {own['order'].sql}"
    )
    return source, {**own, **kept, "order": own["order"]}


def join_products(source: str, roles: Roles, products: RawTable | None) -> tuple[str, Roles]:
    """Add the category that a table of products gives."""
    own = products.roles("products", {}) if products else {}
    if products is None or "category" in roles or not {"sku", "category"} <= own.keys():
        return source, roles
    if "sku" not in roles:
        return source, roles
    if " l\n" not in source:
        source, roles = f"{source} l", _of("l", roles)
    source += f"\nleft join {products.sql} p on p.{own['sku'].sql} = {roles['sku'].sql}"
    return source, {**roles, **_of("p", {"category": own["category"]})}
