"""A tiny shop under odd parameters and odd deliveries: a result or one line, never a traceback."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frozen import PATH

from benchmarks.extreme_params import RUNS, TRACEBACK, extremes, outcome, readers, tiny_shop
from pipeline.delivery import nightly
from pipeline.registry.bundle import bundle_of
from pipeline.runtime import store
from pipeline.runtime.params import Params
from pipeline.runtime.store import Folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("tiny") / "shop"
    folder.mkdir()
    return folder, tiny_shop(folder, PATH)


@pytest.mark.parametrize(
    "keys", [("score", "capacity"), ("score", "hold_out_days"), ("costs", "save_rate")]
)
def test_the_ends_of_what_loads_end_with_a_result_or_one_line(
    keys: tuple[str, str], tiny: tuple[Path, dict[str, Any]]
) -> None:
    """A slice: `python -m benchmarks.extreme_params` tries every parameter."""
    folder, content = tiny
    tried = extremes(content, keys)
    assert len(tried) >= 2
    for value, params in tried:
        how = outcome(folder, params, readers(keys[0])[-1:])
        assert not how.startswith(TRACEBACK), f"{'.'.join(keys)}: {value!r}: {how}"


def test_fewer_trees_than_one_step_of_the_search_are_trained(
    tiny: tuple[Path, dict[str, Any]],
) -> None:
    folder, content = tiny
    train = {**content["train"], "max_rounds": 3, "round_step": 50}
    assert outcome(folder, Params.model_validate({**content, "train": train}), ["train"]) == RUNS


def champion_of(folder: Path) -> Folder:
    evaluation = store.read(folder / "reports" / "evaluation.json") | {"verdict": "model"}
    calibration = store.read(folder / "data" / "calibration.json")
    model = folder / "data" / "champion" / "demo"
    store.write(
        model, bundle_of(folder, Folder(folder / "data" / "model"), evaluation, calibration)
    )
    return Folder(model)


def test_a_shop_in_which_everybody_objects_gets_a_list_without_customers(
    tiny: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, content = tiny
    raw = shutil.copytree(folder / "data" / "shops" / "demo", tmp_path / "raw")
    customers = pd.read_parquet(raw / "customers.parquet").assign(profiling_objection=True)
    customers.to_parquet(raw / "customers.parquet", index=False)
    kept = folder / ".cache" / "last_run" / "demo.json"
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # as where no other command ever ran
    params = Params.model_validate(content)
    work = nightly.job(folder, champion_of(folder), params, tmp_path / "lists", raw)
    published, lists, _ = nightly.score(work)
    assert published
    assert (lists.manifest["customers"], len(lists.files["call.csv"])) == (0, 0)
    assert lists.manifest["profiling_objections"] == len(customers)
    assert store.read(kept)["lines"] > 1000  # the next delivery is compared with this one
