"""`python -m benchmarks.worlds`: what is planted in the demo world, recovered from many seeds; and a world in which nothing is planted.

Each world passes through the stages from simulate to recover in a temporary folder, with every other parameter as in params.yaml. What is
found is printed and written to benchmarks/results/worlds.json:

* hypotheses: of each, from how many seeds it is recovered.
* contrasts: of each, mean and standard deviation over the seeds of the estimate, the mean truth and the mean standard error, and the
  standard deviation of (estimate - truth) / standard error, which is one where the intervals are right.
* model: on the scored customers of the test origins, AUC of the model and of the oracle (pipeline/demo_oracle.py: the true chances to
  leave at the last purchase, the law of his gaps and how long he has been silent), and the slope of the outcome on the model's log-odds.
* null: the world NULL, in which nobody leaves, all have the same cycle and no gap says anything about the next: interval of the model's
  AUC on the scored customers and on the benchmark population, and the verdict.
"""

import argparse
import contextlib
import io
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.lapse import shop
from benchmarks.measure import ROOT
from models.evaluation import weighted_auc
from models.trials import RECOVERED
from pipeline import store
from pipeline.engine import day_number
from pipeline.evaluate import predictions
from pipeline.model_file import about_of
from pipeline.params import Params, Simulate, load
from pipeline.progress import progress
from pipeline.recover import asked
from pipeline.rows import joined
from pipeline.runner import run_stage
from pipeline.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "worlds.json"
SEEDS = 20
AFTER_ASSIGN = ("label", "recover", "extract", "train", "evaluate")
MUST = {"oracle_ahead": 0.08, "slope": (0.8, 1.2)}  # the oracle's AUC less the model's, at most; the slope, between
NULL: dict[str, Any] = {
    **{name: 0.0 for name in Simulate.model_fields if name.startswith(("hazard_", "convert_e", "convert_c", "convert_t"))},
    "cycle_log_sd": 1e-9,
    "gamma_shape": (1.0, 1.0),
    "season_amplitude": 0.0,
    "early_growth": 0.0,
    "first_facets": 0.0,
    "competitor_shrink": 1.0,
    "boredom_run": 1000.0,  # never
    "treatment_factor": 1.0,
    "winback_reason_factor": 1.0,
}


def made(root: Path, world: dict[str, Any], stages: tuple[str, ...]) -> Path:
    """A folder like the project's in which the stages up to assign and then these have run, with these parameters of the demo world."""
    shop(root, world)
    with contextlib.redirect_stdout(io.StringIO()):
        for name in stages:
            run_stage(name, root)
    return root


def against_oracle(root: Path) -> dict[str, float]:
    """AUC of the model and of the oracle over the scored customers of all test origins, and the model's calibration slope."""
    from sklearn.linear_model import LogisticRegression

    params: Params = load(root)
    folders = {name: Folder(root / "data" / name) for name in ("events", "features", "lifecycle", "labels", "model")}
    calibration = store.read(root / "data" / "calibration.json")
    truth, past = Folder(root / "data" / "truth" / "demo"), (folders["events"], folders["lifecycle"], folders["labels"])
    known = asked(truth, *past, calibration, params.promise, params.simulate).stays[["customer_id", "snapshot", "true_again"]]
    rows = joined(folders["features"], folders["lifecycle"], calibration, folders["labels"], list(calibration["origins"]))
    scored = predictions(rows[rows["scored"]], folders["model"], about_of(folders["model"]), params.costs)
    scored["snapshot"] = scored["snapshot"].map(day_number)
    scored = scored.merge(known, on=["customer_id", "snapshot"], validate="1:1")
    defected, model = scored["defected"].to_numpy(bool), scored["model"].to_numpy(np.float64)
    odds = np.log(model / (1 - model))[:, None]
    everyone = np.ones(len(scored))
    return {
        "rows": len(scored),
        "model_auc": weighted_auc(model, defected, everyone),
        "oracle_auc": weighted_auc(1 - scored["true_again"].to_numpy(np.float64), defected, everyone),
        "slope": float(LogisticRegression(C=np.inf).fit(odds, defected).coef_[0, 0]),
    }


def null_world(root: Path) -> dict[str, Any]:
    """What `evaluate` says where nothing tells leavers from stayers."""
    metrics = store.read(root / "reports" / "metrics.json")
    aucs = {"scored": metrics["model"]["auc_ci"], "benchmark": metrics["benchmark"]["model"]["auc_ci"]}
    return {"auc_ci": aucs, "verdict": metrics["verdict"]}


def figures(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation, lowest and highest."""
    told = {"mean": statistics.mean(values), "sd": statistics.stdev(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 4) for name, value in told.items()}


def recovered(runs: list[list[dict[str, Any]]]) -> dict[str, list[bool]]:
    """By hypothesis: whether it is recovered, run by run."""
    return {each[0]["id"]: [one["verdict"] == RECOVERED for one in each] for each in zip(*runs, strict=True)}


def contrasts(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One entry per contrast: its figures over the runs that could make it."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for one in run:
            for part in one["parts"]:
                found.setdefault((one["id"], part["what"]), []).append(part)
    told = []
    for (name, what), parts in found.items():
        errors = [(part["high"] - part["low"]) / 2 / 1.644854 for part in parts]
        off = [(part["estimate"] - part["truth"]) / error for part, error in zip(parts, errors, strict=True)]
        means = {"truth": statistics.mean(part["truth"] for part in parts), "error": statistics.mean(errors)}
        rounded = {key: round(value, 5) for key, value in means.items()}
        told.append({"id": name, "what": what, "estimate": figures([part["estimate"] for part in parts]), **rounded, "off": figures(off)})
    return told


def show(found: dict[str, Any]) -> None:
    """Print what the seeds say."""
    table = Table("", "contrast", "[right]estimate", "[right]truth", "[right]off by, in standard errors", "[right]recovered")
    for one in found["contrasts"]:
        of = found["hypotheses"][one["id"]]
        estimate, off = one["estimate"], one["off"]
        cells = (f"{estimate['mean']:.3g} ± {estimate['sd']:.2g}", f"{one['truth']:.3g}", f"{off['mean']:.2f} ± {off['sd']:.2f}")
        table.add_row(one["id"], one["what"], *cells, f"{of} of {found['seeds']}")
    Console(width=140).print(table)
    for name, told in found["model"].items():
        Console().print(f"{name}: {told}")
    Console().print(f"null world: {found['null']}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    if seeds < 2:
        parser.error("--seeds: at least 2, or there is no spread")
    runs, models = [], []
    for seed in progress(range(1, seeds + 1), seeds, "worlds"):
        with TemporaryDirectory() as folder:
            root = made(Path(folder), {"seed": seed}, AFTER_ASSIGN)
            runs.append(store.read(root / "reports" / "hypotheses.json"))
            models.append(against_oracle(root))
    with TemporaryDirectory() as folder:
        null = null_world(made(Path(folder), NULL, AFTER_ASSIGN))
    model = {name: figures([one[name] for one in models]) for name in models[0]}
    model["oracle_ahead"] = figures([one["oracle_auc"] - one["model_auc"] for one in models])
    missed = {name: [i + 1 for i, held in enumerate(each) if not held] for name, each in recovered(runs).items()}
    counts = {name: seeds - len(each) for name, each in missed.items()}
    found = {
        "seeds": seeds,
        "hypotheses": counts,
        "missed": missed,
        "contrasts": contrasts(runs),
        "must": MUST,
        "model": model,
        "null": null,
    }
    show(found)
    store.write(RESULTS, found)


if __name__ == "__main__":
    main()
