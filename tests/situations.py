"""Tiny pasts, written as literals or drawn at random, as the tables that kernels read.

Days are numbers; amounts are currency.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from frozen import params

from features.catalogue import FEATURES, feature_matrix
from features.columns import Feature, expand
from features.records import KINDS, NEVER, STRONG, UNIT, Shop, Tables
from features.settings import Windows
from models.lifecycle.limits import Limits
from models.lifecycle.state_machine import life_cycle
from models.lifecycle.states import ACTIVITIES, STAGES, STATUSES
from pipeline.delivery.facts import Facts
from pipeline.engine.calendar import shop_of

MINOR, MAJOR, CRITICAL = range(3)


class Order(NamedTuple):
    """One line; lines of one day with the same basket are one order."""

    day: int
    amount: float = 10
    quantity: float = 1
    cancelled: int = NEVER
    sku: int = -1
    category: int = -1
    promised: int = NEVER
    delivered: int = NEVER
    basket: int = 0


class Return(NamedTuple):
    day: int
    amount: float = 10
    defect: bool = False
    basket: int = -1
    settled: int = NEVER


class Complaint(NamedTuple):
    opened: int
    severity: int = MINOR
    resolved: int = NEVER
    reopened: int = NEVER
    basket: int = -1
    unserved: bool = False


class Touch(NamedTuple):
    day: int


ROWS = {"orders": Order, "returns": Return, "complaints": Complaint, "touches": Touch}


class Customer(NamedTuple):
    """All that is known of one customer, in any order."""

    orders: list[Order]
    returns: list[Return]
    complaints: list[Complaint]
    touches: list[Touch]
    known: int


def row_of(kind: Any, given: Any) -> Any:
    """A row from a tuple, from some of its fields, or from its day alone."""
    return (
        kind(*given)
        if isinstance(given, tuple)
        else kind(**given)
        if isinstance(given, dict)
        else kind(given)
    )


def customer(known: int | None = None, **rows: Any) -> Customer:
    """A customer with these rows, by default known from the first of them on."""
    made = {kind: [row_of(row, r) for r in rows.get(kind, ())] for kind, row in ROWS.items()}
    days = [row[0] for kind in ("orders", "complaints", "touches") for row in made[kind]]
    return Customer(**made, known=min(days) if known is None else known)


def tables_of(*customers: Customer) -> Tables:
    """The tables of these customers, in this order.

    Within a day rows keep the order they are given in.
    """
    arrays: list[npt.NDArray[Any]] = [np.array([c.known for c in customers], np.int32)]
    for kind, record in KINDS.items():
        each = [
            sorted(getattr(c, kind), key=lambda row: (row[0], getattr(row, "basket", 0)))
            for c in customers
        ]
        records = np.zeros(sum(map(len, each)), record)
        for field in record.names or ():
            values = [getattr(row, field) for rows in each for row in rows]
            records[field] = [round(v * UNIT) for v in values] if field == "amount" else values
        arrays += [np.cumsum([0, *map(len, each)]), records]
    return Tables(*arrays)


def past_of(known: int | None = None, **rows: Any) -> Tables:
    """The tables of one customer."""
    return tables_of(customer(known, **rows))


def shop(
    expected_ipt: float = 30,
    log_sd: float = 0.5,
    windows: Windows | None = None,
    closed: Sequence[str] = (),
) -> Shop:
    """A shop of monthly needs with the frozen rules."""
    learnt = {"expected_ipt": expected_ipt, "log_sd": log_sd}
    return shop_of(learnt, params().ipt, params().sla, closed, windows or params().windows)


def columns() -> tuple[Feature, ...]:
    """Every feature column, for the frozen windows."""
    return expand(FEATURES, params().windows)


def features_at(
    tables: Tables, *snapshots: int, of: Shop | None = None
) -> dict[tuple[int, int], Any]:
    """Feature rows by customer and snapshot."""
    of = of or shop()
    customers, at, matrix = feature_matrix(tables, np.array(snapshots, np.int32), of)
    of_windows = expand(FEATURES, Windows(tuple(of.counts), tuple(of.trends)))
    named = np.ascontiguousarray(matrix.T).view(
        [(column.name, np.float32) for column in of_windows]
    )[:, 0]
    return dict(zip(zip(customers.tolist(), at.tolist(), strict=True), named, strict=True))


def states_at(
    tables: Tables,
    *snapshots: int,
    of: Shop | None = None,
    limits: Limits | None = None,
    strong: Any = (),
) -> dict[tuple[int, int], Any]:
    """Life-cycle states by customer and snapshot.

    `strong` is evidence of the first customer, (day of a purchase, strong from).
    """
    evidence = np.array([0, *[len(strong)] * len(tables.known)]), np.array(list(strong), STRONG)
    customers, at, states = life_cycle(
        tables, np.array(snapshots, np.int32), of or shop(), limits or params().assign, evidence
    )
    return dict(zip(zip(customers.tolist(), at.tolist(), strict=True), states, strict=True))


def words(row: Any) -> tuple[str, str, str]:
    """Stage, activity and status of a state."""
    return STAGES[row["stage"]], ACTIVITIES[row["activity"]], STATUSES[row["status"]]


def random_customer(random: np.random.Generator, days: int, cancelling: float = 0.1) -> Customer:
    """A customer with their own IPT, long gaps, same-day and unpaid lines, late orders, returns
    and complaints of all kinds.
    """
    known = int(random.integers(0, days // 2))
    orders, returns, complaints = [], [], []
    ipt, day = random.uniform(3, 80), known + int(random.integers(0, 30))
    promising = random.random() < 0.5
    for _ in range(int(random.choice([0, 1, 2, 3, 5, 12, 30]))):
        basket = 0
        for _ in range(int(random.choice([1, 1, 2, 4]))):
            amount, quantity = (
                float(random.choice([0, 0.01, 7.35, 20, 99.9])),
                float(random.choice([0, 1, 1, 2.5])),
            )
            cancelled = day + int(random.integers(0, 40)) if random.random() < cancelling else NEVER
            sku = int(random.choice([-1, 0, 1, 2, 3, 30]))
            category = int(random.choice([-1, 0, 1, 2]))
            promised = (
                day + int(random.integers(0, 9)) if promising and random.random() < 0.8 else NEVER
            )
            delivered = (
                day + int(random.integers(0, 15)) if promising and random.random() < 0.9 else NEVER
            )
            basket += int(random.random() < 0.3)
            orders.append(
                Order(day, amount, quantity, cancelled, sku, category, promised, delivered, basket)
            )
        if random.random() < 0.2:
            returns.append(
                Return(
                    day + int(random.integers(0, 30)),
                    round(random.uniform(0.01, 30), 2),
                    bool(random.random() < 0.5),
                )
            )
        if random.random() < 0.15:
            opened = day + int(random.integers(0, 9))
            resolved = opened + int(random.integers(0, 12)) if random.random() < 0.9 else NEVER
            reopened = opened + int(random.integers(0, 20)) if random.random() < 0.2 else NEVER
            complaints.append(
                Complaint(
                    opened, int(random.choice([MINOR, MINOR, MAJOR, CRITICAL])), resolved, reopened
                )
            )
        day += max(1, round(ipt * random.lognormal(0, 0.4) * (8 if random.random() < 0.05 else 1)))
    touches = [Touch(known + int(d)) for d in random.integers(0, 200, int(random.integers(0, 3)))]
    return Customer(orders, returns, complaints, touches, known)


def random_customers(
    seed: int, count: int, days: int = 900, cancelling: float = 0.1
) -> list[Customer]:
    """So many random customers; the same for the same seed."""
    random = np.random.default_rng(seed)
    return [random_customer(random, days, cancelling) for _ in range(count)]


def later(seen: Customer, days: int) -> Customer:
    """The same history, so many days later."""

    def moved(day: int) -> int:
        return day if day == NEVER else day + days

    dates = {
        "day",
        "cancelled",
        "promised",
        "delivered",
        "opened",
        "resolved",
        "reopened",
        "settled",
    }

    def moved_all(rows: Any) -> Any:
        return [
            row._replace(**{f: moved(getattr(row, f)) for f in dates & set(row._fields)})
            for row in rows
        ]

    return Customer(*(moved_all(rows) for rows in seen[:-1]), known=seen.known + days)


def of_one(facts: Facts, which: int) -> dict[str, Any]:
    """Return the facts of one customer by name."""
    codes = {name: each.codes[which] for name, each in facts.items()}
    return {name: facts[name].values[code] for name, code in codes.items() if code >= 0}
