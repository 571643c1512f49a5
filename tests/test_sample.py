"""A large shop is modelled on a sample of customers, and scored whole."""

from pathlib import Path
from typing import Any

import pandas as pd
import small_shop
from frozen import params

from pipeline.engine.rows import joined, scored_features
from pipeline.runtime.store import Folder
from pipeline.stages.train import train


def sampled(folders: dict[str, Folder], most: int) -> pd.DataFrame:
    calibration = {**small_shop.calibration(), "sample_customers": most}
    snapshots = list(small_shop.ORIGINS)
    return joined(
        folders["features"], folders["lifecycle"], calibration, folders["labels"], snapshots
    )


def test_a_sample_has_all_snapshots_of_the_same_customers_in_every_stage(tmp_path: Path) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(80, 1.0))
    few, more, everybody = (sampled(folders, most) for most in (20, 40, 999))
    assert everybody["customer_id"].nunique() == 80
    for rows, size in ((few, 20), (more, 40)):
        whole = everybody[everybody["customer_id"].isin(rows["customer_id"])]
        pd.testing.assert_frame_equal(rows, whole.reset_index(drop=True))
        assert rows["customer_id"].nunique() == size
    assert set(few["customer_id"]) < set(more["customer_id"])


def test_a_model_is_trained_on_the_sample_and_everybody_is_scored(tmp_path: Path) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(200, 1.0))
    calibration: dict[str, Any] = {**small_shop.calibration(), "sample_customers": 150}
    files = train(
        **folders,
        monotone_constraints={},
        calibration=calibration,
        shop="small",
        params=params().train,
    )["model"]
    assert files["model.json"]["grouped_cv"]["customers"] == 150
    everybody = scored_features(folders["features"], folders["lifecycle"], small_shop.DATA_END)
    assert len(everybody) == 200
