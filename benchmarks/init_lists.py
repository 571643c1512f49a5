"""Compare the lists of sources that `corekeep init --yes` wrote with those written by hand.

python -m benchmarks.init_lists FOLDER [SHOP ...]: FOLDER has the raw files of the real shops. Both
sources run with the horizon of the shop's own YAML file, up to the stage `score`.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import ROOT
from pipeline.inputs.init.command import init
from pipeline.inputs.init.questions import Answers
from pipeline.runtime.repro import choose
from pipeline.runtime.runner import run_stage
from pipeline.runtime.yaml_file import read_yaml

RAW = {"cdnow": "cdnow_sample.txt", "online_retail": "online_retail.parquet"}
ANSWERS: dict[str, dict[str, Any]] = {
    "cdnow": {"currency": "USD"},
    "online_retail": {"timezone": "Europe/London", "currency": "GBP"},
}
STAGES = "ingest calibrate extract assign label train evaluate score".split()
KEPT = ["customer_id", "stage", "activity", "queue", "risk", "rank", "value_365d", "contact"]


def listed(root: Path, shop: str) -> pd.DataFrame:
    """Return the list of a shop after all its stages, one row per customer."""
    (root / "data" / "truth" / shop).mkdir(parents=True, exist_ok=True)
    choose(shop, root)
    for stage in STAGES:
        run_stage(stage, root)
    rows = pd.read_parquet(root / "data" / "lists" / "scored.parquet")[KEPT]
    return rows.set_index("customer_id").sort_index()


def compare(shop: str, source: Path) -> dict[str, float]:
    """Return how many customers both lists have, and how many rows differ in each column."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("params.yaml", "dvc.yaml", "playbook.yaml"):
            shutil.copy(ROOT / name, root / name)
        for name in ("sources", "shops"):
            shutil.copytree(ROOT / name, root / name)
        raw = root / "data" / "shops" / shop
        raw.mkdir(parents=True)
        shutil.copy(source, raw)
        by_hand = listed(root, shop)
        init([source], Answers(shop="own", yes=True, **ANSWERS[shop]), root)
        settings = root / "shops" / "own.yaml"
        calibrate = read_yaml(root / "shops" / f"{shop}.yaml", root).get("calibrate", {})
        ingest = settings.read_text(encoding="utf-8").partition("\ncalibrate:")[0]
        lines = [f"  {name}: {value}\n" for name, value in calibrate.items()]
        settings.write_text(f"{ingest}\ncalibrate:\n{''.join(lines)}", encoding="utf-8")
        own_list = listed(root, "own")
    both = by_hand.join(own_list, how="inner", lsuffix="_by_hand")
    different: dict[str, float] = {}
    for column in KEPT[1:]:
        hand, own_values = both[f"{column}_by_hand"], both[column]
        same = hand.eq(own_values) | (hand.isna() & own_values.isna())
        different[column] = int((~same).sum())
    counts = {"by_hand": len(by_hand), "init": len(own_list), "both": len(both)}
    return {**counts, **different}


if __name__ == "__main__":
    for name in sys.argv[2:] or RAW:
        print(name, compare(name, Path(sys.argv[1]) / RAW[name]))
