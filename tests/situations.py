"""Tiny pasts, written as literals or drawn at random, as the tables that kernels read. Days are numbers; amounts are currency."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.catalogue import COLUMNS, describe_all
from features.columns import empty
from features.history import NEVER, UNIT, Shop, Tables, scratch
from models.lifecycle import ACTIVITIES, STAGES, STATE, STATUSES, follow
from models.settings import Limits
from pipeline.params import Params
from pipeline.yaml_file import read_yaml

MINOR, MAJOR, CRITICAL = range(3)
ROOT = Path(__file__).resolve().parents[1]


class Order(NamedTuple):
    day: int
    amount: float = 10
    quantity: float = 1
    cancelled: int = NEVER


class Return(NamedTuple):
    day: int
    amount: float = 10
    defect: bool = False


class Complaint(NamedTuple):
    opened: int
    severity: int = MINOR
    resolved: int = NEVER


class Customer(NamedTuple):
    """All that is known of one customer, in any order."""

    orders: list[Order]
    returns: list[Return]
    complaints: list[Complaint]
    touches: list[int]
    known: int


def customer(orders: Any = (), returns: Any = (), complaints: Any = (), touches: Any = (), known: int | None = None) -> Customer:
    """A customer of tuples; an order may be a bare day. Known from the first order, complaint or touch on unless told."""
    bought = [Order(*o) if isinstance(o, tuple) else Order(o) for o in orders]
    complained = [Complaint(*c) for c in complaints]
    days = [o.day for o in bought] + [c.opened for c in complained] + list(touches)
    return Customer(bought, [Return(*r) for r in returns], complained, list(touches), min(days) if known is None else known)


def tables_of(*customers: Customer) -> Tables:
    """The tables of these customers, in this order; within a day rows keep the order they are given in."""

    def rows(name: str) -> tuple[npt.NDArray[np.int64], list[Any]]:
        each = [sorted(getattr(c, name), key=lambda row: row[0] if isinstance(row, tuple) else row) for c in customers]
        return np.cumsum([0, *map(len, each)]), [row for found in each for row in found]

    def column(values: list[Any], dtype: Any) -> npt.NDArray[Any]:
        array = np.array(values, dtype)
        array.setflags(write=False)  # as read from a file, so that kernels are compiled for one kind of array only
        return array

    line_start, lines = rows("orders")
    return_start, returns = rows("returns")
    complaint_start, complaints = rows("complaints")
    touch_start, touches = rows("touches")
    return Tables(
        column([c.known for c in customers], np.int32),
        line_start,
        column([o.day for o in lines], np.int32),
        column([round(o.amount * UNIT) for o in lines], np.int64),
        column([o.quantity for o in lines], np.float64),
        column([o.cancelled for o in lines], np.int32),
        return_start,
        column([r.day for r in returns], np.int32),
        column([round(r.amount * UNIT) for r in returns], np.int64),
        np.array([r.defect for r in returns], np.bool_),
        complaint_start,
        column([c.opened for c in complaints], np.int32),
        column([c.severity for c in complaints], np.int8),
        column([c.resolved for c in complaints], np.int32),
        touch_start,
        column(touches, np.int32),
    )


def past_of(orders: Any = (), returns: Any = (), complaints: Any = (), touches: Any = (), known: int | None = None) -> Tables:
    """The tables of one customer."""
    return tables_of(customer(orders, returns, complaints, touches, known))


@functools.cache
def params() -> Params:
    """What stands in params.yaml, whatever shop is chosen there."""
    return Params.model_validate(read_yaml(ROOT / "params.yaml", ROOT))


def shop(usual_gap: float = 30, log_sd: float = 0.5) -> Shop:
    """A shop of monthly needs with the rules of params.yaml."""
    return Shop(params().cycle, params().promise, float(usual_gap), float(log_sd))


def features_at(tables: Tables, *snapshots: int, of: Shop | None = None) -> dict[tuple[int, int], Any]:
    """Feature rows by customer and snapshot."""
    days = np.array(snapshots, np.int32)
    size = int((tables.known[:, None] < days).sum())
    rows, customers, at = empty(COLUMNS, size), np.empty(size, np.int32), np.empty(size, np.int32)
    describe_all(tables, days, of or shop(), scratch(tables), rows, customers, at)
    return dict(zip(zip(customers.tolist(), at.tolist(), strict=True), rows, strict=True))


def states_at(tables: Tables, *snapshots: int, of: Shop | None = None, limits: Limits | None = None) -> dict[tuple[int, int], Any]:
    """Life-cycle states by customer and snapshot."""
    days = np.array(snapshots, np.int32)
    size = int((tables.known[:, None] < days).sum())
    found, customers, at = np.zeros(size, STATE), np.empty(size, np.int32), np.empty(size, np.int32)
    follow(tables, days, of or shop(), limits or params().assign, scratch(tables), found, customers, at)
    return dict(zip(zip(customers.tolist(), at.tolist(), strict=True), found, strict=True))


def words(row: Any) -> tuple[str, str, str]:
    """Stage, activity and status of a state."""
    return STAGES[row["stage"]], ACTIVITIES[row["activity"]], STATUSES[row["status"]]


def random_customer(random: np.random.Generator, days: int, cancelling: float = 0.1) -> Customer:
    """A customer with a rhythm of his own, long silences, same-day and unpaid lines, returns and complaints of all kinds."""
    known = int(random.integers(0, days // 2))
    orders, returns, complaints = [], [], []
    usual, day = random.uniform(3, 80), known + int(random.integers(0, 30))
    for _ in range(int(random.choice([0, 1, 2, 3, 5, 12, 30]))):
        for _ in range(int(random.choice([1, 1, 2, 4]))):
            amount, quantity = float(random.choice([0, 0.01, 7.35, 20, 99.9])), float(random.choice([0, 1, 1, 2.5]))
            cancelled = day + int(random.integers(0, 40)) if random.random() < cancelling else NEVER
            orders.append(Order(day, amount, quantity, cancelled))
        if random.random() < 0.2:
            returns.append(Return(day + int(random.integers(0, 30)), round(random.uniform(0.01, 30), 2), bool(random.random() < 0.5)))
        if random.random() < 0.15:
            opened = day + int(random.integers(0, 9))
            resolved = opened + int(random.integers(0, 12)) if random.random() < 0.9 else NEVER
            complaints.append(Complaint(opened, int(random.choice([MINOR, MINOR, MAJOR, CRITICAL])), resolved))
        day += max(1, round(usual * random.lognormal(0, 0.4) * (8 if random.random() < 0.05 else 1)))
    touches = [known + int(d) for d in random.integers(0, 200, int(random.integers(0, 3)))]
    return Customer(orders, returns, complaints, touches, known)


def random_customers(seed: int, count: int, days: int = 900, cancelling: float = 0.1) -> list[Customer]:
    """So many random customers; the same for the same seed."""
    random = np.random.default_rng(seed)
    return [random_customer(random, days, cancelling) for _ in range(count)]
