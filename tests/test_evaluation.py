"""Metrics, intervals and the verdict."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from models.evaluation import calibration_error, calibration_floor, compare, interval, risk_bands, verdict, weighted_auc, wilson
from models.profit import expected_profit, realised_profit, value_of
from models.settings import Costs

COSTS = Costs(margin=0.3, kept_share=0.5, gamma=0.3, incentive=0.1, contact=0.01)


def population(rows: int = 600, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    truth = random.random(rows)
    return pd.DataFrame(
        {
            "customer": np.arange(rows) // 2,
            "origin": np.where(np.arange(rows) % 2, "2025-01-01", "2025-02-01"),
            "stage": "core",
            "defected": random.random(rows) < truth,
            "value": random.integers(1, 100, rows).astype(float),
            "model": truth,
            "noise": random.random(rows),
        }
    )


@pytest.mark.parametrize("rounded", [9, 1])
def test_the_weighted_auc_is_that_of_scikit_learn_ties_included(rounded: int) -> None:
    rows = population()
    scores, weights = rows["model"].round(rounded).to_numpy(), rows["value"].to_numpy()
    expected = roc_auc_score(rows["defected"], scores, sample_weight=weights)
    assert weighted_auc(scores, rows["defected"].to_numpy(), weights) == pytest.approx(expected, abs=1e-12)


def test_an_auc_of_one_outcome_is_unknown() -> None:
    assert np.isnan(weighted_auc(np.array([0.1, 0.2]), np.array([True, True]), np.ones(2)))


def test_true_probabilities_err_as_much_as_chance_alone_makes_them() -> None:
    rows = population(4000)
    error = calibration_error(rows["model"].to_numpy(), rows["defected"].to_numpy())
    assert error == pytest.approx(calibration_floor(rows["model"].to_numpy(), 1), abs=0.01)
    assert calibration_error(rows["model"].to_numpy() ** 2, rows["defected"].to_numpy()) > 0.1


def test_customers_with_many_alike_rows_do_not_narrow_the_interval() -> None:
    alone = population(300).assign(customer=np.arange(300))
    repeated = pd.concat([alone] * 4, ignore_index=True)
    width = {}
    for name, rows in {"alone": alone, "repeated": repeated}.items():
        low, high = compare(rows, ["model", "noise"], COSTS, 0.1, 200, 5)[0]["model"]["auc_ci"]
        width[name] = high - low
    assert width["repeated"] == pytest.approx(width["alone"], rel=0.2)


def test_the_difference_to_a_peer_is_point_low_high_of_the_same_rows() -> None:
    measured, deltas = compare(population(), ["model", "noise"], COSTS, 0.1, 100, 5)
    point, low, high = deltas["noise"]["auc"]
    assert point == pytest.approx(measured["model"]["auc"] - measured["noise"]["auc"], abs=1e-4)
    assert low < point < high
    assert deltas["noise"]["brier"][0] < 0


def test_a_stage_of_two_customers_has_a_figure_and_an_interval_of_those_draws_that_met_them() -> None:
    few = population().iloc[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].assign(customer=[0] * 5 + [400] * 5)
    few["defected"] = [True, False] * 5
    low, high = compare(few, ["model"], COSTS, 0.1, 200, 5)[0]["model"]["auc_ci"]
    assert 0 <= low <= high <= 1


def scorer(auc: float, low: float) -> dict[str, object]:
    return {"auc": auc, "auc_ci": [low, auc + 0.05]}


@pytest.mark.parametrize(
    ("model", "peer", "difference", "expected"),
    [
        (scorer(0.8, 0.75), scorer(0.7, 0.65), [0.1, 0.05, 0.15], "model"),
        (scorer(0.71, 0.65), scorer(0.7, 0.65), [0.01, -0.02, 0.04], "peer"),
        (scorer(0.6, 0.55), scorer(0.7, 0.65), [-0.1, -0.15, -0.05], "peer"),
        (scorer(0.51, 0.46), scorer(0.5, 0.45), [0.01, -0.05, 0.07], "no_signal"),
        (scorer(0.6, 0.55), scorer(0.5, 0.45), [0.1, 0.02, 0.18], "model"),
        (scorer(0.6, 0.55), scorer(0.56, 0.49), [0.04, -0.01, 0.09], "no_signal"),
    ],
)
def test_the_verdict_names_the_model_only_where_it_beats_every_peer(model, peer, difference, expected) -> None:  # type: ignore[no-untyped-def]
    assert verdict({"model": model, "peer": peer}, {"peer": {"auc": difference}}) == expected


def test_unknown_values_have_an_unknown_interval() -> None:
    assert interval([float("nan")]) == [None, None]


def test_wilsons_interval_of_seven_in_ten() -> None:
    assert wilson(7, 10) == pytest.approx((0.397, 0.892), abs=1e-3)


def test_risk_bands_count_every_row_once() -> None:
    rows = population()
    found = risk_bands(rows, "model", (0.3, 0.6))
    assert sum(b["customers"] for b in found) == len(rows)
    assert {b["band"]: b["customers"] for b in found}["low"] == (rows["model"] < 0.3).sum()


def test_profit_of_a_contact_by_hand() -> None:
    value = value_of(np.array([1000.0, 1000.0]), COSTS)
    assert value.tolist() == [150.0, 150.0]
    # p*gamma*(V - d) - (1 - p)*d - f with V = 150, d = 15, f = 1.5
    assert expected_profit(np.array([0.5, 0.0]), value, COSTS) == pytest.approx([0.5 * 0.3 * 135 - 0.5 * 15 - 1.5, -16.5])


def test_realised_profit_of_calling_the_one_who_leaves() -> None:
    value, defected = np.full(10, 100.0), np.arange(10) == 0
    right = realised_profit(np.where(defected, 1.0, 0.0), value, defected, COSTS, 0.1)
    wrong = realised_profit(np.where(defected, 0.0, 1.0), value, defected, COSTS, 0.1)
    assert right == pytest.approx(0.3 * 90 / 10 - 0.1)
    assert wrong == pytest.approx(-1.1)
