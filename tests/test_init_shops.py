"""`corekeep init --yes` on real shops gives the events of the sources written by hand."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from frozen import params, project
from raw_shop import Ingested
from test_init import taken
from test_sources import run_source

from benchmarks.init_lists import ANSWERS, RAW
from pipeline.inputs.init.command import init
from pipeline.inputs.init.questions import Answers
from pipeline.runtime.runner import function


def events(result: Ingested, table: str) -> pd.DataFrame:
    """The rows of a table of events. Sources name an order as they like, so its name is left out.

    Returns of both shops name no order.
    """
    rows = pd.DataFrame(result.rows(table)).drop(columns="order_id", errors="ignore")
    return rows.sort_values(list(rows.columns)).reset_index(drop=True)


@pytest.mark.parametrize("shop", RAW)
def test_a_real_shop_gives_the_events_of_its_own_source(tmp_path: Path, shop: str) -> None:
    source = Path(os.environ.get("COREKEEP_SHARED_DATA", "unset")) / RAW[shop]
    if not source.is_file():
        pytest.skip(f"COREKEEP_SHARED_DATA names no folder with {source.name}")
    project(tmp_path)
    init([source], Answers(shop="own", yes=True, **ANSWERS[shop]), tmp_path)
    own = taken(tmp_path, "own")
    (tmp_path / "by_hand").mkdir()
    shutil.copytree(tmp_path / "data" / "shops" / "own", tmp_path / "by_hand" / "raw")
    by_hand = run_source(shop, tmp_path / "by_hand" / "raw")
    for table in ("customers", "orders", "returns"):
        pd.testing.assert_frame_equal(events(own, table), events(by_hand, table))
    rules = params().calibrate, params().reasons, params().closed, params().engine
    calibrated = [function("calibrate")(shop.events, *rules) for shop in (own, by_hand)]
    assert calibrated[0]["calibration"] == calibrated[1]["calibration"]
