"""All feature families, and the one function that describes a past by all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from features.columns import Column, Row, blank
from features.families import (
    complaints,
    frequency,
    monetary,
    pattern,
    recency,
    relationship,
    returns,
    service,
    variety,
)
from features.history import before, begin
from features.kernel import entry
from features.records import Ints, Scratch, Shop, Singles, Tables, scratch
from features.settings import Windows

FAMILIES = (
    recency,
    frequency,
    monetary,
    pattern,
    variety,
    returns,
    complaints,
    service,
    relationship,
)
DECLARED: tuple[Column, ...] = tuple(column for family in FAMILIES for column in family.COLUMNS)


@entry
def describe_all(
    tables: Tables,
    snapshots: Ints,
    shop: Shop,
    room: Scratch,
    row: Row,
    cells: Singles,
    absent: Singles,
    customers: Ints,
    at: Ints,
    out: Any,
) -> None:
    """One column of `out` per customer and snapshot at which he is known; the numbers of both are
    written beside.

    `cells` is the one record in `row` seen as float32: it is filled over and over and copied out
    field by field, so that a feature of all customers lies in one piece, as files want it.
    """
    count = 0
    for customer in range(len(tables.known)):
        begin(tables, customer, room)
        for k in range(len(snapshots)):
            if tables.known[customer] >= snapshots[k]:
                continue
            for i in range(len(cells)):
                cells[i] = absent[i]
            past = before(tables, customer, snapshots[k], room)
            recency.recency(past, shop, row[0])
            frequency.frequency(past, shop, row[0])
            monetary.monetary(past, shop, row[0])
            pattern.pattern(past, shop, row[0])
            variety.variety(past, shop, row[0])
            returns.returns(past, shop, row[0])
            complaints.complaints(past, shop, row[0])
            service.service(past, shop, row[0])
            relationship.relationship(past, shop, row[0])
            for i in range(len(cells)):
                out[i, count] = cells[i]
            customers[count], at[count] = customer, snapshots[k]
            count += 1


def feature_matrix(
    tables: Tables, snapshots: Ints, shop: Shop
) -> tuple[Ints, Ints, npt.NDArray[np.float32]]:
    """Per customer and snapshot (ascending) at which he is known: his number, the snapshot's day,
    and a column of the matrix.

    The matrix has a row for each of `spread(DECLARED, windows)`, in their order.
    """
    size = int((tables.known[:, None] < snapshots).sum())
    absent = blank(DECLARED, Windows(tuple(shop.counts), tuple(shop.trends)))
    row = absent.copy()
    cells = row.view(np.float32)
    customers, at, out = (
        np.empty(size, np.int32),
        np.empty(size, np.int32),
        np.empty((len(cells), size), np.float32),
    )
    describe_all(
        tables,
        snapshots,
        shop,
        scratch(tables, shop.opened),
        row,
        cells,
        absent.view(np.float32),
        customers,
        at,
        out,
    )
    return customers, at, out


def recorded(column: Column, tables: Mapping[str, Sequence[str]]) -> bool:
    """Whether a shop with these tables and columns records what the column needs.

    What it does not record is absent, not zero.
    """
    there = {*tables, *(f"{table}.{name}" for table, names in tables.items() for name in names)}
    return there.issuperset(column.needs)
