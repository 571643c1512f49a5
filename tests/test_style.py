"""The file dvc.yaml, the functions of the stages, the parameters and the imports agree."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from frozen import ROOT

from pipeline.runtime.params import Params
from pipeline.runtime.runner import DATA, argument, function

PACKAGES = ("features", "models", "pipeline")
LISTED = "features.families"  # a package whose modules are found by listing its folder
RESOURCE = r"[a-z_]+[.](sql|yaml|md|html|css|js)"  # files that lie beside a module
# Every stage runs with these; a change to one of them changes no correct result.
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


def deps(stage: str) -> list[str]:
    return [
        next(iter(dep)) if isinstance(dep, dict) else dep for dep in STAGES[stage].get("deps", [])
    ]


def arguments(stage: str) -> set[str]:
    return set(inspect.signature(function(stage)).parameters)


def test_a_stage_is_the_function_of_its_name_in_the_file_of_its_name() -> None:
    for stage, spec in STAGES.items():
        assert spec["cmd"] == f"python -m pipeline stage {stage}"
        assert f"pipeline/stages/{stage}.py" in deps(stage)
        assert function(stage).__module__ == f"pipeline.stages.{stage}"


def test_the_arguments_of_a_stage_are_its_data_files_and_its_parameters() -> None:
    for stage, spec in STAGES.items():
        files = {argument(dep, "${shop}") for dep in deps(stage) if dep.startswith(DATA)}
        sections = {"params" if name == stage else name for name in spec.get("params", [])}
        # A shop is chosen by a parameter, so a stage that reads its files depends on it even
        # without an argument for its name.
        unused = (files | sections - {"shop"}) - arguments(stage)
        assert not unused, f"{stage} has no argument for {unused}"
        unknown = arguments(stage) - (files | sections | {"root"})
        assert not unknown, f"dvc.yaml names nothing for {unknown} of {stage}"


def test_a_stage_depends_on_its_own_section_of_the_parameters_and_on_the_file_of_the_shop() -> None:
    for stage, spec in STAGES.items():
        unknown = set(spec.get("params", [])) - set(Params.model_fields)
        assert not unknown, f"{stage} depends on {unknown}, which params.yaml does not have"
        assert "params" not in arguments(stage) or stage in Params.model_fields, stage
        assert ("shops/${shop}.yaml" in deps(stage)) == (stage != "simulate"), stage


def test_no_two_stages_write_the_same_file_and_what_one_reads_another_writes() -> None:
    written = [
        next(iter(out)) if isinstance(out, dict) else out
        for spec in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for out in [*spec.get(kind, []), *spec.get("meta", {}).get(kind, [])]
    ]
    assert len(set(written)) == len(written)
    read = {dep for stage in STAGES for dep in deps(stage) if dep.startswith(("data/", "reports/"))}
    from_outside = {f"data/{name}/${{shop}}" for name in ("shops", "truth", "returned")}
    assert read - from_outside <= set(written)


def test_only_recover_reads_the_truth() -> None:
    readers = {name for name in STAGES for dep in deps(name) if dep.startswith("data/truth")}
    assert readers <= {"recover"}


@cache
def imported(path: str) -> frozenset[str]:
    """The project files that a Python file imports, or names and has beside it.

    To import a package that is LISTED is to import all its modules.
    """
    files = set()
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
            files |= {str(beside)} if (ROOT / beside).is_file() else set()
        for name in names:
            file = f"{name.replace('.', '/')}.py"
            if name.split(".")[0] in PACKAGES and (ROOT / file).is_file() and file != path:
                files.add(file)
            if name == LISTED:
                listed = (ROOT / name.replace(".", "/")).glob("[!_]*.py")
                files |= {str(module.relative_to(ROOT)) for module in listed}
    return frozenset(files)


def reached(path: str) -> set[str]:
    """The file and all files it leads to, except those that every stage runs with."""
    files, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        if file not in files | EVERYWHERE:
            files.add(file)
            waiting += imported(file)
    return files


def test_a_stage_depends_on_every_file_its_code_comes_from() -> None:
    missing = [
        f"{file} of {stage}"
        for stage in STAGES
        for file in sorted(reached(f"pipeline/stages/{stage}.py"))
        if not any(file == dep or file.startswith(f"{dep}/") for dep in deps(stage))
    ]
    assert not missing, f"add to `deps:` in dvc.yaml: {', '.join(missing)}"


def test_a_stage_with_the_feature_catalogue_depends_on_the_folder_of_the_families() -> None:
    for stage in STAGES:
        if "features/catalogue.py" in reached(f"pipeline/stages/{stage}.py"):
            assert {"features", "features/families"} & set(deps(stage)), stage


def test_a_stage_depends_on_no_code_that_does_not_exist() -> None:
    absent = [
        f"{dep} of {stage}"
        for stage in STAGES
        for dep in deps(stage)
        if not dep.startswith((*DATA, "shops/")) and not (ROOT / dep).exists()
    ]
    assert not absent, f"remove from `deps:` in dvc.yaml: {', '.join(absent)}"


def test_the_imports_of_a_stage_are_followed_through_other_files() -> None:
    assert {
        "pipeline/stages/assign.py",
        "models/lifecycle/state_machine.py",
        "features/history.py",
        "features/kernel.py",
    } <= reached("pipeline/stages/assign.py")
