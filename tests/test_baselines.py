"""The baselines: BG/NBD against its paper, a forest kept as numbers, and what all of them share."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from frozen import params
from sklearn.ensemble import RandomForestClassifier

from models.defection import baselines
from models.defection.baselines import BASELINES, PAST, RFM, Baseline, BgNbd, LogisticRFM
from models.defection.bg_nbd import Parameters, fit, log_likelihood, no_purchase
from models.defection.booster import ModelSpec, matrix

SPEC = ModelSpec([], params().train, {}, 60)
PUBLISHED = Parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Fader, Hardie and Lee (2005), table 1: the CDNOW sample, first 39 weeks, in weeks."""


def bg_nbd_shop(
    customers: int, parameters: Parameters, days: int, horizon: int, seed: int
) -> pd.DataFrame:
    """One row per customer of a shop simulated by BG/NBD, with a first purchase in its first year.

    Columns: `PAST`, spend, defected.
    """
    random = np.random.default_rng(seed)
    rates = random.gamma(parameters.r, 1 / parameters.alpha, customers)
    dropout = random.beta(parameters.a, parameters.b, customers)
    rows = []
    for rate, chance in zip(rates, dropout, strict=True):
        first = random.uniform(0, min(365, days - 1))
        at = [first]
        while at[-1] < days + horizon and random.random() > (chance if len(at) > 1 else 0.0):
            at.append(at[-1] + random.exponential(1 / rate))
        past = [t for t in at if t < days]
        rows.append(
            (
                len(past),
                days - past[-1],
                days - first,
                not any(days <= t < days + horizon for t in at),
            )
        )
    shop = pd.DataFrame(rows, columns=[*PAST, "defected"])
    return shop.assign(spend=shop["purchases"] * random.lognormal(3, 0.5, customers))


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    return bg_nbd_shop(4000, Parameters(0.8, 25.0, 0.8, 4.0), 500, 60, 1)


def past_of(rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], ...]:
    return tuple(
        np.array(column, float)
        for column in (
            rows["purchases"] - 1,
            rows["tenure_days"] - rows["recency_days"],
            rows["tenure_days"],
        )
    )


def test_the_cdnow_sample_gives_the_published_parameters() -> None:
    source = Path(os.environ.get("COREKEEP_SHARED_DATA", "unset")) / "cdnow_sample.txt"
    if not source.is_file():
        pytest.skip("COREKEEP_SHARED_DATA names no folder with cdnow_sample.txt")
    orders = pd.read_csv(
        source,
        sep=r"\s+",
        header=None,
        names=["customer", "sample", "day", "cds", "dollars"],
        dtype={"customer": str, "day": str},
    )
    day = pd.to_datetime(orders["day"], format="%Y%m%d")
    until = pd.Timestamp("1997-09-30")  # the last day of the 39 weeks
    days = day[day <= until].groupby(orders["customer"]).agg(["nunique", "min", "max"])
    last, age = (days["max"] - days["min"]).dt.days / 7, (until - days["min"]).dt.days / 7
    known = days["nunique"].to_numpy(float) - 1, last.to_numpy(), age.to_numpy()
    assert fit(*known) == pytest.approx(PUBLISHED, abs=5e-4)
    assert log_likelihood(fit(*known), *known).sum() == pytest.approx(-9582.4, abs=0.05)


def test_a_shop_simulated_by_the_model_gives_back_its_parameters(shop: pd.DataFrame) -> None:
    fitted = fit(*past_of(shop))
    assert fitted.r == pytest.approx(0.8, rel=0.15)
    assert fitted.r / fitted.alpha == pytest.approx(0.8 / 25, rel=0.1)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(0.8 / 4.8, abs=0.03)


def test_the_logistic_regression_is_fitted_to_its_optimum_to_the_last_digits() -> None:
    # A solver that stops earlier stops at a point that depends on the CPU's linear algebra.
    random = np.random.default_rng(3)
    purchases = np.round(np.exp(random.normal(1.5, 1, 20_000))) + 2
    rows = pd.DataFrame({"recency_days": random.integers(1, 180, 20_000), "purchases": purchases})
    rows["spend"] = purchases * np.exp(random.normal(3, 0.6, 20_000))
    log_odds = 0.6 * np.log1p(rows["recency_days"]) - 0.7 * np.log1p(purchases) - 1
    rows["defected"] = random.random(20_000) < 1 / (1 + np.exp(-log_odds))
    fitted = LogisticRFM.fit(rows)
    logs = (np.log1p(matrix(rows, fitted.columns)) - fitted.centre) / fitted.scale
    design, penalty = np.column_stack([logs, np.ones(len(rows))]), np.diag([1.0, 1.0, 1.0, 0.0])
    optimum = np.array([*fitted.coefficients, fitted.intercept])
    for _ in range(3):  # Newton's method
        risk = 1 / (1 + np.exp(-design @ optimum))
        slope = design.T @ (risk - rows["defected"]) + penalty @ optimum
        curvature = (design.T * (risk * (1 - risk))) @ design + penalty
        optimum -= np.linalg.solve(curvature, slope)
    assert fitted.coefficients == pytest.approx(optimum[:-1].tolist(), rel=1e-8, abs=0)


