"""Dates by which something is due to a customer, and how often it went wrong lately."""

from typing import Any

import pytest
from situations import CRITICAL, MAJOR, MINOR
from test_lifecycle import state

from features.records import NEVER

ORDERED = [0, 30, 60, 90]


@pytest.mark.parametrize(
    ("complaints", "opened", "due"),
    [
        ([], NEVER, NEVER),
        ([(85, MINOR)], 85, 92),
        ([(85, MINOR), (88, CRITICAL)], 88, 89),
        ([(85, MINOR, 90)], NEVER, NEVER),
        ([(80, MAJOR, 85, 88)], 80, 83),
    ],
    ids=["none", "open", "the one due first", "resolved", "reopened"],
)
def test_the_open_complaint_that_is_due_first_has_its_first_day_and_its_due_day(
    complaints: Any, opened: int, due: int
) -> None:
    row = state(91, orders=ORDERED, complaints=complaints)
    assert (row["complaint_opened_on"], row["complaint_due_on"]) == (opened, due)


@pytest.mark.parametrize(
    ("last", "delivered"),
    [
        ({"day": 90}, 90),
        ({"day": 90, "promised": 92, "delivered": 93}, 93),
        ({"day": 90, "promised": 92, "delivered": 99}, NEVER),
        ({"day": 91, "promised": 92, "delivered": 93, "cancelled": 94}, 90),
    ],
    ids=["no dates", "delivered", "not delivered yet", "cancelled"],
)
def test_the_last_delivery_is_that_of_the_last_order_that_was_not_cancelled(
    last: Any, delivered: int
) -> None:
    orders = [*ORDERED[: -1 if last["day"] == 90 else None], last]
    assert state(95, orders=orders)["delivered_on"] == delivered


@pytest.mark.parametrize(
    ("events", "failures"),
    [
        ({}, 0),
        ({"complaints": [(85, MINOR, 86)]}, 1),
        ({"complaints": [(85, MINOR, 86), (88, MAJOR)]}, 2),
        ({"complaints": [(85, MINOR, 86, NEVER, 3), (86, MINOR, 86, NEVER, 3)]}, 1),
        ({"complaints": [(85, MINOR, 86)], "returns": [(87, 1, True)]}, 2),
        ({"returns": [(87, 1, False)]}, 0),
    ],
    ids=["none", "one", "two", "two of one order", "a return", "a return without a defect"],
)
def test_failures_of_the_last_four_ipts_are_counted_once_per_order(
    events: Any, failures: int
) -> None:
    assert state(91, orders=ORDERED, **events)["recent_failures"] == failures


def test_a_late_delivery_counts_and_what_was_more_than_four_ipts_ago_does_not() -> None:
    late = [{"day": 0, "promised": 1, "delivered": 9}, 30, 60, 90]
    assert state(91, orders=late)["recent_failures"] == 1
    assert state(124, orders=[*late, 120])["recent_failures"] == 0
