"""The day of the next order and the spend of a year."""

import json
import os
import shutil
from pathlib import Path
from statistics import median_grouped
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params

from models.defection import bg_nbd, timing, value
from models.defection.booster import ModelSpec
from models.defection.stake import measure_stake
from pipeline.registry import forecasts
from pipeline.registry.about import about_of
from pipeline.runtime import store
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import train

PARAMS = params()
CDNOW = bg_nbd.Parameters(0.243, 4.414, 0.793, 2.426)  # in weeks, as published
SMALL = PARAMS.train.model_copy(update={"forecast_rounds": 60, "timing_rounds": 60})


def spec(columns: list[str]) -> ModelSpec:
    return ModelSpec(columns, SMALL, {}, 30)


PAST = bg_nbd.Parameters(2.0, 20.0, 1.0, 8.0)  # purchases per day: gamma (2, 20)


def waiting(count: int, seed: int, pace: tuple[float, float] = (1, 1)) -> pd.DataFrame:
    """Customers who buy as in BG/NBD with `PAST`, but `pace` times as often; none drops out."""
    random = np.random.default_rng(seed)
    age, faster = random.integers(30, 400, count), random.uniform(*pace, count)
    rate = random.gamma(PAST.r, 1 / PAST.alpha, count)
    days = np.floor(random.exponential(1 / (rate * faster)))
    return pd.DataFrame(
        {
            "customer_id": [f"c{seed}-{number:05d}" for number in range(count)],
            "snapshot": "2025-05-01",
            "purchases": 1.0 + random.poisson(rate * age),
            "recency_days": 5.0,
            "tenure_days": age.astype(float),
            "pace": faster,
            "mood": random.normal(size=count),
            "next_days": np.where(days < 60, days, np.nan),
        }
    )


def test_intervals_hold_for_four_new_customers_in_five() -> None:
    fitted = timing.fit_timing(waiting(3000, 1, (0.2, 3)), spec(["pace"]), PAST)
    new = waiting(3000, 2, (0.2, 3)).dropna()
    days, true = fitted.predict(new), new["next_days"]
    assert 0.77 <= ((days["from"] <= true) & (true <= days["to"])).mean() <= 0.83
    assert (days["from"] <= days["on"]).all()
    assert (days["on"] <= days["to"]).all()
    assert days.to_numpy().min() >= 0
    assert days.to_numpy().max() <= 60
    slow = new["pace"] < 1
    assert days["on"][slow].mean() > days["on"][~slow].mean() + 2


def test_where_the_features_add_nothing_to_bg_nbd_the_day_is_its_own_and_trees_are_few() -> None:
    """The only feature is noise, so what differs between customers comes from BG/NBD."""
    fitted = timing.fit_timing(waiting(3000, 1), spec(["mood"]), PAST)
    new = waiting(500, 2)
    of_bg_nbd = timing.by_bg_nbd(new, PAST, 60)
    assert of_bg_nbd.std() > 3
    assert np.abs(fitted.predict(new)["on"] - of_bg_nbd).mean() < 1
    assert fitted.boosters["on"].num_trees() <= SMALL.timing_rounds // 4
    more = timing.fit_timing(waiting(3000, 1, (0.2, 3)), spec(["pace"]), PAST)
    assert more.boosters["on"].num_trees() > SMALL.timing_rounds // 2


def test_bg_nbd_expects_the_purchases_of_the_published_example() -> None:
    history = (np.array([n]) for n in (2.0, 30.43, 38.86))
    assert bg_nbd.expected_purchases(CDNOW, *history, 39)[0] == pytest.approx(1.226, abs=5e-4)


def test_expected_purchases_grow_with_the_horizon_and_vanish_with_it() -> None:
    history = np.array([0.0, 3, 9]), np.array([0.0, 20, 38]), np.array([39.0, 39, 39])
    months = [bg_nbd.expected_purchases(CDNOW, *history, horizon) for horizon in (0, 4, 40, 400)]
    assert months[0] == pytest.approx([0, 0, 0], abs=1e-9)
    assert (np.diff(months, axis=0) > 0).all()


def test_the_median_of_bg_nbd_halves_the_chance_of_a_purchase() -> None:
    rows = pd.DataFrame({"purchases": [1, 4, 9], "recency_days": [5, 1, 30], "tenure_days": 39})
    days = timing.by_bg_nbd(rows, CDNOW, 60)
    history = rows["purchases"] - 1, 39 - rows["recency_days"], rows["tenure_days"]
    columns = [column.to_numpy(np.float64) for column in history]
    for row, day in enumerate(days):
        own = [column[row : row + 1] for column in columns]
        half, whole = (1 - bg_nbd.no_purchase(CDNOW, *own, span)[0] for span in (day, 60))
        assert half == pytest.approx(whole / 2, rel=1e-9)


