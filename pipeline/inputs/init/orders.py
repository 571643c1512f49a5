"""The views of orders and of what came back, in as few steps as the rows need."""

from pipeline.inputs.database import literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.credits import (
    credit_sql,
    draft_credits,
    draft_refunds,
    services,
    sku_sql,
    statuses,
)
from pipeline.inputs.init.draft import (
    CREDIT,
    FILL,
    Draft,
    Field,
    decimal,
    filled,
    fills,
    grain,
    is_order_level,
    line_fields,
    view,
)
from pipeline.inputs.init.roles import name_score
from pipeline.inputs.init.tables import RawTable

INNER = ("label", "status", "cancelled_because", "refunded", "returned_at")  # not for ingest
SHARE = "max(net_amount) over (partition by order_id) / count(*) over (partition by order_id)"


def draft_orders(draft: Draft, table: RawTable, roles: dict[str, Column], source: str) -> None:
    """Add the views `orders` and, where something came back, `returns`; orders may be joined rows.

    `source`: what the columns are selected from.
    """
    fields = line_fields(draft, roles, source)
    names = [name for name, _ in fields]
    if "net_amount" not in names:
        amounts = ("net_amount", "price")
        free = [c for c in table.columns if c not in roles.values()]
        free = [c for c in free if c.number or any(name_score(c.name, a) > 6 for a in amounts)]
        free.sort(key=lambda c: bool(c.number and c.number.is_whole))
        maybe = f" COLUMN, maybe one of {', '.join(c.name for c in free)}" if free else ""
        draft.remarks.append(f"no amounts: the list shows no money; say --amount{maybe}")
    comment = f"{table.file}: one row per {grain(roles)}."
    draft.db.execute(
        view("probe", fields, source).replace("create view", "create or replace temp view")
    )
    negative: dict[str, int] = {
        name: draft.count(f"select count(*) from probe where try_cast({name} as double) < 0")
        for name in ("quantity", "net_amount")
        if name in names
    }
    how, spread = fills(draft), is_order_level(draft, roles)
    odd = services(draft, "probe", names)
    last, where = source, ""
    result = [(name, sql) for name, sql in fields if name != "label"]
    has_credit = any(negative.values())
    if how or has_credit or spread or odd[0]:
        typed = [
            (name, decimal(roles[name]) if name in roles and name in negative else sql)
            for name, sql in fields
        ]
        draft.add(view("lines", typed, source, comment))
        last, comment = "lines", ""
        if how:
            draft.add(view("filled_lines", filled(names, how), last, FILL[how]))
            last = "filled_lines"
        credit = credit_sql(draft, last, negative) if has_credit else ""
        if "over" in credit:
            marked = [*[(name, name) for name in names], ("is_credit", credit)]
            draft.add(view("marked_lines", marked, last, CREDIT))
            last, credit = "marked_lines", "is_credit"
        if credit:
            draft_credits(draft, last, names, credit, odd)
            where = f"not coalesce({credit}, false)"
        own = {"sku": sku_sql(odd[0])} | ({"net_amount": SHARE} if spread else {})
        result = [(name, own.get(name, name)) for name, _ in result]
        if spread:
            draft.remarks.append("the amount is that of the order: each line gets an equal share")
            reason = "each line has an equal share of its order's amount"
            draft.plausible["repeated_totals"] = (1, reason)
    if how != "above" and (some := _totals(draft, fields if last == source else result, roles)):
        comment = f"{comment}\nRows with neither order nor time are totals.".strip()
        where = f"{where} and {some}" if where else some
    _draft_last(draft, result, roles, last, comment, where)


def _totals(draft: Draft, fields: list[Field], roles: dict[str, Column]) -> str:
    """SQL that leaves out rows with neither order nor time: totals, and lines without anything."""
    order, time = (dict(fields)[name] for name in ("order_id", "ordered_at"))
    count = draft.count("select count(*) from probe where order_id is null and ordered_at is null")
    if "order" not in roles or not count:
        return ""
    draft.remarks.append(f"left out: {count} rows with neither order nor time, as totals")
    return f"({order} is not null or {time} is not null)"


def _draft_last(
    draft: Draft,
    fields: list[Field],
    roles: dict[str, Column],
    source: str,
    comment: str,
    where: str,
) -> None:
    """Add `orders` with `cancelled_at`, and `returns` where columns or statuses say so."""
    names = dict(fields)
    void, returned = statuses(draft, "probe", [*names])
    cancelled = ""
    if void:
        draft.remarks.append(f"cancelled: orders with the status {', '.join(void)}")
        cancelled = f"{names['status']} in ({', '.join(map(literal, void))})"
    elif "cancelled_because" in names and "status" not in names:
        draft.remarks.append("cancelled: orders with a reason of cancellation")
        cancelled = f"nullif({names['cancelled_because']}, '') is not null"
    if cancelled and "cancelled_at" not in names:
        when = f"if({cancelled}, {names['ordered_at']}, null)"
        fields = [*fields[:-2], ("cancelled_at", when), *fields[-2:]]  # before file and line
    refunds = _refunds(draft, [*names], returned)
    if not refunds:
        kept = [entry for entry in fields if entry[0] not in INNER]
        draft.add(view("orders", kept, source, comment, where))
        return
    draft.add(view("order_lines", fields, source, comment, where))
    kept = [(name, name) for name, _ in fields if name not in INNER]
    draft.add(view("orders", kept, "order_lines"))
    draft_refunds(draft, roles, [name for name, _ in fields], refunds)


def _refunds(draft: Draft, names: list[str], returned: list[str]) -> str:
    """SQL that is true of lines that were refunded, empty where none is or returns are known."""
    if draft.lists_returns:
        return ""
    if "refunded" in names and draft.count("select count(*) from probe where refunded <> 0"):
        draft.remarks.append("returns: lines with a refunded amount")
        return "refunded <> 0"
    if not returned:
        return ""
    draft.remarks.append(f"returns: orders with the status {', '.join(returned)}")
    return f"status in ({', '.join(map(literal, returned))})"
