"""`python -m benchmarks.worlds`: what is planted in the demo world, recovered from many seeds; and
worlds in which nothing is planted.

Each world passes through the stages from simulate to recover in a temporary folder, with every
other parameter as in params.yaml. What is found is printed and written to
benchmarks/results/worlds.json:

* missed: of each hypothesis, the seeds from which it is not recovered.
* contrasts: of each, mean and standard deviation over the seeds of the estimate, the mean truth and the mean standard error, and the
  standard deviation of (estimate - truth) / standard error, which is one where the intervals are right.
* model: from the first seeds, on both populations of evaluation.json, over all test origins, AUC of the model and of the oracle
  (pipeline/demo/oracle.py: it knows the true chances to leave at the last purchase, the law of the next gap and how long the customer has
  been silent), and the slope of the outcome on the model's log-odds.
* equal: in the world EQUAL, where the chance to leave is one in ten whatever happens, the first seeds from which a hypothesis is recovered.
* null: of the world NULL, in which besides nobody leaves, all have the same cycle and no gap says anything about the next: intervals of the
  model's AUC on the scored customers and on the benchmark population, and the verdict.
"""

import argparse
import contextlib
import io
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.lapse import shop
from benchmarks.measure import ROOT
from models.defection.evaluation import weighted_auc
from models.hypotheses.contrasts import RECOVERED
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import joined
from pipeline.registry.model_files import about_of
from pipeline.runtime import store
from pipeline.runtime.params import Params, Simulate, load
from pipeline.runtime.progress import progress
from pipeline.runtime.runner import run_stage
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import predictions
from pipeline.stages.recover import SHARES, asked

RESULTS = ROOT / "benchmarks" / "results" / "worlds.json"
SEEDS = 20
# of the seeds the model is taught as well, which costs as much again; and so many worlds are EQUAL
MODELS = 5
RECOVER, TRAIN = ("label", "recover"), ("extract", "train")
# AUC of the oracle less the model's, at most; the benchmark's slope
MUST: dict[str, Any] = {"oracle_ahead": 0.08, "slope": (0.8, 1.2)}
EFFECTS = [
    name
    for name in Simulate.model_fields
    if name.startswith(("hazard_", "convert_e", "convert_c", "convert_t"))
]
EQUAL: dict[str, Any] = {
    **dict.fromkeys([*EFFECTS, "early_growth", "first_facets"], 0.0),
    **dict.fromkeys(("hazard_first", "hazard_early", "hazard_core"), 0.1),
    **dict.fromkeys(("treatment_factor", "winback_reason_factor", "competitor_shrink"), 1.0),
}
NULL: dict[str, Any] = {
    **EQUAL,
    **dict.fromkeys(("hazard_first", "hazard_early", "hazard_core"), 0.0),
    "customers": 3000,  # nobody leaves, so there is enough to see
    "ipt_log_sd": 1e-9,
    "gamma_shape": (1.0, 1.0),
    "season_amplitude": 0.0,
    "boredom_run": 1000.0,  # never
}


def made(
    root: Path, world: dict[str, Any], stages: tuple[str, ...], params: Path = ROOT / "params.yaml"
) -> Path:
    """Make a folder like the project's, with these parameters of `simulate` for the demo.

    Run the stages up to `assign` and then these. All other parameters are those of `params`.
    """
    shop(root, world, params)
    with contextlib.redirect_stdout(io.StringIO()):
        for name in stages:
            run_stage(name, root)
    return root


def against_oracle(root: Path) -> dict[str, dict[str, float]]:
    """By population, over all test origins.

    AUC of the model and of the oracle, and the model's calibration slope.
    """
    params: Params = load(root)
    folders = {
        name: Folder(root / "data" / name)
        for name in ("events", "features", "lifecycle", "labels", "model")
    }
    calibration = store.read(root / "data" / "calibration.json")
    truth, past = (
        Folder(root / "data" / "truth" / "demo"),
        (folders["events"], folders["lifecycle"], folders["labels"]),
    )
    known = asked(truth, *past, calibration, params.sla, params.simulate).stays[
        ["customer_id", "snapshot", "true_again"]
    ]
    rows = joined(
        folders["features"],
        folders["lifecycle"],
        calibration,
        folders["labels"],
        list(calibration["origins"]),
    )
    found = predictions(rows, folders["model"], about_of(folders["model"]), params.costs)
    found["snapshot"] = found["snapshot"].map(day_number)
    found = found.merge(known, on=["customer_id", "snapshot"], validate="1:1")
    return {
        population: beside_oracle(found[found[population]])
        for population in ("benchmark", "scored")
    }


def beside_oracle(rows: pd.DataFrame) -> dict[str, float]:
    """The figures of one population."""
    from sklearn.linear_model import LogisticRegression

    defected, model = rows["defected"].to_numpy(bool), rows["model"].to_numpy(np.float64)
    oracle, everyone = 1 - rows["true_again"].to_numpy(np.float64), np.ones(len(rows))
    odds = np.log(model / (1 - model))[:, None]
    aucs = {
        "model_auc": weighted_auc(model, defected, everyone),
        "oracle_auc": weighted_auc(oracle, defected, everyone),
    }
    slope = float(LogisticRegression(C=np.inf).fit(odds, defected).coef_[0, 0])
    return {
        "rows": len(rows),
        **aucs,
        "oracle_ahead": aucs["oracle_auc"] - aucs["model_auc"],
        "slope": slope,
    }


