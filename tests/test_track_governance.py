"""The champion: which new version becomes it, what a person may decide, and what is listed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tracked_shop import MLFLOWS_OWN_WARNINGS, Made, Project, project_at

from pipeline.registry import commands
from pipeline.registry.bundle import files_of
from pipeline.registry.champion import model_at
from pipeline.registry.mlflow_server import connect
from pipeline.runtime import store
from pipeline.runtime.errors import BusyError, ConfigError, ModelError
from pipeline.runtime.runner import ROOT, champion_folder, locked
from pipeline.runtime.store import Folder

NEXT = "It makes the next list: run `make repro` or `corekeep score`"
pytestmark = MLFLOWS_OWN_WARNINGS


@dataclass(frozen=True)
class Governed:
    """A project after four results: weak, strong, the same again, one without a signal.

    `said` has what reports/mlflow.json said of each.
    """

    project: Project
    said: list[dict[str, Any]]
    aliases: dict[str, str]


@pytest.fixture(scope="module", params=["sqlite", "server"])
def governed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    made: Made,
    addresses: Callable[[str], str],
) -> Governed:
    project = project_at(tmp_path_factory.mktemp("governed"), made, addresses(request.param))
    results = (
        ("one", "weak", "model"),
        ("two", "strong", "model"),
        ("three", "strong", "model"),
        ("four", "strong", "no_signal"),
    )
    said = [project.track(*result) for result in results]
    return Governed(
        project, said, connect(project.root, project.params().track).aliases(project.name)
    )


def test_champion_moves_only_to_a_newcomer_that_beats_it(governed: Governed) -> None:
    first, better, same, mute = governed.said
    assert (first["model_version"], first["alias"], first["reason"]) == (
        "1",
        "champion",
        "first champion of the shop",
    )
    assert (better["model_version"], better["alias"]) == ("2", "champion")
    assert better["reason"].startswith("better: AUC 0.")
    assert better["reason"].endswith("(champion: version 1)")
    assert (same["model_version"], same["alias"]) == ("3", "challenger")
    assert same["reason"].startswith("not better beyond chance: AUC")
    assert (mute["model_version"], mute["alias"]) == ("4", "challenger")
    assert mute["reason"].startswith("nobody is scored by it")
    assert governed.aliases == {"champion": "2", "challenger": "4"}


def test_the_champion_of_the_registry_is_the_bundle_that_lies_here(governed: Governed) -> None:
    root, name = governed.project.root, governed.project.name
    kept = files_of(Folder(champion_folder(root, "demo")))
    assert json.loads(kept.pop("registered.json"))["model_version"] == "2"
    for version in ("@champion", "/2"):
        with model_at(root, governed.project.params(), f"models:/{name}{version}") as bundle:
            assert files_of(bundle) == kept
    with model_at(root, governed.project.params(), f"models:/{name}/1") as another:
        assert files_of(another) != kept
    params = governed.project.params()
    with pytest.raises(ModelError, match="E_MODEL_MISSING .* no such version"):
        model_at(root, params, f"models:/{name}/99").__enter__()


def test_promote_and_rollback_move_the_alias_and_keep_the_reason(
    governed: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, root = governed.project, governed.project.root
    monkeypatch.setattr(commands, "load", lambda _: project.params())
    assert (
        commands.promote("3", "  the pilot\nshops ask for it ", root)
        == f"{project.name}: champion is version 3, was 2. {NEXT}"
    )
    tags = project.client.get_model_version(project.name, "3").tags
    assert {key: tags[f"champion.{key}"] for key in ("reason", "from", "to")} == {
        "reason": "the pilot shops ask for it",
        "from": "2",
        "to": "3",
    }
    assert (
        commands.rollback("they changed their mind", root)
        == f"{project.name}: champion is version 2 again, was 3. {NEXT}"
    )
    assert (
        project.client.get_model_version(project.name, "3").tags["champion.left"]
        == "to version 2: they changed their mind"
    )
    assert (
        commands.rollback("and again", root)
        == f"{project.name}: champion is version 1 again, was 2. {NEXT}"
    )
    with pytest.raises(ConfigError, match="E_VERSION .* no earlier champion is known"):
        commands.rollback("once more", root)
    lines = commands.listing(root).splitlines()
    assert [line for line in lines if line.startswith(project.name)] == [
        f"{project.name} version 1, champion",
        f"{project.name} version 2",
        f"{project.name} version 3",
        f"{project.name} version 4, challenger",
    ]
    assert sum("  shop demo, as of 2025-09-01, registered 20" in line for line in lines) == 4
    assert sum(" of model, 30 days, trained through 2025-08-02" in line for line in lines) == 3
    assert any("before it version 2: and again" in line for line in lines)
    assert project.track("five", "strong")["reason"].endswith("(champion: version 1)")


@pytest.fixture(scope="module")
def two(
    tmp_path_factory: pytest.TempPathFactory, made: Made, addresses: Callable[[str], str]
) -> Project:
    """Two versions, the first champion."""
    project = project_at(tmp_path_factory.mktemp("two"), made, addresses("sqlite"))
    for page in ("one", "two"):
        project.track(page)
    return project


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


def test_the_version_that_the_list_is_made_with_is_marked(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: two.params())
    assert "the list here" not in commands.listing(two.root)
    store.write(
        two.root / "data" / "lists" / "manifest.json",
        {
            "shop": "demo",
            "model_id": two.made.strong.read("model.json")["sha256"]["model.txt"][:12],
        },
    )
    assert (
        f"{two.name} version 1, champion; the list here is made with it"
        in commands.listing(two.root).splitlines()
    )


def test_a_shop_without_versions_has_nothing_to_promote(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: local.params())
    assert (
        commands.listing(local.root)
        == "no version of the model is registered yet: run `make repro`"
    )
    for command in (
        lambda: commands.promote("1", "x", local.root),
        lambda: commands.rollback("x", local.root),
    ):
        with pytest.raises(ConfigError, match="E_VERSION"):
            command()


def test_a_champion_whose_files_are_gone_is_not_compared(local: Project) -> None:
    local.track("one", "weak")
    shutil.rmtree(next((local.root / "mlartifacts").iterdir()) / "artifacts" / "scorers")
    run = local.track("two", "strong")
    assert (run["alias"], run["reason"]) == (
        "challenger",
        "not compared: model.json: it is missing or cannot be read (champion: version 1)",
    )


def test_a_version_that_someone_else_registered_is_listed_and_not_compared(
    local: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.client.create_registered_model(local.name)
    experiment = local.client.create_experiment(
        local.root.name, artifact_location=(local.root / "mlartifacts").as_uri()
    )
    run = local.client.create_run(experiment)
    local.client.create_model_version(local.name, f"{run.info.artifact_uri}/model", run.info.run_id)
    local.client.set_registered_model_alias(local.name, "champion", "1")
    assert local.track()["reason"].startswith("not compared: model.json")
    monkeypatch.setattr(commands, "load", lambda _: local.params())
    assert f"{local.name} version 1, champion" in commands.listing(local.root)
    assert commands.promote("2", "ours", local.root).endswith(f"version 2, was 1. {NEXT}")
    said = commands.rollback("theirs", local.root)
    assert "version 1 again, was 2. It cannot make the list: E_MODEL_MISSING" in said


def test_no_alias_moves_while_a_run_is_being_tracked(
    two: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: two.params())
    with locked(two.root, "track"), pytest.raises(BusyError) as refused:
        commands.promote("2", "now", two.root)
    assert refused.value.exit_code == 6


def test_a_command_without_a_reason_is_one_line_with_exit_code_2() -> None:
    words = ["promote", "1", "--reason", " "]
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", "model", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    fix = "give a reason of 1 to 500 characters that names nobody"
    assert ended.stderr == f"E_REASON --reason — 0 characters — {fix}\n"
