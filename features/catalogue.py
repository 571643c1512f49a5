"""All feature families, and the one function that describes a past by all of them."""

from features import complaints, frequency, monetary, recency
from features.columns import Column, Row
from features.history import Ints, Past, Scratch, Shop, Tables, before, begin
from features.kernel import kernel

FAMILIES = (recency, frequency, monetary, complaints)
COLUMNS: tuple[Column, ...] = tuple(column for family in FAMILIES for column in family.COLUMNS)


@kernel
def describe(past: Past, shop: Shop, row: Row) -> None:
    """Fill one row with every column."""
    recency.recency(past, shop, row)
    frequency.frequency(past, shop, row)
    monetary.monetary(past, shop, row)
    complaints.complaints(past, shop, row)


@kernel
def describe_all(tables: Tables, snapshots: Ints, shop: Shop, room: Scratch, rows: Row, customers: Ints, at: Ints) -> int:
    """One row per customer and snapshot at which he is known; the numbers of both are written beside."""
    count = 0
    for customer in range(len(tables.known)):
        begin(tables, customer, room)
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            past = before(tables, customer, snapshots[k], room)
            describe(past, shop, rows[count])
            customers[count] = customer
            at[count] = snapshots[k]
            count += 1
    return count


def available(tables: list[str]) -> tuple[Column, ...]:
    """The columns whose tables the shop has: what a shop does not record is absent, not zero."""
    return tuple(column for column in COLUMNS if column.needs in tables)
