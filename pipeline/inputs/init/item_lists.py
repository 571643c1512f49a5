"""Orders whose products stand in one cell, as "2 x Pizza, 1 x Fries" or "Pizza x2 | Fries x1"."""

import re
from dataclasses import dataclass, replace

from pipeline.inputs.init.columns import Column, NumberForm
from pipeline.inputs.init.draft import Draft, decimal, id_sql, view

Roles = dict[str, Column]
TIMES = "[x×*]"
BETWEEN = r"[,;|\n]\s*"
MOST = 0.95  # of the cells have the form
SEVERAL = 0.05  # of them list more than one product: a name may begin with a number


@dataclass(frozen=True)
class Form:
    """How a cell is written, in patterns: of a whole cell, of what parts it, of one product."""

    cell: str
    parts: str
    by: str
    pieces: str
    count: str


FORMS = (
    Form(
        rf"\d+ ?{TIMES} ?\D.*",
        rf"{BETWEEN}([0-9]+ ?{TIMES} ?[^0-9\s])",
        r"\n\1",
        rf"^[0-9]+ ?{TIMES} ?",
        "^([0-9]+)",
    ),
    Form(
        rf".*\D\(?{TIMES} ?\d+\)?",
        rf"({TIMES} ?[0-9]+\)?)\s*{BETWEEN}",
        r"\1\n",
        rf"\s*\(?{TIMES} ?[0-9]+\)?$",
        rf"{TIMES} ?([0-9]+)\)?$",
    ),
)


def form_of(column: Column) -> Form | None:
    """Return how the products of an order are listed in a column, None if they are not."""
    if column.kind != "VARCHAR" or not column.samples:
        return None
    least, several = MOST * len(column.samples), SEVERAL * len(column.samples)
    for form in FORMS:
        whole = re.compile(form.cell, re.DOTALL)
        if sum(1 for value in column.samples if whole.fullmatch(value)) >= least:
            parts = re.compile(form.parts)
            if sum(1 for value in column.samples if parts.search(value)) >= several:
                return form
    return None


def split_items(draft: Draft, roles: Roles, source: str) -> tuple[str, Roles]:
    """Return the rows to select from with a line per product, and the roles of their columns.

    Products of one cell have no price of their own: each piece gets an equal share.
    """
    column = roles.get("sku")
    form = form_of(column) if column and "order" in roles else None
    if column is None or form is None:
        return source, roles
    amount = roles.get("net_amount") or roles.get("price")
    parted = f"regexp_replace(x, '{form.parts}', E'{form.by}', 'g')".replace(r"\1", r"\\1")
    draft.add(f"create macro items_of(x) as\n    string_split({parted}, E'\\n');\n")
    split = f"""(
    select *, unnest(items_of({column.sql})) as item,
           generate_subscripts(items_of({column.sql}), 1) as place
    from {source})"""
    fields = [
        ("*", "*"),
        ("product", f"regexp_replace(item, '{form.pieces}', '')"),
        ("pieces", f"greatest(try_cast(regexp_extract(item, '{form.count}', 1) as integer), 1)"),
    ]
    if amount:
        of_order = f"sum(pieces) over (partition by {id_sql(roles['order'])}, source_line)"
        fields.append(("share", f"round({decimal(amount)} * pieces / {of_order}, 4)"))
    head = f"{column.name} lists the products of an order: one row per product."
    head += "\nEach piece gets an equal share of the order's amount." if amount else ""
    draft.add(view("item_lines", fields, split, head))
    draft.remarks.append(f"{column.name}: a line per product; each piece has an equal share")
    reason = "each piece has an equal share of its order's amount"
    draft.plausible["repeated_totals"] = (1, reason)
    whole = NumberForm(is_whole=True)
    own: Roles = {
        "sku": replace(column, sql="product", number=None),
        "line": replace(column, sql="place", kind="BIGINT", number=whole),
        "quantity": replace(column, sql="pieces", kind="INTEGER", number=whole),
    }
    if amount:
        own["net_amount"] = replace(amount, sql="share", kind="DECIMAL", number=None)
    gone = ("price", "discount", "label")
    return "item_lines", {role: c for role, c in roles.items() if role not in gone} | own
