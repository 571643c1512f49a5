"""Which slips in the rules would be noticed: each is made, one at a time, and the tests of the
rules must fail.

    python -m benchmarks.mutations                      # a quarter of an hour or more; results in benchmarks/results/mutations.json
    python -m benchmarks.mutations models/lifecycle/state_machine.py  # one file's results anew, the others' as they are

Everything happens in temporary copies, on two processes, with kernels run as plain Python:
compiling would take most of the time. A run that takes twice as long as it should is ended, which
counts as noticed. A slip that changes nothing anybody could see is named in mutations_alike.yaml
with the reason; one that is named there and noticed all the same is told.
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

from benchmarks.slips import Slip, slips

ROOT = Path(__file__).resolve().parents[1]
RULES = (
    "models/lifecycle/state_machine.py",
    "models/lifecycle/core_rules.py",
    "models/lifecycle/satisfaction.py",
    "models/lifecycle/habits.py",
    "features/ipt.py",
)
# The rest of the suite has the rules under test as well, but takes minutes uncompiled.
TESTS = tuple(f"tests/test_{name}.py" for name in ("lifecycle", "satisfaction", "states", "rules"))
COPIED = ("features", "models", "pipeline", "tests", "shops", "params.yaml", "pyproject.toml")
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


def copy(folder: Path) -> Path:
    """The project as it stands, as far as the tests need it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    compileall.compile_dir(folder, quiet=1)
    return folder


def begin(folder: Path, cpu_seconds: int) -> int:
    """The number of a process that runs the tests in a copy; it ends with 0 when they pass."""
    process = os.fork()
    if process:
        return process
    import pytest

    os.chdir(folder)
    sys.path[:] = [
        str(folder),
        *(place for place in sys.path if place and Path(place).resolve() != ROOT),
    ]
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    os._exit(pytest.main(["-x", "--assert=plain", "-p", "no:cacheprovider", *TESTS]))


def usual_seconds(folder: Path) -> float:
    """CPU seconds of the tests when nothing is wrong."""
    _, status, used = os.wait4(begin(folder, 600), 0)
    if status:
        raise SystemExit(f"{' '.join(TESTS)}: they fail, uncompiled, before anything is changed")
    return used.ru_utime + used.ru_stime


def unnoticed(made: list[Slip], folders: list[Path]) -> Iterator[Slip]:
    """The slips with which all tests pass, two tried at a time."""
    limit = int(PATIENCE * usual_seconds(folders[0])) + 1
    running: dict[int, tuple[Slip, Path]] = {}
    waiting, free = made[::-1], list(folders)
    while waiting or running:
        while waiting and free:
            slip, folder = waiting.pop(), free.pop()
            (folder / slip.file).write_text(slip.source, encoding="utf-8")
            running[begin(folder, limit)] = slip, folder
        process, status = os.wait()
        slip, folder = running.pop(process)
        shutil.copy(ROOT / slip.file, folder / slip.file)
        free.append(folder)
        if status == 0:
            print(f"{slip.file}:{slip.line}  {slip}", flush=True)
            yield slip


def main(files: list[str]) -> None:
    """Try the slips of some files, of all rules when none is named."""
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sys.dont_write_bytecode = True  # of two slips made within a second the first would be run twice
    for library in LIBRARIES:
        __import__(library)
    made = [
        slip
        for file in files or RULES
        for slip in slips(file, (ROOT / file).read_text(encoding="utf-8"))
    ]
    alike = yaml.safe_load((ROOT / "benchmarks/mutations_alike.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        folders = [copy(Path(tempfile.mkdtemp(dir=temporary))) for _ in range(2)]
        passed = list(unnoticed(made, folders))
    results = ROOT / "benchmarks/results/mutations.json"
    found = json.loads(results.read_text(encoding="utf-8"))["files"] if results.exists() else {}
    for file in files or RULES:
        own, lived = ([str(slip) for slip in some if slip.file == file] for some in (made, passed))
        left = [slip for slip in lived if slip not in alike]
        found[file] = {
            "made": len(own),
            "noticed": len(own) - len(lived),
            "alike": len(lived) - len(left),
            "unnoticed": left,
        }
        for slip in sorted(set(own) & set(alike) - set(lived)):
            print(f"noticed, though it is said to change nothing: {slip}")
    counts = {
        name: sum(told[name] for told in found.values()) for name in ("made", "noticed", "alike")
    }
    total = {**counts, "noticed_share": round(counts["noticed"] / counts["made"], 4)}
    print(json.dumps(total))
    results.write_text(
        json.dumps({"total": total, "files": found}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
