"""The model card: what its figures describe, what is assumed, and what is misuse."""

from typing import Any

import pytest
import small_shop
from frozen import params

from models.settings import Costs
from pipeline.docs.model_card import ASSUMED, PROFITS, model_card

COSTS = params().costs
ABOUT = {
    "trained": True,
    "features": ["recency_days", "complaints"],
    "training_rows": 1234,
    "trained_through": "2025-08-02",
}
FIGURES = dict.fromkeys(("brier", "ece", "ece_floor"), 0.1) | {"auc": 0.7, "auc_ci": [0.6, 0.8]}
FIGURES |= dict.fromkeys(PROFITS, 1.5) | {f"{name}_ci": [-0.5, 2.5] for name in PROFITS}
LEAD = {"auc": [0.05, 0.01, 0.09], **{name: [0.3, -0.1, 0.7] for name in PROFITS}}
ORIGIN = {"origin": "2025-07-01", "population": 50, "base_rate": 0.3, "model": FIGURES}
ORIGIN |= {"estimated": {"auc": 0.71, "base_rate": 0.31}}
BENCH = {
    "population": 99,
    "base_rate": 0.25,
    "model": FIGURES,
    "baselines": {"recency": FIGURES, "late": None},
    "by_origin": [ORIGIN],
}
BENCH |= {"delta": {"recency": LEAD, "late": None}}
METRICS = {
    **{
        "shop": "small",
        "verdict": "model",
        "grade": "it wins",
        "own_model": None,
        "horizon_days": 30,
        "population": 88,
        "base_rate": 0.2,
        "returned_later": 0.5,
        "grouped_cv": {"folds": 2, "customers": 77, "rows": 1234, "auc": 0.72},
        "timing": {
            **{"origin": "2025-07-01", "days": 60, "population": 40, "selected": "model"},
            **{"coverage_80": 0.81, "median_width_days": 20.0},
            **{"median_abs_error_days": 5.0, "mean_abs_error_days": 7.0},
            "baselines": {
                "expected_ipt": {"median_abs_error_days": 6.0, "mean_abs_error_days": 8.0}
            },
            "delta": {"expected_ipt": {"mean_abs_error_days": [-1.0, -1.5, -0.4]}},
        },
        "value": None,
        "tasks": {
            "return": {
                **{"population": 40, "base_rate": 0.04, "verdict": "bg_nbd", "grade": "no"},
                **{"model": FIGURES, "baselines": {"bg_nbd": FIGURES | {"auc": 0.72}}},
            },
            "conversion": {
                **{"population": 0, "base_rate": None, "verdict": "no_signal"},
                **{"grade": "no signal: no rows", "model": None, "baselines": None},
            },
        },
        "stake": None,
        "returning": {
            **{"origin": "2025-07-01", "population": 44, "selected": "bg_nbd_gamma_gamma"},
            **{"total": 0.9, "deviance": 0.7},
            "baselines": {"last_year": {"total": 0.2, "deviance": 9.0}},
            "delta": {"last_year": {"deviance": [-8.3, -9.5, -7.1]}},
        },
        "seeds": None,
        "newest": {
            "snapshot": "2025-09-01",
            "population": 88,
            "estimated": {"auc": 0.69, "base_rate": 0.28},
            "psi": {"complaints": 0.31, "recency_days": 0.02},
        },
    },
    **{
        "origins": ["2025-07-01"],
        "benchmark": BENCH,
        "by_stage": {"core": {"population": 44, "base_rate": 0.1, "model": FIGURES}},
    },
}
BANDS = [
    {
        **{"stage": "core", "band": "low", "customers": 40, "defected": 4},
        **{"rate": 0.1, "low": 0.04, "high": 0.23},
    },
    {
        **{"stage": "core", "band": "high", "customers": 9, "defected": 3},
        **{"rate": 0.33, "low": 0.12, "high": 0.65},
    },
]


def card(metrics: dict[str, Any] = METRICS, about: dict[str, Any] = ABOUT) -> str:
    return model_card(metrics, BANDS, small_shop.calibration(), about, COSTS)


def test_a_card_has_all_its_parts_in_their_order() -> None:
    parts = [line.removeprefix("## ") for line in card().splitlines() if line.startswith("## ")]
    assert parts == [
        *(
            "Purpose",
            "Population",
            "Data",
            "Results on the benchmark",
            "Profit on the benchmark",
            "Results by stage",
            "The next order",
            "Spend of the next 365 days",
            "The value that calls are ranked by",
            "Chance of a purchase in the other queues",
            "Risk bands",
        ),
        *("Costs: assumed", "Limits", "Misuse", "Ethics"),
    ]


