"""The shop's SQL, composed from the roles of its columns and from what the rows show."""

from dataclasses import dataclass, field

from pipeline.inputs.database import Db, fetch_all, fetch_value, literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.roles import _WORDS, CONCEPTS, words_of
from pipeline.inputs.init.tables import RawTable

VOID = frozenset(_WORDS["void"].replace("timed-out", "timed out").split())
SERVICES = frozenset(_WORDS["services"].split())
REDUCTIONS = frozenset(_WORDS["reductions"].split())
CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H.%M")
Field = tuple[str, str]  # name, SQL
ORIGIN: tuple[Field, ...] = (("source_file", "source_file"), ("source_line", "source_line"))


def view(name: str, fields: list[Field], source: str, comment: str = "", where: str = "") -> str:
    """Return `create view`, one column per line, with a comment before it."""
    columns = ",\n".join(f"    {sql}" if sql == n else f"    {sql} as {n}" for n, sql in fields)
    lines = "".join(f"-- {line}\n" for line in comment.splitlines())
    condition = f"\nwhere {where}" if where else ""
    return f"{lines}create view {name} as\nselect\n{columns}\nfrom {source}{condition};\n"


def decimal(column: Column, sql: str | None = None) -> str:
    """SQL for a column's numbers as numbers; null where a value cannot be read."""
    text = sql or (column.number.sql(column.sql) if column.number else column.sql)
    return text if column.kind != "VARCHAR" else f"try_cast({text} as decimal(18, 4))"


def text_number(column: Column) -> str:
    """SQL for a column's numbers, left as text where ingest reads them."""
    return column.number.sql(column.sql) if column.number else column.sql


def customer_sql(column: Column) -> str:
    """SQL for the customer: addresses in lower case, whole numbers without a point."""
    if any("@" in value for value in column.samples[:20]):
        return f"lower(trim({column.sql}))"
    return id_sql(column)


def id_sql(column: Column) -> str:
    """SQL for an id; one that was read as a number with a point loses it."""
    if column.kind in ("DOUBLE", "FLOAT"):
        return f"{column.sql}::bigint"
    if column.number and all(value.endswith(".0") for value in column.samples):
        return f"regexp_replace({column.sql}, '[.]0$', '')"
    return column.sql


def time_sql(column: Column) -> str:
    """SQL for a column's times. Days that a program wrote as midnight in UTC stay days."""
    form = column.time
    if form is None:
        return column.sql
    if form.is_zoned and form.dates_only and not form.expression:
        if column.kind == "VARCHAR":
            return f"left({form.sql(column.sql)}, 10)"
        return f"timezone('UTC', {column.sql})::date"
    return form.sql(column.sql)


def clocked_sql(db: Db, source: str, day: Column, clock: Column) -> str:
    """SQL for a day in one column and a time of day in another."""
    text = f"numbered({day.sql})" if day.time and day.time.has_names else day.sql
    both = f"{text} || ' ' || {clock.sql}"
    dates = day.time.formats if day.time and day.time.formats else ("%Y-%m-%d",)
    formats = [f"{date} {time}" for date in dates for time in CLOCKS]
    counts = ", ".join(f"count(try_strptime({both}, {literal(f)}))" for f in formats)
    read = fetch_all(db, f"select {counts} from {source}")[0]
    best = max(zip(read, [-i for i in range(len(formats))], formats, strict=True))[2]
    return f"try_strptime({both}, {literal(best)})"


@dataclass
class Draft:
    """The SQL so far, remarks for people, and the limits that the rows need."""

    db: Db
    views: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, sql: str) -> None:
        """Keep a statement, and run it, so that the next ones can be tried."""
        self.db.execute(sql)
        self.views.append(sql)

    def count(self, sql: str) -> int:
        return int(fetch_value(self.db, sql) or 0)

    @property
    def sql(self) -> str:
        return "\n".join(self.views)


