"""The kernels of the reasons equal the reference implementation, on random and odd histories."""

from typing import Any

import numpy as np
import pytest
from histories import compare, customers, snapshots
from hypothesis import given, settings
from reasons_situations import CATEGORIES, EVENT, FEATURES, context, eventful, evidence_features_at
from reference_reasons import reference_reasons
from situations import Complaint, Customer, Order, Return, tables_of

from models.reasons.context import Context

SNAPSHOTS = (90, 250, 251, 400, 777)


def trends(seed: int) -> Any:
    """Spend and visits of all customers by category and week, growing and falling at random."""
    random = np.random.default_rng(seed)
    return np.cumsum(random.uniform(0, 20, (CATEGORIES, 2, 300)), axis=2)


SHOPS: dict[str, Context] = {
    "events and trends": context(EVENT, (-1, 100, 200), (0, 380, 900), trends=trends(5)),
    "an event every week": context(*((-1, day, day + 90) for day in range(0, 777, 7))),
    "no market": context(market=False, trends=trends(6)),
    "no resolutions": context(EVENT, resolutions=False),
    "no settlements": context(EVENT, settlements=False),
}


def check(customer: Customer, snapshot: int, at: Context, row: Any, name: str) -> None:
    """Compare one row of the kernels with the reference."""
    expected = dict.fromkeys(FEATURES, 0.0) | reference_reasons(customer, snapshot, at)
    for feature in FEATURES:
        close = pytest.approx(expected[feature], rel=2e-6, abs=1e-7)
        assert row[feature] == close, f"{name}: {feature} at {snapshot} of {customer}"


@pytest.mark.parametrize("name", SHOPS)
def test_evidence_is_that_of_the_reference_on_random_histories(name: str) -> None:
    people, at = eventful(31, 200), SHOPS[name]
    rows = evidence_features_at(tables_of(*people), *SNAPSHOTS, at=at)
    for (who, snapshot), row in rows.items():
        check(people[who], snapshot, at, row, name)
    strong = {feature: sum(row[feature] > 0.2 for row in rows.values()) for feature in FEATURES}
    assert min(strong.values()) > 10, strong


@settings(compare, max_examples=100)
@given(customers(), snapshots())
def test_evidence_is_that_of_the_reference_on_odd_histories(seen: Customer, snapshot: int) -> None:
    at = SHOPS["events and trends"]
    for (_, day), row in evidence_features_at(tables_of(seen), snapshot, at=at).items():
        check(seen, day, at, row, "odd")


@pytest.mark.parametrize("wait", [0, 1, 3, 7])
def test_a_case_resolved_within_its_sla_is_no_evidence_whatever_else_happened(wait: int) -> None:
    people = [c._replace(complaints=[], returns=[]) for c in eventful(32, 100)]
    settled = [
        c._replace(
            complaints=[Complaint(c.known + 60, resolved=c.known + 60 + wait)],
            returns=[Return(c.known + 70, settled=c.known + 70 + 2 * wait)],
        )
        for c in people
    ]
    rows = evidence_features_at(tables_of(*settled), *SNAPSHOTS)
    assert not any(row["evidence_unrepaired"] for row in rows.values())
    worse = [c._replace(complaints=[Complaint(c.known + 60)]) for c in people]
    rows = evidence_features_at(tables_of(*worse), *SNAPSHOTS)
    assert any(row["evidence_unrepaired"] > 0.5 for row in rows.values())


def test_the_less_is_spent_since_an_event_the_stronger_is_the_evidence_of_a_competitor() -> None:
    category, starts, _ = EVENT

    def cheaper(order: Order) -> Order:
        since = order.day >= starts and order.category == category
        return order._replace(amount=order.amount * 0.6) if since else order

    people = eventful(33, 200)
    poorer = [c._replace(orders=[*map(cheaper, c.orders)]) for c in people]
    before, after = (
        evidence_features_at(tables_of(*some), *SNAPSHOTS) for some in (people, poorer)
    )
    name, most = "evidence_competitor", context().rules.competitor_without_event
    pairs = [(row[name], after[key][name]) for key, row in before.items()]
    # up to `most` it may rest on another fall, whose time before the event's start is cheaper now
    assert all(poor >= rich - 1e-6 for rich, poor in pairs if rich > most)
    assert sum(poor > rich + 0.1 for rich, poor in pairs) > 10
