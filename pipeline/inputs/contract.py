"""The input contract: what a shop's raw files are mapped to. The one place for the tables, their
columns, and what each must hold.

Only `orders` is required, and of it the columns marked so. Ids are text; money is in one currency;
times are instants, or local business time where they carry no offset.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "time", "money", "quantity", "number", "flag", "choice", "currency"]
SEVERITIES = ("minor", "major", "critical")
FORBIDDEN = ("label", "churned", "truth")  # what is to be predicted is never an input
# a reason for a return that has one of these blames us
DEFECT_WORDS = ("defect", "damage", "fault", "broken")


@dataclass(frozen=True)
class Column:
    """One column: what it means, whether the table needs it, and the column of the same row it must
    not lie before.

    `filled`: where the table has the column, each row needs a value.
    """

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    filled: bool = False
    not_before: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One input table.

    What a row is, its columns, the time of its event and the columns that name a row.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    event: str | None = None
    key: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def required(self) -> list[str]:
        return [column.name for column in self.columns if column.required]


CUSTOMER = Column("customer_id", "id", "a person, a household or a business account", required=True)

TABLES = {
    table.name: table
    for table in (
        Table(
            "customers",
            "one known customer, buyer or prospect",
            (
                CUSTOMER,
                Column("created_at", "time", "first known to the shop", required=True),
                Column("do_not_contact", "flag", "is never put on a list"),
                Column("profiling_objection", "flag", "is not scored at all"),
                Column(
                    "erased_at",
                    "time",
                    "asked to be forgotten: the row and all events are left out",
                ),
            ),
            event="created_at",
            key=("customer_id",),
        ),
        Table(
            "orders",
            "one line of one order",
            (
                CUSTOMER,
                Column("order_id", "id", "the order, of one customer", required=True),
                Column(
                    "line_id",
                    "id",
                    "the line within its order; lines are numbered when it is missing",
                ),
                Column("ordered_at", "time", "when the order was placed", required=True),
                Column("sku", "id", "what was bought; null where the line names no product"),
                Column("category", "text", "the kind of thing it is"),
                Column(
                    "quantity", "quantity", "how many; 1 when the column is missing", filled=True
                ),
                Column(
                    "net_amount",
                    "money",
                    "what was paid for the line; 1 a piece when the column is missing",
                    filled=True,
                ),
                Column("currency", "currency", "must be the shop's", filled=True),
                Column("promised_at", "time", "when it was promised to arrive"),
                Column("delivered_at", "time", "when it arrived", not_before="ordered_at"),
                Column(
                    "cancelled_at", "time", "when the line was cancelled", not_before="ordered_at"
                ),
            ),
            event="ordered_at",
            key=("order_id", "line_id"),
        ),
        Table(
            "returns",
            "one line of goods sent back",
            (
                Column("return_id", "id", "the return; it may have several lines", required=True),
                CUSTOMER,
                Column("order_id", "id", "the order it came from"),
                Column("line_id", "id", "the line it came from"),
                Column("sku", "id", "what came back"),
                Column("quantity", "quantity", "how many, above zero", required=True),
                Column("net_amount", "money", "what is owed for it, not below zero", required=True),
                Column("returned_at", "time", "when it came back", required=True),
                Column("settled_at", "time", "when it was refunded or replaced"),
                Column("reason", "text", "why, in the shop's words"),
            ),
            event="returned_at",
        ),
        Table(
            "complaints",
            "one complaint",
            (
                Column("complaint_id", "id", "the complaint", required=True),
                CUSTOMER,
                Column("opened_at", "time", "when it was first made", required=True),
                Column("severity", "choice", "how bad it is", required=True, choices=SEVERITIES),
                Column("resolved_at", "time", "when it was mended", not_before="opened_at"),
                Column("kind", "text", "what it is about"),
                Column("order_id", "id", "the order it is about"),
                Column(
                    "reopened_at",
                    "time",
                    "when the customer came back with it",
                    not_before="opened_at",
                ),
            ),
            event="opened_at",
            key=("complaint_id",),
        ),
        Table(
            "touches",
            "one contact with a customer or prospect, or one expectation he voiced",
            (
                CUSTOMER,
                Column("at", "time", "when", required=True),
                Column("expectation", "text", "what he expects"),
                Column(
                    "limit_kind",
                    "text",
                    "the kind of limit he sets: deadline, price, specification",
                ),
                Column("limit_value", "text", "the limit"),
                Column("due_at", "time", "until when it has to be met"),
                Column("met_at", "time", "when it was met"),
            ),
            event="at",
        ),
        Table(
            "market_events",
            "one thing that happened in the market of a category",
            (
                Column("category", "text", "which category; null for all"),
                Column("starts_at", "time", "from", required=True),
                Column("ends_at", "time", "until", not_before="starts_at"),
                Column("kind", "text", "a rival's launch, a price war"),
                Column("price_index", "number", "the market's price over ours"),
            ),
        ),
        Table(
            "treatments",
            "one customer on one list, and what was done about it",
            (
                CUSTOMER,
                Column("as_of", "time", "the list's snapshot", required=True),
                Column("queue", "text", "the list"),
                Column("action", "text", "what was proposed"),
                Column("contact", "text", "call, hold_out, do_not_contact or none"),
                Column("decision", "text", "what the person in charge decided"),
                Column("done_on", "time", "when it was done"),
                Column("note", "text", "free text"),
                Column("stated_reason", "text", "why the customer says he left"),
            ),
            event="as_of",
        ),
        Table(
            "suppressions",
            "one customer who must not be contacted",
            (
                CUSTOMER,
                Column("scope", "text", "what is suppressed"),
                Column("since", "time", "from when on"),
            ),
        ),
    )
}
