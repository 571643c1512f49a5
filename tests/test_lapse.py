"""The benchmark of lapses counts who it says it counts, and our rule keeps to its targets in a
small shop.
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
USUAL_GAP = 30


def ago(days: int) -> dt.datetime:
    return dt.datetime.combine(SEEN_ON, dt.time(15)) - dt.timedelta(days)


def small_truth(root: Path, activity: str, purchases: list[tuple[int, str]]) -> Path:
    """One customer with a true cycle of 20 days.

    His activity at the snapshot that counts, his purchases (days before it, what fired).
    """
    before = dt.date(2025, 1, 1)  # in the first half, where he would be counted as well
    truth = root / "data" / "truth" / "demo"
    store.write(
        root / "data" / "calibration.json",
        {"tracking": [str(before), str(SEEN_ON)], "expected_ipt": USUAL_GAP},
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
        "gone for three of his cycles",
        "gone for less",
        "gone, though he comes back that day",
        "back from an absence",
        "gone after one purchase",
        "one purchase so far",
    ],
)
def test_who_counts_as_living_and_who_as_gone(
    tmp_path: Path, purchases: list[tuple[int, str]], counted: str | None
) -> None:
    for activity, lapsed in (("lapsed", 1.0), ("late", 0.0)):
        found = rates(small_truth(tmp_path, activity, purchases))["corekeep"]
        assert found == {
            rate: lapsed if rate == counted else None for rate in ("false_lapse", "recall")
        }


@pytest.mark.parametrize(
    ("silence", "fixed", "three_gaps"), [(89, 0, 0), (90, 0, 1), (181, 0, 1), (182, 1, 1)]
)
def test_the_other_rules_count_days_of_silence(
    tmp_path: Path, silence: int, fixed: int, three_gaps: int
) -> None:
    found = rates(small_truth(tmp_path, "active", [(400, "none"), (silence, "boredom")]))
    assert {rule: told["recall"] for rule, told in found.items()} == {
        "corekeep": 0,
        "fixed_182d": fixed,
        "three_gaps": three_gaps,
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Rates:
    """A small shop of monthly needs, three years old."""
    return rates(
        shop(
            tmp_path_factory.mktemp("shop"),
            {"customers": 600, "presets": {"monthly": {"days": 1095}}, "seed": 1},
            frozen.PATH,
        )
    )


def test_few_living_customers_are_called_lapsed_and_most_who_are_gone(small: Rates) -> None:
    ours = small["corekeep"]
    assert 0.005 < ours["false_lapse"] < 0.03  # 0.010 to 0.027 over twenty seeds
    assert 0.88 < ours["recall"] < 0.98  # 0.925 to 0.956


def test_the_same_number_of_days_for_all_is_wrong_about_more_customers(small: Rates) -> None:
    # 0.80 on average against 0.94
    assert small["fixed_182d"]["recall"] < small["corekeep"]["recall"] - 0.05
    # 0.056 against 0.019
    assert small["three_gaps"]["false_lapse"] > 1.5 * small["corekeep"]["false_lapse"]


def test_a_target_is_met_when_both_rates_are_and_asked_only_of_the_worlds_that_have_one() -> None:
    def found(false_lapse: float, recall: float) -> bool | None:
        runs = [
            {rule: {"false_lapse": false_lapse + d, "recall": recall + d} for rule in RULES}
            for d in (-0.01, 0.01)
        ]
        return is_met("weekly", spread(runs))

    must = MUST["weekly"]
    assert found(must["false_lapse"], must["recall"]) is True
    assert found(must["false_lapse"] + 0.001, must["recall"]) is False
    assert found(must["false_lapse"], must["recall"] - 0.001) is False
    assert is_met("weekly_back_by_cycle", {}) is None


def test_the_document_says_what_was_measured() -> None:
    document = (ROOT / "docs" / "lapse.md").read_text(encoding="utf-8")
    for preset, rules in store.read(RESULTS)["found"].items():
        for rule, told in rules.items():
            cells = [
                f"{100 * figures['mean']:.1f} ± {100 * figures['sd']:.1f}"
                for figures in told.values()
            ]
            assert f"| `{preset}` | `{rule}` | {cells[0]} | {cells[1]} |" in document
