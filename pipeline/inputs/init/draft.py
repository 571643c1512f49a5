"""The shop's SQL, composed from the roles of its columns and from what the rows show."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.inputs.database import Db, fetch_all, fetch_value, literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.roles import WORDS, words_of

CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H.%M")
CENTS = frozenset(WORDS["cents"].split())
Field = tuple[str, str]  # name, SQL
ORIGIN: tuple[Field, ...] = (("source_file", "source_file"), ("source_line", "source_line"))


class Part(NamedTuple):
    """The columns of a view, what they are selected from, a comment and a condition."""

    fields: list[Field]
    source: str
    comment: str = ""
    where: str = ""


def view(name: str, fields: list[Field], source: str, comment: str = "", where: str = "") -> str:
    """Return `create view`, one column per line, with a comment before it."""
    columns = ",\n".join(f"    {sql}" if sql == n else f"    {sql} as {n}" for n, sql in fields)
    lines = "".join(f"-- {line}\n" for line in comment.splitlines())
    condition = f"\nwhere {where}" if where else ""
    return f"{lines}create view {name} as\nselect\n{columns}\nfrom {source}{condition};\n"


def decimal(column: Column) -> str:
    """SQL for a column's numbers as numbers; null where a value cannot be read."""
    text = _plain(column)
    number = text if column.kind != "VARCHAR" else f"try_cast({text} as decimal(18, 4))"
    return f"({number} / 100)" if _is_in_cents(column) else number


def text_number(column: Column) -> str:
    """SQL for a column's numbers, left as text where ingest reads them."""
    return decimal(column) if _is_in_cents(column) else _plain(column)


def _plain(column: Column) -> str:
    return column.number.sql(column.sql) if column.number else column.sql


def _is_in_cents(column: Column) -> bool:
    """Whether whole numbers count cents, by the column's name."""
    return bool(CENTS & {*words_of(column.name)} and column.number and column.number.is_whole)


def _is_currency(column: Column) -> bool:
    """Whether each row says its currency: a later file may have another one."""
    is_code = all(re.fullmatch("[A-Z]{3}", value) for value in column.samples)
    return column.distinct > 1 or (is_code and column.filled == column.rows)


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
    """The SQL so far, remarks for people, and values of ingest.plausible with their reasons."""

    db: Db
    nobody: tuple[str, ...] = ()  # words for no customer
    views: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    plausible: dict[str, tuple[float, str]] = field(default_factory=dict)
    lists_returns: bool = False  # a table of its own lists what came back

    def add(self, sql: str) -> None:
        """Keep a statement, and run it, so that the next ones can be tried."""
        self.db.execute(sql)
        self.views.append(sql)

    def add_parts(self, name: str, parts: list[Part]) -> None:
        """Add one view of the rows of several tables."""
        if len(parts) == 1:
            self.add(view(name, *parts[0]))
            return
        for number, part in enumerate(parts, 1):
            self.add(view(f"{name}_{number}", *part))
        numbers = range(1, len(parts) + 1)
        rows = "\nunion all by name\n".join(f"from {name}_{number}" for number in numbers)
        self.add(f"create view {name} as\n{rows};\n")

    def count(self, sql: str) -> int:
        return int(fetch_value(self.db, sql) or 0)

    @property
    def assumes_days(self) -> bool:
        """Whether the days of refunds are assumed."""
        return any("interval 30 day" in statement for statement in self.views)

    @property
    def sql(self) -> str:
        return "\n".join(self.views)


def grain(roles: dict[str, Column]) -> str:
    """Return what a row is, in words."""
    order = roles.get("order")
    if order is None or order.distinct >= order.filled:
        return "order"
    return "order line"


