"""Metrics, intervals and the selected scorer."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from frozen import params
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from models.defection.evaluation import RESAMPLED, compare, interval
from models.defection.metrics import (
    calibration_error,
    calibration_floor,
    counts_by_score,
    weighted_auc,
    wilson,
)
from models.defection.profit import (
    called,
    contact_profit,
    empc,
    expected_profit,
    profit_at_capacity,
    sensitivity,
    value_of,
)
from models.defection.risk_bands import publishable, risk_bands
from models.defection.selection import grade, select_scorer

COSTS = params().costs


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
    assert weighted_auc(scores, rows["defected"].to_numpy(), weights) == pytest.approx(
        expected, abs=1e-12
    )


def test_neighbouring_scores_at_which_half_churned_are_kept_apart() -> None:
    scores, defected = np.repeat([0.1, 0.2, 0.3], 4), np.tile([True, False], 6)
    weights = np.random.default_rng(3).random(12)
    assert weighted_auc(scores, defected, weights) == pytest.approx(
        roc_auc_score(defected, scores, sample_weight=weights), abs=1e-12
    )


def test_an_auc_of_one_outcome_is_unknown() -> None:
    assert np.isnan(weighted_auc(np.array([0.1, 0.2]), np.array([True, True]), np.ones(2)))


def test_true_probabilities_err_as_much_as_chance_alone_makes_them() -> None:
    rows = population(4000)
    error = calibration_error(rows["model"].to_numpy(), rows["defected"].to_numpy())
    assert error == pytest.approx(calibration_floor(rows["model"].to_numpy(), 1), abs=0.01)
    assert calibration_error(rows["model"].to_numpy() ** 2, rows["defected"].to_numpy()) > 0.1


def test_repeated_rows_of_a_customer_do_not_narrow_the_interval() -> None:
    alone = population(300).assign(customer=np.arange(300))
    repeated = pd.concat([alone] * 4, ignore_index=True)
    width = {}
    for name, rows in {"alone": alone, "repeated": repeated}.items():
        low, high = compare(rows, ["model", "noise"], COSTS, 0.1, 200, 5)[0]["model"]["auc_ci"]
        width[name] = high - low
    assert width["repeated"] == pytest.approx(width["alone"], rel=0.2)


def test_the_difference_to_a_baseline_is_point_low_high_of_the_same_rows() -> None:
    measured, deltas = compare(population(), ["model", "noise"], COSTS, 0.1, 100, 5)
    point, low, high = deltas["noise"]["auc"]
    assert point == pytest.approx(measured["model"]["auc"] - measured["noise"]["auc"], abs=1e-4)
    assert low < point < high
    assert deltas["noise"]["brier"][0] < 0


def test_intervals_are_as_wide_as_the_spread_over_shops_and_contain_the_true_value() -> None:
    random, steps = np.random.default_rng(8), (np.arange(100_000) + 0.5) / 100_000
    # All risks are as likely, all are worth the same: the riskiest tenth churns in 95 of 100 cases,
    # all together in half.
    at_ten = 10 * (0.95 * (0.3 * 0.9) - 0.05 * 0.1 - 0.01)
    empc_then = empc(steps[None], 1 - steps[None])[0]
    truth = {
        "auc": 5 / 6,
        "brier": 1 / 6,
        "empc": empc_then,
        "profit_at_10": at_ten,
        "profit_at_10_by_risk": at_ten,
    }
    shops = []
    for _ in range(60):
        risk = random.random(600)
        shop = pd.DataFrame(
            {"customer": np.arange(600), "origin": "2025-01-01", "value": 1.0, "model": risk}
        )
        shops.append(
            compare(shop.assign(defected=random.random(600) < risk), ["model"], COSTS, 0.1, 100, 5)[
                0
            ]["model"]
        )
    for metric, true in truth.items():
        low, high = np.array([one[f"{metric}_ci"] for one in shops]).T
        assert (high - low).mean() == pytest.approx(
            2 * 1.96 * np.std([one[metric] for one in shops]), rel=0.25
        ), metric
        assert ((low <= true) & (true <= high)).mean() > 0.85, metric


def test_an_interval_is_a_point_where_no_draw_can_change_the_figure() -> None:
    rows = population().assign(copy=population()["model"])
    dear = COSTS.model_copy(update={"contact": 100.0})
    measured, deltas = compare(rows, ["model", "copy"], dear, 0.1, 50, 5)
    assert set(deltas["copy"]) == set(RESAMPLED)
    assert all(delta == [0, 0, 0] for delta in deltas["copy"].values())
    # nobody is called
    assert (measured["model"]["profit_at_10"], measured["model"]["profit_at_10_ci"]) == (0, [0, 0])
    alone = compare(rows.assign(customer=0), ["model"], COSTS, 0.1, 50, 5)[0]["model"]
    for metric in RESAMPLED:
        assert alone[f"{metric}_ci"] == pytest.approx([alone[metric]] * 2, abs=1e-4)


def test_each_draw_calls_its_own_top_share_and_a_row_drawn_twice_is_two_customers() -> None:
    order, gain = np.array([3.0, 2.0, 1.0, -1.0]), np.array([10.0, 20.0, 40.0, 80.0])
    draws = np.array([[1.0, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1], [0, 0, 1, 3], [0, 0, 0, 0]])
    # Of four, two are called, and nobody at a loss.
    assert profit_at_capacity(order, gain, 0.5)(draws) == pytest.approx(
        [(10 + 20) / 4, 2 * 10 / 4, 2 * 20 / 4, 40 / 4, 0]
    )


def test_half_a_call_is_rounded_up() -> None:
    order = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert len(called(order, 0.5)) == 3
    assert profit_at_capacity(order, np.ones(5), 0.5)(np.ones((1, 5))) == pytest.approx([3 / 5])


def test_a_stage_of_two_customers_has_an_interval_of_the_draws_with_both_outcomes() -> None:
    few = population().iloc[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].assign(customer=[0] * 5 + [400] * 5)
    few["defected"] = [True, False] * 5
    low, high = compare(few, ["model"], COSTS, 0.1, 200, 5)[0]["model"]["auc_ci"]
    assert 0 <= low <= high <= 1


def scorer(auc: float, low: float) -> dict[str, object]:
    return {"auc": auc, "auc_ci": [low, auc + 0.05]}


@pytest.mark.parametrize(
    ("model", "rival", "auc", "low", "difference", "expected"),
    [
        ((0.8, 0.75), "recency", 0.7, 0.65, [0.1, 0.05, 0.15], "model"),
        ((0.71, 0.65), "recency", 0.7, 0.65, [0.01, -0.02, 0.04], "recency"),
        ((0.6, 0.55), "bg_nbd", 0.7, 0.65, [-0.1, -0.15, -0.05], "bg_nbd"),
        ((0.51, 0.46), "bg_nbd", 0.5, 0.45, [0.01, -0.05, 0.07], "no_signal"),
        ((0.6, 0.55), "logistic_rfm", 0.5, 0.45, [0.1, 0.02, 0.18], "model"),
        ((0.6, 0.55), "logistic_rfm", 0.56, 0.49, [0.04, -0.01, 0.09], "no_signal"),
        ((0.71, 0.65), "expert_windows", 0.7, 0.65, [0.01, -0.02, 0.04], "model"),
        ((0.7, 0.65), "expert_windows", 0.71, 0.65, [-0.01, -0.04, 0.02], "model"),
        ((0.7, 0.65), "random_forest_rfm", 0.75, 0.7, [-0.05, -0.08, -0.02], "random_forest_rfm"),
    ],
)
def test_the_model_has_to_beat_the_simple_baselines_and_not_to_be_beaten_by_any_baseline(
    model, rival, auc, low, difference, expected
) -> None:  # type: ignore[no-untyped-def]
    assert (
        select_scorer(
            {"model": scorer(*model), rival: scorer(auc, low)}, {rival: {"auc": difference}}
        )
        == expected
    )


@pytest.mark.parametrize(("scorers", "expected"), [(2, "recency"), (6, "no_signal")])
def test_the_best_of_many_scorers_has_to_be_further_from_chance(
    scorers: int, expected: str
) -> None:
    others = {f"other_{i}": scorer(0.5, 0.45) for i in range(scorers - 1)}
    assert select_scorer({"recency": scorer(0.56, 0.51), **others}, {}) == expected


def test_an_opaque_baseline_that_does_not_beat_the_model_is_no_fallback() -> None:
    measured = {
        "model": scorer(0.7, 0.65),
        "recency": scorer(0.68, 0.63),
        "expert_windows": scorer(0.72, 0.67),
    }
    deltas = {
        "recency": {"auc": [0.02, -0.01, 0.05]},
        "expert_windows": {"auc": [-0.02, -0.05, 0.01]},
    }
    assert select_scorer(measured, deltas) == "recency"
    sentence = (
        "recency is used: AUC 0.700 against 0.680 of recency, "
        "no difference beyond chance: +0.020 [-0.010, +0.050]"
    )
    assert sentence in grade(measured, deltas, "recency")


def test_a_baseline_that_the_model_beats_does_not_score_instead() -> None:
    measured = {
        "model": scorer(0.7, 0.65),
        "logistic_rfm": scorer(0.69, 0.64),
        "bg_nbd": scorer(0.68, 0.63),
        "recency": scorer(0.6, 0.55),
    }
    deltas = {
        "logistic_rfm": {"auc": [0.01, 0.002, 0.02]},
        "bg_nbd": {"auc": [0.02, -0.001, 0.04]},
        "recency": {"auc": [0.1, 0.05, 0.15]},
    }
    assert select_scorer(measured, deltas) == "bg_nbd"


def test_an_unbeaten_baseline_without_a_signal_does_not_displace_one_with_a_signal() -> None:
    measured = {
        "model": scorer(0.7, 0.65),
        "logistic_rfm": scorer(0.66, 0.61),
        "recency": scorer(0.6, 0.4),
    }
    deltas = {"logistic_rfm": {"auc": [0.04, 0.01, 0.07]}, "recency": {"auc": [0.1, -0.02, 0.2]}}
    assert select_scorer(measured, deltas) == "logistic_rfm"
    assert "logistic_rfm, but another baseline without a signal may be as good: +0.040" in grade(
        measured, deltas, "logistic_rfm"
    )


def test_an_opaque_baseline_that_beats_the_model_is_named_with_its_lead() -> None:
    measured = {
        "model": scorer(0.7, 0.65),
        "recency": scorer(0.6, 0.55),
        "expert_windows": scorer(0.75, 0.7),
    }
    deltas = {
        "recency": {"auc": [0.1, 0.05, 0.15]},
        "expert_windows": {"auc": [-0.05, -0.08, -0.02]},
    }
    assert select_scorer(measured, deltas) == "expert_windows"
    sentence = (
        "expert_windows is used: AUC 0.700 against 0.750 of expert_windows, "
        "which beats it: -0.050 [-0.080, -0.020]"
    )
    assert sentence in grade(measured, deltas, "expert_windows")


def test_unknown_values_have_an_unknown_interval() -> None:
    assert interval(np.array([np.nan])) == [None, None]


def test_wilsons_interval_of_seven_in_ten() -> None:
    assert wilson(7, 10) == pytest.approx((0.397, 0.892), abs=1e-3)


def test_risk_bands_count_every_row_once() -> None:
    rows = population()
    bands = risk_bands(rows, "model", (0.3, 0.6))
    assert sum(b["customers"] for b in bands) == len(rows)
    assert {b["band"]: b["customers"] for b in bands}["low"] == (rows["model"] < 0.3).sum()


def test_profit_of_a_contact_by_hand() -> None:
    value = value_of(np.array([1000.0, 1000.0]), COSTS)
    assert value.tolist() == [150.0, 150.0]
    # p*gamma*(V - d) - (1 - p)*d - f with V = 150, d = 15, f = 1.5
    assert expected_profit(np.array([0.5, 0.0]), value, COSTS) == pytest.approx(
        [0.5 * 0.3 * 135 - 0.5 * 15 - 1.5, -16.5]
    )


def test_realised_profit_of_calling_the_one_who_churns() -> None:
    defected = np.arange(10) == 0
    gain, once = contact_profit(np.full(10, 100.0), defected, COSTS), np.ones((1, 10))
    assert profit_at_capacity(np.where(defected, 1.0, 0.0), gain, 0.1)(once) == pytest.approx(
        [0.3 * 90 / 10 - 0.1]
    )
    assert profit_at_capacity(np.where(defected, 0.1, 1.0), gain, 0.1)(once) == pytest.approx(
        [-1.1]
    )


def test_nobody_is_called_where_a_loss_is_expected() -> None:
    assert called(np.array([-1.0, 3.0, -2.0, 2.0]), 0.75).tolist() == [1, 3]


def empc_of(scores: npt.NDArray[np.float64], defected: npt.NDArray[np.bool_]) -> float:
    return float(empc(*counts_by_score(scores, defected)(np.ones((1, len(scores)))))[0])


@pytest.mark.parametrize("rounded", [9, 1])
def test_empc_is_the_best_campaign_for_each_save_rate_integrated_by_brute_force(
    rounded: int,
) -> None:
    rows = population()
    scores, defected = rows["model"].round(rounded).to_numpy() ** 3, rows["defected"].to_numpy()
    thresholds = [2.0, *np.unique(scores)]
    churned = np.array([(defected & (scores >= at)).mean() for at in thresholds])
    retained = np.array([(~defected & (scores >= at)).mean() for at in thresholds])
    # Each contacted churning customer is saved with the save rate, worth 200, and takes 10; each
    # contact costs 1; a retained customer takes 10, too.
    save_rates = (np.arange(20_000) + 0.5) / 20_000
    best = np.array(
        [
            (rate * (200 - 10) * churned - 1 * churned - (10 + 1) * retained).max()
            for rate in save_rates
        ]
    )
    assert empc_of(scores, defected) == pytest.approx(
        np.average(best, weights=beta.pdf(save_rates, 6, 14)), abs=1e-4
    )


def test_empc_rewards_a_better_order_and_is_unknown_with_one_outcome() -> None:
    rows = population()
    assert empc_of(rows["model"].to_numpy(), rows["defected"].to_numpy()) > empc_of(
        rows["noise"].to_numpy(), rows["defected"].to_numpy()
    )
    assert np.isnan(empc_of(np.array([0.1, 0.2]), np.array([False, False])))


def test_an_assumption_that_would_change_whom_to_call_has_a_cost_of_being_wrong() -> None:
    # The second customer is worth a call as things are assumed (.6*.3*50 - .4*10 - 1 = 4); not if
    # it saves half as often, if the incentive is twice as dear, or if customers are worth half. The
    # customer would have stayed: the call costs 10 + 1.
    risk, value, defected = (
        np.array([0.9, 0.6, 0.0, 0.0]),
        np.array([300.0, 60.0, 100.0, 100.0]),
        np.array([True, False, False, False]),
    )
    entries = {
        (e["assumption"], e["factor"]): e
        for e in sensitivity([(risk, value, defected)], COSTS, 0.5)
    }
    assert {key: entry["overlap"] for key, entry in entries.items()} == {
        **{("save_rate", 0.5): 0.5, ("incentive", 0.5): 1.0, ("value", 0.5): 0.5},
        **{("save_rate", 2.0): 1.0, ("incentive", 2.0): 0.5, ("value", 2.0): 1.0},
    }
    adapted = entries["save_rate", 0.5]
    assert adapted["profit"] == pytest.approx((0.15 * 290 - 1) / 4)
    assert adapted["profit_as_assumed"] == pytest.approx((0.15 * 290 - 1 - 11) / 4)


def test_a_risk_band_of_a_few_customers_has_no_figures() -> None:
    rows = population(40)
    bands = publishable(risk_bands(rows.assign(model=[0.7] * 3 + [0.1] * 37), "model", (0.3, 0.6)))
    low, high = sorted(bands, key=lambda b: b["band"] != "low")
    assert (high["stage"], high["band"], high["customers"], high["defected"], high["rate"]) == (
        "core",
        "high",
        None,
        None,
        None,
    )
    assert low["rate"] == pytest.approx(low["defected"] / 37, abs=1e-5)
    assert low["low"] < low["rate"] < low["high"]
