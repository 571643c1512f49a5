"""What must be true of a row of the input tables: named rules, compiled to one SQL pass per table,
and what to do where one is not.

A rule is SQL in which {v} is the value as read, {x} the text as delivered, {start} the column it
must not lie before. A row that breaks a rule is set aside under the rule's code (the first it
breaks, in the order below); where the rule says `stops`, the whole table is in a form we cannot
read safely, and the run ends.
"""

from dataclasses import dataclass
from typing import Literal

from pipeline.inputs.contract import Column, Kind, Table

BLANKS = "E' \\t\\r\\n\u00a0'"
OFFSET = r":[0-9.]+\s?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?\s?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
TYPES: dict[Kind, str] = {
    "time": "timestamp",
    "money": "double",
    "quantity": "double",
    "number": "double",
    "flag": "boolean",
}
# amounts are kept in ten-thousandths; what is not named here is text
STORED = {**TYPES, "money": "bigint"}


@dataclass(frozen=True)
class Rule:
    """One rule: its code, the kinds of columns it holds for, the SQL that must be true, what it
    says and how to mend it.

    `of`: all values, or only those delivered as text, times without offset (naive), columns in
    which each row needs a value (filled), the time of the table's event, times that must not lie
    before another (later), the customer.
    """

    code: str
    kinds: tuple[Kind, ...]
    ok: str
    says: str
    fix: str
    of: Literal["any", "text", "naive", "filled", "event", "later", "customer"] = "any"
    stops: bool = False


