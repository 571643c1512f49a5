"""Boosting alone and boosting from a baseline: which is selected, and how it scores from disk."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params
from scipy.special import logit

from models.defection.baselines import LogisticRFM
from models.defection.booster import ModelSpec
from models.defection.forms import (
    BASE,
    Model,
    SelectedForm,
    corrected,
    fit_form,
    init_score,
    preferred,
    select_form,
    with_far,
    with_season,
)
from models.defection.season import NO_SEASON, Line
from models.settings import Boosting, Form
from pipeline.registry.model_files import scorer
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.stages.train import train

PARAMS = params().train
COLUMNS = ["recency_days", "purchases", "spend", "net_spend_365d", "mood", "weather"]
OFFSET = PARAMS.model_copy(update={"forms": ("offset",)})


def spec(boosting: Boosting = PARAMS) -> ModelSpec:
    return ModelSpec(COLUMNS, boosting, {}, small_shop.HORIZON)


def fitted(form: Form, rows: pd.DataFrame, rounds: int = 40) -> Model:
    return fit_form(form, rows, LogisticRFM.fit(rows), rounds, spec())


def dated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(snapshot=rows["snapshot"].astype(str))


@pytest.mark.parametrize("form", ["plain", "offset"])
def test_contributions_are_the_log_odds_up_to_a_constant(form: Form) -> None:
    rows = small_shop.rows(100, 2.0)
    model = fitted(form, rows)
    constant = logit(model.predict(rows)) - model.explain(rows).sum(axis=1).to_numpy()
    assert np.ptp(constant) < 1e-9
    assert list(model.explain(rows)) == COLUMNS


def test_offset_without_a_split_is_the_baseline_it_starts_from() -> None:
    rows, base = small_shop.rows(100, 2.0), LogisticRFM.fit(small_shop.rows(100, 2.0))
    no_split = PARAMS.model_copy(update={"min_child_samples": 10 * len(rows)})
    model = fit_form("offset", rows, base, 1, spec(no_split))
    assert model.predict(rows) == pytest.approx(base.predict(rows), abs=1e-9)


@pytest.mark.parametrize(
    ("plain", "selected"),
    [
        ([0.5, 0.5, 0.5, 0.5], "plain"),
        ([0.4, 0.8, 0.4, 0.6], "plain"),
        ([0.6, 0.6, 0.6, 0.5], "offset"),
        ([0.4, 0.4, 0.4, 0.4], "plain"),
    ],
    ids=["alike", "worse by chance", "worse", "better"],
)
def test_offset_is_selected_only_if_better_by_more_than_one_standard_error(
    plain: list[float], selected: str
) -> None:
    assert preferred({"plain": np.array(plain), "offset": np.full(4, 0.5)})[0] == selected


def test_both_forms_learn_what_only_trees_can_represent_and_losses_are_recorded() -> None:
    selected = select_form(dated(small_shop.rows(300, 2.0)), spec())
    losses = selected.losses
    assert set(losses) == {"plain", "offset", BASE}
    assert max(losses["plain"], losses["offset"]) < losses[BASE] - 0.05
    assert selected.error > 0


def test_a_shop_without_an_older_snapshot_takes_the_first_form_with_a_quarter_of_the_trees() -> (
    None
):
    rows = dated(small_shop.rows(300, 2.0)).query("snapshot == @small_shop.FINAL[0]")
    expected = SelectedForm("plain", PARAMS.max_rounds // 4, {}, 0.0)
    assert select_form(rows, spec()) == expected


def test_what_was_selected_at_an_older_origin_stays_unless_nothing_could_be_compared_there() -> (
    None
):
    rows = dated(small_shop.rows(300, 2.0))
    compared = SelectedForm("offset", 7, {"plain": 0.5, "offset": 0.4, BASE: 0.6}, 0.01)
    assert select_form(rows, spec(), earlier=compared) == compared
    default = SelectedForm("plain", PARAMS.max_rounds // 4, {}, 0.0)
    assert select_form(rows, spec(), earlier=default) == select_form(rows, spec())


def test_selection_ignores_outcomes_that_were_not_known_at_the_inner_snapshot() -> None:
    rows = dated(small_shop.rows(200, 2.0))
    past = rows[rows["snapshot"] <= "2025-06-01"]
    newest = past["snapshot"] == past["snapshot"].max()
    unknown = (past["snapshot"] > "2025-05-02") & ~newest
    poisoned = past.assign(defected=past["defected"] ^ unknown)
    assert unknown.any()
    assert select_form(poisoned, spec(OFFSET)) == select_form(past, spec(OFFSET))


@pytest.fixture(scope="module")
def offset_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `train` returns for a small shop whose model starts from the baseline."""
    folder = tmp_path_factory.mktemp("offset")
    return small_shop.trained(folder, small_shop.rows(150, 2.0), OFFSET)[1]


def test_an_offset_model_says_so_and_scores_from_disk_with_its_baseline(
    offset_files: dict[str, Any], tmp_path: Path
) -> None:
    about = offset_files["model.json"]
    assert {selected["form"] for selected in about["chosen"].values()} == {"offset"}
    rows, folder = small_shop.rows(20, 2.0), small_shop.model_folder(tmp_path, offset_files)
    final = scorer(folder, "model", about["features"], small_shop.DATA_END)
    base = LogisticRFM(**offset_files["baselines.json"]["model.txt"][BASE])
    assert np.corrcoef(final.predict(rows), base.predict(rows))[0, 1] < 0.99
    assert np.ptp(logit(final.predict(rows)) - final.explain(rows).sum(axis=1)) < 1e-9


