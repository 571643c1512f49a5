"""One run for each result: what it holds, what it must not, and that it is there once.

On a sqlite file, and on a real MLflow server with a real PostgreSQL.
"""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_shop
from tracked_shop import CANARY, MLFLOWS_OWN_WARNINGS, PARAMS, SPENT, Made, Project, project_at

from models.defection.booster import matrix, tree_sums
from pipeline.delivery.prune import prune
from pipeline.registry import commands, spool
from pipeline.registry.bundle import files_of, scoring_in
from pipeline.registry.mlflow_server import _escape_percent, connect, uri_of
from pipeline.registry.model_files import booster_of
from pipeline.registry.run_record import dvc_hashes
from pipeline.runtime.runner import champion_folder, unregistered
from pipeline.runtime.store import Folder

pytestmark = MLFLOWS_OWN_WARNINGS


def test_a_result_is_one_run_however_often_it_is_tracked_with_all_that_belongs_to_it(
    project: Project, tmp_path: Path
) -> None:
    first = project.track()
    assert list(first) == "run_id experiment model_name model_version alias reason".split()
    assert project.track() == first
    (run,) = project.runs()
    assert (run.info.run_id, run.info.status) == (first["run_id"], "FINISHED")
    assert float(run.data.params["train.learning_rate"]) == PARAMS.train.learning_rate
    assert float(run.data.params["costs.save_rate"]) == PARAMS.costs.save_rate
    assert (
        run.data.metrics["benchmark.model.auc"]
        == project.made.evaluated["metrics"]["benchmark"]["model"]["auc"]
    )
    delta = project.made.evaluated["metrics"]["benchmark"]["delta"]["logistic_rfm"]["auc"]
    assert run.data.metrics["benchmark.delta.logistic_rfm.auc"] == delta[0]
    assert 20 < len(run.data.metrics) <= 40
    assert run.info.run_name == f"demo {small_shop.DATA_END}"  # and the commit, in a git clone
    assert project.made.evaluated["evaluation"]["grade"] in run.data.tags["mlflow.note.content"]
    assert {"shop", "verdict", "params.sha256", "result"} <= set(run.data.tags)
    files = Folder(Path(project.client.download_artifacts(run.info.run_id, "", str(tmp_path))))
    assert {
        "metrics.json",
        "model_card.md",
        "stage_counts.csv",
        "plots/gains.svg",
        "model/MLmodel",
    } <= set(files.names("**/*"))
    assert files.read("model_card.md") == project.made.evaluated["model_card"]
    data = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(data) == {"events", "features", "lifecycle", "labels"}
    features = json.loads(data["features"].schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in features] == [
        (name, "double") for name in small_shop_columns(project)
    ]
    assert data["features"].profile is None


def small_shop_columns(project: Project) -> list[str]:
    columns: list[str] = project.made.strong.read("model.json")["features"]
    return columns


def test_the_registered_model_is_text_with_a_signature_and_scores_as_the_one_at_hand(
    project: Project, tmp_path: Path
) -> None:
    import mlflow

    run = project.track()
    assert (run["model_name"], run["model_version"], run["alias"]) == (
        project.name,
        "1",
        "champion",
    )
    place = Path(project.client.download_artifacts(run["run_id"], "model", str(tmp_path)))
    assert {path.suffix for path in place.iterdir()} == {"", ".lgb", ".txt", ".yaml"}
    assert (place / "model.lgb").read_text().startswith("tree\n")
    columns = small_shop_columns(project)
    signature = mlflow.models.get_model_info(str(place)).signature
    assert [(column.name, str(column.type)) for column in signature.inputs] == [
        (name, "DataType.double") for name in columns
    ]
    rows = small_shop.rows(50, 2.0, seed=3)
    loaded = mlflow.lightgbm.load_model(str(place))
    about = project.made.strong.read("model.json")
    expected = tree_sums(booster_of(project.made.strong, about, "model.txt"), matrix(rows, columns))
    np.testing.assert_array_equal(tree_sums(loaded, matrix(rows, columns)), expected)
    assert (
        project.client.get_model_version_by_alias(project.name, "champion").run_id == run["run_id"]
    )


def test_an_experiment_registers_no_version_and_the_same_result_published_does(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "quick-fox")
    run = local.track()
    assert (run["model_version"], run["reason"]) == (None, "an experiment registers no version")
    assert unregistered(local.root).exists()
    monkeypatch.delenv("DVC_EXP_NAME")
    assert local.track()["model_version"] == "1"
    assert [run.data.tags.get("dvc.experiment") for run in local.runs()] == ["quick-fox", None]


def test_the_champion_is_kept_on_this_machine_with_all_that_scoring_needs_and_a_loser_is_not(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: local.params())
    kept = Folder(champion_folder(local.root, "demo"))
    assert local.track("first", "strong")["alias"] == "champion"
    first = files_of(kept)
    assert first["model.txt"] == (local.made.strong.path / "model.txt").read_bytes()
    assert scoring_in(kept, "demo").verdict == "model"
    assert local.track("second", "weak")["alias"] == "challenger"
    again = files_of(kept)
    assert {name: again[name] for name in first} == first
    commands.promote("2", "a trial", local.root)
    assert files_of(kept)["model.txt"] == (local.made.weak.path / "model.txt").read_bytes()