def line_fields(draft: Draft, roles: dict[str, Column], source: str) -> list[Field]:
    """Return the columns of one line, before anything that other lines decide."""
    day = roles["ordered_at"]
    when = time_sql(day)
    if "clock" in roles and day.time and day.time.dates_only:
        when = clocked_sql(draft.db, source, day, roles["clock"])
    customer = _somebody(draft, roles["customer"], source)
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
    if amount := _amount(roles):
        fields.append(("net_amount", amount))
    if "currency" in roles and _is_currency(roles["currency"]):
        fields.append(("currency", roles["currency"].sql))
    if "status" in roles:
        fields.append(("status", roles["status"].sql))
    if "cancelled_because" in roles:
        fields.append(("cancelled_because", roles["cancelled_because"].sql))
    if "refunded" in roles and draft.count(
        f"select count(*) from {source} where {decimal(roles['refunded'])} <> 0"
    ):
        fields.append(("refunded", decimal(roles["refunded"])))
    for name in ("promised_at", "delivered_at", "cancelled_at", "returned_at"):
        if name in roles:
            fields.append((name, time_sql(roles[name])))
    origin = [(n, f"l.{n}") for n, _ in ORIGIN] if " l\n" in source else list(ORIGIN)
    return [*fields, *origin]


def _somebody(draft: Draft, column: Column, source: str) -> str:
    """SQL for the customer, null where a word for nobody has several rows."""
    sql = customer_sql(column)
    words = [value for value in column.samples if value.lower() in draft.nobody]
    for word in words:
        rows = draft.count(f"select count(*) from {source} where {column.sql} = {literal(word)}")
        if rows > 1:
            draft.remarks.append(f"{word} is no customer: {rows} rows without a customer")
            shown = word.lower() if "lower(" in sql else word
            sql = f"nullif({sql}, {literal(shown)})"
    return sql


def _names_lines(draft: Draft, roles: dict[str, Column], source: str) -> bool:
    """Whether no order has two lines of one id."""
    keys = f"{roles['order'].sql}, {roles['line'].sql}"
    twice = f"select 1 from {source} where {roles['line'].sql} is not null group by {keys}"
    return not draft.count(f"select count(*) from ({twice} having count(*) > 1)")


def is_percent(column: Column) -> bool:
    """Whether numbers are percentages, by the column's name or its values."""
    words = {"percent", "percentage", "prozent", "pct", "pourcentage", "percentuale", "porcentaje"}
    signs = "%" in column.name or all("%" in value for value in column.samples)
    return signs or bool(words & {*words_of(column.name)})


def _amount(roles: dict[str, Column]) -> str:
    """SQL for what was paid for a line, empty where no column says it."""
    price, quantity = roles.get("price"), roles.get("quantity")
    if "net_amount" in roles:
        return text_number(roles["net_amount"])
    if price and quantity:
        amount = f"{decimal(quantity)} * {decimal(price)}"
        if "discount" in roles:
            off = f"coalesce(abs({decimal(roles['discount'])}), 0)"
            percent = is_percent(roles["discount"])
            return f"{amount} * (1 - {off} / 100)" if percent else f"{amount} - {off}"
        return amount
    return text_number(price) if price else ""


CREDIT = "An order whose sum is below zero is a credit note."
FILL = {
    "order": "What an order has once stands on its first line only.",
    "above": "Cells that are blank repeat the cell above.",
}


def fills(draft: Draft) -> str:
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


def filled(names: list[str], how: str) -> list[Field]:
    """Return the columns with blank cells filled; `how`: see fills."""
    window = {
        "order": "max({x}) over (partition by order_id)",
        "above": "last_value({x} ignore nulls) over (order by source_file, source_line)",
    }[how]
    wanted = ["customer_id", "ordered_at", "status", "currency", "cancelled_at"]
    wanted += ["order_id"] if how == "above" else []
    return [(name, window.format(x=name) if name in wanted else name) for name in names]


def is_order_level(draft: Draft, roles: dict[str, Column]) -> bool:
    """Whether each line of an order repeats the order's amount, or only one of them has it."""
    is_shared = "repeated_totals" in draft.plausible
    if "net_amount" not in roles or "order" not in roles or is_shared:
        return False
    sql = """select count(*), count(*) filter (low = high) from (
        select min(paid) as low, max(paid) as high
        from (select order_id, try_cast(net_amount as double) as paid from probe)
        where order_id is not null group by order_id having count(*) > 1)"""
    orders, equal = fetch_all(draft.db, sql)[0]
    return bool(orders >= 5 and equal >= 0.98 * orders)
