"""Whether each customer bought after each snapshot. The only reader of the future."""

import numpy as np
import pyarrow as pa

from features.kernel import entry, kernel
from features.records import NEVER, UNIT, Bytes, Flags, Floats, Ints, Tables
from pipeline.engine.calendar import dates
from pipeline.engine.part import Part


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
    snapshots: Ints,
    horizon: int,
    end: int,
    customers: Ints,
    at: Ints,
    defected: Flags,
    returned: Bytes,
) -> None:
    """Fill one row per customer and snapshot at which known; `returned` is -1 where unknown."""
    count = 0
    for customer in range(len(tables.known)):
        for snapshot in snapshots:
            if tables.known[customer] >= snapshot:
                continue
            until, later = snapshot + horizon, snapshot + 3 * horizon
            has_defected = next_purchase(tables, customer, snapshot, until) == NEVER
            customers[count], at[count], defected[count] = customer, snapshot, has_defected
            returned[count] = -1
            if has_defected and later <= end:
                returned[count] = next_purchase(tables, customer, until, later) != NEVER
            count += 1


@entry
def fill_orders(
    tables: Tables,
    horizon: int,
    value_days: int,
    end: int,
    customers: Ints,
    at: Ints,
    next_days: Ints,
    spend_next: Floats,
    spend_within: Floats,
) -> None:
    """Fill in one value per row: -1 and nan where the data ends before the outcome is known."""
    for row in range(len(at)):
        snapshot, within, year = at[row], at[row] + 2 * horizon, at[row] + value_days
        next_days[row], spend_next[row] = -1, np.nan
        if within <= end:
            day = next_purchase(tables, customers[row], snapshot, within)
            next_days[row] = day - snapshot if day != NEVER else -1
        spend_within[row] = net_spend_between(tables, customers[row], snapshot, snapshot + horizon)
        if year <= end:
            spend_next[row] = net_spend_between(tables, customers[row], snapshot, year)


def label_rows(part: Part, snapshots: Ints, horizon: int, value_days: int, end: int) -> pa.Table:
    """The labels of a partition: one row per customer and snapshot."""
    size = int((part.tables.known[:, None] < snapshots).sum())
    customers, at = np.empty(size, np.int32), np.empty(size, np.int32)
    defected, returned = np.empty(size, np.bool_), np.empty(size, np.int8)
    fill_labels(part.tables, snapshots, horizon, end, customers, at, defected, returned)
    next_days, spend_next, spend_within = np.empty(size, np.int32), np.empty(size), np.empty(size)
    outcomes = next_days, spend_next, spend_within
    fill_orders(part.tables, horizon, value_days, end, customers, at, *outcomes)
    return pa.table(
        {
            "customer_id": part.customer_id.take(pa.array(customers)),
            "snapshot": dates(at),
            "defected": defected,
            "returned": pa.array(returned == 1, mask=returned < 0),
            "next_days": pa.array(next_days, mask=next_days < 0),
            "spend_next": pa.array(spend_next, mask=np.isnan(spend_next)),
            "spend_within": spend_within,
        }
    )
