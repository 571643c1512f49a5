"""`python -m benchmarks.features`: this engine against SQL, Polars and pandas.

All systems compute the same columns from the same files, and the results must be equal. Each run is
a process of its own, and systems take turns. Medians over the repetitions are printed and written
to benchmarks/results/features.json.
"""

import argparse
import math
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.columns import COLUMNS
from benchmarks.data import lines_of, shop
from benchmarks.engine import ingested
from benchmarks.equality import differences, rows_of
from benchmarks.measure import ROOT, WARM_UP, Cost, cost
from pipeline.runtime import store
from pipeline.runtime.progress import progress, say

RESULTS = ROOT / "benchmarks" / "results" / "features.json"
SYSTEMS = ("engine", "raw_engine", "duckdb_naive", "polars_tuned", "pandas_groupby")
SMALL, MEDIUM, LARGE = 50_000, 500_000, 2_500_000  # customers: 1.2, 12 and 60 million lines
LIBRARIES = ("numpy", "numba", "pyarrow", "duckdb", "polars", "pandas")


class Run(NamedTuple):
    """A system on the data of so many customers, at so many snapshots."""

    system: str
    customers: int
    snapshots: int


def plan(small: int, further: list[int]) -> list[Run]:
    """Return runs of all systems on the small data, and of engine and floor on the larger ones."""
    runs = [Run(system, small, snapshots) for system in SYSTEMS for snapshots in (12, 1)]
    runs += [Run("floor", small, 12)]
    for customers in further:
        runs += [
            Run("engine", customers, 12),
            Run("raw_engine", customers, 12),
            Run("engine", customers, 1),
            Run("floor", customers, 12),
        ]
    return runs


def _out(folder: Path, run: Run) -> Path:
    return folder / "out" / "-".join(map(str, run))


def check_equal(folder: Path, customers: int) -> None:
    """Stop the benchmark if the systems disagree: times of different results cannot be compared."""
    for snapshots in (12, 1):
        engine, *others = (Run(system, customers, snapshots) for system in SYSTEMS)
        for other in others:
            if columns := differences(_out(folder, engine), _out(folder, other)):
                raise SystemExit(
                    f"{other.system} and this engine differ at {snapshots} snapshots:\n"
                    + "\n".join(columns)
                )
    rows = rows_of(_out(folder, Run("engine", customers, 12)))
    say(f"{', '.join(SYSTEMS)} agree in {len(COLUMNS)} columns of {rows} rows")


def measure(runs: list[Run], folder: Path, repeat: int) -> dict[Run, list[Cost]]:
    """Return the costs of each run, repeated in rotated order.

    The results of the systems are compared after the first repetition.
    """
    costs: dict[Run, list[Cost]] = {run: [] for run in runs}
    for repetition in range(repeat):
        shift = repetition * len(runs) // repeat
        turn = runs[shift:] + runs[:shift]
        for run in progress(turn, len(turn), f"repetition {repetition + 1} of {repeat}"):
            costs[run].append(
                cost(run.system, shop(folder, run.customers), _out(folder, run), run.snapshots)
            )
        if repetition == 0:
            check_equal(folder, runs[0].customers)
    return costs


