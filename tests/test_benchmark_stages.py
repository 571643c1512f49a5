"""The benchmark of the stages compares like with like, and says what is missed."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.score_parts import PARTS, REST, measured_parts
from benchmarks.stage_shop import crowd, crowded_inputs
from benchmarks.stage_work import PIECES, Shop, measured, shop_in
from benchmarks.stages import TARGETS, against, pieces, whole_runs
from benchmarks.whole_run import import_seconds
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.stages import score
from tests import small_shop
from tests.frozen import project

CUSTOMERS = 150
MONEY = ("value_365d", "value_at_risk")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A folder like the project's, with a small shop of made-up rows and its model."""
    root = project(tmp_path_factory.mktemp("shop"), "dvc.yaml", "playbook.yaml", "shops")
    (root / "reports").mkdir()
    frame = small_shop.rows(CUSTOMERS, signal=2)
    store.write(root / "data" / "calibration.json", small_shop.calibration())
    store.write(root / "data" / "monotone_constraints.json", {})
    params = load(root)
    few = params.train.model_copy(update={"max_rounds": 20, "round_step": 10})
    small_shop.model_folder(root / "data", small_shop.trained(root / "data", frame, few)[1])
    ids = sorted(frame["customer_id"].unique())
    known: dict[str, Any] = {"customer": range(len(ids)), "customer_id": ids}
    store.write(root / "data" / "events" / "customers" / "part-000.parquet", pa.table(known))
    return shop_in(root)


def test_the_bare_training_grows_the_same_trees(shop: Shop, tmp_path: Path) -> None:
    grown = []
    for piece in ("training", "training_bare"):
        PIECES[piece](shop, tmp_path)()
        text = (tmp_path / "model.txt").read_text()
        grown.append(text[text.index("Tree=0") : text.index("end of trees")])
    assert grown[0] == grown[1]


def test_a_run_costs_time_and_memory_and_its_warm_up_is_not_counted(
    shop: Shop, tmp_path: Path
) -> None:
    cost = measured("risk_bare", shop.root, shop.root, tmp_path)
    assert 0 < cost.cpu_s < cost.start_s
    assert cost.rss_gb > 0.05
    snapshots = len(shop.calibration["snapshots"])
    assert pq.read_metadata(tmp_path / "risk.parquet").num_rows == CUSTOMERS * snapshots


def test_a_crowd_has_the_size_given_and_every_customer_has_an_own_id(
    shop: Shop, tmp_path: Path
) -> None:
    target = crowd(shop.root, tmp_path / "crowd", 4 * CUSTOMERS + 1)
    for name in ("features", "lifecycle", "events/customers"):
        ids = pq.read_table(target / "data" / name, columns=["customer_id"])[
            "customer_id"
        ].to_pylist()
        assert len(set(ids)) == len(ids) == 5 * CUSTOMERS


def test_each_copy_of_the_input_tables_has_ids_of_its_own(tmp_path: Path) -> None:
    source = tmp_path / "raw"
    orders = {"customer_id": ["a", "b"], "order_id": ["1", "2"], "sku": ["s", "s"]}
    complaints = {"customer_id": ["a"], "complaint_id": ["1"], "order_id": pa.nulls(1, pa.string())}
    rivals = {"category": ["c"]}
    for name, rows in (("orders", orders), ("complaints", complaints), ("rivals", rivals)):
        store.write(source / f"{name}.parquet", pa.table(rows))
    store.write(source / "customers.parquet", pa.table({"customer_id": ["a", "b"]}))
    target = crowded_inputs(source, tmp_path / "crowd", 5)
    made = {path.stem: pq.read_table(path).to_pydict() for path in target.glob("*.parquet")}
    assert len(set(made["customers"]["customer_id"])) == 6
    assert len(set(made["orders"]["order_id"])) == 6 and set(made["orders"]["sku"]) == {"s"}
    assert made["complaints"]["order_id"] == [None] * 3
    assert made["rivals"] == {"category": ["c"]}


def test_the_parts_of_scoring_count_once_and_its_functions_are_as_before() -> None:
    before = score.texts
    with measured_parts() as seconds:
        assert score.texts is not before
        score.value_at_risk(pd.DataFrame({"risk": [], "stage": [], **dict.fromkeys(MONEY, [])}))
    assert score.texts is before
    assert seconds["decisions"] > 0
    assert set(seconds) == {*PARTS, REST}


def test_what_is_above_its_must_is_missed() -> None:
    runs = {
        name: {"cpu_s": 10.0, "wall_s": 10.0, "rss_gb": 1.0}
        for target in TARGETS.values()
        for name in (target.of, target.over)
        if name
    }
    runs["demo_second_day"]["cpu_s"] = 3.0
    runs["explanations"]["cpu_s"] = 2.0
    runs["risk"]["cpu_s"] = 12.1
    targets = against(runs)
    assert {name for name, target in targets.items() if target["met"] is False} == {
        "risk_over_bare"
    }
    assert targets["risk_over_bare"] == {"measured": 1.21, "must": 1.2, "stretch": 1, "met": False}


def test_all_that_a_target_compares_is_measured(tmp_path: Path) -> None:
    assert {name for target in TARGETS.values() for name in (target.of, target.over) if name} <= {
        *pieces(tmp_path),
        *whole_runs(tmp_path, 1),
    }


def test_imports_are_added_up_by_the_modules_own_time() -> None:
    said = "import time: self [us] | cumulative | imported package\n"
    said += "import time:       200 |        200 |   a\nimport time:   1000000 |    1000200 | b\n"
    assert import_seconds(said) == 1.0002