def test_a_champion_whose_features_are_no_longer_made_gives_way_to_the_model_just_trained(
    local: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Folder(champion_folder(local.root, "demo"))
    assert local.track("first", "weak")["alias"] == "champion"  # it has one feature less
    capsys.readouterr()
    assert local.track("second", "strong", verdict="no_signal")["alias"] == "challenger"
    assert "its features are no longer made): the model that was just" in capsys.readouterr().err
    assert kept.read("model.json") == local.made.strong.read("model.json")
    assert kept.read("registered.json")["alias"] == "challenger"


def test_a_result_that_registers_nothing_makes_the_list_only_where_there_is_no_champion(
    local: Project,
) -> None:
    kept = Folder(champion_folder(local.root, "demo"))
    assert local.track("one", verdict="no_signal")["alias"] == "challenger"
    assert scoring_in(kept, "demo").verdict == "no_signal"
    assert local.track("two")["alias"] == "champion"
    assert scoring_in(kept, "demo").verdict == "model"
    assert local.track("three", verdict="no_signal")["alias"] == "challenger"
    assert scoring_in(kept, "demo").verdict == "model"


@pytest.mark.parametrize(
    "broken", ["log_inputs", "create_model_version", "set_registered_model_alias", "set_terminated"]
)
def test_a_run_that_was_broken_off_is_sent_again_and_is_there_once(
    broken: str, local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    def breaks(*_: Any, **__: Any) -> None:
        raise mlflow.exceptions.MlflowException("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, broken, breaks)
        assert local.track()["run_id"] is None
    run = local.track()
    assert [run.info.run_id for run in local.runs()] == [run["run_id"]]
    assert local.runs()[0].info.status == "FINISHED"
    assert run["alias"] == "champion"
    assert connect(local.root, local.params().track).numbers(local.name) == [run["model_version"]]
    assert spool.waiting_runs(local.root) == []


def test_nothing_of_a_customer_reaches_mlflow(
    tmp_path_factory: pytest.TempPathFactory,
    made: Made,
    addresses: Callable[[str], str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    project = project_at(tmp_path_factory.mktemp("private"), made, addresses("sqlite"))
    project.track()
    said = capfd.readouterr()
    database = Path(addresses("sqlite").removeprefix("sqlite:///"))
    kept = [
        path
        for place in (project.root, database.parent)
        for path in place.rglob("*")
        if path.is_file()
    ]
    assert {"MLmodel", "baselines.json", "mlflow.json", "mlflow.db"} <= {path.name for path in kept}
    texts = {str(path): path.read_bytes() for path in kept} | {
        "what is said": (said.out + said.err).encode()
    }
    for canary in (CANARY, str(SPENT), f"{SPENT:.2f}", f"{SPENT:.6g}", f"{SPENT:.17g}"):
        begins = re.compile(
            rb"(?<!\d)" + re.escape(canary.encode())
        )  # not digits of another number
        assert [name for name, text in texts.items() if begins.search(text)] == []


def test_prune_removes_the_files_of_old_runs_that_registered_no_version_and_keeps_the_others(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.delivery.prune.load", lambda _: local.params())
    monkeypatch.setenv("DVC_EXP_NAME", "quick-fox")
    experiments = [local.track(name)["run_id"] for name in ("one", "two", "three")]
    monkeypatch.delenv("DVC_EXP_NAME")
    registered = local.track("four")["run_id"]
    local.client.delete_run(experiments[1])
    years_ago = sqlite3.connect(str(local.uri).removeprefix("sqlite:///"))
    with years_ago:
        old = (experiments[0], registered)
        years_ago.execute("update runs set start_time = 0 where run_uuid in (?, ?)", old)
    expected = sorted(f"mlartifacts/{run_id}" for run_id in experiments[:2])
    assert prune(local.root).paths == expected
    assert {run.info.run_id for run in local.runs()} == {*experiments[::2], registered}
    assert prune(local.root, dry_run=False).paths == expected
    assert {run.info.run_id for run in local.runs()} == {experiments[2], registered}
    kept = {path.name for path in (local.root / "mlartifacts").iterdir()}
    assert kept == {experiments[2], registered}
    assert prune(local.root).paths == []


def test_a_folder_with_a_percent_sign_does_not_break_mlflows_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from alembic.config import Config

    monkeypatch.setattr(Config, "set_main_option", Config.set_main_option)
    _escape_percent()
    config = Config()
    config.set_main_option("script_location", "/50% off/scripts")
    assert config.get_main_option("script_location") == "/50% off/scripts"


def test_a_folder_named_like_a_part_of_an_address_holds_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import create_engine

    root = tmp_path / "my shop #1%20?"
    root.mkdir()
    monkeypatch.chdir(root)
    with create_engine(uri_of(PARAMS.track, root)).connect() as connection:
        connection.exec_driver_sql("create table tried (x integer)")
    assert (root / "mlflow.db").exists()


def test_hashes_are_those_of_dvc_only_while_dvc_runs_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  ingest:\n"
        "    outs:\n    - path: data/events\n      md5: abc.dir\n"
    )
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert dvc_hashes(tmp_path) == {}
    monkeypatch.setenv("DVC_STAGE", "track")
    assert dvc_hashes(tmp_path) == {"data/events": "abc.dir"}
