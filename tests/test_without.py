"""The worth of a feature is measured by leaving it out."""

from pathlib import Path

import pytest
import small_shop
from frozen import params

from benchmarks.without import AGAIN, WITHOUT, Worth, columns_named, worth
from features.settings import Windows
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError

WINDOWS = Windows((30, 90), (30,))
PRESENT = (
    "spend spend_in_30d spend_in_90d complaints complaints_90d days_since_complaint gap_cv".split()
)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("gap_cv", "gap_cv"),
        ("spend_in_90d", "spend_in_90d"),
        ("spend_in", "spend_in_30d spend_in_90d"),
        ("monetary", "spend spend_in_30d spend_in_90d"),
        ("complaints", "complaints complaints_90d days_since_complaint"),
    ],
    ids=["column", "one window", "all windows", "family", "a family of the name of a column"],
)
def test_a_name_is_a_column_its_windows_or_a_family(name: str, columns: str) -> None:
    assert columns_named([name], WINDOWS, PRESENT) == columns.split()


def test_several_names_are_left_out_together_in_the_order_of_the_file() -> None:
    assert columns_named(["gap_cv", "spend", "gap_cv"], WINDOWS, PRESENT) == ["spend", "gap_cv"]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("gap_vc", "did you mean gap_cv"),
        ("varity", "did you mean variety"),
        ("touches", "run `make repro`"),
    ],
)
def test_an_unknown_name_is_refused_with_what_to_do(name: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=f"E_COLUMN {name} .*{fix}"):
        columns_named([name], WINDOWS, PRESENT)


def shop_without(folder: Path, column: str) -> Worth:
    """The small shop, whose churn depends on mood and weather, evaluated without a column."""
    small_shop.write(folder, small_shop.rows(300, signal=2.0))
    store.write(folder / "calibration.json", small_shop.calibration())
    store.write(folder / "monotone_constraints.json", {})
    return worth([column], folder, params())


def test_a_feature_that_predicts_churn_is_worth_more_than_chance(tmp_path: Path) -> None:
    result = shop_without(tmp_path, "mood")
    assert result.rows == 300 * len(small_shop.ORIGINS)
    assert result.deltas[WITHOUT]["auc"][1] > 0.1
    assert result.deltas[WITHOUT]["brier"][2] < 0
    assert abs(result.deltas[AGAIN]["auc"][0]) < result.deltas[WITHOUT]["auc"][0] / 3


def test_a_feature_that_predicts_nothing_is_worth_about_as_much_as_another_seed(
    tmp_path: Path,
) -> None:
    deltas = shop_without(tmp_path, "spend").deltas
    point, low, high = deltas[WITHOUT]["auc"]
    assert abs(point) < 1.5 * abs(deltas[AGAIN]["auc"][0])
    assert low <= point <= high
