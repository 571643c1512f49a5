"""What reaches MLflow and what does not, who is champion, and what happens while the tracking server is away.

On a sqlite file, and on a real MLflow server with a real PostgreSQL.
"""

import json
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
import tracking_server

from models.defection import matrix, probabilities
from pipeline import model as commands
from pipeline import spool, store
from pipeline import track as track_module
from pipeline.errors import BusyError, ConfigError, TrackingError
from pipeline.evaluate import evaluate
from pipeline.model_file import booster_of
from pipeline.params import Params, load
from pipeline.record import hashes
from pipeline.runner import ROOT, locked
from pipeline.store import Folder
from pipeline.track import opened, track
from pipeline.train import train

pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"),
]

PARAMS = load(ROOT)
CANARY = "canary-4711"  # the id of a customer
SPENT = 918273.25  # what he alone has spent, within a year and ever
PASSWORD = "hunter2"


@dataclass(frozen=True)
class Made:
    """A shop with two models: one taught by everything, one without the weather, half of what decides."""

    folders: dict[str, Folder]
    strong: Folder
    weak: Folder
    found: dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    frame, few = small_shop.rows(300, 2.0), PARAMS.train.model_copy(update={"max_rounds": 100})
    frame.loc[frame["customer_id"] == "c0007", ["spend", "net_spend_365d"]] = SPENT
    frame["customer_id"] = frame["customer_id"].replace("c0007", CANARY)
    models, folders = {}, {}
    for name, rows in (("weak", frame.drop(columns="weather")), ("strong", frame)):
        folders = small_shop.write(folder, rows)
        files = train(**folders, directions={}, calibration=small_shop.calibration(), params=few)["model"]
        models[name] = small_shop.model_folder(folder / name, files)
    quick = PARAMS.evaluate.model_copy(update={"bootstrap": 20})
    found = evaluate(**folders, model=models["strong"], calibration=small_shop.calibration(), shop="demo", params=quick, costs=PARAMS.costs)
    store.write(folder / "plots", found["plots"])
    manifest = {"shop": "demo", "snapshot": small_shop.DATA_END, "model_id": "0123456789ab", "customers": 300}
    store.write(folder / "lists" / "manifest.json", manifest)
    store.write(folder / "lists" / "core_care.csv", f"customer_id,net_spend_365d\n{CANARY},{SPENT}\n")
    return Made({**folders, "lists": Folder(folder / "lists"), "plots": Folder(folder / "plots")}, **models, found=found)