MAP = "correct the rows, or leave them out in the shop's SQL with the reason as a comment"
RULES = (
    Rule("E_NO_CUSTOMER", ("id",), "{v} is not null", "no customer", MAP, of="customer"),
    Rule("E_NO_ID", ("id",), "{v} is not null", "an id is missing", MAP, of="filled"),
    Rule(
        "E_ID_LENGTH",
        ("id",),
        "{v} is null or length({v}) <= 256",
        "an id has more than 256 characters",
        MAP,
        of="text",
    ),
    Rule(
        "E_ID_CONTROL",
        ("id",),
        r"{v} is null or not regexp_matches({v}, '[\p{{Cc}}\p{{Cf}}]')",
        "an invisible character in an id",
        MAP,
        of="text",
    ),
    Rule(
        "E_TIME_AMBIGUOUS",
        ("time",),
        "{v} is not null or {x} is null or not regexp_matches({x}, '^[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-][0-9]{{2}}')",
        "day and month cannot be told apart",
        "write times as 2026-01-31T14:05:00, or convert them with strptime in the shop's SQL",
        of="text",
        stops=True,
    ),
    Rule(
        "E_TIME_NUMBER",
        ("time",),
        "{v} is not null or {x} is null or not regexp_full_match({x}, '[0-9]{{5}}([.][0-9]+)?|[0-9]{{10}}|[0-9]{{13}}')",
        "a number where a time is due: days of a spreadsheet, or seconds",
        "convert it in the shop's SQL (to_timestamp, date '1899-12-30' + days)",
        of="text",
        stops=True,
    ),
    Rule(
        "E_TIME_UNREADABLE",
        ("time",),
        "{v} is not null or {x} is null",
        "not a time as in 2026-01-31T14:05:00",
        MAP,
        of="text",
    ),
    Rule("E_NO_TIME", ("time",), "{v} is not null", "a time is missing", MAP, of="filled"),
    Rule(
        "E_TIME_RANGE",
        ("time",),
        "{v} is null or ({v} >= timestamp '1971-01-01' and {v} < timestamp '2200-01-01')",
        "a time before 1971 or after 2199 stands for something else",
        "map it to null in the shop's SQL",
    ),
    Rule(
        "E_TIME_GAP",
        ("time",),
        "{v} is null or {v} = date_trunc('day', {v}) or (timezone({zone}, {v}))::timestamp = {v}",
        "this local time was skipped when the clocks went forward",
        "deliver times with their offset, or check ingest.timezone",
        of="naive",
    ),
    Rule(
        "E_TIME_FUTURE",
        ("time",),
        "{v} is null or {v} < {now}",
        "an event later than now",
        MAP,
        of="event",
    ),
    Rule(
        "E_TIME_ORDER",
        ("time",),
        "{v} is null or {v} >= {start} - interval 1 hour or ({v} = date_trunc('day', {v}) and {v}::date >= {start}::date)",
        "lies before what it follows",
        MAP,
        of="later",
    ),
    Rule(
        "E_NUMBER_COMMA",
        ("money", "quantity", "number"),
        r"{v} is not null or {x} is null or not regexp_full_match({x}, '[+-]?[0-9.]*,[0-9]+')",
        "a decimal comma",
        "write numbers with a point and without separators, or convert them in the shop's SQL",
        of="text",
        stops=True,
    ),
    Rule(
        "E_NUMBER_UNREADABLE",
        ("money", "quantity", "number"),
        "{v} is not null or {x} is null",
        "not a number",
        MAP,
        of="text",
    ),
    Rule("E_NO_AMOUNT", ("money",), "{v} is not null", "an amount is missing", MAP, of="filled"),
    Rule(
        "E_NO_QUANTITY", ("quantity",), "{v} is not null", "a quantity is missing", MAP, of="filled"
    ),
    Rule(
        "E_NOT_FINITE",
        ("money", "quantity", "number"),
        "{v} is null or isfinite({v})",
        "not a finite number",
        MAP,
    ),
    Rule(
        "E_MAX_AMOUNT",
        ("money",),
        "{v} is null or abs({v}) <= {max_amount}",
        "above ingest.max_amount",
        "correct the amount, or raise the limit",
    ),
    Rule(
        "E_NEGATIVE",
        ("money",),
        "{v} is null or {v} >= 0",
        "a negative amount",
        "deliver what came back in the table returns",
    ),
    Rule(
        "E_QUANTITY",
        ("quantity",),
        "{v} is null or {v} > 0",
        "a quantity that is not above zero",
        "deliver what came back in the table returns",
    ),
    Rule(
        "E_FLAG",
        ("flag",),
        "{v} is not null or {x} is null",
        "neither true nor false",
        MAP,
        of="text",
    ),
    Rule(
        "E_CHOICE",
        ("choice",),
        "{v} in ({choices})",
        "not one of {choices}",
        "map the words in the shop's SQL",
        stops=True,
    ),
    Rule(
        "E_NO_CURRENCY", ("currency",), "{v} is not null", "a currency is missing", MAP, of="filled"
    ),
    Rule(
        "E_CURRENCY",
        ("currency",),
        "{v} = {currency}",
        "another currency than ingest.currency",
        "convert amounts in the shop's SQL",
        stops=True,
    ),
)


@dataclass(frozen=True)
class Reference:
    """What must be true of a row with regard to others.

    Its code, the tables, and SQL for a row t, still accepted, that breaks it.
    """

    code: str
    tables: tuple[str, ...]
    column: str
    breaks: str
    says: str
    fix: str


UNKNOWN = "not exists (from accepted_customers c where c.customer_id = t.customer_id)"
PEOPLE = ("orders", "returns", "complaints", "touches", "treatments")
REFERENCES = (
    Reference(
        "E_UNKNOWN_CUSTOMER",
        PEOPLE,
        "customer_id",
        UNKNOWN,
        "the customer is not in customers (or, without that table, has no order)",
        "deliver the customer, or drop the table customers",
    ),
    Reference(
        "E_SUPPRESSED_UNKNOWN",
        ("suppressions",),
        "customer_id",
        UNKNOWN,
        "the customer is not in customers",
        "nothing: he is on no list",
    ),
    Reference(
        "E_UNKNOWN_ORDER",
        ("returns", "complaints"),
        "order_id",
        "t.order_id is not null and not exists (from accepted_orders o where o.order_id = t.order_id)",
        "the order it names is not among the orders",
        "deliver the order, or leave order_id empty",
    ),
    Reference(
        "E_OTHER_CUSTOMER",
        ("returns", "complaints"),
        "order_id",
        "t.order_id is not null and exists (from accepted_orders o where o.order_id = t.order_id and o.customer_id <> t.customer_id)",
        "the order it names is another customer's",
        "correct order_id, or leave it empty",
    ),
    Reference(
        "E_BEFORE_ORDER",
        ("returns",),
        "returned_at",
        """t.order_id is not null and not exists (
            from accepted_orders o where o.order_id = t.order_id and o.ordered_at::date <= t.returned_at::date)""",
        "returned before it was ordered",
        "correct the times",
    ),
)
CODES: dict[str, Rule | Reference] = {rule.code: rule for rule in (*RULES, *REFERENCES)}


