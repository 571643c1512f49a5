"""The search for a shape: repeatable, and blind to every outcome the model is later examined by."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import small_shop
import yaml
from frozen import params

from models.defection.booster import fit
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.runner import ROOT
from pipeline.stages.tune import known_first, search

PARAMS = params()
FEW = PARAMS.tune.model_copy(update={"trials": 3})
TRAIN = PARAMS.train.model_copy(update={"max_rounds": 50, "forms": ("plain",)})


def rows_known(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    folders = small_shop.write(folder, frame)
    return known_first(**folders, calibration=small_shop.calibration())


def trials(rows: pd.DataFrame, **changed: Any) -> list[dict[str, Any]]:
    columns = ["recency_days", "purchases", "mood", "weather"]
    return search(rows, columns, small_shop.HORIZON, {}, TRAIN, FEW.model_copy(update=changed))


def test_the_shape_in_use_is_tried_first_and_the_same_seed_tries_the_same(tmp_path: Path) -> None:
    rows = rows_known(tmp_path, small_shop.rows(120, 2.0))
    found = trials(rows)
    assert found == trials(rows)
    assert found != trials(rows, seed=FEW.seed + 1)
    assert found[0]["shape"] == {name: getattr(TRAIN, name) for name in found[0]["shape"]}
    assert len({str(trial["shape"]) for trial in found}) == FEW.trials
    for trial in found:
        for name, value in trial["shape"].items():
            low, high = getattr(FEW, name)
            assert low <= value <= high


def test_no_outcome_that_examines_the_model_has_a_part_in_the_search(tmp_path: Path) -> None:
    frame = small_shop.rows(150, 2.0)
    first = min(small_shop.ORIGINS)
    unknown = pd.to_datetime(frame["snapshot"]) + pd.Timedelta(
        days=small_shop.HORIZON
    ) > pd.Timestamp(first)
    poisoned = frame.assign(defected=frame["defected"] ^ unknown)
    assert unknown.any()
    rows = rows_known(tmp_path / "as it was", frame)
    assert set(rows["snapshot"]) == set(small_shop.ORIGINS[first])
    pd.testing.assert_frame_equal(rows_known(tmp_path / "poisoned", poisoned), rows)


def test_a_search_without_an_earlier_snapshot_to_learn_from_is_refused(tmp_path: Path) -> None:
    rows = rows_known(tmp_path, small_shop.rows(120, 2.0))
    with pytest.raises(ConfigError, match="E_TUNE"):
        trials(rows[rows["snapshot"] == rows["snapshot"].max()])


def test_a_search_in_a_shop_too_young_for_a_test_origin_is_refused(tmp_path: Path) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(10, 2.0))
    with pytest.raises(ConfigError, match="E_TUNE data/calibration.json origins"):
        known_first(**folders, calibration={**small_shop.calibration(), "origins": {}})


def test_what_is_searched_for_is_a_shape_the_training_takes() -> None:
    rows = small_shop.rows(60, 2.0)
    for end in (0, 1):
        shape = {
            name: ends[end] for name, ends in FEW.model_dump(exclude={"trials", "seed"}).items()
        }
        assert (
            fit(
                rows,
                ["mood"],
                rows["defected"].to_numpy(bool),
                TRAIN.model_copy(update=shape),
                2,
                {},
            ).num_trees()
            == 2
        )


def test_nothing_waits_for_the_search_and_no_reproduction_runs_it() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["tune"]["frozen"]
    assert "outs" not in stages["tune"]
