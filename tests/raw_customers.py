"""The customers of `situations` as raw tables, every table and column that a shop may deliver."""

import datetime as dt
from typing import Any

import pyarrow as pa
from situations import Customer

from features.records import NEVER

START = dt.date(2018, 6, 1)  # day 0
SEVERITIES = ("minor", "major", "critical")
Raw = dict[str, list[dict[str, Any]]]  # rows by table


def iso(day: int) -> str:
    """The ISO date of a day."""
    return (START + dt.timedelta(day)).isoformat()


def at(day: int, hour: int) -> str | None:
    """Local business time, null for never."""
    return None if day == NEVER else f"{iso(day)}T{hour:02d}:30:00"


def raw_of(customers: list[Customer]) -> Raw:
    """The rows of all tables. An outcome comes later on the day of its event at the earliest."""
    raw: Raw = {name: [] for name in ("customers", "orders", "returns", "complaints", "touches")}
    for c, customer in enumerate(customers):
        who = {"customer_id": f"C{c:03d}"}
        raw["customers"].append({**who, "created_at": at(customer.known, 0)})
        for i, line in enumerate(customer.orders):
            raw["orders"].append(
                {
                    **who,
                    "order_id": f"O{c}-{line.day}-{line.basket}",
                    "line_id": f"{i}",
                    "ordered_at": at(line.day, 9),
                    "sku": f"S{line.sku}" if line.sku >= 0 else None,
                    "category": f"K{line.category}" if line.category >= 0 else None,
                    "quantity": float(line.quantity),
                    "net_amount": float(line.amount),
                    "promised_at": at(line.promised, 20),
                    "delivered_at": at(line.delivered, 21),
                    "cancelled_at": at(line.cancelled, 22),
                }
            )
        for i, item in enumerate(customer.returns):
            raw["returns"].append(
                {
                    **who,
                    "return_id": f"R{c}-{i}",
                    "quantity": 1,
                    "net_amount": float(item.amount),
                    "returned_at": at(item.day, 10),
                    "reason": "defect" if item.defect else "too big",
                }
            )
        for i, case in enumerate(customer.complaints):
            raw["complaints"].append(
                {
                    **who,
                    "complaint_id": f"B{c}-{i}",
                    "opened_at": at(case.opened, 11),
                    "severity": SEVERITIES[case.severity],
                    "resolved_at": at(case.resolved, 22),
                    "reopened_at": at(case.reopened, 23),
                }
            )
        raw["touches"] += [
            {**who, "at": at(touch.day, 12 + i)} for i, touch in enumerate(customer.touches)
        ]
    return raw


def tables_of_raw(raw: Raw) -> dict[str, pa.Table]:
    """Each table as an Arrow table."""
    return {name: pa.Table.from_pylist(rows) for name, rows in raw.items()}
