"""While the tracking server is away, results stand, and runs wait and are sent once.

A password in its address is never shown.
"""

import re
import time
from typing import Any

import pytest
import tracking_server
from tracked_shop import MLFLOWS_OWN_WARNINGS, Project, base_rate

from pipeline.registry import commands, mlflow_server, spool
from pipeline.registry.champion import model_at
from pipeline.registry.mlflow_server import connect
from pipeline.registry.spool import WaitingRun
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError, TrackingError
from pipeline.runtime.params import load
from pipeline.runtime.runner import champion_folder

pytestmark = MLFLOWS_OWN_WARNINGS
PASSWORD = "hunter2"


def reasons(project: Project, name: str) -> list[str]:
    """Why each version of a model has its alias."""
    versions = connect(project.root, project.params().track).versions()
    return [version.tags["why"] for version in versions if version.name == name]


def missed(project: Project, *results: tuple[str, str]) -> list[WaitingRun]:
    """Track results without a server; return the runs that wait."""
    for page, which in results:
        project.track(
            page, which, uri=f"http://127.0.0.1:{tracking_server.free_port()}", timeout_seconds=1
        )
    return spool.waiting_runs(project.root)


def test_an_absent_server_stops_nothing_and_gets_every_run_once_in_order_later(
    away: str, local: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    first = local.track("monday", uri=f"http://{away}", timeout_seconds=1)
    assert time.monotonic() - began < 20
    assert first == {
        **dict.fromkeys(("run_id", "model_name", "model_version", "alias")),
        "experiment": local.root.name,
        "reason": "tracking is away: the run waits in mlspool",
    }
    assert (
        "not tracked: E_TRACKING track.uri — the tracking server fails: " in capfd.readouterr().err
    )
    with pytest.raises(TrackingError) as refused:
        local.track("tuesday", uri=f"http://{away}", timeout_seconds=1, required=True)
    assert refused.value.exit_code == 8
    run = local.track("wednesday")
    kept = [(run.data.metrics["base_rate"], run.info.run_id) for run in local.runs()]
    days = ("monday", "tuesday", "wednesday")
    assert [rate for rate, _ in kept] == pytest.approx([base_rate(day) for day in days])
    assert kept[-1][1] == run["run_id"]
    assert spool.waiting_runs(local.root) == []
    assert reasons(local, local.name)[0] == "first champion of the shop"


def test_runs_that_are_sent_late_are_compared_like_any_other_on_the_rows_of_today(
    local: Project,
) -> None:
    assert len(missed(local, ("monday", "weak"), ("tuesday", "strong"))) == 2
    run = local.track("wednesday", "weak")
    first, better, worse = reasons(local, local.name)
    assert first == "first champion of the shop"
    assert better.startswith("better: AUC 0.")
    assert better.endswith("(champion: version 1)")
    assert worse == run["reason"]
    assert worse.startswith("not better beyond chance: AUC 0.")
    assert worse.endswith("(champion: version 2)")
    assert (run["model_version"], run["alias"]) == ("3", "challenger")


def test_a_waiting_run_of_another_shop_is_not_compared_on_the_rows_of_this_shop(
    local: Project,
) -> None:
    for waits in missed(local, ("monday", "weak"), ("tuesday", "strong")):
        store.write(waits.path / "run.json", {**waits.run, "shop": "grocer"})
    local.track("wednesday", "weak")
    assert reasons(local, f"{local.root.name}-grocer") == [
        "first champion of the shop",
        "not compared: it was sent while another shop, with other rows, was chosen",
    ]


@pytest.mark.parametrize(
    ("changed", "became", "left"),
    [
        ({"sha256": {}}, "is removed, its model not registered: E_MODEL_CHANGED", 0),
        ({"lightgbm": "99.0.0"}, "goes on waiting: E_MODEL_VERSION", 1),
    ],
)
def test_a_run_whose_model_does_not_load_blocks_no_other_and_waits_if_that_may_change(
    changed: dict[str, Any],
    became: str,
    left: int,
    local: Project,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (waits,) = missed(local, ("monday", "strong"))
    about = waits.artifacts.read("scorers/model.json")
    store.write(waits.artifacts.path / "scorers" / "model.json", {**about, **changed})
    assert local.track("tuesday")["alias"] == "champion"
    assert f"mlspool/000001 {became}" in capfd.readouterr().err
    assert [run.info.status for run in local.runs()] == ["FAILED", "FINISHED"]
    assert len(spool.waiting_runs(local.root)) == left


def test_a_slow_server_gets_one_more_run_each_time(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_server, "PATIENCE", 0)
    missed(local, ("monday", "strong"), ("tuesday", "strong"))
    assert local.track("wednesday")["run_id"] is None
    assert len(spool.waiting_runs(local.root)) == 2
    assert local.track("wednesday")["run_id"] is None
    assert local.track("wednesday")["model_version"] == "3"


def test_a_list_waits_once_for_an_absent_server_and_is_made_with_the_champion_kept_here(
    away: str, local: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    local.track()
    params = local.params(uri=f"http://{away}", timeout_seconds=1)
    began = time.monotonic()
    with model_at(local.root, params, f"models:/{local.name}@champion") as bundle:
        assert bundle.path == champion_folder(local.root, "demo")
    assert time.monotonic() - began < 5
    assert "the champion kept on this machine is used" in capfd.readouterr().err
    with pytest.raises(TrackingError):
        model_at(local.root, params, f"models:/{local.name}/1").__enter__()


def test_a_password_in_the_address_is_never_shown(
    away: str, local: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://shop:{PASSWORD}@{away}")
    local.track(uri=None, timeout_seconds=1)
    monkeypatch.setattr(commands, "load", lambda _: local.params(uri=None, timeout_seconds=1))
    with pytest.raises(TrackingError) as refused:
        commands.listing(local.root)
    said = capfd.readouterr()
    assert PASSWORD not in said.out + said.err + str(refused.value)
    for path in local.root.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    "uri", [f"http://shop:{PASSWORD}@host", f"postgresql://shop:{PASSWORD}@host/mlflow", "./mlruns"]
)
def test_an_address_with_a_password_or_of_another_kind_is_refused_without_showing_it(
    uri: str, local: Project
) -> None:
    params = local.root / "params.yaml"
    params.write_text(re.sub(r"(?m)^  uri:.*$", f'  uri: "{uri}"', params.read_text()))
    with pytest.raises(ConfigError, match=r"E_PARAM params.yaml:\d+ track.uri") as refused:
        load(local.root)
    assert PASSWORD not in str(refused.value)


def test_another_kind_of_store_in_the_environment_is_refused_without_showing_it(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://shop:{PASSWORD}@host/mlflow")
    with pytest.raises(ConfigError, match="E_PARAM MLFLOW_TRACKING_URI") as refused:
        local.track(uri=None)
    assert PASSWORD not in str(refused.value)
