"""SHAP values from the table against LightGBM, on boosters of every shape that training makes."""

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from features.records import Floats
from models.defection.booster import MANY, shap, text_of, tree_sums
from models.defection.tree_shap import shap_table, shap_values

SHAPES: dict[str, dict[str, Any]] = {
    "of the demo": {"num_leaves": 7, "extra_trees": True, "feature_fraction": 0.5},
    "with best thresholds": {"num_leaves": 7},
    "of two leaves": {"num_leaves": 2},
    "that never split": {"num_leaves": 7, "min_child_samples": 2000},
    "without missing values": {"num_leaves": 7, "use_missing": False},
}


def rows(seed: int) -> tuple[Floats, Any]:
    """Rows with missing values, ties and a constant column, and an outcome that depends on them."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(2000, 9)).round(1)
    values[:, 3], values[:, 4] = random.integers(0, 3, 2000), 1
    values[random.random(values.shape) < 0.2] = np.nan
    return values, np.nan_to_num(values[:, 0]) + values[:, 1].clip(-1, 1) > random.normal(size=2000)


def booster(shape: dict[str, Any], seed: int) -> lgb.Booster:
    values, outcome = rows(seed)
    fixed = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed}
    return lgb.train({**fixed, **shape}, lgb.Dataset(values, outcome), 60)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shap_values_are_those_of_lightgbm_and_log_odds_to_the_last_bit(
    shape: dict[str, Any],
) -> None:
    for seed in range(3):
        trained, (unseen, _) = booster(shape, seed), rows(seed + 100)
        unseen[0], unseen[1] = np.nan, 0.0
        table = shap_table(text_of(trained))
        assert table is not None
        scores, values = shap_values(table, unseen)
        expected = trained.predict(unseen, pred_contrib=True, num_threads=1)
        assert np.array_equal(scores, trained.predict(unseen, raw_score=True, num_threads=1))
        assert np.abs(values - expected[:, :-1]).max() < 1e-12
        assert table.expected == pytest.approx(expected[0, -1], abs=1e-12)
        assert np.abs(values.sum(axis=1) + table.expected - scores).max() < 1e-12


def test_larger_trees_and_zeros_as_missing_are_explained_by_lightgbm_itself() -> None:
    for shape in ({"num_leaves": 8}, {"num_leaves": 7, "zero_as_missing": True}):
        trained, (unseen, _) = booster(shape, 1), rows(2)
        assert shap_table(text_of(trained)) is None
        expected = trained.predict(unseen, pred_contrib=True, num_threads=1)
        assert np.array_equal(shap(trained, unseen), expected[:, :-1])


def test_many_rows_are_scored_from_the_table_as_lightgbm_scores_them() -> None:
    trained, (unseen, _) = booster(SHAPES["of the demo"], 1), rows(2)
    many = np.asfortranarray(np.resize(unseen, (MANY + 1, 9)), np.float32)
    for rounds in (None, 7):
        expected = trained.predict(many, num_iteration=rounds, raw_score=True, num_threads=1)
        assert np.array_equal(tree_sums(trained, many, rounds), expected)
    assert np.array_equal(tree_sums(trained, many[:9]), tree_sums(trained, many)[:9])
