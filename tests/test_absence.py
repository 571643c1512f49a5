"""What a shop does not record is no feature of it, and no model reads what it was not taught by."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_shop
from frozen import params
from raw_customers import iso, raw_of, tables_of_raw
from raw_shop import ingested
from situations import Complaint, Order, Return, columns, customer

from pipeline.engine.rows import feature_names
from pipeline.registry.model_files import scorer
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder
from pipeline.stages.extract import extract
from pipeline.stages.train import train

CUSTOMERS = [
    customer(
        orders=[
            Order(
                day, 10, promised=day + 2, delivered=day + 3, sku=1, category=0, cancelled=day + 9
            )
            for day in (0, 20, 40)
        ],
        returns=[Return(25)],
        complaints=[Complaint(22, 0, 24, 26)],
        touches=[30],
    )
]
NEEDS = sorted({need for column in columns() for need in column.needs})


def features_without(folder: Path, *needs: str) -> Folder:
    """The features of a shop that does not record these tables and columns of tables."""
    tables = {
        name: rows for name, rows in tables_of_raw(raw_of(CUSTOMERS)).items() if name not in needs
    }
    for table, _, column in (need.partition(".") for need in needs):
        if column and table in tables:
            tables[table] = tables[table].drop_columns([column])
    events = ingested(
        folder, {f"{name}.parquet": rows for name, rows in tables.items()}, data_end=iso(50)
    ).events
    frozen = {"expected_ipt": 30, "log_sd": 0.5, "snapshots": [iso(45)]}
    made = extract(
        events, frozen, params().ipt, params().sla, [], params().windows, params().engine
    )
    store.write(folder / "features", made["features"])
    return Folder(folder / "features")


@pytest.mark.parametrize("need", NEEDS)
def test_features_that_need_what_a_shop_does_not_record_are_no_columns_of_its_file(
    need: str, tmp_path: Path
) -> None:
    found = feature_names(features_without(tmp_path, need))
    lost = {name for name in NEEDS if name == need or name.startswith(f"{need}.")}
    assert found == [column.name for column in columns() if not lost.intersection(column.needs)]
    assert len(found) < len(columns())


def test_a_shop_that_records_everything_has_every_feature_and_one_of_nothing_but_orders_those_that_need_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "orders").mkdir()
    assert feature_names(features_without(tmp_path / "all")) == [
        column.name for column in columns()
    ]
    found = features_without(tmp_path / "orders", *NEEDS, "customers")
    assert feature_names(found) == [column.name for column in columns() if not column.needs]
    assert pq.read_table(found.path / "part-000.parquet")["purchases"].to_pylist() == [3]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, Any]]:
    """What `train` makes of a shop with and without a column about complaints."""
    made, few = {}, params().train.model_copy(update={"max_rounds": 20, "round_step": 10})
    for with_complaints in (True, False):
        frame = small_shop.rows(400, 2.0)
        if with_complaints:
            frame.insert(len(frame.columns) - 1, "complaints_open", np.float32(0))
        folders = small_shop.write(tmp_path_factory.mktemp("shop"), frame)
        made[with_complaints] = train(
            **folders, monotone_constraints={}, calibration=small_shop.calibration(), params=few
        )["model"]
    return made


@pytest.mark.parametrize("verdict", ["model", "logistic_rfm"])
@pytest.mark.parametrize(
    "with_complaints", [True, False], ids=["taught by complaints", "not taught by them"]
)
def test_a_model_is_asked_about_the_columns_it_was_taught_by_and_no_others(
    with_complaints: bool, verdict: str, taught: dict[bool, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, taught[with_complaints])
    own, others = (
        taught[which]["model.json"]["features"] for which in (with_complaints, not with_complaints)
    )
    assert set(own) ^ set(others) == {"complaints_open"}
    assert scorer(model, verdict, own, small_shop.DATA_END).model_id
    with pytest.raises(ModelError, match="E_MODEL_SCHEMA .* complaints_open") as refused:
        scorer(model, verdict, others, small_shop.DATA_END)
    assert refused.value.exit_code == 5
