"""No feature or state at a snapshot depends on later events, on row order, or on compilation."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frozen import ROOT
from histories import compare, customers, snapshots
from hypothesis import given
from reasons_situations import defecting_at, evidence_features_at
from situations import (
    ROWS,
    Complaint,
    Customer,
    Order,
    Return,
    Touch,
    features_at,
    random_customers,
    states_at,
    tables_of,
)

from features.records import NEVER, Tables

SNAPSHOTS = (150, 300, 301, 500, 800)
CUSTOMERS = random_customers(seed=1, count=150)

Attack = Callable[[Customer, int, np.random.Generator], Customer]
Describe = Callable[..., dict[tuple[int, int], Any]]


LATER = {
    "cancelled",
    "delivered",
    "resolved",
    "reopened",
    "settled",
}  # dates of a row that may lie after its event
EXTREMES = {
    "amount": 1e9,
    "quantity": 1e9,
    "severity": 2,
    "sku": 29,
    "category": 3,
    "promised": 1,
    "basket": 99,
    "defect": True,
    "unserved": True,
}


def with_dates(rows: list[Any], change: Callable[[int], int]) -> list[Any]:
    """The rows with their later dates changed."""
    return [
        row._replace(**{field: change(getattr(row, field)) for field in LATER & set(row._fields)})
        for row in rows
    ]


def delete(customer: Customer, snapshot: int, _: np.random.Generator) -> Customer:
    """Remove all events and dates from the snapshot on."""

    def masked(day: int) -> int:
        return day if day < snapshot else NEVER

    return Customer(
        *(with_dates([r for r in rows if r[0] < snapshot], masked) for rows in customer[:-1]),
        known=customer.known,
    )


def add(customer: Customer, snapshot: int, random: np.random.Generator) -> Customer:
    """Add events of every kind, from the day of the snapshot on."""
    later = [snapshot, snapshot + 1, *(snapshot + int(d) for d in random.integers(0, 400, 5))]
    return Customer(
        customer.orders
        + [Order(day, 55, 1, day + 3, 2, 1, day, day + 9) for day in later]
        + [Order(day, 44) for day in later],
        customer.returns + [Return(day, 5, True) for day in later],
        customer.complaints + [Complaint(day, 2) for day in later],
        customer.touches + [Touch(day) for day in later],
        customer.known,
    )


def poison(customer: Customer, snapshot: int, random: np.random.Generator) -> Customer:
    """Change every later date, and make every later amount enormous."""

    def other(day: int) -> int:
        return (
            day
            if day < snapshot
            else int(random.choice([snapshot, snapshot + 1, snapshot + 99, NEVER]))
        )

    def poisoned(row: Any) -> Any:
        return (
            row
            if row[0] < snapshot
            else row._replace(**{f: value for f, value in EXTREMES.items() if f in row._fields})
        )

    return Customer(
        *(with_dates([poisoned(r) for r in rows], other) for rows in customer[:-1]),
        known=customer.known,
    )


def shuffle(customer: Customer, _: int, random: np.random.Generator) -> Customer:
    """Put the same rows in another order."""

    def mixed(rows: list[Any]) -> list[Any]:
        return [rows[i] for i in random.permutation(len(rows))]

    return Customer(
        mixed(customer.orders),
        mixed(customer.returns),
        mixed(customer.complaints),
        mixed(customer.touches),
        customer.known,
    )


ATTACKS: dict[str, Attack] = {"delete": delete, "add": add, "poison": poison, "shuffle": shuffle}


DESCRIBED = (features_at, states_at, evidence_features_at, defecting_at)


@functools.cache
def changed(describe: Describe, attack: str) -> frozenset[str]:
    """The fields that an attack changes in any bit, at the snapshot it starts from or before."""
    random = np.random.default_rng(7)
    fields: set[str] = set()
    for k, snapshot in enumerate(SNAPSHOTS):
        until = SNAPSHOTS[: k + 1]
        true = describe(tables_of(*CUSTOMERS), *until)
        tampered = describe(
            tables_of(*(ATTACKS[attack](c, snapshot, random) for c in CUSTOMERS)), *until
        )
        assert true.keys() == tampered.keys()
        fields |= {
            name
            for key, row in true.items()
            for name in row.dtype.names
            if row[name].tobytes() != tampered[key][name].tobytes()
        }
    return frozenset(fields)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("describe", DESCRIBED)
def test_no_field_changes_with_later_events_or_row_order(describe: Describe, attack: str) -> None:
    assert not changed(describe, attack), f"fields that see the future: {changed(describe, attack)}"


@compare
@given(customers(), snapshots())
def test_any_history_gives_the_same_as_its_part_before_the_snapshot(
    customer: Customer, snapshot: int
) -> None:
    known = delete(customer, snapshot, np.random.default_rng(0))
    for describe in DESCRIBED:
        whole, part = (
            describe(tables_of(history), snapshot - 100, snapshot) for history in (customer, known)
        )
        assert {key: row.tobytes() for key, row in whole.items()} == {
            key: row.tobytes() for key, row in part.items()
        }


def test_the_attacks_change_every_field_of_a_later_row() -> None:
    for kind, row in ROWS.items():
        missed = set(row._fields[1:]) - LATER - set(EXTREMES)
        assert not missed, f"no attack changes {missed} of {kind}"


def lines(tables: Tables, customer: int) -> Any:
    return tables.lines[tables.line_start[customer] : tables.line_start[customer + 1]]


def resolved_ever(tables: Tables, customer: int, snapshot: int) -> float:
    """Leaks: knows that a visible complaint will be resolved."""
    rows = tables.complaints[
        tables.complaint_start[customer] : tables.complaint_start[customer + 1]
    ]
    return float(((rows["opened"] < snapshot) & (rows["resolved"] != NEVER)).sum())


def not_cancelled_ever(tables: Tables, customer: int, snapshot: int) -> float:
    """Leaks: omits a visible order because it will be cancelled."""
    rows = lines(tables, customer)
    return float(((rows["day"] < snapshot) & (rows["cancelled"] == NEVER)).sum())


def delivered_ever(tables: Tables, customer: int, snapshot: int) -> float:
    """Leaks: knows that a visible order will arrive."""
    rows = lines(tables, customer)
    return float(((rows["day"] < snapshot) & (rows["delivered"] != NEVER)).sum())


def bought_until_the_snapshot(tables: Tables, customer: int, snapshot: int) -> float:
    """Leaks: reads one day too far."""
    return float((lines(tables, customer)["day"] <= snapshot).sum())


def spent_ever(tables: Tables, customer: int, snapshot: int) -> float:
    """Leaks: sums all amounts."""
    return float(lines(tables, customer)["amount"].sum())


def first_line(tables: Tables, customer: int, snapshot: int) -> float:
    """Depends on the order of the rows of one day."""
    visible = lines(tables, customer)["amount"][lines(tables, customer)["day"] < snapshot]
    return float(visible[0]) if len(visible) else 0


@pytest.mark.parametrize(
    ("kernel", "attack"),
    [
        (resolved_ever, "delete"),
        (resolved_ever, "poison"),
        (not_cancelled_ever, "delete"),
        (not_cancelled_ever, "poison"),
        (delivered_ever, "delete"),
        (delivered_ever, "poison"),
        (bought_until_the_snapshot, "add"),
        (spent_ever, "delete"),
        (spent_ever, "add"),
        (spent_ever, "poison"),
        (first_line, "shuffle"),
    ],
)
def test_a_kernel_that_sees_the_future_is_caught(
    kernel: Callable[[Tables, int, int], float], attack: str
) -> None:
    def describe(tables: Tables, *snapshots: int) -> dict[tuple[int, int], Any]:
        cells = [(c, s) for c in range(len(tables.known)) for s in snapshots if tables.known[c] < s]
        return {cell: np.array((kernel(tables, *cell),), [("leak", np.float32)]) for cell in cells}

    assert changed(describe, attack) == {"leak"}


def digits_of(customers: list[Customer]) -> str:
    """All features and states of some customers, to the digits that compilation does not change."""
    tables = tables_of(*customers)
    rows = [*features_at(tables, *SNAPSHOTS).values(), *states_at(tables, *SNAPSHOTS).values()]
    return "\n".join(" ".join(f"{float(value):.4g}" for value in row.tolist()) for row in rows)


def test_uncompiled_kernels_give_the_same_values() -> None:
    code = "from test_blindness import *; print(digits_of(CUSTOMERS[:15]))"
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{ROOT}",
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout == digits_of(CUSTOMERS[:15]) + "\n"
