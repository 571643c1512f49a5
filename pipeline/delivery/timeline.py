"""The events between one customer and the shop, as text."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from features.records import NEVER, TIMES, UNIT
from features.settings import Sla
from pipeline.delivery.facts import counted
from pipeline.engine.calendar import iso_date
from pipeline.inputs.contract import SEVERITIES

Entry = tuple[int, int, str]  # day, place in the day (deadline 0, change of stage 5), text
Rows = list[dict[str, Any]]


def _worth(amount: int, currency: str | None) -> str:
    """An amount in the currency; without one, in pieces."""
    figure = f"{amount / UNIT:,.2f}"
    if currency:
        return f"{figure} {currency}"
    return f"{figure.removesuffix('.00')} piece{'' if amount == UNIT else 's'}"


def _order(
    day: int, name: str, lines: Rows, until: int, sla: Sla, currency: str | None
) -> Iterator[Entry]:
    amount, size = sum(line["amount"] for line in lines), counted("line|lines", len(lines))
    yield day, 1, f"{name}: {size} for {_worth(amount, currency)}"
    cancelled_on = [line["cancelled"] for line in lines]
    for cancelled in sorted({on for on in cancelled_on if on < until}):
        yield cancelled, 1, f"{name}: {cancelled_on.count(cancelled)} of {size} cancelled"
    dates = [line["promised"] for line in lines if line["promised"] != NEVER]
    if not dates:
        return
    promised, delivered = max(dates), max(line["delivered"] for line in lines)
    due = promised + sla.delivery_grace
    if due < min(delivered, until, max(cancelled_on)):
        if delivered < until:
            days = counted("day|days", delivered - promised)
            yield delivered, 1, f"{name}: delivered {days} late"
        else:
            yield due, 1, f"{name}: promised for {iso_date(promised)}, not delivered"


def _returns(rows: Rows, currency: str | None) -> Iterator[Entry]:
    for row in rows:
        defect = ", a defect" if row["defect"] else ""
        yield row["day"], 2, f"return {row['return_id']}: {_worth(row['amount'], currency)}{defect}"


def _complaints(rows: Rows, until: int) -> Iterator[Entry]:
    for row in rows:
        name, kind = f"complaint {row['complaint_id']}", f", {row['kind']}" if row["kind"] else ""
        yield row["opened"], 2, f"{name}: opened, {SEVERITIES[row['severity']]}{kind}"
        if row["resolved"] < until:
            days = counted("day|days", row["resolved"] - row["opened"])
            yield row["resolved"], 3, f"{name}: resolved after {days}"
        if row["reopened"] < until:
            yield row["reopened"], 4, f"{name}: reopened"


def _touches(rows: Rows) -> Iterator[Entry]:
    for row in rows:
        expected = f", expects {row['expectation']}" if row["expectation"] else ""
        yield row["day"], 1, f"contact{expected}"


def history(
    rows: Callable[[str], pa.Table], until: int, sla: Sla, currency: str | None
) -> Iterator[Entry]:
    """Yield orders, late deliveries, returns, complaints and contacts before the day `until`.

    `rows` returns the customer's rows of a table of data/events. Without a currency, amounts are
    pieces.
    """
    seen = {
        table: [row for row in rows(table).to_pylist() if row[time] < until]
        for table, time in TIMES.items()
    }
    paid = [line for line in seen["orders"] if line["quantity"] > 0 and line["amount"] > 0]
    by_order = itertools.groupby(paid, key=lambda line: (line["day"], line["order_id"]))
    for (day, order), lines in by_order:
        yield from _order(day, f"order {order}", list(lines), until, sla, currency)
    yield from _returns(seen["returns"], currency)
    yield from _complaints(seen["complaints"], until)
    yield from _touches(seen["touches"])