def delivering(table: Table, column: Column, delivered: str) -> str:
    """SQL for a column as delivered, x_<name>: outer blanks of a text do not count, and a blank
    text is no value.

    Treatments are a list put back, whose cells were made safe for spreadsheets: the apostrophe in
    front is not the customer's.
    """
    plain = f'"{column.name}"'
    if delivered != "VARCHAR":
        return f"{plain} as x_{column.name}"
    if table.name == "treatments":
        plain = f"regexp_replace({plain}, E'^\\'([=+@\\t\\r-])', '\\1')"
    return f"nullif(trim({plain}, {BLANKS}), '') as x_{column.name}"


def _has_offset(delivered: str) -> bool:
    """Whether a DuckDB type is an instant rather than a local time."""
    return "TZ" in delivered or "TIME ZONE" in delivered


def reading(column: Column, delivered: str) -> str:
    """SQL that turns a column x_<name>, of the DuckDB type delivered, into its value.

    Null where it cannot be read.
    """
    x, text = f"x_{column.name}", delivered == "VARCHAR"
    if column.kind in ("id", "text", "choice", "currency"):
        return f"{x}::varchar"
    if column.kind == "time" and text:
        return f"""case when not regexp_full_match({x}, '{ISO}') then null
            when regexp_matches({x}, '{OFFSET}') then try_cast({x} as timestamptz)::timestamp
            else try_cast({x} as timestamp) end"""
    if _has_offset(delivered):
        # in one step nanoseconds become null
        return f"try_cast(try_cast({x} as timestamptz) as timestamp)"
    return f"try_cast({x} as {TYPES[column.kind]})"


def units(column: Column, delivered: str) -> str:
    """SQL for an amount in ten-thousandths of the currency.

    Exact, so that sums do not depend on their order.
    """
    x = f"x_{column.name}"
    if delivered in ("FLOAT", "DOUBLE"):
        return f"try_cast(round({x}::double * 10000) as bigint)"
    # a product has to fit as well
    return f"try_cast(try_cast({x} as decimal(18, 4))::decimal(38, 4) * 10000 as bigint)"


def _holds(rule: Rule, column: Column, table: Table, delivered: str) -> bool:
    """Whether a rule has to be asked of a column."""
    if column.kind not in rule.kinds:
        return False
    return {
        "any": True,
        "text": delivered == "VARCHAR",
        "naive": delivered != "DATE" and not _has_offset(delivered),
        "filled": column.required or column.filled,
        "event": column.name == table.event,
        "later": column.not_before is not None,
        "customer": column.name == "customer_id",
    }[rule.of]


def verdict(table: Table, delivered: dict[str, str], values: dict[str, str]) -> str:
    """SQL for the first rule a row breaks, as 'CODE column'; null where it breaks none.

    `delivered`: the DuckDB type of each column the shop delivers; `values`: SQL for what the rules
    call zone, now, max_amount.
    """
    branches = []
    present = [column for column in table.columns if column.name in delivered]
    for rule in RULES:
        for column in present:
            if _holds(rule, column, table, delivered[column.name]):
                branches.append(_branch(rule, column, values))
    return f"case {' '.join(branches)} end" if branches else "null"


def _branch(rule: Rule, column: Column, values: dict[str, str]) -> str:
    choices = ", ".join(f"'{choice}'" for choice in column.choices)
    ok = rule.ok.format(
        v=f"v_{column.name}",
        x=f"x_{column.name}",
        start=f"v_{column.not_before}",
        choices=choices,
        **values,
    )
    return f"when ({ok}) is not true then '{rule.code} {column.name}'"
