"""The cost of the whole pipeline: from nothing, with nothing changed, fixed cost by stage."""

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Cost
from benchmarks.stage_shop import ENVIRONMENT, python, reproduced, run
from pipeline.runtime import store
from pipeline.runtime.cost import spent

MADE = ("data", "reports", ".dvc/cache", ".dvc/tmp")
# from one run to the next: compiled kernels and tracked runs
KEPT = (".cache", "mlflow.db", "mlartifacts", "mlruns")


def timed(root: Path, *words: str) -> Cost:
    """Run a module of a folder in a process of its own; memory is not measured."""
    start, began = spent(), time.perf_counter()
    python(root, *words)
    return Cost(spent() - start, time.perf_counter() - began, 0.0, 0.0)


def forget(root: Path, first_time: bool) -> None:
    """Remove what the pipeline has made; with `first_time` also what it keeps for the next run."""
    for name in (*MADE, *(KEPT if first_time else ())):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def from_nothing(root: Path, first_time: bool) -> Cost:
    """Run the whole pipeline as `make repro` does after set-up."""
    forget(root, first_time)
    return timed(root, "pipeline", "repro")


def unchanged(root: Path) -> Cost:
    """Run `dvc repro` where everything is up to date."""
    return timed(root, "dvc", "repro", "track")


def second_day(root: Path) -> Cost:
    """Make the list of the day after, as the nightly job does: from raw files, nothing trained."""
    snapshot = store.read(root / "data" / "lists" / "manifest.json")["snapshot"]
    day = dt.date.fromisoformat(snapshot) + dt.timedelta(days=1)
    return timed(root, "pipeline", "score", "--as-of", day.isoformat())


def crowd_night(root: Path, raw: Path, out: Path) -> tuple[Cost, dict[str, dict[str, float]]]:
    """Make the list of a crowd from its raw files; return the cost, and that of each step."""
    command = [sys.executable, "-m", "pipeline", "score", "--json"]
    command += ["--events", str(raw), "--out", str(out)]
    start, began = spent(), time.perf_counter()
    ended = subprocess.run(
        command, cwd=root, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
    )
    cpu, wall = spent() - start, time.perf_counter() - began
    steps = json.loads(ended.stdout)["cost"]
    return Cost(cpu, wall, max(step["peak_gb"] for step in steps.values()), 0.0), steps


def trivial(target: Path, source: Path) -> Path:
    """Make a folder under DVC with as many stages as the source; each copies one line."""
    target.mkdir()
    run(target, "git", "init", "--quiet")
    python(target, "dvc", "init", "--quiet")
    shutil.copy(source / ".dvc" / "config", target / ".dvc" / "config")
    (target / "0").write_text("a line\n", encoding="utf-8")
    names = reproduced(source)
    text = [
        f"  {name}:\n    cmd: cp {i} {i + 1}\n    deps: ['{i}']\n    outs: ['{i + 1}']\n"
        for i, name in enumerate(names)
    ]
    (target / "dvc.yaml").write_text("stages:\n" + "".join(text), encoding="utf-8")
    python(target, "dvc", "repro")
    return target


def import_seconds(output: str) -> float:
    """Return the seconds of all imports, from the output of `-X importtime`.

    A line has the microseconds of the module alone, those with all its imports, and its name.
    """
    return sum(int(own) for own in re.findall(r"(?m)^import time: +(\d+) \|", output)) / 1e6


def by_stage(root: Path) -> dict[str, dict[str, float]]:
    """Return the CPU seconds of each stage for the first time and again, and of its imports."""
    forget(root, first_time=True)
    seconds: dict[str, dict[str, float]] = {}
    for column in ("first_cpu_s", "later_cpu_s"):
        for name in reproduced(root):
            start = spent()
            python(root, "pipeline", "stage", name)
            seconds.setdefault(name, {})[column] = round(spent() - start, 2)
    for name, of_stage in seconds.items():
        command = [sys.executable, "-X", "importtime", "-m", "pipeline", "stage", name]
        ended = subprocess.run(
            command, cwd=root, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        of_stage["import_s"] = round(import_seconds(ended.stderr), 2)
    return seconds