def test_gamma_gamma_fits_the_parameters_published_for_cdnow() -> None:
    """Fader and Hardie (2013): p = 6.25, q = 3.74, gamma = 15.44, repeat buyers of 39 weeks."""
    path = Path(os.environ.get("COREKEEP_SHARED_DATA", "unset")) / "cdnow_sample.txt"
    if not path.is_file():
        pytest.skip("COREKEEP_SHARED_DATA names no folder with cdnow_sample.txt")
    rows = pd.read_fwf(path, header=None, names=["id", "sample", "day", "cds", "spend"])
    rows = rows[rows["day"] <= 19970930].groupby(["id", "day"], as_index=False)["spend"].sum()
    repeats = rows[rows.duplicated("id")].groupby("id")["spend"].agg(["size", "mean"])
    counts, means = (repeats[name].to_numpy(np.float64) for name in ("size", "mean"))
    fitted = value.fit_gamma_gamma(counts, means)
    assert fitted == pytest.approx((6.25, 3.74, 15.44), rel=0.01)


def test_the_mean_spend_moves_from_the_shops_to_the_customers_own() -> None:
    spend = value.GammaGamma(6.25, 3.74, 15.44)
    own = spend.mean_spend(np.array([0.0, 1, 1000]), np.full(3, 100.0))
    assert own[0] == pytest.approx(6.25 * 15.44 / 2.74)
    assert own[0] < own[1] < own[2] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(
    ("of_model", "of_weak", "of_strong", "selected"),
    [(9, 9, 9, "weak"), (5, 9, 8, "model"), (9, 12, 5, "strong"), (9, 12, 9, "strong")],
)
def test_a_forecast_is_used_if_its_mean_error_is_below_that_of_each_rule_beyond_chance(
    of_model: float, of_weak: float, of_strong: float, selected: str
) -> None:
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"next_days": np.full(900, 30.0)})
    near = {
        name: 30 + of * random.normal(size=900)
        for name, of in {"model": of_model, "weak": of_weak, "strong": of_strong}.items()
    }
    interval = pd.DataFrame({"from": 20, "to": 40}, rows.index)
    measured = timing.measure_timing(rows, interval, near, 200, 7)
    if of_weak != of_strong:
        assert measured["selected"] == selected
    else:
        assert measured["selected"] != "model"
    median = {n: median_grouped(np.abs(np.rint(days) - 30).tolist()) for n, days in near.items()}
    for name in ("weak", "strong"):
        point, low, high = measured["delta"][name]["median_abs_error_days"]
        assert point == pytest.approx(median["model"] - median[name], abs=2e-3)
        assert low < point < high
        # the median of a half-normal has the standard error .7867 sd / sqrt(n)
        spread = np.hypot(of_model, of_weak if name == "weak" else of_strong) / 30
        assert (high - low) / 3.92 == pytest.approx(0.7867 * spread, rel=0.35)
        _, low, high = measured["delta"][name]["mean_abs_error_days"]  # .6028 sd / sqrt(n)
        assert (high - low) / 3.92 == pytest.approx(0.6028 * spread, rel=0.2)


def test_a_spend_is_used_if_it_ranks_better_than_each_rule_beyond_chance() -> None:
    random = np.random.default_rng(2)
    true = random.lognormal(4, 1, 800)

    def measured(**noise: float) -> dict[str, Any]:
        guesses = {name: true * random.lognormal(0, sd, 800) for name, sd in noise.items()}
        return value.measure_value(pd.DataFrame({"spend_next": true}), guesses, 365, 0.1, 200, 7)

    better = measured(model=0.3, last_year=0.9, bg_nbd_gamma_gamma=0.6)
    assert better["selected"] == "model"
    point, low, high = better["delta"]["bg_nbd_gamma_gamma"]["spearman"]
    assert 0 < low < point < high
    assert measured(model=0.6, last_year=0.9, bg_nbd_gamma_gamma=0.6)["selected"] != "model"


