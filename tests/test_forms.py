"""Boosting alone and boosting from a simple rule: what each says, which is taken, and that nothing of it is lost on the way to the list."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop

from models.forms import BASE, Model, fit_form, preferred
from models.peers import predict, teach
from models.settings import Form
from pipeline.errors import ModelError
from pipeline.model_file import scorer
from pipeline.params import load
from pipeline.runner import ROOT
from pipeline.train import choice_for, train

PARAMS = load(ROOT).train
COLUMNS = ["recency_days", "purchases", "spend", "net_spend_365d", "mood", "weather"]
NOBODY = pd.DataFrame()
OFFSET = PARAMS.model_copy(update={"forms": ("offset",)})


def fitted(form: Form, rows: pd.DataFrame, rounds: int = 40) -> Model:
    return fit_form(form, rows, COLUMNS, teach(BASE, rows, rows["defected"].to_numpy(bool)), PARAMS, rounds, {})


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
    base = teach(BASE, rows, rows["defected"].to_numpy(bool))
    model = fit_form("offset", rows, COLUMNS, base, still, 1, {})
    assert model.predict(rows) == pytest.approx(predict(base, rows), abs=1e-12)


@pytest.mark.parametrize(
    ("plain", "taken"),
    [([0.5, 0.5, 0.5, 0.5], "offset"), ([0.6, 0.2, 0.6, 0.4], "offset"), ([0.4, 0.4, 0.4, 0.5], "plain"), ([0.6, 0.6, 0.6, 0.6], "offset")],
    ids=["alike", "better by chance", "better", "worse"],
)
def test_the_form_nearer_to_the_rule_is_left_only_for_one_that_is_better_by_more_than_a_standard_error(
    plain: list[float], taken: str
) -> None:
    assert preferred({"plain": np.array(plain), "offset": np.full(4, 0.5)})[0] == taken


def test_what_only_trees_can_see_is_learnt_by_either_form_and_its_losses_are_told() -> None:
    rows = small_shop.rows(300, 2.0)
    choice = choice_for(rows.assign(snapshot=rows["snapshot"].astype(str)), NOBODY, COLUMNS, small_shop.HORIZON, PARAMS, {})
    assert set(choice.losses) == {"plain", "offset", BASE}
    assert max(choice.losses["plain"], choice.losses["offset"]) < choice.losses[BASE] - 0.05
    assert choice.error > 0


def test_a_shop_with_no_snapshot_a_horizon_before_another_takes_the_form_nearest_to_the_rule() -> None:
    choice = choice_for(of_one_day(small_shop.rows(300, 2.0), small_shop.FINAL[0]), NOBODY, COLUMNS, small_shop.HORIZON, PARAMS, {})
    assert choice == ("offset", PARAMS.max_rounds // 4, {}, 0.0, False)


def test_the_choice_knows_nothing_of_what_comes_later_than_its_rows() -> None:
    rows = small_shop.rows(200, 2.0)
    rows["snapshot"] = rows["snapshot"].astype(str)
    past = rows[rows["snapshot"] <= "2025-06-01"]
    newest = past["snapshot"] == past["snapshot"].max()
    between = (past["snapshot"] > "2025-05-02") & ~newest  # their outcome was not known yet when the newest was asked
    poisoned = past.assign(defected=past["defected"] ^ between)
    assert between.any()
    assert choice_for(poisoned, NOBODY, COLUMNS, small_shop.HORIZON, OFFSET, {}) == choice_for(
        past, NOBODY, COLUMNS, small_shop.HORIZON, OFFSET, {}
    )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `train` makes of a small shop whose model starts from the rule."""
    folders = small_shop.write(tmp_path_factory.mktemp("started"), small_shop.rows(150, 2.0))
    return train(**folders, directions={}, calibration=small_shop.calibration(), params=OFFSET)["model"]


def test_a_model_that_starts_from_the_rule_says_so_and_scores_from_disk_as_when_it_was_trained(
    started: dict[str, Any], tmp_path: Path
) -> None:
    about = started["model.json"]
    assert {chosen["form"] for chosen in about["chosen"].values()} == {"offset"}
    asked = small_shop.rows(20, 2.0)
    chosen = scorer(small_shop.model_folder(tmp_path, started), "model", about["features"], small_shop.DATA_END)
    base = started["peers.json"]["model.txt"][BASE]
    assert np.corrcoef(chosen.predict(asked), predict(base, asked))[0, 1] < 0.99
    rest = np.log(1 / chosen.predict(asked) - 1) + chosen.explain(asked).sum(axis=1)
    assert np.ptp(rest) < 1e-9


@pytest.mark.parametrize(("file", "code"), [("peers.json", "E_MODEL_CHANGED peers.json"), ("model.json", "E_MODEL_CANARY")])
def test_a_model_that_would_start_from_elsewhere_is_refused(file: str, code: str, started: dict[str, Any], tmp_path: Path) -> None:
    model = small_shop.model_folder(tmp_path, started)
    path = model.path / file
    path.write_text(path.read_text().replace('"intercept": ', '"intercept": 9').replace('"form": "offset"', '"form": "plain"'))
    with pytest.raises(ModelError, match=code):
        scorer(model, "model", started["model.json"]["features"], small_shop.DATA_END)
