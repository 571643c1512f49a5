"""The peers.

BG/NBD against its paper, a forest that is numbers only, and what all of them promise.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from frozen import params
from sklearn.ensemble import RandomForestClassifier

from models.defection import forest
from models.defection.baselines import BASELINES, PAST, contributions, predict, teach
from models.defection.bg_nbd import Parameters, fit, log_likelihood, no_purchase

BOOSTING = params().train
PUBLISHED = Parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Fader, Hardie and Lee (2005), table 1: the CDNOW sample, first 39 weeks, in weeks."""


def bg_nbd_shop(
    customers: int, parameters: Parameters, days: int, horizon: int, seed: int
) -> pd.DataFrame:
    """One row per customer of a shop that is exactly as BG/NBD says, first purchase in its first
    year: columns `PAST`, spend, defected.
    """
    random = np.random.default_rng(seed)
    rates = random.gamma(parameters.r, 1 / parameters.alpha, customers)
    leaving = random.beta(parameters.a, parameters.b, customers)
    rows = []
    for rate, chance in zip(rates, leaving, strict=True):
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
    found = pd.DataFrame(rows, columns=[*PAST, "defected"])
    return found.assign(spend=found["purchases"] * random.lognormal(3, 0.5, customers))


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


def test_a_shop_that_is_as_the_model_says_gives_back_its_parameters(shop: pd.DataFrame) -> None:
    found = fit(*past_of(shop))
    assert found.r == pytest.approx(0.8, rel=0.15)
    assert found.r / found.alpha == pytest.approx(0.8 / 25, rel=0.1)
    assert found.a / (found.a + found.b) == pytest.approx(0.8 / 4.8, abs=0.03)


def test_the_unit_of_time_changes_alpha_alone(shop: pd.DataFrame) -> None:
    repeats, last, age = past_of(shop[:800])
    in_days, in_weeks = fit(repeats, last, age), fit(repeats, last / 7, age / 7)
    assert in_weeks._replace(alpha=7 * in_weeks.alpha) == pytest.approx(in_days, rel=5e-3)


def test_the_probability_of_no_purchase_is_the_rate_that_is_seen(shop: pd.DataFrame) -> None:
    told = no_purchase(Parameters(0.8, 25.0, 0.8, 4.0), *past_of(shop), 60)
    for tenth in np.array_split(np.argsort(told), 5):
        assert shop["defected"].to_numpy()[tenth].mean() == pytest.approx(
            told[tenth].mean(), abs=0.05
        )


def test_silence_without_end_leaves_those_who_have_left_and_no_silence_nobody(
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
    # With r of .243 the silence has to be very long.
    assert no_purchase(PUBLISHED, *known, 1e40) == pytest.approx(odds / (1 + odds), abs=1e-8)


def test_a_forest_kept_as_numbers_says_what_scikit_learn_says() -> None:
    random = np.random.default_rng(2)
    features = random.integers(1, 60, (1000, 3)).astype(np.float32).astype(np.float64)
    defected = random.random(1000) < features[:, 0] / 60
    shape = {
        "n_estimators": forest.TREES,
        "max_leaf_nodes": forest.LEAVES,
        "min_samples_leaf": forest.ROWS_PER_LEAF,
    }
    theirs = (
        RandomForestClassifier(**shape, random_state=0)
        .fit(features, defected)
        .predict_proba(features)[:, 1]
    )
    assert forest.ask(forest.grow(features, defected), features) == pytest.approx(theirs, abs=1e-8)


@pytest.fixture(scope="module")
def taught(shop: pd.DataFrame) -> dict[str, Any]:
    return taught_by(shop)


def taught_by(shop: pd.DataFrame) -> dict[str, Any]:
    rows = windowed(shop)
    return {name: teach(name, rows, 60, shop[PAST], BOOSTING) for name in BASELINES}


def windowed(shop: pd.DataFrame) -> pd.DataFrame:
    """Those who bought twice, with the windows of `expert_windows`."""
    rows = shop[shop["purchases"] >= 2]
    rate = rows["purchases"] / rows["tenure_days"]
    return rows.assign(purchases_in_90d=(90 * rate).round(), spend_in_90d=(90 * rate * 20).round(2))


def test_the_same_rows_give_the_same_peers_byte_for_byte(
    shop: pd.DataFrame, taught: dict[str, Any]
) -> None:
    assert json.dumps(taught_by(shop)) == json.dumps(taught)


@pytest.mark.parametrize("name", BASELINES)
def test_a_peer_is_kept_as_json_and_says_the_same_when_read_again(
    name: str, shop: pd.DataFrame, taught: dict[str, Any]
) -> None:
    kept, rows = json.dumps(taught[name], allow_nan=False), windowed(shop)
    assert (predict(json.loads(kept), rows) == predict(taught[name], rows)).all()
    assert len(kept) < 300_000


@pytest.mark.parametrize("name", BASELINES)
def test_a_peer_tells_leavers_from_stayers_by_probabilities(
    name: str, shop: pd.DataFrame, taught: dict[str, Any]
) -> None:
    rows = windowed(shop)
    risk, defected = predict(taught[name], rows), rows["defected"].to_numpy(bool)
    assert ((risk >= 0) & (risk <= 1)).all()
    assert risk.mean() == pytest.approx(defected.mean(), abs=0.04)
    assert risk[defected].mean() > risk[~defected].mean() + 0.03


@pytest.mark.parametrize("name", BASELINES)
def test_contributions_add_up_to_the_log_odds(
    name: str, shop: pd.DataFrame, taught: dict[str, Any]
) -> None:
    rows = windowed(shop)[:200]
    risk, parts = predict(taught[name], rows), contributions(taught[name], rows)
    assert parts.shape == (200, len(taught[name]["columns"]))
    middle = np.log(risk / (1 - risk)) - parts.sum(axis=1)
    assert middle == pytest.approx(np.full(200, middle[0]), abs=1e-6)


@pytest.mark.parametrize("leaves", [2, 7])
def test_expert_windows_has_the_shape_of_the_model_whatever_that_is_and_the_best_cuts(
    leaves: int, shop: pd.DataFrame
) -> None:
    shape = BOOSTING.model_copy(update={"num_leaves": leaves, "min_child_samples": 5, "seed": 3})
    text = teach("expert_windows", windowed(shop), 60, shop[PAST], shape)["text"]
    assert max(int(size) for size in re.findall(r"(?m)^num_leaves=(\d+)$", text)) == leaves
    assert {"[min_data_in_leaf: 5]", "[seed: 3]", "[extra_trees: 0]"} <= set(text.splitlines())


def test_a_longer_silence_contributes_to_leaving(taught: dict[str, Any]) -> None:
    rows = pd.DataFrame(
        {"purchases": 10.0, "recency_days": [5.0, 90.0], "tenure_days": 400.0, "spend": 200.0}
    )
    for name in ("recency", "logistic_rfm", "bg_nbd", "random_forest_rfm"):
        column = taught[name]["columns"].index("recency_days")
        fresh, silent = contributions(taught[name], rows)[:, column]
        assert silent > fresh, name


def test_bg_nbd_learns_from_those_who_came_once_too(
    shop: pd.DataFrame, taught: dict[str, Any]
) -> None:
    rows = windowed(shop)
    repeaters = teach("bg_nbd", rows, 60, rows[PAST], BOOSTING)
    true_rate = 0.8 / 25
    found = {
        name: baseline["parameters"]["r"] / baseline["parameters"]["alpha"]
        for name, baseline in {"all": taught["bg_nbd"], "some": repeaters}.items()
    }
    assert abs(found["all"] - true_rate) < abs(found["some"] - true_rate)