def test_the_unit_of_time_changes_alpha_alone(shop: pd.DataFrame) -> None:
    repeats, last, age = past_of(shop[:800])
    in_days, in_weeks = fit(repeats, last, age), fit(repeats, last / 7, age / 7)
    assert in_weeks._replace(alpha=7 * in_weeks.alpha) == pytest.approx(in_days, rel=1e-9)


def test_bg_nbd_is_fitted_to_the_top_of_its_likelihood_to_the_last_digits(
    shop: pd.DataFrame,
) -> None:
    past = past_of(shop)
    r, alpha, a, b = fit(*past)
    top = log_likelihood(Parameters(r, alpha, a, b), *past).sum()
    for up in np.vstack([np.eye(4), -np.eye(4)]) * 1e-5:
        moved = Parameters(*(np.array([r, alpha, a, b]) * (1 + up)))
        assert log_likelihood(moved, *past).sum() < top, up


def test_bg_nbd_is_finite_where_the_likelihood_has_no_maximum() -> None:
    age = np.arange(20.0, 320.0)
    nothing, purchases = np.zeros(300), np.floor(age / 20)
    shops = {
        "nobody came back": (nothing, nothing, age),
        "nobody drops out": (purchases, np.floor(age * purchases / (purchases + 1)), age),
        "all alike": (np.full(300, 3.0), np.full(300, 30.0), np.full(300, 60.0)),
        "all drop out after the second purchase": (np.ones(300), np.ones(300), age),
    }
    for name, past in shops.items():
        risk = no_purchase(fit(*past), *past, 60)
        assert ((risk >= 0) & (risk <= 1 + 1e-12)).all(), name


def test_the_probability_of_no_purchase_is_the_observed_rate(shop: pd.DataFrame) -> None:
    risk = no_purchase(Parameters(0.8, 25.0, 0.8, 4.0), *past_of(shop), 60)
    for fifth in np.array_split(np.argsort(risk), 5):
        observed = shop["defected"].to_numpy()[fifth].mean()
        assert observed == pytest.approx(risk[fifth].mean(), abs=0.05)


def test_over_an_endless_horizon_only_dropped_out_customers_buy_nothing_and_over_none_all_do(
    shop: pd.DataFrame,
) -> None:
    known = past_of(shop[:200])
    r, alpha, a, b = PUBLISHED
    repeats, last, age = known
    odds = np.where(
        repeats > 0,
        a / (b + np.maximum(repeats, 1) - 1) * ((alpha + age) / (alpha + last)) ** (r + repeats),
        0,
    )
    assert no_purchase(PUBLISHED, *known, 0) == pytest.approx(np.ones(200))
    # with r of .243 the horizon has to be very long
    assert no_purchase(PUBLISHED, *known, 1e40) == pytest.approx(odds / (1 + odds), abs=1e-8)


def windowed(shop: pd.DataFrame) -> pd.DataFrame:
    """The customers with two purchases, with the windows of `expert_windows`."""
    rows = shop[shop["purchases"] >= 2]
    rate = rows["purchases"] / rows["tenure_days"]
    return rows.assign(purchases_in_90d=(90 * rate).round(), spend_in_90d=(90 * rate * 20).round(2))


def fit_all(shop: pd.DataFrame) -> dict[str, Baseline]:
    rows = windowed(shop)
    return {name: baseline.fit(rows, shop[PAST], SPEC) for name, baseline in BASELINES.items()}


@pytest.fixture(scope="module")
def fitted(shop: pd.DataFrame) -> dict[str, Baseline]:
    return fit_all(shop)


