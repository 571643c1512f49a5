"""The tables beside orders: customers, products, returns, complaints, suppressions."""

from pipeline.inputs.checks import FLAGS
from pipeline.inputs.database import fetch_all, literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.draft import (
    ORIGIN,
    Draft,
    Field,
    Part,
    customer_sql,
    id_sql,
    text_number,
    time_sql,
    view,
)
from pipeline.inputs.init.roles import WORDS, words_of
from pipeline.inputs.init.tables import Kind, RawTable
from pipeline.runtime.errors import ConfigError

SEVERITIES = {name: frozenset(words.split()) for name, words in WORDS["severities"].items()}
Roles = dict[str, Column]
# names that no raw table has
OF_ORDER = """(select order_id as known_order, any_value(customer_id) as known_customer
    from orders group by 1)"""


def lists_returns(tables: list[RawTable], kinds: dict[str, Kind], fixed: dict[str, str]) -> bool:
    """Whether a table lists what came back, with its day and with whom it came from."""
    listed = [table.roles("returns", fixed) for table in tables if kinds[table.name] == "returns"]
    return any(roles.keys() & {"returned_at", "ordered_at"} and _who(roles) for roles in listed)


def part_of(draft: Draft, kind: Kind, table: RawTable, roles: Roles) -> list[Part]:
    """Return the rows of a table beside orders; none where a column it needs is not there."""
    drafts = {
        "customers": _customers,
        "returns": _returns,
        "complaints": _complaints,
        "suppressions": _suppressions,
    }
    if kind == "suppressions":
        roles = _with_known_customers(draft, table, roles)
    if kind in ("returns", "complaints"):
        roles = _with_known_orders(draft, table, roles)
    fields = drafts[kind](draft, table, roles)
    where = _flagged(draft, table, roles) if kind == "suppressions" else ""
    if not fields or where == "none":
        return []
    source = f"{table.sql}"
    if "customer" not in roles and kind in ("returns", "complaints"):
        key = fields["order_id"]
        source += f"\nleft join {OF_ORDER} on known_order = {key}"
        fields["customer_id"] = "known_customer"
        fields["order_id"] = "known_order"
    comment = f"{table.file}: one row per {ROWS[kind]}."
    return [Part([*fields.items(), *ORIGIN], source, comment, where)]


def _with_known_customers(draft: Draft, table: RawTable, roles: Roles) -> Roles:
    """Return the roles with the column that names the most customers of the orders.

    A list of opt-outs has few columns, of any name. Where none names a customer, ingest refuses it.
    """
    known = "(select lower(customer_id::varchar) from orders where customer_id is not null)"
    others = [column for role, column in roles.items() if role != "customer"]
    free = [column for column in table.columns if column.filled and column not in others]
    named = {
        column.name: draft.count(
            f"""select count(*) from {table.sql}
            where lower(({customer_sql(column)})::varchar) in {known}"""
        )
        for column in free
    }
    best = max(free, key=lambda column: (named[column.name], column is roles.get("customer")))
    if best is not roles.get("customer"):
        draft.remarks.append(f"{table.file}: {best.name} names the customers")
    return {**roles, "customer": best}


def _with_known_orders(draft: Draft, table: RawTable, roles: Roles) -> Roles:
    """Return the roles without the order where not one of its values is an order."""
    if not {"order", "customer"} <= roles.keys():
        return roles
    key = id_sql(roles["order"])
    known = "(select order_id::varchar from orders where order_id is not null)"
    if draft.count(f"select count(*) from {table.sql} where ({key})::varchar in {known}"):
        return roles
    draft.remarks.append(f"{table.file}: {roles['order'].name} names no order, so it is not used")
    return {role: column for role, column in roles.items() if role != "order"}


ROWS = {
    "customers": "customer",
    "returns": "line that came back",
    "complaints": "complaint",
    "suppressions": "customer who must not be contacted",
}
Fields = dict[str, str]


def _customers(draft: Draft, table: RawTable, roles: Roles) -> Fields:
    """With a table of customers, orders of others are quarantined: it has to hold nearly all."""
    if not {"customer", "created_at"} <= roles.keys():
        return {}
    customer = customer_sql(roles["customer"])
    known = f"(select {customer} from {table.sql})"
    strangers = f"""select count(*) from orders where customer_id is not null
        and customer_id::varchar not in (select x::varchar from {known} k(x) where x is not null)"""
    if missing := draft.count(strangers):
        rule = f"{table.file} is not used: it lacks the customers of {missing} order lines"
        zeros = strangers.replace("customer_id::varchar", "ltrim(customer_id::varchar, '0')")
        if (
            draft.count(zeros.replace("select x::varchar", "select ltrim(x::varchar, '0')"))
            < missing
        ):
            rule += "; its ids have zeros in front that the orders lack, or the other way round"
        draft.remarks.append(rule)
        return {}
    return {"customer_id": customer, "created_at": time_sql(roles["created_at"])}


def _who(roles: Roles) -> Fields:
    fields = {}
    if "customer" in roles:
        fields["customer_id"] = customer_sql(roles["customer"])
    if "order" in roles:
        fields["order_id"] = id_sql(roles["order"])
    return fields


