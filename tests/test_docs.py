"""Documents made from the code say what the code says, and what a document shows works."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from frozen import ROOT, params
from situations import columns

from features.columns import Feature
from features.settings import Windows
from pipeline.docs.documents import card, documents, feature_dictionary
from pipeline.runtime import store

GUIDE = (ROOT / "docs" / "adding-a-feature.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", documents(ROOT))
def test_a_document_made_from_the_code_is_not_stale(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents(ROOT)[path], "run `corekeep docs`"


def test_the_model_card_is_that_of_the_demos_run_that_dvc_lock_tells_of() -> None:
    outs = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]["evaluate"][
        "outs"
    ]
    (told,) = [out["md5"] for out in outs if out["path"] == "reports/model_card.md"]
    at_hand = hashlib.md5(
        (ROOT / "docs" / "model_card.md").read_bytes(), usedforsecurity=False
    ).hexdigest()
    assert at_hand == told, "run `make repro SHOP=demo`, then `corekeep docs`"


def test_the_model_card_of_another_shop_is_not_put_among_the_documents(tmp_path: Path) -> None:
    reports = {"evaluation.json": {"shop": "cdnow"}, "model_card.md": "# A card\n"}
    for name, content in reports.items():
        store.write(tmp_path / "reports" / name, content)
    assert card(tmp_path) == {}
    store.write(tmp_path / "reports" / "evaluation.json", {"shop": "demo"})
    assert card(tmp_path) == {"docs/model_card.md": "# A card\n"}


@pytest.mark.parametrize("column", columns(), ids=lambda column: column.name)
def test_the_feature_dictionary_says_all_of_a_column_in_one_row(column: Feature) -> None:
    (row,) = [
        line
        for line in feature_dictionary(params().windows).splitlines()
        if line.startswith(f"| `{column.name}` |")
    ]
    name, unit, meaning, absent, needs, higher = (
        cell.strip() for cell in row.strip("|").split("|")
    )
    assert (name, unit, meaning) == (f"`{column.name}`", column.unit, column.meaning)
    assert absent == {"nan": "nan", "0.0": "0"}[str(float(column.absent))]
    assert tuple(re.findall(r"`(.+?)`", needs)) == column.needs
    assert higher == {1: "leaves", -1: "stays", 0: ""}[column.monotone]


def test_the_feature_dictionary_has_the_windows_that_are_set() -> None:
    other = feature_dictionary(Windows((7, 21), (10,)))
    assert re.findall(r"`(spend_(?:in|trend)_\w+)`", other) == [
        "spend_in_7d",
        "spend_in_21d",
        "spend_trend_10d",
    ]


@pytest.mark.parametrize(
    "document", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem
)
def test_every_file_that_a_document_links_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def done_in(folder: Path, *arguments: str) -> str:
    """What a module of a copy of the project says, run uncompiled.

    For so few customers compiling takes longer than running.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_feature_that_the_guide_adds_passes_the_tests_that_it_names_and_stands_in_the_dictionary(
    tmp_path: Path,
) -> None:
    for folder in ("features", "models", "pipeline", "tests", "shops"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    (change,) = re.findall(r"```diff\n(.*?)```", GUIDE, re.DOTALL)
    applied = subprocess.run(
        ["git", "apply", "-"],
        cwd=tmp_path,
        input=change,
        text=True,
        capture_output=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    done_in(
        tmp_path,
        "pytest",
        "-p",
        "no:cacheprovider",
        *shlex.split(re.findall(r'make test ARGS="(.*?)"', GUIDE)[0]),
    )
    done_in(tmp_path, "pipeline", "docs")
    added = set((tmp_path / "docs" / "features.md").read_text(encoding="utf-8").splitlines()) - set(
        feature_dictionary(params().windows).splitlines()
    )
    assert [line for line in added if line.startswith("| `gap_last3_over_mean` | ratio |")]
