"""Mutation testing of the rules: one mutant at a time, and the tests of the rules must fail.

    python -m benchmarks.mutations                        # all rules: 15 minutes or more
    python -m benchmarks.mutations features/ipt.py        # the results of one file again

The results are in benchmarks/results/mutations.json. Mutants run in temporary copies, in two
processes, with kernels as plain Python: compilation would take most of the time. A run that takes
twice the usual time is stopped, which counts as killed. equivalent_mutants.yaml names the mutants
that change no result, with the reason; the program reports those that were killed all the same.
"""

import compileall
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]
RULES = (
    "models/lifecycle/state_machine.py",
    "models/lifecycle/core_entry.py",
    "models/lifecycle/core_rules.py",
    "models/lifecycle/satisfaction.py",
    "models/lifecycle/habits.py",
    "features/ipt.py",
)
# The rest of the suite also tests the rules, but takes minutes uncompiled.
TESTS = tuple(
    f"tests/test_{name}.py"
    for name in ("lifecycle", "core_rules", "satisfaction", "by_when", "states", "rules")
)
COPIED = (
    "features",
    "models",
    "pipeline",
    "tests",
    "shops",
    "params.yaml",
    "playbook.yaml",
    "pyproject.toml",
)
LIBRARIES = (
    "hypothesis",
    "numba",
    "numpy",
    "pandas",
    "pydantic",
    "pyarrow.parquet",
    "pytest",
    "yaml",
)
PATIENCE = 2
EQUIVALENT = "benchmarks/equivalent_mutants.yaml"


def copy(folder: Path) -> Path:
    """Copy what the tests need of the project."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    compileall.compile_dir(folder, quiet=1)
    return folder


def begin(folder: Path, cpu_seconds: int) -> int:
    """Start the tests in a copy and return the process id; exit code 0 means that they pass."""
    process = os.fork()
    if process:
        return process
    import pytest

    os.chdir(folder)
    sys.path[:] = [
        str(folder),
        *(place for place in sys.path if place and Path(place).resolve() != ROOT),
    ]
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    os._exit(pytest.main(["-x", "--assert=plain", "-p", "no:cacheprovider", *TESTS]))


def usual_seconds(folder: Path) -> float:
    """Return the CPU seconds of the tests without a mutant."""
    _, status, used = os.wait4(begin(folder, 600), 0)
    if status:
        raise SystemExit(f"{' '.join(TESTS)}: they fail without a mutant: fix them first")
    return used.ru_utime + used.ru_stime


def survivors(candidates: list[Mutant], folders: list[Path]) -> Iterator[Mutant]:
    """Yield the mutants with which all tests pass; try as many at a time as there are folders."""
    limit = int(PATIENCE * usual_seconds(folders[0])) + 1
    running: dict[int, tuple[Mutant, Path]] = {}
    waiting, free = candidates[::-1], list(folders)
    while waiting or running:
        while waiting and free:
            mutant, folder = waiting.pop(), free.pop()
            (folder / mutant.file).write_text(mutant.source, encoding="utf-8")
            running[begin(folder, limit)] = mutant, folder
        process, status = os.wait()
        mutant, folder = running.pop(process)
        shutil.copy(ROOT / mutant.file, folder / mutant.file)
        free.append(folder)
        if status == 0:
            print(f"{mutant.file}:{mutant.line}  {mutant}", flush=True)
            yield mutant


def main(files: list[str]) -> None:
    """Test the mutants of some files, or of all rules."""
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.dont_write_bytecode = True  # of two mutants made within a second the first would run twice
    for library in LIBRARIES:
        __import__(library)
    candidates = [
        mutant
        for file in files or RULES
        for mutant in mutants(file, (ROOT / file).read_text(encoding="utf-8"))
    ]
    equivalent = yaml.safe_load((ROOT / EQUIVALENT).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        folders = [copy(Path(tempfile.mkdtemp(dir=temporary))) for _ in range(2)]
        survived = list(survivors(candidates, folders))
    path = ROOT / "benchmarks/results/mutations.json"
    results = json.loads(path.read_text(encoding="utf-8"))["files"] if path.exists() else {}
    for file in files or RULES:
        own, alive = (
            [str(mutant) for mutant in some if mutant.file == file]
            for some in (candidates, survived)
        )
        missed = [mutant for mutant in alive if mutant not in equivalent]
        results[file] = {
            "mutants": len(own),
            "killed": len(own) - len(alive),
            "equivalent": len(alive) - len(missed),
            "survived": missed,
        }
        named = {mutant for mutant in equivalent if mutant.startswith(f"{file}:")}
        for mutant in sorted(named - set(alive)):
            print(f"killed, or no mutant any more: remove it from {EQUIVALENT}: {mutant}")
    counts = {
        name: sum(result[name] for result in results.values())
        for name in ("mutants", "killed", "equivalent")
    }
    total = {**counts, "killed_share": round(counts["killed"] / counts["mutants"], 4)}
    print(json.dumps(total))
    text = json.dumps({"total": total, "files": results}, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