def draft_orders(draft: Draft, table: RawTable, roles: dict[str, Column], source: str) -> None:
    """Add the views `orders` and, where rows are credits, `returns`; orders may be joined rows.

    `source`: what the columns are selected from.
    """
    db = draft.db
    fields = _line_fields(draft, roles, source)
    names = [name for name, _ in fields]
    comment = f"{table.file}: one row per {_grain(roles)}."
    numeric = "net_amount" in names or "quantity" in names
    probe = view("probe", fields, source)
    db.execute(probe.replace("create view", "create or replace temp view"))
    fills = _fills(draft, names)
    negative: dict[str, int] = {
        name: draft.count(f"select count(*) from probe where try_cast({name} as double) < 0")
        for name in ("quantity", "net_amount")
        if numeric and name in names
    }
    spread = _is_order_level(draft, roles, names)
    odd = _services(draft, "probe", names)
    if not fills and not any(negative.values()) and not spread and not odd[0]:
        fields = [entry for entry in fields if entry[0] != "label"]
        fields = _with_cancelled(draft, fields)
        draft.add(view("orders", fields, source, comment))
        return
    typed = [
        (name, decimal(roles[name]) if name in roles and name in negative else sql)
        for name, sql in fields
    ]
    draft.add(view("lines", typed, source, comment))
    last = "lines"
    if fills:
        draft.add(view("filled_lines", _filled(names, fills), last, FILL[fills]))
        last = "filled_lines"
    result = [(name, _sku(odd[0]) if name == "sku" else name) for name in names]
    result = [entry for entry in result if entry[0] not in ("label",)]
    where = ""
    if any(negative.values()):
        credit = _credit(draft, last, negative)
        if "over" in credit:
            draft.add(
                view(
                    "marked_lines", [(n, n) for n in names] + [("is_credit", credit)], last, CREDIT
                )
            )
            last, credit = "marked_lines", "is_credit"
        where = f"not coalesce({credit}, false)" if credit else ""
        if credit:
            _draft_returns(draft, last, names, credit, odd)
    if spread:
        share = (
            "max(net_amount) over (partition by order_id) / count(*) over (partition by order_id)"
        )
        result = [(n, share if n == "net_amount" else sql) for n, sql in result]
        draft.remarks.append("the amount is that of the order: each line gets an equal share")
    elif "net_amount" in negative and _has_reductions(draft, last, where):
        sums = "sum({x}) over (partition by order_id)"
        positive = sums.format(x="greatest(net_amount, 0)")
        lowered = f"greatest(net_amount, 0) * {sums.format(x='net_amount')} / nullif({positive}, 0)"
        result = [(n, lowered if n == "net_amount" else sql) for n, sql in result]
        draft.add(
            view(
                "reduced_lines",
                result,
                last,
                "A line below zero in an order above zero takes something off the other lines.",
                where,
            )
        )
        result, last, where = [(n, n) for n, _ in result], "reduced_lines", ""
        draft.remarks.append("lines below zero lower the other lines of their order")
    result = _with_cancelled(draft, result, last)
    draft.add(view("orders", result, last, "", where))


def _grain(roles: dict[str, Column]) -> str:
    order = roles.get("order")
    if order is None or order.distinct >= order.filled:
        return "order"
    return "order line"


