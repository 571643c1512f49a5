"""One shape for everything.

Imports run one way, and dvc.yaml, the functions, the parameters and the imports tell the same
story.
"""

import ast
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from frozen import ROOT

from pipeline.runtime.params import Params
from pipeline.runtime.runner import DATA, argument, function

PACKAGES = ("features", "models", "pipeline")
RESOURCE = r"[a-z_]+[.](sql|yaml|md|html|css|js)"  # files that lie beside a module
# What every stage is run with; a change to one of them changes no result that is right.
EVERYWHERE = {
    *(
        f"pipeline/runtime/{name}.py"
        for name in ("runner", "store", "errors", "params", "progress", "yaml_file", "resources")
    ),
    *(f"pipeline/engine/{name}.py" for name in ("spark", "java")),
}
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))[
    "stages"
]
every_stage = pytest.mark.parametrize("stage", STAGES)


def deps(stage: str) -> list[str]:
    return [
        next(iter(dep)) if isinstance(dep, dict) else dep for dep in STAGES[stage].get("deps", [])
    ]


def arguments(stage: str) -> set[str]:
    return set(inspect.signature(function(stage)).parameters)


def test_imports_run_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run(
        [sys.executable, program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@every_stage
def test_a_stage_is_the_function_of_its_name_in_the_file_of_its_name(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m pipeline stage {stage}"
    assert f"pipeline/stages/{stage}.py" in deps(stage)
    assert function(stage).__module__ == f"pipeline.stages.{stage}"


@every_stage
def test_every_data_file_a_stage_depends_on_is_an_argument_of_its_function_and_every_other_argument_a_parameter(
    stage: str,
) -> None:
    files = {argument(dep, "${shop}") for dep in deps(stage) if dep.startswith(DATA)}
    sections = {"params" if name == stage else name for name in STAGES[stage].get("params", [])}
    # A shop is chosen by a parameter, so a stage that reads its files depends on it even without
    # taking its name.
    assert files | sections - {"shop"} <= arguments(stage) <= files | sections | {"root"}


@every_stage
def test_a_stage_depends_on_its_own_section_of_the_parameters(stage: str) -> None:
    if "params" in arguments(stage):
        assert stage in Params.model_fields
    assert set(STAGES[stage].get("params", [])) <= set(Params.model_fields)


@every_stage
def test_a_stage_that_takes_parameters_depends_on_the_shops_own_file(stage: str) -> None:
    assert ("shops/${shop}.yaml" in deps(stage)) == (stage != "simulate")


def test_no_two_stages_write_the_same_file_and_what_one_reads_another_writes() -> None:
    written = [
        next(iter(out)) if isinstance(out, dict) else out
        for spec in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for out in spec.get(kind, [])
    ]
    assert len(set(written)) == len(written)
    read = {dep for stage in STAGES for dep in deps(stage) if dep.startswith(("data/", "reports/"))}
    assert read - {"data/shops/${shop}", "data/truth/${shop}"} <= set(written)


def test_only_recover_reads_the_truth() -> None:
    assert {stage for stage in STAGES for dep in deps(stage) if "truth" in dep} <= {"recover"}


@cache
def imported(path: str) -> frozenset[str]:
    """Files of this project that a Python file imports, or names and has beside it."""
    found = set()
    if not path.endswith(".py"):
        return frozenset()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and re.fullmatch(RESOURCE, str(node.value)):
            beside = Path(path).with_name(str(node.value))
            found |= {str(beside)} if (ROOT / beside).is_file() else set()
        for name in names:
            file = f"{name.replace('.', '/')}.py"
            if name.split(".")[0] in PACKAGES and (ROOT / file).is_file() and file != path:
                found.add(file)
    return frozenset(found)


def reached(path: str) -> set[str]:
    """The file and all files it leads to, leaving out those that every stage is run with."""
    found, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        if file not in found | EVERYWHERE:
            found.add(file)
            waiting += imported(file)
    return found


@every_stage
def test_a_stage_depends_on_every_file_its_code_comes_from(stage: str) -> None:
    covered = deps(stage)
    missing = {
        file
        for file in reached(f"pipeline/stages/{stage}.py")
        if not any(file == dep or file.startswith(f"{dep}/") for dep in covered)
    }
    assert missing == set()


@every_stage
def test_a_stage_names_no_code_that_is_not_there(stage: str) -> None:
    assert [
        dep
        for dep in deps(stage)
        if not dep.startswith((*DATA, "shops/")) and not (ROOT / dep).exists()
    ] == []


def test_the_imports_of_a_stage_are_followed_through_other_files() -> None:
    assert {
        "pipeline/stages/assign.py",
        "models/lifecycle/state_machine.py",
        "features/history.py",
        "features/kernel.py",
    } <= reached("pipeline/stages/assign.py")
