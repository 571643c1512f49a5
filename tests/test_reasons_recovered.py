"""Reasons named in small simulated shops: a slice of `python -m benchmarks.reasons`.

The tolerances hold for the seeds 1 to 4 of 800 or 1,000 customers.
"""

from typing import Any

import pytest

from benchmarks.measure import ROOT
from benchmarks.reasons import HAZARDS, RESULTS, of_shop, placebo, shown
from pipeline.runtime import store
from pipeline.runtime.params import load

SMALL: dict[str, Any] = {"seed": 1, "customers": 800}


@pytest.fixture(scope="module")
def usual() -> dict[str, dict[str, float]]:
    """The share of each reason named, among core customers who left and who stayed."""
    return of_shop(**SMALL)


def ahead(shares: dict[str, dict[str, float]]) -> float:
    """How much more often a reason is named for those who left."""
    return sum(shares["left"].values()) - sum(shares["stayed"].values())


def test_where_nobody_leaves_for_a_reason_none_is_named_more_often_than_for_those_who_stay(
    usual: dict[str, dict[str, float]],
) -> None:
    nobody = of_shop(**SMALL, **dict.fromkeys(HAZARDS.values(), 0.0))
    assert ahead(usual) > 0.25
    assert abs(ahead(nobody)) < 0.1


def test_where_more_leave_for_a_reason_it_is_named_more_often(
    usual: dict[str, dict[str, float]],
) -> None:
    twice = 2 * load(ROOT).simulate.hazard_unrepaired
    more = of_shop(**SMALL, hazard_unrepaired=twice)
    assert more["left"]["unrepaired"] > usual["left"]["unrepaired"] + 0.03


def test_complaints_of_other_customers_are_no_evidence(usual: dict[str, dict[str, float]]) -> None:
    dealt = placebo(**SMALL)
    assert dealt["left"]["unrepaired"] < 0.6 * usual["left"]["unrepaired"]


def test_the_page_on_reasons_shows_the_measured_table() -> None:
    page = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert shown(store.read(RESULTS)) in page
