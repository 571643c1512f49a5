"""`python -m benchmarks.sample`: a sample of customers to train on, against all of them.

`calibrate.sample_customers` bounds the cost of `train` and `evaluate`. Two questions, each of
simulated shops whose customers all differ, with the parameters of the demo:

* Cost: CPU seconds of `train` and `evaluate` of a shop, and of one of ten times as many customers.
* AUC: the large shop's model of the newest test origin, trained on a fifth of the sample, on the
  sample and on everybody, on all benchmark rows of that origin.

Written to benchmarks/results/sample.json. With a million customers it takes an hour.
"""

import argparse
import contextlib
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import ROOT
from benchmarks.simulated_shops import made
from models.defection.baselines import BASELINES
from models.defection.booster import ModelSpec
from models.defection.forms import BASE
from models.defection.metrics import weighted_auc
from pipeline.engine.rows import buyers, feature_names, joined, purged
from pipeline.registry.seeds import train_at
from pipeline.runtime import store
from pipeline.runtime.cost import measured
from pipeline.runtime.params import load
from pipeline.runtime.runner import run_stage
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "sample.json"
CUSTOMERS, TIMES = 100_000, 10
EVERYBODY = 10**9
UP_TO = ("label", "extract")


def eligible(root: Path) -> int:
    """Return the customers of a shop that a sample is drawn from: two purchases or more."""
    calibration = store.read(root / "data" / "calibration.json")
    bought = buyers(Folder(root / "data" / "features"), calibration["data_end"])
    return int((bought["purchases"] >= 2).sum())


def spent_on(root: Path) -> dict[str, Any]:
    """Train and evaluate; return the customers that a sample is drawn from, and the cost."""
    costs: dict[str, dict[str, float]] = {}
    for name in ("train", "evaluate"):
        with contextlib.redirect_stdout(io.StringIO()), measured(costs, name):
            run_stage(name, root)
    return {"eligible": eligible(root), **costs}


def auc(root: Path, most: int) -> dict[str, Any]:
    """Train the newest origin's model on a sample of so many customers; score all of its rows."""
    params, calibration = load(root), store.read(root / "data" / "calibration.json")
    names = ("features", "lifecycle", "labels")
    features, lifecycle, labels = (Folder(root / "data" / name) for name in names)
    constraints = store.read(root / "data" / "monotone_constraints.json")
    horizon, origin = calibration["horizon_days"], max(calibration["origins"])
    spec = ModelSpec(feature_names(features), params.train, constraints, horizon)
    snapshots = calibration["origins"][origin]

    def rows(most: int, days: list[str]) -> Any:
        drawn = calibration | {"sample_customers": most}
        return joined(features, lifecycle, drawn, labels, days)

    sample = rows(most, calibration["snapshots"])
    training = purged(sample, snapshots, origin, horizon)
    fitted = {BASE: BASELINES[BASE].fit(training, buyers(features, max(snapshots)), spec)}
    model = train_at(sample, calibration, origin, snapshots, fitted, spec).model
    tested = rows(EVERYBODY, [origin])
    tested = tested[tested["benchmark"]]
    defected, risk = tested["defected"].to_numpy(bool), model.predict(tested)
    return {
        "customers": sample["customer_id"].nunique(),
        "rows": len(training),
        "scored": len(tested),
        "auc": round(weighted_auc(risk, defected, np.ones(len(tested))), 5),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="of the smaller shop")
    customers = parser.parse_args().customers
    with TemporaryDirectory() as folder:
        small, large = (Path(folder) / name for name in ("small", "large"))
        for root, size in ((small, customers), (large, TIMES * customers)):
            root.mkdir()
            made(root, {"customers": size}, UP_TO)
        costs = [spent_on(root) for root in (small, large)]
        most = load(large).calibrate.sample_customers
        aucs = [auc(large, size) for size in (most // 5, most, EVERYBODY)]
    seconds = [sum(cost[name]["cpu_s"] for name in ("train", "evaluate")) for cost in costs]
    results: dict[str, Any] = {
        "simulated": [customers, TIMES * customers],
        "sample": most,
        "large_over_small": {"measured": round(seconds[1] / seconds[0], 2), "must": 2},
        "lost_by_sample": {"measured": round(aucs[-1]["auc"] - aucs[-2]["auc"], 5), "must": 0.002},
        "costs": costs,
        "samples": aucs,
    }
    for part in ("costs", "samples"):
        table = Table(*results[part][0])
        for row in results[part]:
            table.add_row(*map(str, row.values()))
        Console(width=100).print(table)
    store.write(RESULTS, results)


if __name__ == "__main__":
    main()
