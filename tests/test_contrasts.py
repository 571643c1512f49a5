"""Contrasts: the estimate, its interval, and when a hypothesis counts as recovered."""

import numpy as np
import pandas as pd
import pytest

from models.hypotheses.contrasts import (
    BEFORE,
    FALLS,
    FEWEST,
    RISES,
    Claim,
    Effect,
    adjusted,
    compare,
    slope,
)


def rows(seed: int = 1, size: int = 400, customers: int = 100) -> pd.DataFrame:
    """One row per decision: a chance to leave that depends on dose and group, and the outcome."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"customer_id": random.integers(0, customers, size), "dose": random.integers(0, 4, size)}
    )
    frame["treated"] = random.random(size) < 0.5
    frame["true_left"] = 0.2 + 0.1 * frame["dose"] + 0.2 * frame["treated"]
    return frame.assign(left=(random.random(size) < frame["true_left"]).astype(float))


def difference(frame: pd.DataFrame) -> Effect:
    effect = compare(
        "treated - not", RISES, frame, "left", [(1, frame["treated"]), (-1, ~frame["treated"])]
    )
    assert effect
    return effect


def test_a_difference_is_that_of_the_means_and_its_truth_that_of_the_true_chances() -> None:
    frame = rows()
    means = frame.groupby("treated")[["left", "true_left"]].mean()
    effect = difference(frame)
    assert effect.estimate == pytest.approx(means["left"][True] - means["left"][False])
    assert effect.truth == pytest.approx(means["true_left"][True] - means["true_left"][False])


def test_a_slope_is_that_of_least_squares_with_the_others_held() -> None:
    frame = rows().assign(treated=lambda f: f["treated"].astype(float))
    effect = slope("by dose", RISES, frame, "left", "dose", ["treated"])
    design = np.column_stack([frame["dose"], frame["treated"], np.ones(len(frame))])
    assert effect
    assert effect.estimate == pytest.approx(
        np.linalg.lstsq(design, frame["left"], rcond=None)[0][0]
    )
    assert effect.truth == pytest.approx(0.1)  # the true chances lie on a line


def test_rows_given_twice_do_not_narrow_the_interval() -> None:
    once = difference(rows())
    twice = difference(pd.concat([rows(), rows()], ignore_index=True))
    assert twice.error == pytest.approx(once.error)
    others = pd.concat(
        [rows(), rows().assign(customer_id=lambda f: f["customer_id"] + 1000)], ignore_index=True
    )
    assert difference(others).error < 0.8 * once.error


def test_intervals_cover_the_truth_as_often_as_they_should() -> None:
    effects = [difference(rows(seed)) for seed in range(200)]
    outside = np.mean([not one.low <= (one.truth or 0) <= one.high for one in effects])
    assert 0.04 < outside < 0.16  # a tenth, give or take two points


def test_a_cell_in_which_nobody_left_is_no_proof() -> None:
    frame = pd.DataFrame(
        {"customer_id": np.arange(125), "few": np.arange(125) < 25, "left": np.arange(125) >= 121}
    )
    effect = compare("few - many", FALLS, frame, "left", [(1, frame["few"]), (-1, ~frame["few"])])
    assert effect
    assert effect.estimate == -0.04
    assert effect.error == pytest.approx(np.sqrt(1 / 27 * 26 / 27 / 27 + 5 / 102 * 97 / 102 / 102))
    assert effect.verdict == "not_recovered"


def test_few_defections_by_chance_do_not_put_the_truth_far_from_the_estimate() -> None:
    left = np.r_[np.ones(2), np.zeros(998), np.ones(200), np.zeros(9800)].astype(bool)
    frame = pd.DataFrame(
        {
            "customer_id": np.arange(11_000),
            "few": np.arange(11_000) < 1000,
            "left": left,
            "true_left": 0.02,
        }
    )
    effect = compare(
        "few - many", Claim(-0.05, 0.05), frame, "left", [(1, frame["few"]), (-1, ~frame["few"])]
    )
    assert effect
    assert effect.chance == pytest.approx(np.sqrt(0.02 * 0.98 * (1 / 1000 + 1 / 10_000)))
    assert effect.error < effect.chance / 2  # the standard error from two defections
    assert effect.verdict == "not_recovered"
    assert effect._replace(estimate=-0.015).verdict == "recovered"


@pytest.mark.parametrize(
    ("claim", "estimate", "truth", "verdict"),
    [
        (RISES, 0.17, None, "recovered"),
        (RISES, 0.16, None, "not_recovered"),
        (RISES, -0.5, None, "not_recovered"),
        (RISES, 0.5, 0.5 - 0.32, "recovered"),
        (RISES, 0.5, 0.5 - 0.34, "not_recovered"),
        (RISES, 0.5, 0.5 + 0.34, "not_recovered"),
        (FALLS, -0.17, None, "recovered"),
        (FALLS, 0.5, None, "not_recovered"),
        (Claim(high=0.2), 0.03, None, "recovered"),
        (Claim(high=0.2), 0.04, None, "not_recovered"),
        (Claim(-0.2, 0.2), 0.0, None, "recovered"),
        (Claim(-0.2, 0.2), 0.04, None, "not_recovered"),
        (Claim(-0.2, 0.2), -0.04, None, "not_recovered"),
    ],
)
def test_a_claim_is_recovered_when_it_holds_with_95_percent_and_the_truth_is_within_99_9(
    claim: Claim, estimate: float, truth: float | None, verdict: str
) -> None:
    assert Effect("it", claim, estimate, 0.1, truth, 0.0, 100, 50).verdict == verdict


def test_too_few_customers_are_not_compared_however_many_rows_they_have() -> None:
    frame = rows(customers=FEWEST - 1)
    assert (
        compare(
            "treated - not", RISES, frame, "left", [(1, frame["treated"]), (-1, ~frame["treated"])]
        )
        is None
    )
    assert slope("by dose", RISES, frame, "left", "dose", []) is None


def test_what_never_differs_has_no_slope() -> None:
    frame = rows().assign(same=1)
    assert slope("by the same", RISES, frame, "left", "same", []) is None
    assert slope("of the same", RISES, frame, "same", "dose", []) is None


def test_what_was_known_before_is_held_constant_in_an_adjusted_difference() -> None:
    random = np.random.default_rng(3)
    before = {name: random.normal(size=4000) for name in BEFORE} | {"categories": 1.0}
    frame = pd.DataFrame({"customer_id": np.arange(4000) // 2, **before})
    failed = random.random(4000) < 1 / (1 + np.exp(-2 * frame["days_since"]))
    chance = 0.3 + 0.1 * failed + 0.15 * np.clip(frame["days_since"], -2, 2)
    frame["left"] = random.random(4000) < chance
    cells = [(1.0, failed), (-1.0, ~failed)]
    raw = compare("failed - not", RISES, frame, "left", cells)
    assert raw and raw.estimate > 0.2  # those who wait longer also have more failures
    design = np.column_stack([cell.to_numpy(float) for _, cell in cells])
    estimate, error = adjusted(frame, "left", design, np.array([1.0, -1.0]))
    assert abs(estimate - 0.1) < 3 * error < 0.1
