"""The lapse benchmark counts the customers that it names.

The product's rule meets its targets in a small shop.
"""

import datetime as dt
from pathlib import Path

import frozen
import pyarrow as pa
import pytest

from benchmarks.lapse import MUST, RESULTS, RULES, Rates, is_met, rates, shop, spread
from pipeline.runtime import store
from pipeline.runtime.runner import ROOT

SEEN_ON = dt.date(2025, 7, 1)
EXPECTED_IPT = 30


def ago(days: int) -> dt.datetime:
    return dt.datetime.combine(SEEN_ON, dt.time(15)) - dt.timedelta(days)


def small_truth(root: Path, activity: str, purchases: list[tuple[int, str]]) -> Path:
    """Write the ground truth of one customer with a true IPT of 20 days.

    `activity` is that at the snapshot that counts. A purchase is its age in days at that
    snapshot and the cause that fired.
    """
    before = dt.date(2025, 1, 1)  # in the first half, where the customer would count as well
    truth = root / "data" / "truth" / "demo"
    store.write(
        root / "data" / "calibration.json",
        {"tracking": [str(before), str(SEEN_ON)], "expected_ipt": EXPECTED_IPT},
    )
    states = {
        "customer_id": ["a", "a"],
        "snapshot": [before, SEEN_ON],
        "activity": ["lapsed", activity],
    }
    store.write(root / "data" / "lifecycle" / "part-000.parquet", pa.table(states))
    store.write(truth / "customer.parquet", pa.table({"customer_id": ["a"], "ipt_days": [20.0]}))
    orders = {
        "customer_id": ["a"] * len(purchases),
        "ordered_at": [ago(days) for days, _ in purchases],
        "number": range(1, len(purchases) + 1),
        "fired": [fired for _, fired in purchases],
    }
    store.write(truth / "order.parquet", pa.table(orders))
    return root


@pytest.mark.parametrize(
    ("purchases", "counted"),
    [
        ([(400, "none"), (300, "none"), (1, "none")], "false_lapse"),
        ([(300, "none"), (60, "base")], "recall"),
        ([(300, "none"), (59, "base")], None),
        ([(300, "none"), (60, "base"), (0, "none")], "recall"),
        ([(300, "base"), (1, "none")], "false_lapse"),
        ([(60, "base")], None),
        ([(300, "none"), (0, "none")], None),
    ],
    ids=[
        "still there",
        "gone for three of their own IPTs",
        "gone for less",
        "gone, though back on that day",
        "back from an absence",
        "gone after one purchase",
        "one purchase so far",
    ],
)
def test_a_customer_counts_as_living_or_as_gone_by_the_ground_truth(
    tmp_path: Path, purchases: list[tuple[int, str]], counted: str | None
) -> None:
    for activity, lapsed in (("lapsed", 1.0), ("late", 0.0)):
        shares = rates(small_truth(tmp_path, activity, purchases))["corekeep"]
        assert shares == {
            rate: lapsed if rate == counted else None for rate in ("false_lapse", "recall")
        }


@pytest.mark.parametrize(
    ("recency", "fixed", "three_gaps"), [(89, 0, 0), (90, 0, 1), (181, 0, 1), (182, 1, 1)]
)
def test_the_other_rules_count_days_since_the_last_purchase(
    tmp_path: Path, recency: int, fixed: int, three_gaps: int
) -> None:
    by_rule = rates(small_truth(tmp_path, "active", [(400, "none"), (recency, "boredom")]))
    assert {rule: shares["recall"] for rule, shares in by_rule.items()} == {
        "corekeep": 0,
        "fixed_182d": fixed,
        "three_gaps": three_gaps,
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Rates:
    """The rates of a small shop of monthly needs with three years of history."""
    return rates(
        shop(
            tmp_path_factory.mktemp("shop"),
            {"customers": 600, "presets": {"monthly": {"days": 1095}}, "seed": 1},
            frozen.PATH,
        )
    )


def test_few_living_customers_are_called_lapsed_and_most_gone_ones_are(small: Rates) -> None:
    ours = small["corekeep"]
    assert 0.005 < ours["false_lapse"] < 0.03  # 0.010 to 0.027 over twenty seeds
    assert 0.88 < ours["recall"] < 0.98  # 0.925 to 0.956


def test_one_number_of_days_for_all_is_wrong_about_more_customers(small: Rates) -> None:
    # 0.80 on average against 0.94
    assert small["fixed_182d"]["recall"] < small["corekeep"]["recall"] - 0.05
    # 0.056 against 0.019
    assert small["three_gaps"]["false_lapse"] > 1.5 * small["corekeep"]["false_lapse"]


def test_a_target_is_met_when_both_rates_are_and_only_some_shops_have_one() -> None:
    def met(false_lapse: float, recall: float) -> bool | None:
        runs = [
            {rule: {"false_lapse": false_lapse + d, "recall": recall + d} for rule in RULES}
            for d in (-0.01, 0.01)
        ]
        return is_met("weekly", spread(runs))

    must = MUST["weekly"]
    assert met(must["false_lapse"], must["recall"]) is True
    assert met(must["false_lapse"] + 0.001, must["recall"]) is False
    assert met(must["false_lapse"], must["recall"] - 0.001) is False
    assert is_met("weekly_back_by_cycle", {}) is None


def test_the_document_shows_what_was_measured() -> None:
    document = (ROOT / "docs" / "explanation" / "lapse.md").read_text(encoding="utf-8")
    for preset, rules in store.read(RESULTS)["found"].items():
        for rule, rates_of in rules.items():
            cells = [
                f"{100 * figures['mean']:.1f} ± {100 * figures['sd']:.1f}"
                for figures in rates_of.values()
            ]
            assert f"| `{preset}` | `{rule}` | {cells[0]} | {cells[1]} |" in document