def _returns(draft: Draft, table: RawTable, roles: Roles) -> Fields:
    when = roles.get("returned_at") or roles.get("ordered_at")
    if when is None or not _who(roles):
        return {}
    number = id_sql(roles["return_id"]) if "return_id" in roles else "'R' || source_line"
    fields = {"return_id": number, **_who(roles)}
    if "sku" in roles:
        fields["sku"] = id_sql(roles["sku"])
    fields["quantity"] = text_number(roles["quantity"]) if "quantity" in roles else "1"
    amount = roles.get("refunded") or roles.get("net_amount") or roles.get("price")
    fields["net_amount"] = f"abs(({text_number(amount)})::decimal(18, 4))" if amount else "0"
    fields["returned_at"] = time_sql(when)
    if "reason" in roles:
        fields["reason"] = roles["reason"].sql
    return fields


def _complaints(draft: Draft, table: RawTable, roles: Roles) -> Fields:
    when = roles.get("opened_at") or roles.get("ordered_at")
    if when is None or not _who(roles):
        return {}
    number = id_sql(roles["complaint_id"]) if "complaint_id" in roles else "'K' || source_line"
    fields = {"complaint_id": number, **_who(roles), "opened_at": time_sql(when)}
    if "resolved_at" in roles:
        fields["resolved_at"] = time_sql(roles["resolved_at"])
    fields["severity"] = _severity(draft, table, roles.get("severity"))
    kind = roles.get("category") or roles.get("reason")
    return fields | ({"kind": kind.sql} if kind else {})


def _severity(draft: Draft, table: RawTable, column: Column | None) -> str:
    """SQL for the severity: the shop's words in ours; minor where nothing says more."""
    if column is None:
        draft.remarks.append(f"{table.file}: no column says how severe: all are minor")
        return "'minor'"
    sql = f"select distinct {column.sql}::varchar from {table.sql} where {column.sql} is not null"
    groups: dict[str, list[str]] = {}
    for (value,) in sorted(fetch_all(draft.db, sql)):
        words = set(words_of(value))
        name = next((name for name, known in SEVERITIES.items() if words & known), "minor")
        groups.setdefault(name, []).append(value)
    branches = " ".join(
        f"when {column.sql} in ({', '.join(map(literal, values))}) then '{name}'"
        for name, values in groups.items()
        if name != "minor"
    )
    return f"case {branches} else 'minor' end" if branches else "'minor'"


def _suppressions(draft: Draft, table: RawTable, roles: Roles) -> Fields:
    if "customer" not in roles:
        return {}
    fields = {"customer_id": customer_sql(roles["customer"]), "scope": "'contact'"}
    is_list = "optout" not in roles and "consent" not in roles
    return fields | (
        {"since": time_sql(roles["created_at"])} if "created_at" in roles and is_list else {}
    )


def _flagged(draft: Draft, table: RawTable, roles: Roles) -> str:
    """SQL that is true of customers who must not be contacted, by a column of yes and no.

    Without a consent that was recorded nobody is contacted. Raises ConfigError for other words.
    """
    column = roles.get("optout") or roles.get("consent")
    if column is None:
        return ""
    sql = f"select distinct {column.sql}::varchar from {table.sql} where {column.sql} is not null"
    values = {value: value.strip().lower() for (value,) in sorted(fetch_all(draft.db, sql))}
    known = {*FLAGS["true"], *FLAGS["false"], ""}
    if unknown := [value for value, word in values.items() if word not in known]:
        rule = f"{unknown[0]!r} means neither yes nor no: nobody would know who opted out"
        fix = "write yes or no, or write the view suppressions by hand"
        raise ConfigError("E_INIT", f"{table.file} {column.name}", rule, fix)
    yes = [value for value, word in values.items() if word in FLAGS["true"]]
    listed = ", ".join(map(literal, yes))
    is_true = f"{column.sql}::varchar in ({listed})" if yes else "false"
    condition = is_true if "optout" in roles else f"not coalesce({is_true}, false)"
    count = draft.count(f"select count(*) from {table.sql} where {condition}")
    draft.remarks.append(f"not contacted: {count} customers, as {column.name} says")
    return condition if count else "none"


def draft_tagged_complaints(draft: Draft, table: RawTable, roles: Roles) -> None:
    """Add complaints that are a column of the orders: filled where the customer complained."""
    column = roles["complaint"]
    order = id_sql(roles["order"]) if "order" in roles else "source_line"
    fields: list[Field] = [
        ("complaint_id", f"'K' || {order}"),
        ("customer_id", customer_sql(roles["customer"])),
        ("opened_at", time_sql(roles["ordered_at"])),
        ("severity", _severity(draft, table, column)),
        ("kind", column.sql),
    ]
    fields += [("order_id", order)] if "order" in roles else []
    draft.remarks.append(f"complaints: rows with a text in {column.name}, opened when ordered")
    where = f"nullif(trim({column.sql}::varchar), '') is not null"
    comment = (
        "A complaint is a text with the order. The file has no time of it, nor how severe it is."
    )
    draft.add(view("complaints", [*fields, *ORIGIN], f"{table.sql}", comment, where))
