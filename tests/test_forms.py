"""Boosting alone and boosting from a simple rule.

What each says, which is taken, and that nothing of it is lost on the way to the list.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params
from scipy.special import logit

from models.defection.baselines import RFM, logistic, predict
from models.defection.forms import BASE, Model, fit_form, preferred, season_shift
from models.settings import Form
from pipeline.registry.model_files import scorer
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.stages.train import choice_for, train

PARAMS = params().train
COLUMNS = ["recency_days", "purchases", "spend", "net_spend_365d", "mood", "weather"]
NOBODY = pd.DataFrame()
OFFSET = PARAMS.model_copy(update={"forms": ("offset",)})


def fitted(form: Form, rows: pd.DataFrame, rounds: int = 40) -> Model:
    return fit_form(
        form,
        rows,
        COLUMNS,
        logistic(RFM, rows, rows["defected"].to_numpy(bool)),
        PARAMS,
        rounds,
        {},
    )


def of_one_day(rows: pd.DataFrame, day: str) -> pd.DataFrame:
    return rows.assign(snapshot=rows["snapshot"].astype(str)).query("snapshot == @day")


@pytest.mark.parametrize("form", ["plain", "offset"])
def test_what_the_features_add_is_the_log_odds_up_to_what_is_the_same_for_all(form: Form) -> None:
    rows = small_shop.rows(100, 2.0)
    model = fitted(form, rows)
    chance = model.predict(rows)
    rest = np.log(chance / (1 - chance)) - model.explain(rows).sum(axis=1).to_numpy()
    assert np.ptp(rest) < 1e-9
    assert list(model.explain(rows)) == COLUMNS


def test_before_its_first_tree_has_learnt_boosting_from_a_rule_is_the_rule() -> None:
    rows = small_shop.rows(100, 2.0)
    still = PARAMS.model_copy(update={"min_child_samples": 10 * len(rows)})
    base = logistic(RFM, rows, rows["defected"].to_numpy(bool))
    model = fit_form("offset", rows, COLUMNS, base, still, 1, {})
    assert model.predict(rows) == pytest.approx(predict(base, rows), abs=1e-12)


@pytest.mark.parametrize(
    ("plain", "taken"),
    [
        ([0.5, 0.5, 0.5, 0.5], "plain"),
        ([0.4, 0.8, 0.4, 0.6], "plain"),
        ([0.6, 0.6, 0.6, 0.5], "offset"),
        ([0.4, 0.4, 0.4, 0.4], "plain"),
    ],
    ids=["alike", "worse by chance", "worse", "better"],
)
def test_boosting_alone_is_left_only_for_a_form_that_is_better_by_more_than_a_standard_error(
    plain: list[float], taken: str
) -> None:
    assert preferred({"plain": np.array(plain), "offset": np.full(4, 0.5)})[0] == taken


def test_what_only_trees_can_see_is_learnt_by_either_form_and_its_losses_are_told() -> None:
    rows = small_shop.rows(300, 2.0)
    choice = choice_for(
        rows.assign(snapshot=rows["snapshot"].astype(str)),
        NOBODY,
        COLUMNS,
        small_shop.HORIZON,
        PARAMS,
        {},
    )
    assert set(choice.losses) == {"plain", "offset", BASE}
    assert max(choice.losses["plain"], choice.losses["offset"]) < choice.losses[BASE] - 0.05
    assert choice.error > 0


def test_a_shop_with_no_snapshot_a_horizon_before_another_takes_the_simpler_form_with_half_the_trees() -> (
    None
):
    choice = choice_for(
        of_one_day(small_shop.rows(300, 2.0), small_shop.FINAL[0]),
        NOBODY,
        COLUMNS,
        small_shop.HORIZON,
        PARAMS,
        {},
    )
    assert choice == ("plain", PARAMS.max_rounds // 4, {}, 0.0, False)


def test_the_choice_knows_nothing_of_what_comes_later_than_its_rows() -> None:
    rows = small_shop.rows(200, 2.0)
    rows["snapshot"] = rows["snapshot"].astype(str)
    past = rows[rows["snapshot"] <= "2025-06-01"]
    newest = past["snapshot"] == past["snapshot"].max()
    # their outcome was not known yet when the newest was asked
    between = (past["snapshot"] > "2025-05-02") & ~newest
    poisoned = past.assign(defected=past["defected"] ^ between)
    assert between.any()
    assert choice_for(poisoned, NOBODY, COLUMNS, small_shop.HORIZON, OFFSET, {}) == choice_for(
        past, NOBODY, COLUMNS, small_shop.HORIZON, OFFSET, {}
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `train` makes of a small shop whose model starts from the rule."""
    folders = small_shop.write(tmp_path_factory.mktemp("started"), small_shop.rows(150, 2.0))
    return train(
        **folders, monotone_constraints={}, calibration=small_shop.calibration(), params=OFFSET
    )["model"]


def test_a_model_that_starts_from_the_rule_says_so_and_scores_from_disk_as_when_it_was_trained(
    started: dict[str, Any], tmp_path: Path
) -> None:
    about = started["model.json"]
    assert {chosen["form"] for chosen in about["chosen"].values()} == {"offset"}
    asked = small_shop.rows(20, 2.0)
    chosen = scorer(
        small_shop.model_folder(tmp_path, started), "model", about["features"], small_shop.DATA_END
    )
    base = started["baselines.json"]["model.txt"][BASE]
    assert np.corrcoef(chosen.predict(asked), predict(base, asked))[0, 1] < 0.99
    rest = np.log(1 / chosen.predict(asked) - 1) + chosen.explain(asked).sum(axis=1)
    assert np.ptp(rest) < 1e-9


