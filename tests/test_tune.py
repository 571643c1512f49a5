"""The search for hyperparameters: repeatable, and blind to the outcomes of the evaluation."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import small_shop
import yaml
from frozen import params

from models.defection.booster import ModelSpec, fit_booster
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.runner import ROOT
from pipeline.stages import tune as stage

PARAMS = params()
FEW = PARAMS.tune.model_copy(update={"trials": 3})
TRAIN = PARAMS.train.model_copy(update={"max_rounds": 50, "forms": ("plain",)})


@pytest.fixture(autouse=True)
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "track_search", lambda *_: None)


def trials(
    root: Path, frame: pd.DataFrame, seed: int = FEW.seed, **calendar: Any
) -> list[dict[str, Any]]:
    """The trials that the stage `tune` records for the small shop with these rows."""
    calibration = {**small_shop.calibration(), **calendar}
    given = {"shop": "small", "params": FEW.model_copy(update={"seed": seed}), "train": TRAIN}
    folders = small_shop.write(root, frame)
    stage.tune(
        **folders,
        **given,
        monotone_constraints={},
        calibration=calibration,
        track=PARAMS.track,
        root=root,
    )
    report: dict[str, Any] = json.loads((root / "reports" / "tuning.json").read_text())
    assert report["shop"] == "small"
    recorded: list[dict[str, Any]] = report["trials"]
    return recorded


def test_the_hyperparameters_in_use_come_first_and_a_seed_repeats_its_trials(
    tmp_path: Path,
) -> None:
    frame = small_shop.rows(120, 2.0)
    first = trials(tmp_path, frame)
    assert first == trials(tmp_path, frame)
    assert first != trials(tmp_path, frame, seed=FEW.seed + 1)
    in_use = first[0]["hyperparameters"]
    assert in_use == {name: getattr(TRAIN, name) for name in in_use}
    assert len({str(trial["hyperparameters"]) for trial in first}) == FEW.trials
    for trial in first:
        for name, value in trial["hyperparameters"].items():
            low, high = getattr(FEW, name)
            assert low <= value <= high, name


def test_no_outcome_that_evaluates_the_model_has_a_part_in_the_search(tmp_path: Path) -> None:
    frame = small_shop.rows(150, 2.0)
    horizon, first = pd.Timedelta(days=small_shop.HORIZON), pd.Timestamp(min(small_shop.ORIGINS))
    unknown = pd.to_datetime(frame["snapshot"]) + horizon > first
    poisoned = frame.assign(defected=frame["defected"] ^ unknown)
    assert unknown.any()
    assert trials(tmp_path / "poisoned", poisoned) == trials(tmp_path / "original", frame)


def test_a_search_without_an_older_snapshot_to_train_on_is_refused(tmp_path: Path) -> None:
    origin = min(small_shop.ORIGINS)
    with pytest.raises(ConfigError, match="E_TUNE .* no snapshot is a horizon older"):
        trials(tmp_path, small_shop.rows(120, 2.0), origins={origin: ["2025-06-01"]})


def test_a_search_in_a_shop_too_young_for_a_test_origin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="E_TUNE data/calibration.json origins"):
        trials(tmp_path, small_shop.rows(10, 2.0), origins={})


def test_training_accepts_what_is_searched_for() -> None:
    rows = small_shop.rows(60, 2.0)
    ranges = FEW.model_dump(exclude={"trials", "seed"})
    for end in (0, 1):
        changed = TRAIN.model_copy(update={name: ends[end] for name, ends in ranges.items()})
        spec = ModelSpec(["mood"], changed, {}, small_shop.HORIZON)
        assert fit_booster(rows, spec, 2).num_trees() == 2


def test_nothing_waits_for_the_search_and_no_reproduction_runs_it() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["tune"]["frozen"]
    assert "outs" not in stages["tune"]