def _line_fields(draft: Draft, roles: dict[str, Column], source: str) -> list[Field]:
    """Return the columns of one line, before anything that other lines decide."""
    day = roles["ordered_at"]
    when = time_sql(day)
    if "clock" in roles and day.time and day.time.dates_only:
        when = clocked_sql(draft.db, source, day, roles["clock"])
    customer = customer_sql(roles["customer"])
    order = id_sql(roles["order"]) if "order" in roles else f"{customer} || '-' || source_line"
    order = order.replace("source_line", "l.source_line") if " l\n" in source else order
    fields: list[Field] = [("customer_id", customer), ("order_id", order), ("ordered_at", when)]
    if "line" in roles and "order" in roles and _names_lines(draft, roles, source):
        fields.append(("line_id", id_sql(roles["line"])))
    fields += [(name, id_sql(roles[name])) for name in ("sku", "category") if name in roles]
    if "sku" in roles and "label" in roles:
        fields.append(("label", roles["label"].sql))
    if "quantity" in roles:
        fields.append(("quantity", text_number(roles["quantity"])))
    if amount := _amount(draft, roles, source):
        fields.append(("net_amount", amount))
    if "currency" in roles and roles["currency"].distinct > 1:
        fields.append(("currency", roles["currency"].sql))
    if "status" in roles:
        fields.append(("status", roles["status"].sql))
    for name in ("promised_at", "delivered_at", "cancelled_at"):
        if name in roles:
            fields.append((name, time_sql(roles[name])))
    origin = [(n, f"l.{n}") for n, _ in ORIGIN] if " l\n" in source else list(ORIGIN)
    return [*fields, *origin]


def _names_lines(draft: Draft, roles: dict[str, Column], source: str) -> bool:
    """Whether no order has two lines of one id."""
    keys = f"{roles['order'].sql}, {roles['line'].sql}"
    twice = f"select 1 from {source} where {roles['line'].sql} is not null group by {keys}"
    return not draft.count(f"select count(*) from ({twice} having count(*) > 1)")


def _amount(draft: Draft, roles: dict[str, Column], source: str) -> str:
    """SQL for what was paid for a line, empty where no column says it."""
    price, quantity = roles.get("price"), roles.get("quantity")
    if "net_amount" in roles:
        return text_number(roles["net_amount"])
    if price and quantity:
        amount = f"{decimal(quantity)} * {decimal(price)}"
        if "discount" in roles:
            amount = f"{amount} - coalesce(abs({decimal(roles['discount'])}), 0)"
        return amount
    return text_number(price) if price else ""


CREDIT = "An order whose sum is below zero is a credit note."
FILL = {
    "order": "What an order has once stands on its first line only.",
    "above": "Cells that are blank repeat the cell above.",
}


def _fills(draft: Draft, names: list[str]) -> str:
    """Return how blank customers, orders and times are filled: '', 'order' or 'above'."""
    blank = draft.count("select count(*) from probe where order_id is null")
    rows = draft.count("select count(*) from probe")
    if blank > 0.1 * rows:
        return "above"
    filled = """select sum((customer_id is null)::integer) from (
        select customer_id, count(customer_id) over (partition by order_id) as others from probe
        where order_id is not null) where others > 0"""
    times = filled.replace("customer_id", "ordered_at")
    return "order" if draft.count(filled) or draft.count(times) else ""


def _filled(names: list[str], how: str) -> list[Field]:
    window = {
        "order": "max({x}) over (partition by order_id)",
        "above": "last_value({x} ignore nulls) over (order by source_file, source_line)",
    }[how]
    wanted = ["customer_id", "ordered_at", "status", "currency", "cancelled_at"]
    wanted += ["order_id"] if how == "above" else []
    return [(name, window.format(x=name) if name in wanted else name) for name in names]


def _is_order_level(draft: Draft, roles: dict[str, Column], names: list[str]) -> bool:
    """Whether each line of an order repeats the order's amount, or only one of them has it."""
    if "net_amount" not in roles or "order" not in roles:
        return False
    sql = """select count(*), count(*) filter (low = high) from (
        select min(paid) as low, max(paid) as high
        from (select order_id, try_cast(net_amount as double) as paid from probe)
        where order_id is not null group by order_id having count(*) > 1)"""
    orders, equal = fetch_all(draft.db, sql)[0]
    return bool(orders >= 5 and equal >= 0.98 * orders)


