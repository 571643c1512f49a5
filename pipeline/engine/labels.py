"""Whether each customer bought after each snapshot. The only reader of the future."""

import numpy as np
import pyarrow as pa

from features.kernel import entry, kernel
from features.records import NEVER, UNIT, Ints, Records, Tables, known_pairs, record
from pipeline.engine.calendar import dates
from pipeline.engine.part import Part, columns_of

LABEL = record(
    "? defected",
    "i1 returned",  # -1 for those who have not defected, and where the data ends before
    "i4 next_days",  # -1 without a purchase within two horizons, and where the data ends before
    "f8 spend_next spend_within",  # the first is nan where the data ends before
)


@kernel
def next_purchase(tables: Tables, customer: int, snapshot: int, until: int) -> int:
    """The day of the first purchase in [snapshot, until) not cancelled before `until`, or NEVER."""
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        line = tables.lines[i]
        if line.day >= until:
            break
        is_paid = line.quantity > 0 and line.amount > 0
        if line.day >= snapshot and is_paid and line.cancelled >= until:
            return int(line.day)
    return NEVER


@kernel
def net_spend_between(tables: Tables, customer: int, snapshot: int, until: int) -> float:
    """The spend less returns of [snapshot, until) in currency, without lines cancelled by then."""
    amount = 0
    for i in range(tables.line_start[customer], tables.line_start[customer + 1]):
        line = tables.lines[i]
        is_paid = line.quantity > 0 and line.amount > 0
        if snapshot <= line.day < until and is_paid and line.cancelled >= until:
            amount += line.amount
    for i in range(tables.return_start[customer], tables.return_start[customer + 1]):
        if snapshot <= tables.returns[i].day < until:
            amount -= tables.returns[i].amount
    return amount / UNIT


@entry
def fill_labels(
    tables: Tables,
    customers: Ints,
    days: Ints,
    horizon: int,
    value_days: int,
    end: int,
    rows: Records,
) -> None:
    """Fill one LABEL row per customer and day."""
    for i in range(len(rows)):
        row, customer, snapshot = rows[i], customers[i], days[i]
        until, within, later = snapshot + horizon, snapshot + 2 * horizon, snapshot + 3 * horizon
        row.defected = next_purchase(tables, customer, snapshot, until) == NEVER
        row.returned, row.next_days, row.spend_next = -1, -1, np.nan
        if row.defected and later <= end:
            row.returned = next_purchase(tables, customer, until, later) != NEVER
        if within <= end:
            day = next_purchase(tables, customer, snapshot, within)
            row.next_days = day - snapshot if day != NEVER else -1
        if snapshot + value_days <= end:
            row.spend_next = net_spend_between(tables, customer, snapshot, snapshot + value_days)
        row.spend_within = net_spend_between(tables, customer, snapshot, until)


def labels_at(
    tables: Tables, snapshots: Ints, horizon: int, value_days: int, end: int
) -> tuple[Ints, Ints, Records]:
    """Return `known_pairs` and one LABEL row per pair; `end`: the day the data ends."""
    customers, days = known_pairs(tables, snapshots)
    rows = np.empty(len(days), LABEL)
    fill_labels(tables, customers, days, horizon, value_days, end, rows)
    return customers, days, rows


def label_rows(part: Part, snapshots: Ints, horizon: int, value_days: int, end: int) -> pa.Table:
    """The labels of a partition: one row per customer and snapshot."""
    customers, days, rows = labels_at(part.tables, snapshots, horizon, value_days, end)
    label = columns_of(rows)
    return pa.table(
        {
            "customer_id": part.customer_id.take(pa.array(customers)),
            "snapshot": dates(days),
            "defected": label["defected"],
            "returned": pa.array(label["returned"] == 1, mask=label["returned"] < 0),
            "next_days": pa.array(label["next_days"], mask=label["next_days"] < 0),
            "spend_next": pa.array(label["spend_next"], mask=np.isnan(label["spend_next"])),
            "spend_within": label["spend_within"],
        }
    )
