"""`python -m benchmarks.stages`: the cost of each stage against the least cost of its work.

The whole pipeline is measured as well. Everything runs in temporary clones of this project with its
uncommitted changes. Results are printed and written to benchmarks/results/stages.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import whole_run
from benchmarks.measure import ROOT, Cost
from benchmarks.stage_shop import ENVIRONMENT, crowd, crowded_inputs, project, shop
from benchmarks.stage_work import EXPLAINED, PIECES, SCORE_PARTS
from pipeline.runtime import store
from pipeline.runtime.progress import progress

RESULTS = ROOT / "benchmarks" / "results" / "stages.json"
CUSTOMERS, LISTED = 10_000, 1_000_000
NIGHT = "crowd_night.json"
SMALLEST = {"customers": 1500, "days": 900}  # enough for a model and a verdict
OF_THE_CROWD = ("risk", "risk_bare", "scoring", "explanations")


class Target(NamedTuple):
    """A limit for a measure of one run, or for its ratio to that of another; None: no limit."""

    of: str
    over: str | None
    measure: str
    must: float | None
    stretch: float | None


TARGETS = {
    "life_cycle_over_features": Target("life_cycle", "features", "cpu_s", 1, 0.5),
    "training_over_bare": Target("training", "training_bare", "cpu_s", 1.15, None),
    "risk_over_bare": Target("risk", "risk_bare", "cpu_s", 1.2, 1),
    "whole_score_over_bare": Target("scoring", "risk_bare", "cpu_s", None, None),
    f"explanations_of_{EXPLAINED}": Target("explanations", None, "cpu_s", 2, 1),
    "one_snapshot_over_all": Target("features_newest", "features", "cpu_s", 1, 0.3),
    "second_day_over_first": Target("demo_second_day", "demo_first_time", "cpu_s", 0.3, 0.15),
    "unchanged_over_bare_dvc": Target("unchanged", "unchanged_bare", "cpu_s", 1.2, None),
    "demo_first_time": Target("demo_first_time", None, "wall_s", 90, 60),
    "night_of_the_crowd": Target("crowd_night", None, "rss_gb", 4, 2),
    "smallest_first_time": Target("smallest_first_time", None, "cpu_s", 45, None),
    "smallest_later": Target("smallest_later", None, "cpu_s", 45, 25),
}


def piece(name: str, clones: Path) -> Cost:
    """One piece of a stage's work, in a process of its own."""
    root = clones / ("crowd" if name in OF_THE_CROWD else "shop")
    with TemporaryDirectory(dir=clones) as out:
        command = [
            sys.executable,
            "-m",
            "benchmarks.stage_work",
            name,
            str(clones / "smallest"),
            str(root),
            out,
        ]
        ended = subprocess.run(
            command,
            cwd=clones / "shop",
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return Cost(**json.loads(ended.stdout.splitlines()[-1]))


def prepare(clones: Path, customers: int, listed: int) -> None:
    """The folders that everything is measured in."""
    shop(clones / "smallest", **SMALLEST)
    shop(clones / "shop", customers)
    crowd(clones / "shop", clones / "crowd", listed)
    project(clones / "demo")
    whole_run.trivial(clones / "trivial", clones / "demo")


def pieces(clones: Path) -> dict[str, Callable[[], Cost]]:
    """The pieces of stages by name, which are repeated."""
    return {name: partial(piece, name, clones) for name in PIECES}


def whole_runs(clones: Path, listed: int) -> dict[str, Callable[[], Cost]]:
    """The runs of the whole pipeline by name, which follow one another.

    What is up to date, compiled or trained was made by the one before.
    """
    runs: dict[str, Callable[[], Cost]] = {}
    for name in ("smallest", "demo"):
        runs[f"{name}_first_time"] = lambda root=clones / name: whole_run.from_nothing(
            root, first_time=True
        )  # type: ignore[misc]
    return runs | {
        "smallest_later": lambda: whole_run.from_nothing(clones / "smallest", first_time=False),
        "demo_second_day": lambda: whole_run.second_day(clones / "demo"),
        "unchanged": lambda: whole_run.unchanged(clones / "demo"),
        "unchanged_bare": lambda: whole_run.timed(clones / "trivial", "dvc", "repro"),
        "crowd_night": lambda: crowd_night(clones, listed),
    }


def crowd_night(clones: Path, customers: int) -> Cost:
    """Make the list of a crowd from raw files; the cost of each step is written beside."""
    raw = crowded_inputs(clones / "demo" / "data" / "shops" / "demo", clones / "raw", customers)
    cost, steps = whole_run.crowd_night(clones / "demo", raw, clones / "lists")
    store.write(clones / NIGHT, steps)
    return cost


def medians(costs: list[Cost]) -> dict[str, float]:
    """Return the medians of the repetitions of one run; memory only where it was measured."""
    values = {
        name: statistics.median(getattr(cost, name) for cost in costs)
        for name in ("cpu_s", "wall_s", "rss_gb")
    }
    return {name: round(value, 3) for name, value in values.items() if value}


def against(runs: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Return each target with its measured value: a ratio, or seconds."""
    targets = {}
    for name, target in TARGETS.items():
        measured = runs[target.of][target.measure] / (
            runs[target.over][target.measure] if target.over else 1
        )
        targets[name] = {
            "measured": round(measured, 2),
            "must": target.must,
            "stretch": target.stretch,
            "met": None if target.must is None else measured <= target.must,
        }
    return targets


def benchmark(clones: Path, customers: int, listed: int, repeat: int) -> dict[str, Any]:
    """Measure everything; return the content of stages.json."""
    prepare(clones, customers, listed)
    costs: dict[str, list[Cost]] = {}
    load = os.getloadavg()[0]
    for repetition in range(repeat):
        own = pieces(clones).items()
        runs = {name: run for name, run in own if repetition == 0 or name not in OF_THE_CROWD}
        for name in progress(runs, len(runs), f"repetition {repetition + 1} of {repeat}"):
            costs.setdefault(name, []).append(runs[name]())
    runs = whole_runs(clones, listed)
    for name in progress(runs, len(runs), "whole runs"):
        costs[name] = [runs[name]()]
    runs_by_name = {name: medians(each) for name, each in costs.items()}
    stages = whole_run.by_stage(clones / "smallest")
    dvc = {
        f"{when}_cpu_s": round(
            runs_by_name[f"smallest_{run}"]["cpu_s"]
            - sum(stage[f"{when}_cpu_s"] for stage in stages.values()),
            2,
        )
        for when, run in (("first", "first_time"), ("later", "later"))
    }
    return {
        "customers": customers,
        "listed": listed,
        "smallest": SMALLEST,
        "repeat": repeat,
        "load_before": round(load, 2),
        "cores": os.cpu_count(),
        "targets": against(runs_by_name),
        "runs": runs_by_name,
        "score_by_part": {
            part: {"cpu_s": seconds} for part, seconds in store.read(clones / SCORE_PARTS).items()
        },
        "crowd_night_by_step": store.read(clones / NIGHT),
        "smallest_by_stage": {**stages, "dvc and the summary": dvc},
    }


def show(results: dict[str, Any]) -> None:
    """Print the results as tables."""
    console = Console()
    for title, rows in (
        ("against", results["targets"]),
        ("run", results["runs"]),
        ("part of the stage score", results["score_by_part"]),
        ("step of corekeep score", results["crowd_night_by_step"]),
        ("stage", results["smallest_by_stage"]),
    ):
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        table = Table(title, *(f"[right]{column}" for column in columns))
        for name, row in rows.items():
            table.add_row(
                name, *("" if row.get(column) is None else str(row[column]) for column in columns)
            )
        console.print(table)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="how often a piece of seconds is repeated; the medians are shown",
    )
    parser.add_argument(
        "--customers",
        type=int,
        default=CUSTOMERS,
        help="of the shop that features, life cycle and training see",
    )
    parser.add_argument("--listed", type=int, default=LISTED, help="customers to score")
    arguments = parser.parse_args()
    with TemporaryDirectory() as clones:
        results = benchmark(Path(clones), arguments.customers, arguments.listed, arguments.repeat)
    show(results)
    store.write(RESULTS, results)


if __name__ == "__main__":
    main()