@pytest.mark.parametrize(
    ("file", "code"),
    [("baselines.json", "E_MODEL_CHANGED baselines.json"), ("model.json", "E_MODEL_CANARY")],
)
def test_a_model_that_would_start_from_elsewhere_is_refused(
    file: str, code: str, started: dict[str, Any], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, started)
    path = model.path / file
    path.write_text(
        path.read_text()
        .replace('"intercept": ', '"intercept": 9')
        .replace('"form": "offset"', '"form": "plain"')
    )
    with pytest.raises(ModelError, match=code):
        scorer(model, "model", started["model.json"]["features"], small_shop.DATA_END)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_the_shift_of_a_season_is_a_part_of_what_makes_the_mean_chance_the_rate_that_was_observed(
    weight: float,
) -> None:
    log_odds = np.random.default_rng(1).normal(-1, 1, 4000)
    then = np.random.default_rng(2).random(4000) < 1 / (1 + np.exp(-(log_odds + 0.4)))
    shift = season_shift(1 / (1 + np.exp(-log_odds)), then, weight)
    assert shift == pytest.approx(weight * 0.4, abs=0.1 * weight)
    if weight == 1:
        assert (1 / (1 + np.exp(-(log_odds + shift)))).mean() == pytest.approx(
            then.mean(), abs=1e-3
        )


@pytest.mark.parametrize("rate", [0, 1])
def test_a_season_in_which_all_or_none_left_has_a_shift_all_the_same(rate: int) -> None:
    shift = season_shift(np.full(50, 0.3), np.full(50, rate, bool), 0.5)
    assert np.isfinite(shift)
    assert np.sign(shift) == 2 * rate - 1


def seasonal_shop(winter: float) -> pd.DataFrame:
    """Customers of whom, at the newest snapshot, so many more leave."""
    rows = small_shop.rows(400, 1.0)
    rows["snapshot"] = rows["snapshot"].astype(str)
    cold = rows["snapshot"] == "2025-06-01"
    more = np.random.default_rng(3).random(len(rows)) < winter
    return rows.assign(defected=rows["defected"] | (cold & more))[rows["snapshot"] <= "2025-06-01"]


@pytest.mark.parametrize(
    ("winter", "helps"), [(0.6, True), (0.0, False)], ids=["as last year", "unlike last year"]
)
def test_the_season_is_taken_from_last_year_only_where_that_helped_on_an_earlier_day(
    winter: float, helps: bool
) -> None:
    rows = seasonal_shop(winter)
    last_year = seasonal_shop(0.6).query("snapshot == '2025-06-01'")
    choice = choice_for(rows, last_year, COLUMNS, small_shop.HORIZON, OFFSET, {})
    assert choice.seasonal == helps == (choice.losses["seasonal"] < choice.losses["offset"])
    without = choice_for(
        rows,
        last_year,
        COLUMNS,
        small_shop.HORIZON,
        OFFSET.model_copy(update={"season_weight": 0.0}),
        {},
    )
    assert not without.seasonal
    assert "seasonal" not in without.losses


def test_a_shift_moves_every_log_odds_alike_and_no_explanation() -> None:
    rows = small_shop.rows(60, 2.0)
    model = fitted("offset", rows, 5)
    moved = replace(model, shift=0.3)
    assert logit(moved.predict(rows)) - logit(model.predict(rows)) == pytest.approx(0.3, abs=1e-9)
    pd.testing.assert_frame_equal(moved.explain(rows), model.explain(rows))


def of_last_year(day: str, before: str) -> dict[str, Any]:
    """The calendar of the small shop, its year so short that the season came round on a day its
    rows know.
    """
    return {
        **small_shop.calibration(),
        "origins": {},
        "season": {small_shop.FINAL[-1]: "2025-05-03", day: before},
    }


def test_a_season_that_came_again_is_in_the_model_that_is_kept(tmp_path: Path) -> None:
    rows = small_shop.rows(300, 1.0)
    cold = rows["snapshot"].astype(str).isin(["2025-05-03", "2025-06-02", small_shop.FINAL[-1]])
    rows["defected"] |= cold & (np.random.default_rng(3).random(len(rows)) < 0.6)
    folders = small_shop.write(tmp_path, rows)
    files = train(
        **folders,
        monotone_constraints={},
        calibration=of_last_year(small_shop.DATA_END, "2025-06-02"),
        params=OFFSET,
    )["model"]
    chosen = files["model.json"]["chosen"]["model.txt"]
    assert chosen["seasonal"]
    assert chosen["shift"] > 0.1
    model = small_shop.model_folder(tmp_path, files)
    assert scorer(model, "model", files["model.json"]["features"], small_shop.DATA_END).model_id
    (model.path / "model.json").write_text(
        (model.path / "model.json").read_text().replace('"shift": ', '"shift": 1')
    )
    with pytest.raises(ModelError, match="E_MODEL_CANARY"):
        scorer(model, "model", files["model.json"]["features"], small_shop.DATA_END)


def test_a_season_whose_outcome_was_not_known_is_refused(tmp_path: Path) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(60, 1.0))
    with pytest.raises(ConfigError, match="E_LEAK"):
        train(
            **folders,
            monotone_constraints={},
            calibration=of_last_year(small_shop.DATA_END, "2025-08-03"),
            params=OFFSET.model_copy(update={"min_child_samples": 5}),
        )