@pytest.mark.parametrize(
    ("file", "code"),
    [("baselines.json", "E_MODEL_CHANGED baselines.json"), ("model.json", "E_MODEL_CANARY")],
)
def test_a_model_that_would_start_from_other_log_odds_is_refused(
    file: str, code: str, offset_files: dict[str, Any], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, offset_files)
    path = model.path / file
    text = path.read_text().replace('"intercept": ', '"intercept": 9')
    path.write_text(text.replace('"slope": 1.0', '"slope": 0.0'))
    with pytest.raises(ModelError, match=code):
        scorer(model, "model", offset_files["model.json"]["features"], small_shop.DATA_END)


def test_a_shift_moves_all_log_odds_alike_and_no_explanation() -> None:
    rows = small_shop.rows(60, 2.0)
    model = fitted("offset", rows, 5)
    moved = replace(model, shift=0.3)
    assert logit(moved.predict(rows)) - logit(model.predict(rows)) == pytest.approx(0.3, abs=1e-9)
    pd.testing.assert_frame_equal(moved.explain(rows), model.explain(rows))


@pytest.mark.parametrize("form", ["plain", "offset"])
def test_a_season_corrects_the_log_odds_of_base_and_model_and_explains_its_part(form: Form) -> None:
    rows = small_shop.rows(60, 2.0)
    model = fitted(form, rows, 5)
    now, own = Line(0.3, 0.2), Line(-0.1, -0.4)
    seasonal = with_season(model, now, own)
    start = now.at(init_score(model.base, rows))
    expected = corrected(logit(model.predict(rows)) + start, own)
    assert logit(seasonal.predict(rows)) == pytest.approx(expected, abs=1e-9)
    constant = expected - seasonal.explain(rows).sum(axis=1).to_numpy()
    assert np.ptp(constant) < 1e-9


def seasonal_calendar(day: str, before: str) -> dict[str, Any]:
    """The calendar of the small shop, with a year so short that the rows hold the season twice."""
    warm, cold = small_shop.FINAL[0], small_shop.FINAL[-1]
    season = {warm: "2025-04-18", cold: "2025-05-03", day: before}
    return {**small_shop.calibration(), "origins": {}, "season": season}


def test_a_season_that_recurs_is_in_the_model_on_disk(tmp_path: Path) -> None:
    rows = small_shop.rows(300, 1.0)
    cold = rows["snapshot"].astype(str).isin(["2025-05-03", "2025-06-02", small_shop.FINAL[-1]])
    rows["defected"] |= cold & (np.random.default_rng(3).random(len(rows)) < 0.6)
    calendar = seasonal_calendar(small_shop.DATA_END, "2025-06-02")
    folders = small_shop.write(tmp_path, rows)
    files = train(
        **folders, shop="demo", monotone_constraints={}, calibration=calendar, params=OFFSET
    )["model"]
    selected = files["model.json"]["chosen"]["model.txt"]
    assert selected["season_weight"] > 0.5
    assert selected["shift"] > 0.1
    model = small_shop.model_folder(tmp_path, files)
    features = files["model.json"]["features"]
    assert scorer(model, "model", features, small_shop.DATA_END).model_id
    about = model.path / "model.json"
    about.write_text(about.read_text().replace('"shift": ', '"shift": 1'))
    with pytest.raises(ModelError, match="E_MODEL_CANARY"):
        scorer(model, "model", features, small_shop.DATA_END)


def test_a_season_whose_outcome_was_not_known_is_refused(tmp_path: Path) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(60, 1.0))
    small_leaves = OFFSET.model_copy(update={"min_child_samples": 5})
    calendar = seasonal_calendar(small_shop.DATA_END, "2025-08-03")
    with pytest.raises(ConfigError, match="E_LEAK"):
        train(
            **folders,
            shop="demo",
            monotone_constraints={},
            calibration=calendar,
            params=small_leaves,
        )


@pytest.mark.parametrize("form", ["plain", "offset"])
def test_customers_beyond_the_training_rows_are_corrected_and_no_others(form: Form) -> None:
    rows = dated(small_shop.rows(400, 2.0))
    far = (rows["recency_days"] > 40).to_numpy()
    rows["defected"] = np.where(far, np.arange(len(rows)) % 10 > 0, rows["defected"])
    model = fitted(form, rows[~far])
    corrected = with_far(model, rows[far], 40, NO_SEASON, spec())
    assert (corrected.predict(rows)[~far] == model.predict(rows)[~far]).all()
    assert model.predict(rows)[far].mean() < 0.7
    assert corrected.predict(rows)[far].mean() == pytest.approx(0.9, abs=0.02)
    constant = logit(corrected.predict(rows)) - corrected.explain(rows).sum(axis=1).to_numpy()
    assert np.ptp(constant[far]) < 1e-9


def test_customers_beyond_the_training_rows_who_churn_as_predicted_are_not_corrected() -> None:
    rows = dated(small_shop.rows(400, 2.0))
    far = (rows["recency_days"] > 40).to_numpy()
    model = fitted("plain", rows[~far])
    rows["defected"] = np.random.default_rng(3).random(len(rows)) < model.predict(rows)
    assert with_far(model, rows[far], 40, NO_SEASON, spec()) == model
