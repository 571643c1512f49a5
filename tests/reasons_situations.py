"""Evidence of reasons to leave for tiny pasts, in a shop with a market event and no trends."""

from typing import Any

import numpy as np
from frozen import params
from situations import CRITICAL, MINOR, Complaint, Customer, Order, random_customers, shop

from features.records import NEVER, Tables
from models.lifecycle.state_machine import life_cycle
from models.reasons.catalogue import EVIDENCE_FEATURES
from models.reasons.context import LAUNCH, Context
from models.reasons.evidence import evidence_at, strong_evidence

CATEGORIES = 50
EVENT = (1, 240, 420)  # of the random histories: category, first day, day after the last
FEATURES = [feature.name for feature in EVIDENCE_FEATURES]

Rows = dict[tuple[int, int], Any]


def context(*events: tuple[int, int, int], **changes: Any) -> Context:
    """A shop that records everything, with the frozen rules."""
    made = Context(
        shop=shop(),
        rules=params().reasons,
        resolutions=True,
        settlements=True,
        market=True,
        launches=np.array(list(events), LAUNCH),
        first_day=0,
        trends=np.zeros((CATEGORIES, 2, 300)),
        long_runs=np.full(CATEGORIES, 4.0),
    )
    return made._replace(**changes)


def evidence_rows(tables: Tables, *snapshots: int, at: Context | None = None) -> Rows:
    """Evidence and facts by customer and snapshot."""
    days = np.array(snapshots, np.int32)
    customers, at_days, rows, _ = evidence_at(tables, days, at or context(EVENT))
    return dict(zip(zip(customers.tolist(), at_days.tolist(), strict=True), rows, strict=True))


def evidence_features_at(tables: Tables, *snapshots: int, at: Context | None = None) -> Rows:
    """The features of the reasons by customer and snapshot."""
    rows = evidence_rows(tables, *snapshots, at=at)
    kind = [(name, np.float32) for name in FEATURES]
    return {key: np.array(tuple(row[name] for name in FEATURES), kind) for key, row in rows.items()}


def defecting_at(tables: Tables, *snapshots: int) -> Rows:
    """Life-cycle states by customer and snapshot, with the evidence of the same events."""
    at, days = context(EVENT), np.array(snapshots, np.int32)
    ahead = evidence_at(tables, days, at, ahead=True)[3]
    strong = strong_evidence(tables, int(max(snapshots)), at)
    customers, on, states = life_cycle(tables, days, at.shop, params().assign, strong, ahead)
    return dict(zip(zip(customers.tolist(), on.tolist(), strict=True), states, strict=True))


def eventful(seed: int, count: int) -> list[Customer]:
    """Random customers, some of whom buy one item again and again or spend less from an event on;
    some returns are settled, some complaints say that nothing came, and some come late.
    """
    random, made = np.random.default_rng(seed), []
    for customer in random_customers(seed, count):
        returns = [
            r._replace(settled=r.day + int(random.choice([0, 3, 14, 15, 40, NEVER - r.day])))
            for r in customer.returns
        ]
        complaints = [c._replace(unserved=bool(random.random() < 0.3)) for c in customer.complaints]
        pace, start = int(random.integers(5, 60)), int(random.integers(0, 200))
        share, item = random.choice([1, 0.8, 0.5, 0.1]), int(random.choice([-1, 1, 2]))
        steady = [
            Order(start + k * pace + k * k, 20 * (share if start + k * pace > EVENT[1] else 1),
                  sku=item, category=1)
            for k in range(int(random.choice([0, 0, 4, 9, 14])))
        ]  # fmt: skip
        orders = [*(customer.orders if not steady or random.random() < 0.5 else []), *steady]
        for _ in range(int(random.integers(0, 4)) if orders else 0):
            opened = orders[int(random.integers(len(orders)))].day + int(random.integers(0, 120))
            resolved, reopened = (
                opened + int(random.integers(0, 40)) if random.random() < share else NEVER
                for share in (0.7, 0.2)
            )
            severity = int(random.integers(MINOR, CRITICAL + 1))
            complaints.append(Complaint(opened, severity, resolved, reopened))
        known = min([customer.known, *(order.day for order in steady)])
        made.append(Customer(orders, returns, complaints, [], known))
    return made