def planted(seed: int) -> dict[str, Any]:
    """One seed of the demo world.

    The hypotheses as `recover` finds them and, of the first seeds, the model against the oracle.
    """
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {"seed": seed}, RECOVER + TRAIN if seed <= MODELS else RECOVER)
        model = against_oracle(root) if seed <= MODELS else None
        return {"hypotheses": store.read(root / "reports" / "hypotheses.json"), "model": model}


def equal(seed: int) -> list[str]:
    """The hypotheses that are recovered in one seed of the world EQUAL."""
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {**EQUAL, "seed": seed}, RECOVER)
        return [
            one["id"]
            for one in store.read(root / "reports" / "hypotheses.json")
            if one["verdict"] == RECOVERED
        ]


def by_chance() -> dict[str, list[int]]:
    """Of each hypothesis that is recovered in a world EQUAL, the seeds from which it is."""
    found: dict[str, list[int]] = {}
    for seed in range(1, MODELS + 1):
        for name in equal(seed):
            found.setdefault(name, []).append(seed)
    return found


def null() -> dict[str, Any]:
    """What `evaluate` says of the world NULL."""
    with TemporaryDirectory() as folder:
        metrics = store.read(
            made(Path(folder), NULL, ("label", *TRAIN, "evaluate")) / "reports" / "evaluation.json"
        )
    aucs = {
        "scored": metrics["model"]["auc_ci"],
        "benchmark": metrics["benchmark"]["model"]["auc_ci"],
    }
    return {"auc_ci": aucs, "verdict": metrics["verdict"]}


def figures(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation, lowest and highest."""
    told = {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values),
        "lowest": min(values),
        "highest": max(values),
    }
    return {name: round(value, 4) for name, value in told.items()}


def contrasts(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One entry per contrast: its figures over the runs that could make it."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for one in run:
            for part in one["parts"]:
                found.setdefault((one["id"], part["what"]), []).append(part)
    each = []
    for (name, what), parts in found.items():
        errors = [(part["high"] - part["low"]) / 2 / 1.644854 for part in parts]
        off = [
            (part["estimate"] - part["truth"]) / error
            for part, error in zip(parts, errors, strict=True)
        ]
        means = {
            "truth": statistics.mean(part["truth"] for part in parts),
            "error": statistics.mean(errors),
        }
        rounded = {key: round(value, 5) for key, value in means.items()}
        each.append(
            {
                "id": name,
                "what": what,
                "estimate": figures([part["estimate"] for part in parts]),
                **rounded,
                "off": figures(off),
            }
        )
    return each


def told(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All that is written.

    `missed` names the seeds, from 1 on, from which a hypothesis is not recovered.
    """
    found = [run["hypotheses"] for run in runs]
    missed = {
        each[0]["id"]: [seed for seed, one in enumerate(each, 1) if one["verdict"] != RECOVERED]
        for each in zip(*found, strict=True)
    }
    models = [run["model"] for run in runs if run["model"]]
    model = {
        population: {name: figures([each[population][name] for each in models]) for name in first}
        for population, first in models[0].items()
    }
    return {
        "seeds": len(runs),
        "missed": missed,
        "contrasts": contrasts(found),
        "must": MUST,
        "model": model,
    }


def spread(figure: dict[str, float]) -> str:
    """Mean and range for people."""
    return f"{figure['mean']:.3f} ({figure['lowest']:.3f} to {figure['highest']:.3f})"


def cells(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The contrasts for people.

    Whose, what, estimate, truth, distance of the two in standard errors, from how many seeds
    recovered.
    """
    rows: list[tuple[str, ...]] = []
    for one in found["contrasts"]:
        estimate, off = one["estimate"], one["off"]
        digits = 0 if abs(one["truth"]) > SHARES else 3
        told = (
            f"{estimate['mean']:.{digits}f} ± {estimate['sd']:.{digits}f}",
            f"{one['truth']:.{digits}f}",
        )
        held = f"{found['seeds'] - len(found['missed'][one['id']])} of {found['seeds']}"
        rows.append((one["id"], one["what"], *told, f"{off['mean']:+.1f} ± {off['sd']:.1f}", held))
    return rows


def show(found: dict[str, Any]) -> None:
    """Print what the seeds say."""
    table = Table(
        "",
        "contrast",
        "[right]estimate",
        "[right]truth",
        "[right]off by, standard errors",
        "[right]recovered",
    )
    for row in cells(found):
        table.add_row(*row)
    Console(width=140).print(table)
    for population, measured in found["model"].items():
        for name in ("model_auc", "oracle_auc", "oracle_ahead", "slope"):
            Console().print(f"{population}, {name}: {spread(measured[name])}")
    Console().print(
        f"where hazards are equal: {found['equal']}; where nothing tells: {found['null']}"
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    if seeds < 2:
        parser.error("--seeds: at least 2, or there is no spread")
    found = told([planted(seed) for seed in progress(range(1, seeds + 1), seeds, "worlds")]) | {
        "equal": by_chance(),
        "null": null(),
    }
    show(found)
    store.write(RESULTS, found)


if __name__ == "__main__":
    main()