@dataclass(frozen=True)
class Project:
    """A folder whose results are tracked at an address, in an experiment and a registered model of its own."""

    root: Path
    made: Made
    uri: str | None

    def params(self, **changes: Any) -> Params:
        own = {"uri": self.uri, "experiment": self.root.name, "model_name": self.root.name, "timeout_seconds": 20, **changes}
        return PARAMS.model_copy(update={"shop": "demo", "track": PARAMS.track.model_copy(update=own)})

    def track(self, page: str = "a page", which: str = "strong", verdict: str = "model", **changes: Any) -> dict[str, Any]:
        """Track a result, another one for another page; what reports/mlflow.json says."""
        params = self.params(**changes)
        track(
            model=getattr(self.made, which),
            **self.made.folders,
            retention_desk=page,
            metrics=self.made.found["metrics"] | {"verdict": verdict},
            model_card=self.made.found["model_card"],
            hypotheses=[{"id": "F2", "verdict": "unknown"}],
            stage_counts=pd.DataFrame({"as_of": [small_shop.DATA_END], "stage": ["core"], "activity": ["active"], "customers": [300]}),
            calibration=small_shop.calibration(),
            shop="demo",
            params=params.track,
            train=params.train,
            evaluate=params.evaluate.model_copy(update={"bootstrap": 40}),
            costs=params.costs,
            root=self.root,
        )
        found: dict[str, Any] = store.read(self.root / "reports" / "mlflow.json")
        return found

    @property
    def client(self) -> Any:
        return opened(self.root, self.params().track).client

    @property
    def name(self) -> str:
        return f"{self.root.name}-demo"

    def runs(self) -> list[Any]:
        """Runs that are not deleted, oldest first."""
        experiment = self.client.get_experiment_by_name(self.root.name)
        return sorted(self.client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The address of a kind of store; the server is started when it is first asked for."""
    folder = tmp_path_factory.mktemp("server")
    known = {"sqlite": f"sqlite:///{folder / 'mlflow.db'}"}
    running = tracking_server.mlflow_server(folder)

    def address(kind: str) -> str:
        if kind not in known:
            known[kind] = running.__enter__()
        return known[kind]

    yield address
    if "server" in known:
        running.__exit__(None, None, None)


def project_at(folder: Path, made: Made, uri: str | None) -> Project:
    shutil.copytree(ROOT / "shops", folder / "shops")
    shutil.copy(ROOT / "params.yaml", folder)
    return Project(folder, made, uri)


@pytest.fixture(params=["sqlite", "server"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]
) -> Project:
    return project_at(tmp_path_factory.mktemp("project"), made, addresses(request.param))


@pytest.fixture
def local(tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]) -> Project:
    return project_at(tmp_path_factory.mktemp("project"), made, addresses("sqlite"))


def test_a_result_is_one_run_however_often_it_is_tracked_with_all_that_belongs_to_it(project: Project, tmp_path: Path) -> None:
    first = project.track()
    assert list(first) == "run_id experiment model_name model_version alias reason".split()
    assert project.track() == first
    (run,) = project.runs()
    assert (run.info.run_id, run.info.status) == (first["run_id"], "FINISHED")
    assert float(run.data.params["train.learning_rate"]) == PARAMS.train.learning_rate
    assert float(run.data.params["costs.gamma"]) == PARAMS.costs.gamma
    assert run.data.metrics["benchmark.model.auc"] == project.made.found["metrics"]["benchmark"]["model"]["auc"]
    assert run.data.metrics["peers.recency.brier"] == project.made.found["metrics"]["peers"]["recency"]["brier"]
    assert {"shop", "verdict", "params.sha256", "manifest.sha256", "page.sha256", "result"} <= set(run.data.tags)
    files = Folder(Path(project.client.download_artifacts(run.info.run_id, "", str(tmp_path))))
    assert {"metrics.json", "model_card.md", "stage_counts.csv", "plots/gains.svg", "model/MLmodel"} <= set(files.names("**/*"))
    assert files.read("model_card.md") == project.made.found["model_card"]
    data = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(data) == {"events", "features", "lifecycle", "labels"}
    told = json.loads(data["features"].schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in told] == [(name, "double") for name in small_shop_columns(project)]
    assert data["features"].profile is None


def small_shop_columns(project: Project) -> list[str]:
    columns: list[str] = project.made.strong.read("model.json")["features"]
    return columns


def test_the_registered_model_is_text_with_a_signature_and_scores_as_the_one_at_hand(project: Project, tmp_path: Path) -> None:
    import mlflow

    run = project.track()
    assert (run["model_name"], run["model_version"], run["alias"]) == (project.name, "1", "champion")
    place = Path(project.client.download_artifacts(run["run_id"], "model", str(tmp_path)))
    assert {path.suffix for path in place.iterdir()} == {"", ".lgb", ".txt", ".yaml"}
    assert (place / "model.lgb").read_text().startswith("tree\n")
    columns = small_shop_columns(project)
    signature = mlflow.models.get_model_info(str(place)).signature
    assert [(column.name, str(column.type)) for column in signature.inputs] == [(name, "DataType.double") for name in columns]
    rows = small_shop.rows(50, 2.0, seed=3)
    loaded = mlflow.lightgbm.load_model(str(place))
    about = project.made.strong.read("model.json")
    expected = probabilities(booster_of(project.made.strong, about, "model.txt"), matrix(rows, columns))
    np.testing.assert_array_equal(probabilities(loaded, matrix(rows, columns)), expected)
    assert project.client.get_model_version_by_alias(project.name, "champion").run_id == run["run_id"]


@dataclass(frozen=True)
class Governed:
    """A project after four results - weak, strong, the same again, one without a signal - and what was said of each."""

    project: Project
    said: list[dict[str, Any]]
    aliases: dict[str, str]


@pytest.fixture(scope="module", params=["sqlite", "server"])
def governed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]
) -> Governed:
    project = project_at(tmp_path_factory.mktemp("governed"), made, addresses(request.param))
    results = (("one", "weak", "model"), ("two", "strong", "model"), ("three", "strong", "model"), ("four", "strong", "no_signal"))
    said = [project.track(*result) for result in results]
    return Governed(project, said, opened(project.root, project.params().track).aliases(project.name))


def test_champion_moves_only_to_a_newcomer_that_beats_it(governed: Governed) -> None:
    first, better, same, mute = governed.said
    assert (first["model_version"], first["alias"], first["reason"]) == ("1", "champion", "first champion of the shop")
    assert (better["model_version"], better["alias"]) == ("2", "champion")
    assert better["reason"].startswith("better: AUC 0.")
    assert better["reason"].endswith("(champion: version 1)")
    assert (same["model_version"], same["alias"]) == ("3", "challenger")
    assert same["reason"].startswith("not better beyond chance: AUC")
    assert (mute["model_version"], mute["alias"]) == ("4", "challenger")
    assert mute["reason"].startswith("nobody is scored by it")
    assert governed.aliases == {"champion": "2", "challenger": "4"}


def test_promote_and_rollback_move_the_alias_and_keep_the_reason(governed: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    project, root = governed.project, governed.project.root
    monkeypatch.setattr(commands, "load", lambda _: project.params())
    assert commands.promote("3", "  the pilot\nshops ask for it ", root) == f"{project.name}: champion is version 3, was 2"
    tags = project.client.get_model_version(project.name, "3").tags
    assert {key: tags[f"champion.{key}"] for key in ("reason", "from", "to")} == {
        "reason": "the pilot shops ask for it",
        "from": "2",
        "to": "3",
    }
    assert commands.rollback("they changed their mind", root) == f"{project.name}: champion is version 2 again, was 3"
    assert project.client.get_model_version(project.name, "3").tags["champion.left"] == "to version 2: they changed their mind"
    assert commands.rollback("and again", root) == f"{project.name}: champion is version 1 again, was 2"
    with pytest.raises(ConfigError, match="E_VERSION .* no earlier champion is known"):
        commands.rollback("once more", root)
    told = commands.listing(root).splitlines()
    assert [line for line in told if line.startswith(project.name)] == [
        f"{project.name} version 1, champion",
        f"{project.name} version 2",
        f"{project.name} version 3",
        f"{project.name} version 4, challenger",
    ]
    assert sum("  shop demo, as of 2025-09-01, registered 20" in line for line in told) == 4
    assert sum(" of model, 30 days, trained through 2025-08-02" in line for line in told) == 3
    assert any("before it version 2: and again" in line for line in told)
    assert project.track("five", "strong")["reason"].endswith("(champion: version 1)")


@pytest.mark.parametrize(
    ("version", "reason", "said"),
    [
        ("9", "why not", "E_VERSION .*-demo 9 — no such version — one of: 1, 2"),
        ("one", "why not", "E_VERSION .*-demo one — no such version — one of: 1, 2"),
        ("1", "why not", "E_VERSION .*-demo 1 — it is champion already"),
        ("2", " \n", "E_REASON --reason — 0 characters"),
        ("2", "why " * 200, "E_REASON --reason — 799 characters"),
    ],
)
def test_a_promotion_that_cannot_be_is_one_line_with_exit_code_2(
    version: str, reason: str, said: str, two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: two.params())
    with pytest.raises(ConfigError, match=said) as refused:
        commands.promote(version, reason, two.root)
    assert refused.value.exit_code == 2


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]) -> Project:
    """Two versions, the first champion."""
    project = project_at(tmp_path_factory.mktemp("two"), made, addresses("sqlite"))
    for page in ("one", "two"):
        project.track(page)
    return project


def test_the_version_that_the_list_is_made_with_is_marked(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load", lambda _: two.params())
    assert "the list here" not in commands.listing(two.root)
    store.write(two.root / "data" / "lists" / "manifest.json", two.made.folders["lists"].read("manifest.json"))
    assert f"{two.name} version 1, champion; the list here is made with it" in commands.listing(two.root).splitlines()


def test_a_shop_without_versions_has_nothing_to_promote(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load", lambda _: local.params())
    assert commands.listing(local.root) == "no version of the model is registered yet: run `make repro`"
    for command in (lambda: commands.promote("1", "x", local.root), lambda: commands.rollback("x", local.root)):
        with pytest.raises(ConfigError, match="E_VERSION"):
            command()


@pytest.mark.parametrize("broken", ["log_inputs", "create_model_version", "set_registered_model_alias", "set_terminated"])
def test_a_run_that_was_broken_off_is_sent_again_and_is_there_once(broken: str, local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    def breaks(*_: Any, **__: Any) -> None:
        raise mlflow.exceptions.MlflowException("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, broken, breaks)
        assert local.track()["run_id"] is None
    run = local.track()
    assert [found.info.run_id for found in local.runs()] == [run["run_id"]]
    assert local.runs()[0].info.status == "FINISHED"
    assert run["alias"] == "champion"
    assert opened(local.root, local.params().track).numbers(local.name) == [run["model_version"]]
    assert spool.waiting(local.root) == []


def test_a_slow_server_gets_one_run_more_each_time(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track_module, "PATIENCE", 0)
    for page in ("monday", "tuesday"):
        local.track(page, uri=f"http://127.0.0.1:{tracking_server.free_port()}", timeout_seconds=1)
    assert local.track("wednesday")["run_id"] is None
    assert len(spool.waiting(local.root)) == 2
    assert local.track("wednesday")["run_id"] is None
    assert local.track("wednesday")["model_version"] == "3"


def test_a_champion_whose_files_are_gone_is_not_compared(local: Project) -> None:
    local.track("one", "weak")
    shutil.rmtree(next((local.root / "mlartifacts").iterdir()) / "artifacts" / "scorers")
    found = local.track("two", "strong")
    assert (found["alias"], found["reason"]) == (
        "challenger",
        "not compared: model.json: it is not there or cannot be read (champion: version 1)",
    )


def test_a_version_that_someone_else_registered_is_listed_and_not_compared(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    local.client.create_registered_model(local.name)
    experiment = local.client.create_experiment(local.root.name, artifact_location=(local.root / "mlartifacts").as_uri())
    run = local.client.create_run(experiment)
    local.client.create_model_version(local.name, f"{run.info.artifact_uri}/model", run.info.run_id)
    local.client.set_registered_model_alias(local.name, "champion", "1")
    assert local.track()["reason"].startswith("not compared: model.json")
    monkeypatch.setattr(commands, "load", lambda _: local.params())
    assert f"{local.name} version 1, champion" in commands.listing(local.root)
    assert commands.promote("2", "ours", local.root).endswith("version 2, was 1")
    assert commands.rollback("theirs", local.root).endswith("version 1 again, was 2")


def test_no_alias_moves_while_a_run_is_being_tracked(two: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "load", lambda _: two.params())
    with locked(two.root, "track"), pytest.raises(BusyError) as refused:
        commands.promote("2", "now", two.root)
    assert refused.value.exit_code == 6


def test_a_command_without_a_reason_is_one_line_with_exit_code_2() -> None:
    words = ["promote", "1", "--reason", " "]
    ended = subprocess.run([sys.executable, "-m", "pipeline", "model", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "E_REASON --reason — 0 characters — say why in 1 to 500 characters, naming nobody\n"


class Failing(BaseHTTPRequestHandler):
    """Answers that it cannot, and asks to be left alone for an hour."""

    def do_GET(self) -> None:
        self.send_response(503 if "busy" in str(self.headers) else 500)
        self.send_header("Retry-After", "3600")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


class Silent(socketserver.BaseRequestHandler):
    """Takes the call and never answers."""

    def handle(self) -> None:
        self.request.settimeout(30)
        while self.request.recv(65536):
            pass


@pytest.fixture(params=["down", "failing", "silent"])
def away(request: pytest.FixtureRequest) -> Iterator[str]:
    """Host and port of a server that does not do its part."""
    if request.param == "down":
        yield f"127.0.0.1:{tracking_server.free_port()}"
        return
    kind = (
        ThreadingHTTPServer(("127.0.0.1", 0), Failing)
        if request.param == "failing"
        else socketserver.ThreadingTCPServer(("127.0.0.1", 0), Silent)
    )
    kind.daemon_threads = True
    kind.block_on_close = False
    thread = threading.Thread(target=kind.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{kind.server_address[1]}"
    kind.shutdown()
    kind.server_close()
    thread.join()


def test_a_server_that_is_away_stops_nothing_and_gets_every_run_once_in_order_when_it_is_back(
    away: str, local: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    missed = local.track("monday", uri=f"http://{away}", timeout_seconds=1)
    assert time.monotonic() - began < 20
    assert missed == {
        **dict.fromkeys(("run_id", "model_name", "model_version", "alias")),
        "experiment": local.root.name,
        "reason": "tracking is away: the run waits in mlspool",
    }
    assert "not tracked: E_TRACKING track.uri — the tracking server does not do its part: " in capfd.readouterr().out
    with pytest.raises(TrackingError) as refused:
        local.track("tuesday", uri=f"http://{away}", timeout_seconds=1, required=True)
    assert refused.value.exit_code == 8
    run = local.track("wednesday")
    kept = {found.data.tags["page.sha256"]: found.info for found in local.runs()}
    assert [store.text_sha256(page) for page in ("monday", "tuesday", "wednesday")] == list(kept)
    assert list(kept.values())[-1].run_id == run["run_id"]
    assert spool.waiting(local.root) == []
    versions = opened(local.root, local.params().track).versions()
    why = {version.version: version.tags["why"] for version in versions if version.name == local.name}
    assert [why[number] for number in sorted(why)][:2] == [
        "first champion of the shop",
        "not compared: it was sent later, when the rows to compare it on were no longer at hand",
    ]
    assert run["reason"].startswith("not better beyond chance")


def test_a_password_in_the_address_is_never_told(
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


@pytest.mark.parametrize("uri", [f"http://shop:{PASSWORD}@host", f"postgresql://shop:{PASSWORD}@host/mlflow", "./mlruns"])
def test_an_address_with_a_password_or_of_another_kind_is_refused_without_showing_it(uri: str, local: Project) -> None:
    params = local.root / "params.yaml"
    params.write_text(params.read_text().replace("  uri: null", f'  uri: "{uri}"'))
    with pytest.raises(ConfigError, match=r"E_PARAM params.yaml:\d+ track.uri") as refused:
        load(local.root)
    assert PASSWORD not in str(refused.value)


def test_another_kind_of_store_in_the_environment_is_refused_without_showing_it(local: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://shop:{PASSWORD}@host/mlflow")
    with pytest.raises(ConfigError, match="E_PARAM MLFLOW_TRACKING_URI") as refused:
        local.track(uri=None)
    assert PASSWORD not in str(refused.value)


def test_nothing_of_a_customer_reaches_mlflow(
    tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str], capfd: pytest.CaptureFixture[str]
) -> None:
    project = project_at(tmp_path_factory.mktemp("private"), made, addresses("sqlite"))
    project.track(f"<p>{CANARY} has spent {SPENT}</p>")
    said = capfd.readouterr()
    database = Path(addresses("sqlite").removeprefix("sqlite:///"))
    kept = [path for place in (project.root, database.parent) for path in place.rglob("*") if path.is_file()]
    assert {"MLmodel", "peers.json", "mlflow.json", "mlflow.db"} <= {path.name for path in kept}
    texts = {str(path): path.read_bytes() for path in kept} | {"what is said": (said.out + said.err).encode()}
    for canary in (CANARY, str(SPENT), f"{SPENT:.2f}", f"{SPENT:.6g}", f"{SPENT:.17g}"):
        assert [name for name, text in texts.items() if canary.encode() in text] == []
    at_hand = [path.read_bytes() for path in made.strong.path.glob("model.txt")]
    assert all(str(SPENT).encode() in text for text in at_hand), "the greatest spend would have stood in the booster's text"


def test_hashes_are_those_of_dvc_only_while_dvc_runs_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages:\n  ingest:\n    outs:\n    - path: data/events\n      md5: abc.dir\n")
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert hashes(tmp_path) == {}
    monkeypatch.setenv("DVC_STAGE", "track")
    assert hashes(tmp_path) == {"data/events": "abc.dir"}
