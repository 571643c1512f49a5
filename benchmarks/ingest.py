"""`python -m benchmarks.ingest`: the stage `ingest` beside the least work of an ingest.

The stage checks, numbers, partitions and sorts every row and accounts for each. `ingest_bare` reads
the same files, numbers customers, sorts and writes. The two take turns; medians are printed and
written to benchmarks/results/ingest.json, where sizes that were not run keep their figures.
"""

import argparse
import datetime as dt
import json
import os
import statistics
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.data import lines_of, shop
from benchmarks.measure import ROOT, cost
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder
from pipeline.stages.ingest import ingest

RESULTS = ROOT / "benchmarks" / "results" / "ingest.json"
SIZES = (50_000, 500_000)  # customers: 1.2 and 12 million lines
LARGE = 2_150_000  # 52 million
DATA_END = "2026-01-01"
SQL = """
    create view orders as
    select customer_id, order_id, ordered_at, product as sku, category, quantity,
           amount as net_amount, source_file, source_line
    from raw.orders;
    create view returns as
    select source_line as return_id, customer_id, 1 as quantity, amount as net_amount, returned_at,
           if(defect, 'defect', 'other') as reason, source_file, source_line from raw.returns;
    create view complaints as
    select source_line as complaint_id, customer_id, opened_at, resolved_at,
           (['minor', 'major', 'critical'])[severity + 1] as severity, source_file, source_line
    from raw.complaints;"""


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write events and quarantine as the stage does, whatever the snapshots."""
    params = load(ROOT)
    with TemporaryDirectory(dir=out) as folder:
        raw = Path(folder)
        (raw / "orders").mkdir()
        for path in [*(data / "orders").glob("*.parquet"), *data.glob("*.parquet")]:
            os.link(path, raw / path.relative_to(data))
        files = ingest(
            Folder(raw),
            SQL,
            params.ingest.model_copy(update={"data_end": DATA_END}),
            params.engine,
            "benchmark",
        )
        for name in ("events", "quarantine"):
            store.write(out / name, files[name])


def warm(data: Path) -> None:
    """Compile the kernels, or load them from disk."""
    with TemporaryDirectory(dir=data) as out:
        run(data, Path(out), [])


def benchmark(sizes: list[int], folder: Path, repeat: int) -> dict[str, dict[str, object]]:
    """Return lines, costs of both systems and the ratio of their CPU time, by size."""
    results: dict[str, dict[str, object]] = {}
    for customers in sizes:
        data = shop(folder, customers)
        costs = [
            {s: asdict(cost(s, data, folder / "out" / s, 12)) for s in ("ingest", "ingest_bare")}
            for _ in range(repeat if customers < LARGE else 1)
        ]
        medians = {
            system: {
                name: round(statistics.median(turn[system][name] for turn in costs), 3)
                for name in ("cpu_s", "wall_s", "rss_gb")
            }
            for system in costs[0]
        }
        lines = lines_of(data)
        ratio = round(medians["ingest"]["cpu_s"] / medians["ingest_bare"]["cpu_s"], 2)
        results[f"{lines / 1e6:.3g}M"] = {"lines": lines, **medians, "ratio": ratio}
    return results


def show(results: dict[str, dict[str, object]]) -> None:
    """Print the results as a table."""
    table = Table("lines", "system", *(f"[right]{h}" for h in ("CPU s", "wall s", "RSS GB")))
    for size, row in results.items():
        for system in ("ingest", "ingest_bare"):
            costs = row[system]
            assert isinstance(costs, dict)
            table.add_row(size, system, *(f"{costs[c]:.2f}" for c in ("cpu_s", "wall_s", "rss_gb")))
        table.add_row(size, "ratio", f"{row['ratio']:.2f}", "", "")
    Console().print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument(
        "--large", action="store_true", help="52 million lines as well, once: 12 GB of disk"
    )
    parser.add_argument("--repeat", type=int, default=3, help="the number of runs behind a median")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".cache" / "bench",
        help="the folder of the data, kept for the next run",
    )
    options = parser.parse_args()
    sizes = [*SIZES, LARGE] if options.large else [*SIZES]
    results = benchmark(sizes, options.folder, options.repeat)
    show(results)
    earlier = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    store.write(RESULTS, earlier | results)


if __name__ == "__main__":
    main()