def _services(draft: Draft, source: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Return the codes that name no product, and those of them that take something off.

    Such a code is written unlike nearly all others, and its description says what it is.
    """
    if "label" not in names or "sku" not in names:
        return [], []
    shape = "regexp_replace(regexp_replace(sku, '[0-9]+', '0', 'g'), '[A-Za-z]+', 'A', 'g')"
    usual = f"""select {shape} as shape from {source} where sku is not null group by 1
        having count(*) > 0.01 * (select count(*) from {source})"""
    sql = f"""select sku, list(distinct label) from {source} where sku is not null
        and {shape} not in ({usual}) and label is not null group by 1 order by 1"""
    services, reductions = [], []
    for sku, labels in fetch_all(draft.db, sql):
        words = {word for label in labels for word in words_of(label)}
        if words & (SERVICES | REDUCTIONS):
            services.append(sku)
        if words & REDUCTIONS:
            reductions.append(sku)
    if services:
        draft.remarks.append(f"no products: {', '.join(services)}")
    return services, reductions


def _sku(services: list[str]) -> str:
    codes = ", ".join(map(literal, services))
    return f"if(sku in ({codes}), null, sku)" if services else "sku"


def _credit(draft: Draft, source: str, negative: dict[str, int]) -> str:
    """SQL that is true of a line that came back, empty where there is none."""
    if negative.get("quantity"):
        return "quantity < 0"
    whole = f"""select count(*) from (select order_id from {source} group by 1
        having sum(net_amount) < 0)"""
    if negative.get("net_amount") and draft.count(whole):
        draft.remarks.append("orders whose sum is below zero are returns")
        return "sum(net_amount) over (partition by order_id) < 0"
    return ""


def _has_reductions(draft: Draft, source: str, where: str) -> bool:
    """Whether an order above zero has a line below zero."""
    sold = f"where {where}" if where else ""
    orders = f"""select 1 from {source} {sold} group by order_id
        having min(net_amount) < 0 and sum(net_amount) > 0 and count(customer_id) > 0"""
    return bool(draft.count(f"select count(*) from ({orders})"))


def _draft_returns(
    draft: Draft, source: str, names: list[str], credit: str, odd: tuple[list[str], list[str]]
) -> None:
    """Add the view `returns`: the lines below zero, counted above zero; `odd`: see _services."""
    services, reductions = odd
    draft.remarks.append(f"returns: lines where {credit}")
    fields: list[Field] = [("return_id", "order_id"), ("customer_id", "customer_id")]
    if "sku" in names:
        fields.append(("sku", _sku(services)))
    fields.append(("quantity", "-quantity" if "quantity" in names else "1"))
    fields.append(("net_amount", "-net_amount" if "net_amount" in names else "-quantity"))
    fields.append(("returned_at", "ordered_at"))
    codes = ", ".join(map(literal, reductions))
    where = f"{credit} and (sku is null or sku not in ({codes}))" if reductions else credit
    comment = "A line below zero is what came back, counted above zero. It names no order."
    draft.add(view("returns", [*fields, *ORIGIN], source, comment, where))


def _is_void(status: str) -> bool:
    """Whether a status says that nothing was sold; a return that was cancelled says nothing."""
    words = set(words_of(status))
    return bool(words & VOID) and not any("return" in CONCEPTS.get(word, ()) for word in words)


def _with_cancelled(draft: Draft, fields: list[Field], source: str = "probe") -> list[Field]:
    """Turn the status into `cancelled_at` where it says that nothing was sold."""
    names = dict(fields)
    if "status" not in names:
        return fields
    values = fetch_all(draft.db, f"select distinct status from {source} where status is not null")
    void = sorted(value for (value,) in values if _is_void(str(value)))
    rest = [entry for entry in fields if entry[0] != "status"]
    if not void or "cancelled_at" in names:
        return rest
    words = ", ".join(map(literal, void))
    draft.remarks.append(f"cancelled: orders with the status {', '.join(void)}")
    when = f"if({names['status']} in ({words}), {names['ordered_at']}, null)"
    at = len(rest) - len(ORIGIN)
    return [*rest[:at], ("cancelled_at", when), *rest[at:]]