def test_every_cost_is_shown_and_called_assumed() -> None:
    assert set(ASSUMED) == set(Costs.model_fields)
    section = card().split("## Costs: assumed", 1)[1].split("## Limits", 1)[0]
    for name, text in ASSUMED.items():
        value = getattr(COSTS, name)
        of_queues = "win back 0.3, second purchase 0.3, convert 0.3"
        assert f"| {text} | {of_queues if isinstance(value, dict) else f'{value:g}'} |" in section


def test_figures_are_shown_with_their_intervals_by_scorer_origin_and_stage() -> None:
    assert "| recency | 0.700 | 0.600 to 0.800 | 0.100 | 0.100 (0.100) |" in card()
    assert "| late | not computed | | | |" in card()
    assert "| 2025-07-01 | 50 | 0.300 | 0.700 | 0.600 to 0.800 |" in card()
    assert "| core | 44 | 0.100 | 0.700 | 0.600 to 0.800 | 0.100 | 0.100 |" in card()


def test_a_forecast_is_shown_beside_its_baselines_or_as_not_measured() -> None:
    assert "The interval held for\n81.0% of them" in card()
    assert "| last_year | 0.20 | 9.00 | -8.30 (-9.50 to -7.10) |" in card()
    assert "| expected_ipt | 8.0 | -1.0 (-1.5 to -0.4) | 6.0 |" in card()
    assert "Not measured: there is too little data." in card()


def test_each_task_is_shown_beside_its_best_baseline_or_with_the_reason_why_not() -> None:
    row = (
        "| return | 40 | 0.040 | 0.700 | 0.600 to 0.800 | bg_nbd 0.720 | 0.600 to 0.800 | bg_nbd |"
    )
    assert row in card()
    assert "| conversion | 0 | unknown | not computed | | | | no signal: no rows |" in card()


def test_profit_is_shown_with_intervals_of_each_scorer_and_of_the_differences() -> None:
    assert (
        "| recency | 1.50 (-0.50 to 2.50) | 1.50 (-0.50 to 2.50) | 1.50 (-0.50 to 2.50) |" in card()
    )
    deltas = card().split("The model minus each baseline", 1)[1]
    assert (
        "| recency | +0.050 (+0.010 to +0.090) | "
        "+0.30 (-0.10 to +0.70) | +0.30 (-0.10 to +0.70) | +0.30 (-0.10 to +0.70) |" in deltas
    )
    assert "| late | not computed | | | |" in deltas


def test_cross_validation_is_shown_beside_the_origins_with_a_warning() -> None:
    section = card().split("The model by test origin", 1)[1].split("## Profit", 1)[0]
    text = " ".join(section.split())
    assert "on the 1234 training rows of the oldest origin, 77 customers in 2 folds" in text
    assert "gives an AUC of 0.720. It is optimistic in time" in text
    assert "The difference of +0.020 has several causes" in text
    unknown = {"folds": 2, "customers": 77, "rows": 1234, "auc": None}
    assert "Cross-validation" not in card(METRICS | {"grouped_cv": unknown})


def test_a_risk_band_shows_its_observed_rate_unless_it_would_describe_persons() -> None:
    assert "| core | low | 40 | 4 | 0.10 (0.04 to 0.23) |" in card()
    assert "| core | high | fewer than 10 | | |" in card()


def test_the_card_says_what_early_training_rows_could_not_have_known() -> None:
    text = " ".join(card().split())
    assert "inter-purchase time (IPT), 20.0 days, and its log-sd, 0.80, are estimated once" in text
    assert "from events before 2025-07-01. Training rows from before that day contain" in text


@pytest.mark.parametrize(
    ("features", "stated"), [(["recency_days"], True), (["recency_days", "complaints"], False)]
)
def test_a_shop_without_complaints_has_an_unknown_satisfaction(
    features: list[str], stated: bool
) -> None:
    assert ("satisfaction is unknown" in card(about=ABOUT | {"features": features})) == stated


def test_the_card_of_a_shop_without_a_model_says_so() -> None:
    nothing = dict.fromkeys(("benchmark", "by_stage", "returned_later", "base_rate", "grouped_cv"))
    text = card(
        METRICS | nothing | {"verdict": "no_signal", "origins": []},
        {"trained": False, "features": []},
    )
    assert "No model was trained: there is too little data." in text
    assert "unknown of them churned" in text
    assert "Test origins: none." in text


def test_the_card_shows_what_the_scores_expect_and_which_features_moved() -> None:
    text = card()
    assert "| 2025-07-01 | 50 | 0.300 | 0.700 | 0.600 to 0.800 | 0.710 | 0.310 |" in text
    assert "expect an AUC of 0.690 and a churned share of 0.280" in text
    assert "(PSI above 0.25): `complaints` 0.31." in text
