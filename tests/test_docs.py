"""Generated documents agree with the code, and what a document shows works."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from frozen import ROOT, params, project
from situations import columns

from features.settings import Windows
from pipeline.docs.documents import demo_documents, documents
from pipeline.docs.features import feature_dictionary
from pipeline.runtime import store

GUIDE = (ROOT / "docs" / "how-to" / "adding-a-feature.md").read_text(encoding="utf-8")


def test_no_generated_document_is_stale() -> None:
    texts = documents(ROOT)
    stale = [path for path in texts if (ROOT / path).read_text(encoding="utf-8") != texts[path]]
    assert not stale, f"run `corekeep docs`: {', '.join(stale)} is not what the code generates"


def test_the_model_card_is_that_of_the_run_in_dvc_lock() -> None:
    outs = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]["evaluate"][
        "outs"
    ]
    (expected,) = [out["md5"] for out in outs if out["path"] == "reports/model_card.md"]
    at_hand = hashlib.md5(
        (ROOT / "docs" / "model_card.md").read_bytes(), usedforsecurity=False
    ).hexdigest()
    assert at_hand == expected, "run `make repro SHOP=demo`, then `corekeep docs`"


def test_results_of_another_shop_are_not_put_among_the_documents(tmp_path: Path) -> None:
    store.write(tmp_path / "reports" / "evaluation.json", {"shop": "cdnow"})
    store.write(tmp_path / "reports" / "model_card.md", "# A card\n")
    assert demo_documents(tmp_path) == {}


def test_the_feature_dictionary_has_one_complete_row_per_column() -> None:
    lines = feature_dictionary(params().windows).splitlines()
    for column in columns():
        (line,) = [line for line in lines if line.startswith(f"| `{column.name}` |")]
        _, unit, meaning, absent, needs, higher = (c.strip() for c in line.strip("|").split("|"))
        assert (unit, meaning) == (column.unit, column.meaning), column.name
        assert absent == {"nan": "nan", "0.0": "0"}[str(float(column.absent))], column.name
        assert tuple(re.findall(r"`(.+?)`", needs)) == column.needs, column.name
        assert higher == {1: "churned", -1: "retained", 0: ""}[column.monotone], column.name


def test_the_feature_dictionary_follows_the_windows() -> None:
    other = feature_dictionary(Windows((7, 21), (10,)))
    assert re.findall(r"`(spend_(?:in|trend)_\w+)`", other) == [
        "spend_in_7d",
        "spend_in_21d",
        "spend_trend_10d",
    ]


def test_every_file_that_a_document_links_to_exists() -> None:
    paths = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in paths
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]
    assert not dead, f"links without a file: {', '.join(dead)}"


def run_in(folder: Path, arguments: list[str], text: str = "") -> None:
    """Run a command in a copy of the project."""
    paths = f"{folder / 'tests'}{os.pathsep}{folder}"
    ended = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{shlex.join(arguments)}: {ended.stdout}{ended.stderr}"


def command(line: str) -> list[str]:
    """A command of a document, as it runs without make and the virtual environment."""
    name, *arguments = shlex.split(line)
    if name == "make":
        assert arguments[0] == "test", line
        tests = shlex.split(arguments[1].removeprefix("ARGS="))
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    return [sys.executable, *(["-m", "pipeline"] if name == "corekeep" else []), *arguments]


def test_the_guide_to_a_new_feature_changes_one_kernel_and_its_words_and_ends_green(
    tmp_path: Path,
) -> None:
    copy = project(tmp_path, "features", "models", "pipeline", "tests", "shops", "pyproject.toml")
    shutil.copy(ROOT / "params.yaml", copy)  # the documents are made with the real parameters
    (change,) = re.findall(r"```diff\n(.*?)```", GUIDE, re.DOTALL)
    changed = re.findall(r"^\+\+\+ b/(.*)$", change, re.MULTILINE)
    product = [path for path in changed if not path.startswith("tests/")]
    assert product == ["features/families/recency.py", "pipeline/delivery/driver_words.yaml"]
    run_in(copy, ["git", "apply", "-"], change)
    commands = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)[0].splitlines()
    assert commands[-1] == "make repro"
    for line in commands[:-1]:
        run_in(copy, command(line))
    old, new = (
        (root / "tests/reference/features.csv").read_text(encoding="utf-8").splitlines()
        for root in (ROOT, copy)
    )
    (added,) = set(new) - set(old)
    assert added.startswith("gap_last3_over_mean,")
    assert set(old) < set(new)
    dictionary = (copy / "docs" / "features.md").read_text(encoding="utf-8")
    assert "\n| `gap_last3_over_mean` | ratio |" in dictionary
