"""`python -m benchmarks.sample`: what training on more customers is worth, and what it costs.

One large simulated shop passes through the stages up to `label`. Then `train` runs with samples of
growing size, and each model scores all benchmark rows of the newest test origin. By sample size:
CPU seconds of `train`, and the AUC on those rows. Written to benchmarks/results/sample.json.
"""

import argparse
import contextlib
import io
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import ROOT
from benchmarks.simulated_shops import made
from models.defection.metrics import weighted_auc
from pipeline.engine.rows import joined
from pipeline.registry.about import about_of
from pipeline.registry.model_files import model_of
from pipeline.runtime import store
from pipeline.runtime.runner import run_stage
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "sample.json"
SIZES = (2_500, 10_000, 25_000)
EVERYBODY = 10**9


def trained(root: Path, size: int) -> dict[str, Any]:
    """Train on a sample of so many customers and score all rows of the newest origin."""
    data = root / "data"
    calibration = store.read(data / "calibration.json")
    store.write(data / "calibration.json", calibration | {"sample_customers": size})
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        run_stage("train", root)
    spent = time.process_time() - start
    origin = max(calibration["origins"])
    everybody = calibration | {"sample_customers": EVERYBODY}
    features, lifecycle = Folder(data / "features"), Folder(data / "lifecycle")
    rows = joined(features, lifecycle, everybody, Folder(data / "labels"), [origin])
    rows = rows[rows["benchmark"]]
    model = Folder(data / "model")
    risk = model_of(model, about_of(model), f"origins/{origin}.txt").predict(rows)
    auc = weighted_auc(risk, rows["defected"].to_numpy(bool), np.ones(len(rows)))
    sizes = {"customers": about_of(model)["grouped_cv"]["customers"], "scored": len(rows)}
    return {**sizes, "train_cpu_s": round(spent, 1), "auc": round(auc, 5)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=50_000, help="simulated, half of them buy")
    customers = parser.parse_args().customers
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {"customers": customers}, ("label", "extract"))
        results = [trained(root, size) for size in SIZES]
    table = Table(*results[0])
    for row in results:
        table.add_row(*map(str, row.values()))
    Console(width=100).print(table)
    store.write(RESULTS, {"simulated": customers, "samples": results})


if __name__ == "__main__":
    main()
