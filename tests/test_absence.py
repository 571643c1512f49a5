"""A shop has no feature of what it does not record, and a model reads only its training columns."""

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

from models.reasons.catalogue import CATALOGUE, EVIDENCE_FEATURES
from pipeline.engine.evidence import trends_of
from pipeline.engine.rows import feature_names
from pipeline.registry.model_files import scorer
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder
from pipeline.stages.extract import extract

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
NEEDS = sorted(
    {need for column in columns() for need in column.needs}
    | {need for reason in CATALOGUE for group in reason.needs for need in group}
)


def features_without(folder: Path, *needs: str) -> Folder:
    """The features of a shop that does not record these tables and columns of tables."""
    tables = {
        name: rows for name, rows in tables_of_raw(raw_of(CUSTOMERS)).items() if name not in needs
    }
    for table, _, column in (need.partition(".") for need in needs):
        if column and table in tables and column in tables[table].column_names:
            tables[table] = tables[table].drop_columns([column])
    events = ingested(
        folder, {f"{name}.parquet": rows for name, rows in tables.items()}, data_end=iso(50)
    ).events
    frozen = {"expected_ipt": 30, "log_sd": 0.5, "snapshots": [iso(45)], "long_runs": {"": 5}}
    p = params()
    trends = trends_of(events, p.engine)
    made = extract(events, frozen, trends, p.reasons, p.ipt, p.sla, [], p.windows, p.engine)
    store.write(folder / "features", made["features"])
    return Folder(folder / "features")


def evidence_of_shop_with(recorded: set[str]) -> list[str]:
    """The features of reasons to leave that a shop with these tables and columns has."""
    known = [r for r in CATALOGUE if any(recorded.issuperset(group) for group in r.needs)]
    return [feature.name for reason in known for feature in reason.features]


def test_a_feature_file_has_exactly_the_columns_whose_needs_are_recorded(tmp_path: Path) -> None:
    wrong = {}
    for need in NEEDS:
        (tmp_path / need).mkdir()
        in_file = feature_names(features_without(tmp_path / need, need))
        absent = {name for name in NEEDS if name == need or name.startswith(f"{need}.")}
        expected = [c.name for c in columns() if not absent.intersection(c.needs)]
        left = set(NEEDS) - absent - {"returns.settled_at"}  # which this shop never records
        expected += evidence_of_shop_with(left)
        if in_file != expected:
            wrong[need] = sorted(set(in_file) ^ set(expected))
    assert not wrong, f"columns in the file without their needs, or missing: {wrong}"


def test_a_shop_that_records_everything_has_every_feature(tmp_path: Path) -> None:
    every = [column.name for column in (*columns(), *EVIDENCE_FEATURES)]
    assert feature_names(features_without(tmp_path)) == every


def test_a_shop_of_orders_alone_has_the_features_without_needs(tmp_path: Path) -> None:
    folder = features_without(tmp_path, *NEEDS, "customers")
    assert feature_names(folder) == [column.name for column in columns() if not column.needs]
    assert pq.read_table(folder.path / "part-000.parquet")["purchases"].to_pylist() == [3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, Any]]:
    """The models of a shop with and without a column about complaints."""
    models, few = {}, params().train.model_copy(update={"max_rounds": 20, "round_step": 10})
    for with_complaints in (True, False):
        frame = small_shop.rows(400, 2.0)
        if with_complaints:
            frame.insert(len(frame.columns) - 1, "complaints_open", np.float32(0))
        folder = tmp_path_factory.mktemp("shop")
        models[with_complaints] = small_shop.trained(folder, frame, few)[1]
    return models


@pytest.mark.parametrize("verdict", ["model", "logistic_rfm"])
@pytest.mark.parametrize(
    "with_complaints", [True, False], ids=["trained on complaints", "not trained on them"]
)
def test_a_model_scores_its_training_columns_and_refuses_others(
    with_complaints: bool, verdict: str, trained: dict[bool, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, trained[with_complaints])
    own, others = (
        trained[which]["model.json"]["features"] for which in (with_complaints, not with_complaints)
    )
    assert set(own) ^ set(others) == {"complaints_open"}
    assert scorer(model, verdict, own, small_shop.DATA_END).model_id
    with pytest.raises(ModelError, match="E_MODEL_SCHEMA .* complaints_open") as refused:
        scorer(model, verdict, others, small_shop.DATA_END)
    assert refused.value.exit_code == 5
