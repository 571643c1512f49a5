"""`dvc exp run -S ...` works here as in any DVC project.

An experiment beside the commit it began at, and its run in MLflow.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import frozen
import pytest
import small_shop
import yaml
from tracked_shop import MLFLOWS_OWN_WARNINGS, PARAMS

from pipeline.registry.mlflow_server import connect
from pipeline.runtime import store
from pipeline.runtime.runner import ROOT

pytestmark = MLFLOWS_OWN_WARNINGS

FEW = {"max_rounds": 50, "bootstrap": 20, "num_leaves": 7}
# what an experiment on a model changes; what other stages make is there as they would leave it
STAGES = ("train", "evaluate", "track")


def run(folder: Path, *words: str) -> str:
    """What a command says on its output."""
    author = {
        f"GIT_{who}_{what}": "t@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, **author, "PATH": path}
    ended = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with this project's code and three of its stages, and the data of a small
    shop.
    """
    folder = tmp_path_factory.mktemp("experiments")
    for name in (
        "features",
        "models",
        "pipeline",
        "shops",
        "my_models.py",
        ".dvc/config",
        ".dvc/.gitignore",
        ".gitignore",
        ".dvcignore",
    ):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (folder / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, folder / name)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    (folder / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {name: stages[name] for name in STAGES}})
    )
    params = frozen.TEXT
    for key, value in FEW.items():
        params = re.sub(rf"(?m)^(  {key}:) \d+", rf"\1 {value}", params, count=1)
    (folder / "params.yaml").write_text(params)
    small_shop.write(folder / "data", small_shop.rows(150, 2.0))
    others = {
        "data/calibration.json": small_shop.calibration(),
        "data/monotone_constraints.json": {},
        "data/events/meta.json": {},
    }
    others |= {"reports/hypotheses.json": [], "reports/stage_counts.csv": "as_of\n"}
    for name, content in others.items():
        store.write(folder / name, content)
    for words in ("git init --quiet", "git add --all", "git commit --quiet --message base"):
        run(folder, *words.split())
    return folder


def test_an_experiment_is_shown_beside_its_commit_with_parameter_and_figures_and_its_run_names_it(
    project: Path, addresses: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", addresses("sqlite"))
    run(project, "dvc", "exp", "run", "-S", "train.num_leaves=5")
    head = run(project, "git", "rev-parse", "HEAD").strip()
    shown = {
        entry["rev"]: entry for entry in json.loads(run(project, "dvc", "exp", "show", "--json"))
    }
    (experiment,) = (revision for entry in shown[head]["experiments"] for revision in entry["revs"])
    assert experiment["data"]["params"]["params.yaml"]["data"]["train"]["num_leaves"] == 5
    assert (
        shown[head]["data"]["params"]["params.yaml"]["data"]["train"]["num_leaves"]
        == FEW["num_leaves"]
    )
    auc = store.read(project / "reports" / "metrics.json")["benchmark"]["model"]["auc"]
    assert (
        experiment["data"]["metrics"]["reports/metrics.json"]["data"]["benchmark"]["model"]["auc"]
        == auc
    )
    assert store.read(project / "data" / "model" / "model.json")["params"]["num_leaves"] == 5
    tracked = connect(project, PARAMS.track).client.get_run(
        store.read(project / "reports" / "mlflow.json")["run_id"]
    )
    assert store.read(project / "reports" / "mlflow.json")["model_version"] is None
    assert tracked.data.tags["dvc.experiment"] == experiment["name"]
    assert tracked.data.tags["git.commit"] == head
    assert tracked.data.params["train.num_leaves"] == "5"
    assert not any((project / "data" / name).exists() for name in ("lists", "desk", "champion"))