def test_a_forest_kept_as_numbers_predicts_as_scikit_learn_does(
    shop: pd.DataFrame, fitted: dict[str, Baseline]
) -> None:
    rows = windowed(shop)
    size = {
        "n_estimators": baselines.TREES,
        "max_leaf_nodes": baselines.LEAVES,
        "min_samples_leaf": baselines.ROWS_PER_LEAF,
    }
    features = matrix(rows, RFM).astype(np.float32)
    forest = RandomForestClassifier(**size, random_state=0).fit(features, rows["defected"])
    expected = forest.predict_proba(features)[:, 1]
    assert fitted["random_forest_rfm"].predict(rows) == pytest.approx(expected, abs=1e-8)


def test_the_same_rows_give_the_same_baselines_byte_for_byte(
    shop: pd.DataFrame, fitted: dict[str, Baseline]
) -> None:
    again = fit_all(shop)
    for name, baseline in fitted.items():
        assert json.dumps(asdict(again[name])) == json.dumps(asdict(baseline)), name


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_restored_from_json_predicts_the_same(
    name: str, shop: pd.DataFrame, fitted: dict[str, Baseline]
) -> None:
    text, rows = json.dumps(asdict(fitted[name]), allow_nan=False), windowed(shop)
    restored = BASELINES[name](**json.loads(text))
    assert (restored.predict(rows) == fitted[name].predict(rows)).all()
    assert (restored.contributions(rows[:9]) == fitted[name].contributions(rows[:9])).all()
    assert len(text) < 300_000


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_gives_probabilities_that_are_higher_for_churned_customers(
    name: str, shop: pd.DataFrame, fitted: dict[str, Baseline]
) -> None:
    rows = windowed(shop)
    risk, defected = fitted[name].predict(rows), rows["defected"].to_numpy(bool)
    assert ((risk >= 0) & (risk <= 1)).all()
    assert risk.mean() == pytest.approx(defected.mean(), abs=0.04)
    assert risk[defected].mean() > risk[~defected].mean() + 0.03


@pytest.mark.parametrize("name", BASELINES)
def test_contributions_add_up_to_the_log_odds(
    name: str, shop: pd.DataFrame, fitted: dict[str, Baseline]
) -> None:
    rows = windowed(shop)[:200]
    log_odds, parts = fitted[name].log_odds(rows), fitted[name].contributions(rows)
    assert parts.shape == (200, len(fitted[name].columns))
    assert np.ptp(log_odds - parts.sum(axis=1)) < 1e-6
    risk = fitted[name].predict(rows)
    assert log_odds == pytest.approx(np.log(risk / (1 - risk)), abs=1e-9)


@pytest.mark.parametrize("leaves", [2, 7])
def test_expert_windows_has_the_models_hyperparameters_but_the_best_split_thresholds(
    leaves: int, shop: pd.DataFrame
) -> None:
    changed = {"num_leaves": leaves, "min_child_samples": 5, "seed": 3}
    spec = SPEC._replace(params=SPEC.params.model_copy(update=changed))
    text = asdict(BASELINES["expert_windows"].fit(windowed(shop), shop[PAST], spec))["text"]
    assert max(int(size) for size in re.findall(r"(?m)^num_leaves=(\d+)$", text)) == leaves
    assert {"[min_data_in_leaf: 5]", "[seed: 3]", "[extra_trees: 0]"} <= set(text.splitlines())


def test_more_days_since_the_last_purchase_raise_the_risk(fitted: dict[str, Baseline]) -> None:
    rows = pd.DataFrame(
        {"purchases": 10.0, "recency_days": [5.0, 90.0], "tenure_days": 400.0, "spend": 200.0}
    )
    for name in ("recency", "logistic_rfm", "bg_nbd", "random_forest_rfm"):
        column = fitted[name].columns.index("recency_days")
        recent, long_ago = fitted[name].contributions(rows)[:, column]
        assert long_ago > recent, name


def test_bg_nbd_is_trained_on_one_time_buyers_too(shop: pd.DataFrame) -> None:
    rows = windowed(shop)
    rates = {
        name: (fitted := BgNbd.fit(rows, buyers[PAST], SPEC).parameters)["r"] / fitted["alpha"]
        for name, buyers in {"all": shop, "repeat": rows}.items()
    }
    assert abs(rates["all"] - 0.8 / 25) < abs(rates["repeat"] - 0.8 / 25)


def test_a_class_with_a_name_is_a_baseline_and_json_of_another_version_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baselines, "BASELINES", dict(BASELINES))

    class Spend(baselines.Logistic, name="spend"):
        uses = ["spend"]

    assert list(baselines.BASELINES) == [*BASELINES, "spend"]
    assert not Spend.simple
    with pytest.raises(TypeError):
        BASELINES["recency"](**{"form": "logistic"})