def returned(guess: np.ndarray, before: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """What is measured of customers who came back and spent `true` in a year."""
    predicted = {value.PREDICTED: guess, value.PAST_YEAR: before}
    return value.measure_returning(pd.DataFrame({"spend_next": true}), predicted, 365, 200, 7)


def test_the_expected_spend_of_those_who_come_back_is_used_where_it_fits_better() -> None:
    random = np.random.default_rng(3)
    expected = random.lognormal(4, 1, 500)
    true = expected * random.gamma(2, 0.5, 500)
    nothing, equal = np.zeros(500), np.full(500, expected.mean())
    figures = returned(expected, nothing, true)
    assert figures["selected"] == value.PREDICTED
    assert figures["total"] == pytest.approx(1, abs=0.15)
    assert figures["baselines"]["last_year"] | {"deviance": 0} == {"total": 0, "deviance": 0}
    assert returned(expected * 3, expected, true)["selected"] == value.PAST_YEAR
    assert returned(expected / 3, expected, true)["selected"] == value.PAST_YEAR
    assert returned(equal, expected, true)["selected"] == value.PAST_YEAR
    assert returned(expected, expected, true)["selected"] == value.PAST_YEAR


def called_by(true: np.ndarray, **guesses: np.ndarray) -> dict[str, Any]:
    """The stakes where 4,000 customers, of whom half churn, would spend `true` if retained."""
    random = np.random.default_rng(5)
    defected = random.random(len(true)) < 0.5
    rows = pd.DataFrame({"origin": "a", "customer": range(len(true)), "model": 0.5})
    rows = rows.assign(defected=defected, spend_within=np.where(defected, 0, true))
    return measure_stake(rows, guesses, PARAMS.costs, 0.1)


def test_the_value_that_keeps_more_spend_is_selected_though_the_churned_show_none() -> None:
    random = np.random.default_rng(4)
    true, noise = random.lognormal(4, 1, 4000), random.lognormal(0, 1.5, 4000)
    figures = called_by(true, model=true, last_year=true * noise, equal=np.full(4000, 50.0))
    assert figures["selected"] == "model"
    top = np.sort(true)[-400:].mean() / true.mean()
    assert figures["stake_at_10"] == pytest.approx(top, rel=0.1)
    assert figures["baselines"]["equal"]["stake_at_10"] == pytest.approx(1, rel=0.2)
    assert figures["delta"]["model"][1] > 0
    assert called_by(true, model=true * noise, last_year=true)["selected"] == "last_year"
    assert called_by(true, model=true * 2, last_year=true)["selected"] == "last_year"


def test_a_value_by_which_more_calls_pay_is_no_better_for_that() -> None:
    """Beside a few large values most calls do not pay, whoever is called."""
    random = np.random.default_rng(8)
    true = random.lognormal(4, 1, 4000)
    steep = called_by(true, model=np.sqrt(true), last_year=true**4)
    assert steep["delta"]["model"] == pytest.approx([0, 0, 0], abs=1e-9)
    assert steep["churned_at_10"] == pytest.approx(0.5, abs=0.06)


def test_a_value_with_more_at_stake_is_not_used_where_the_called_spend_less() -> None:
    """Realised spend of the called rewards calling those who stay; spend at stake does not."""
    random = np.random.default_rng(6)
    risk, true = random.uniform(0.05, 0.9, 8000), random.lognormal(4, 1, 8000)
    defected = random.random(8000) < risk
    rows = pd.DataFrame({"origin": "a", "customer": range(8000), "model": risk})
    rows = rows.assign(defected=defected, spend_within=np.where(defected, 0, true))
    figures = measure_stake(
        rows, {"model": true, "last_year": true * (1 - risk)}, PARAMS.costs, 0.1
    )
    expected = figures["baselines"]["last_year"]
    assert expected["realised_at_10"] > figures["realised_at_10"] + 0.3
    assert expected["stake_at_10"] < figures["stake_at_10"] - 0.3
    assert figures["delta"]["model"][1] > 0
    assert figures["selected"] == "last_year"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small shop, trained and evaluated: its folders, and the evaluation."""
    folder = tmp_path_factory.mktemp("forecasts")
    folders = small_shop.write(folder, small_shop.rows(400, 2.0))
    given = {"shop": "small", "calibration": small_shop.calibration()}
    files = train(**folders, **given, monotone_constraints={}, params=SMALL)["model"]
    model = small_shop.model_folder(folder, files)
    costs, root = PARAMS.costs, folder
    outputs = evaluate(
        **folders, **given, model=model, params=PARAMS.evaluate, costs=costs, root=root
    )
    return {**folders, "model": model, **outputs}


def test_forecasts_are_measured_beside_their_baselines(shop: dict[str, Any]) -> None:
    measured, metrics = shop["evaluation"], shop["metrics"]
    assert list(measured["timing"]["baselines"]) == ["expected_ipt", "bg_nbd"]
    assert list(measured["value"]["baselines"]) == ["last_year", "bg_nbd_gamma_gamma"]
    assert 0.6 < measured["timing"]["coverage_80"] < 0.95
    assert metrics["timing"]["coverage_80"] == measured["timing"]["coverage_80"]
    assert metrics["value"]["spearman"] == measured["value"]["spearman"]


def test_every_buyer_gets_a_day_within_the_interval_and_a_spend(shop: dict[str, Any]) -> None:
    folders = shop["features"], shop["lifecycle"], shop["model"]
    rows = forecasts.forecasts(*folders, shop["metrics"], small_shop.DATA_END)
    assert len(rows) == 400
    assert rows.notna().all().all()
    assert (rows["next_order_from"] <= rows["next_order_on"]).all()
    assert (rows["next_order_on"] <= rows["next_order_to"]).all()
    assert str(rows["next_order_from"].min()) >= small_shop.DATA_END


def test_boosters_of_a_champion_that_started_from_nothing_give_the_days_alone(
    shop: dict[str, Any], tmp_path: Path
) -> None:
    """Champions of earlier versions have no key `start`."""
    about = about_of(shop["model"])
    assert about["forecasts"]["timing"]["final"].pop("start") == "bg_nbd"
    earlier = Folder(shutil.copytree(shop["model"].path, tmp_path / "model"))
    (earlier.path / "model.json").write_text(json.dumps(about))
    selected = {"timing": {"selected": "model"}}
    now, before = (
        forecasts.forecasts(
            shop["features"], shop["lifecycle"], model, selected, small_shop.DATA_END
        )
        for model in (shop["model"], earlier)
    )
    assert (before["next_order_to"] < now["next_order_to"]).mean() > 0.9


def test_without_a_measured_forecast_the_expected_ipt_gives_the_day(shop: dict[str, Any]) -> None:
    folders = shop["features"], shop["lifecycle"], shop["model"]
    rows = forecasts.forecasts(*folders, {}, small_shop.DATA_END)
    assert rows["next_order_on"].notna().all()
    assert rows["next_order_from"].isna().all()
    assert (rows["value_next_365d"] > 0).all()
    assert rows["value_if_retained"].tolist() == rows["value_next_365d"].tolist()


def test_the_source_selected_at_the_origins_gives_the_value_of_the_list(
    shop: dict[str, Any],
) -> None:
    folders = shop["features"], shop["lifecycle"], shop["model"]
    metrics = shop["metrics"]
    assert metrics["value_source"] == metrics["stake"]["selected"]
    by = {
        source: forecasts.forecasts(
            *folders, {**shop["metrics"], "stake": {"selected": source}}, small_shop.DATA_END
        )["value_if_retained"]
        for source in ("model", "last_year", "bg_nbd_gamma_gamma")
    }
    assert all((values >= 0).all() for values in by.values())
    assert np.corrcoef(list(by.values())).min() < 0.99


def test_who_sent_everything_back_is_worth_less_than_who_kept_it(
    shop: dict[str, Any], tmp_path: Path
) -> None:
    states = pd.read_parquet(shop["lifecycle"].path)
    states["activity"], states["yearly_spend"] = "lapsed", 0.0
    states.loc[states["customer_id"] < "c0200", "net_per_purchase"] = 0.0
    store.write(tmp_path / "lifecycle" / "part-000.parquet", states)
    folders = shop["features"], Folder(tmp_path / "lifecycle"), shop["model"]
    worth = {
        measured: forecasts.forecasts(
            *folders, {**shop["metrics"], "returning": {"selected": measured}}, small_shop.DATA_END
        )["value_if_retained"]
        for measured in (value.PAST_YEAR, value.PREDICTED)
    }
    assert (worth[value.PAST_YEAR][:"c0199"] == 0).all()
    assert worth[value.PREDICTED][:"c0199"].median() < worth[value.PREDICTED]["c0200":].median()


@pytest.mark.parametrize("measured", [None, value.PAST_YEAR, value.PREDICTED])
def test_a_customer_away_for_longer_than_a_year_is_worth_a_purchase_at_least(
    measured: str | None, shop: dict[str, Any], tmp_path: Path
) -> None:
    states = pd.read_parquet(shop["lifecycle"].path)
    away = states["customer_id"] < "c0200"
    states.loc[away, "activity"], states.loc[away, "yearly_spend"] = "lapsed", 0.0
    store.write(tmp_path / "lifecycle" / "part-000.parquet", states)
    folders = shop["features"], Folder(tmp_path / "lifecycle"), shop["model"]
    metrics = {**shop["metrics"], "returning": measured and {"selected": measured}}
    rows = forecasts.forecasts(*folders, metrics, small_shop.DATA_END)["value_if_retained"]
    before = forecasts.forecasts(
        shop["features"], shop["lifecycle"], shop["model"], metrics, small_shop.DATA_END
    )["value_if_retained"]
    assert rows["c0200":].equals(before["c0200":])
    features = pd.read_parquet(shop["features"].path).set_index("customer_id")
    newest = features[features["snapshot"].astype(str) == small_shop.DATA_END]
    basket = newest["basket_mean"].reindex(rows.index)[:"c0199"].round(2)
    if measured == value.PREDICTED:
        assert (rows[:"c0199"] > 0).all()
        assert rows[:"c0199"].nunique() > 150
    else:
        assert rows[:"c0199"].to_numpy() == pytest.approx(basket.to_numpy(), abs=0.01)