def _medians(costs: list[Cost], rows: int) -> dict[str, float]:
    cpu, wall, rss = (
        statistics.median(getattr(c, name) for c in costs) for name in ("cpu_s", "wall_s", "rss_gb")
    )
    return {"cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "rss_gb": round(rss, 3), "rows": rows}


def ratios(medians: dict[Run, dict[str, float]], lines: dict[int, int]) -> dict[str, float]:
    """Return CPU ratios: others over engine, engine over floor, 12 snapshots over one, growth.

    `<other>_from_raw`: over the engine with ingest, every row checked.
    """
    cpu = {run: costs["cpu_s"] for run, costs in medians.items()}
    small, medium, *large = lines
    others = {
        "duckdb_naive": "duckdb_naive",
        "polars_tuned": "polars_tuned",
        "pandas": "pandas_groupby",
    }
    values = {
        f"{name}{leg}": cpu[Run(system, small, 12)] / cpu[Run(own, small, 12)]
        for own, leg in (("engine", ""), ("raw_engine", "_from_raw"))
        for name, system in others.items()
    }
    values["floor"] = cpu[Run("engine", medium, 12)] / cpu[Run("floor", medium, 12)]
    values["snapshots_12_over_1"] = cpu[Run("engine", medium, 12)] / cpu[Run("engine", medium, 1)]
    for name, less, more in [
        ("scaling_exponent", small, medium),
        *(("scaling_exponent_large", medium, customers) for customers in large),
    ]:
        growth = math.log(cpu[Run("engine", more, 12)] / cpu[Run("engine", less, 12)])
        values[name] = growth / math.log(lines[more] / lines[less])
    return {name: round(value, 2) for name, value in values.items()}


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    models = (
        [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        if info.exists()
        else []
    )
    return models[0] if models else platform.processor()


def _starting(folder: Path, costs: dict[Run, list[Cost]], customers: int) -> dict[str, float]:
    """Return the CPU seconds before the first line is read, and those of compiling the kernels."""
    with TemporaryDirectory() as kernels:
        cold = cost("engine", shop(folder, WARM_UP), folder / "out" / "cold", 1, Path(kernels))
    warm = statistics.median(c.start_s for c in costs[Run("engine", customers, 12)])
    return {"start_cpu_s": round(warm, 2), "compile_cpu_s": round(cold.start_s - warm, 2)}


def benchmark(small: int, further: list[int], folder: Path, repeat: int) -> dict[str, Any]:
    """Measure all runs and return the content of features.json."""
    lines = {customers: lines_of(shop(folder, customers)) for customers in (small, *further)}
    for customers in lines:  # the events that the engine reads
        cost("ingest", shop(folder, customers), ingested(shop(folder, customers)), 12)
    # so that no run has to compile
    cost("engine", shop(folder, WARM_UP), folder / "out" / "warm", 1)
    costs = measure(plan(small, further), folder, repeat)
    medians = {run: _medians(costs[run], rows_of(_out(folder, run))) for run in costs}
    names = {customers: f"{count / 1e6:.3g}M" for customers, count in lines.items()}
    return {
        "lines": {names[customers]: count for customers, count in lines.items()},
        "columns": len(COLUMNS),
        "repeat": repeat,
        "sizes": {
            n: {r.system: medians[r] for r in medians if (r.customers, r.snapshots) == (c, 12)}
            for c, n in names.items()
        },
        "one_snapshot": {
            n: {r.system: medians[r] for r in medians if (r.customers, r.snapshots) == (c, 1)}
            for c, n in names.items()
        },
        "ratios": ratios(medians, lines),
        **_starting(folder, costs, small),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "versions": {library: version(library) for library in LIBRARIES},
    }


def show(results: dict[str, Any]) -> None:
    """Print the results as tables."""
    console = Console()
    table = Table(
        "lines",
        "snapshots",
        "system",
        *(f"[right]{head}" for head in ("CPU s", "wall s", "RSS GB", "rows")),
    )
    for snapshots, part in (("12", "sizes"), ("1", "one_snapshot")):
        for size, systems in results[part].items():
            for system, c in systems.items():
                table.add_row(
                    size,
                    snapshots,
                    system,
                    f"{c['cpu_s']:.2f}",
                    f"{c['wall_s']:.2f}",
                    f"{c['rss_gb']:.2f}",
                    str(c["rows"]),
                )
    console.print(table)
    summary = Table("ratio", "")
    for name, value in results["ratios"].items():
        summary.add_row(name, f"{value:.2f}")
    console.print(summary)
    start, compiling = results["start_cpu_s"], results["compile_cpu_s"]
    console.print(f"start: {start} CPU s with compiled kernels, {compiling} more to compile once")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument(
        "--large", action="store_true", help="60 million lines as well: 5 GB of disk, an hour"
    )
    parser.add_argument("--repeat", type=int, default=3, help="the number of runs behind a median")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".cache" / "bench",
        help="the folder of the data, kept for the next run",
    )
    options = parser.parse_args()
    results = benchmark(
        SMALL, [MEDIUM, LARGE] if options.large else [MEDIUM], options.folder, options.repeat
    )
    show(results)
    store.write(RESULTS, results)


if __name__ == "__main__":
    main()
