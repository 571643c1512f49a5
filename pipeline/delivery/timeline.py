"""What happened between one customer and the shop, in words."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from features.records import NEVER, TIMES, UNIT
from features.settings import Sla
from pipeline.engine.calendar import iso_date
from pipeline.inputs.contract import SEVERITIES

Entry = tuple[int, int, str]  # day, place within the day (deadlines 0, changes of stage 5), words
Rows = list[dict[str, Any]]


def _lines(number: int) -> str:
    return f"{number} line{'' if number == 1 else 's'}"


def _order(
    day: int, order: str, lines: Rows, until: int, sla: Sla, currency: str
) -> Iterator[Entry]:
    yield (
        day,
        1,
        f"order {order}: {_lines(len(lines))} for {sum(line['amount'] for line in lines) / UNIT:,.2f} {currency}",
    )
    for cancelled in sorted({line["cancelled"] for line in lines if line["cancelled"] < until}):
        gone = sum(line["cancelled"] == cancelled for line in lines)
        yield cancelled, 1, f"order {order}: {gone} of {_lines(len(lines))} cancelled"
    slas = [line["promised"] for line in lines if line["promised"] != NEVER]
    if not slas:
        return
    promised, delivered = max(slas), max(line["delivered"] for line in lines)
    due = promised + sla.delivery_grace
    if due < min(delivered, until, max(line["cancelled"] for line in lines)):
        if delivered < until:
            yield delivered, 1, f"order {order}: delivered {delivered - promised} days late"
        else:
            yield due, 1, f"order {order}: promised for {iso_date(promised)}, not delivered"


def _orders(lines: Rows, until: int, sla: Sla, currency: str) -> Iterator[Entry]:
    paid = [line for line in lines if line["quantity"] > 0 and line["amount"] > 0]
    for (day, order), found in itertools.groupby(
        paid, key=lambda line: (line["day"], line["order_id"])
    ):
        yield from _order(day, order, list(found), until, sla, currency)


def _returns(rows: Rows, currency: str) -> Iterator[Entry]:
    for row in rows:
        yield (
            row["day"],
            2,
            f"return {row['return_id']}: {row['amount'] / UNIT:,.2f} {currency}{', a defect' if row['defect'] else ''}",
        )


def _complaints(rows: Rows, until: int) -> Iterator[Entry]:
    for row in rows:
        name, kind = f"complaint {row['complaint_id']}", f", {row['kind']}" if row["kind"] else ""
        yield row["opened"], 2, f"{name}: opened, {SEVERITIES[row['severity']]}{kind}"
        if row["resolved"] < until:
            yield row["resolved"], 3, f"{name}: mended after {row['resolved'] - row['opened']} days"
        if row["reopened"] < until:
            yield row["reopened"], 4, f"{name}: opened again"


def _touches(rows: Rows) -> Iterator[Entry]:
    for row in rows:
        expected = f", expects {row['expectation']}" if row["expectation"] else ""
        yield row["day"], 1, f"contact{expected}"


def happened(
    rows: Callable[[str], pa.Table], until: int, sla: Sla, currency: str
) -> Iterator[Entry]:
    """Orders, late deliveries, returns, complaints and contacts before a day.

    `rows` are the customer's, by table of data/events.
    """
    seen = {
        table: [row for row in rows(table).to_pylist() if row[time] < until]
        for table, time in TIMES.items()
    }
    yield from _orders(seen["orders"], until, sla, currency)
    yield from _returns(seen["returns"], currency)
    yield from _complaints(seen["complaints"], until)
    yield from _touches(seen["touches"])
