"""`python -m benchmarks.simulated_shops`: planted effects, recovered from many seeds of the demo.

Simulated shops without effects are tested as well. Each shop passes through the stages from
`simulate` to `recover` in a temporary folder, with every other parameter as in params.yaml. The
results are printed and written to benchmarks/results/simulated_shops.json:

* missed: by hypothesis, the seeds from which it is not recovered.
* contrasts: mean and standard deviation of the estimate over the seeds, the mean ground
  truth, the mean standard error, and the standard deviation of (estimate - ground truth) / standard
  error, which is one where the intervals are right.
* model: of the first seeds, on both populations of evaluation.json, over all test origins: AUC of
  the model and of the oracle, and the slope of the outcome on the model's log-odds.
  `estimated_off` is how far the AUC that was expected at an origin is from the model's, on
  average over the origins; `estimated_close` the share of origins where it is within CLOSE. The
  oracle (pipeline/demo/oracle.py) knows the true chances to leave at the last purchase, the law of
  the next gap and the days since the last purchase.
* equal: in the shop EQUAL every chance to leave is one in ten; by hypothesis, the first seeds from
  which it is recovered all the same.
* null: in the shop NULL moreover nobody leaves, all have the same cycle and no gap predicts the
  next: intervals of the model's AUC on the scored and the benchmark population, and the verdict.
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
from models.defection.drift import estimated
from models.defection.metrics import weighted_auc
from models.hypotheses.contrasts import RECOVERED
from pipeline.demo.hindsight import observations
from pipeline.docs.hypotheses import SHARES
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import joined
from pipeline.registry.about import about_of
from pipeline.registry.model_files import predictions
from pipeline.runtime import store
from pipeline.runtime.demo_section import Simulate
from pipeline.runtime.params import Params, load
from pipeline.runtime.progress import progress
from pipeline.runtime.runner import run_stage
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "simulated_shops.json"
SEEDS = 20
# first seeds from which the model is trained as well, at twice the cost; as many shops are EQUAL
MODELS = 5
RECOVER, TRAIN = ("label", "recover"), ("extract", "train")
# AUC of the oracle minus that of the model, at most; range of the slope on the benchmark
MUST: dict[str, Any] = {"oracle_ahead": 0.08, "slope": (0.8, 1.2)}
CLOSE = 0.02
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
    "customers": 3000,  # nobody leaves, so there are enough purchases
    "ipt_log_sd": 1e-9,
    "gamma_shape": (1.0, 1.0),
    "season_amplitude": 0.0,
    "boredom_run": 1000.0,  # never
}


def made(
    root: Path,
    changes: dict[str, Any],
    stages: tuple[str, ...],
    params: Path = ROOT / "params.yaml",
) -> Path:
    """Make a folder like the project's, with these parameters of `simulate` for the demo.

    Run the stages up to `assign` and then these. All other parameters are those of `params`.
    """
    shop(root, changes, params)
    with contextlib.redirect_stdout(io.StringIO()):
        for name in stages:
            run_stage(name, root)
    return root


def against_oracle(root: Path) -> dict[str, dict[str, float]]:
    """Return, by population, AUC of model and oracle and the model's calibration slope.

    Over all test origins.
    """
    params: Params = load(root)
    folders = {
        name: Folder(root / "data" / name)
        for name in ("events", "features", "lifecycle", "labels", "model")
    }
    calibration = store.read(root / "data" / "calibration.json")
    truth = Folder(root / "data" / "truth" / "demo")
    past = (folders["events"], folders["lifecycle"], folders["labels"])
    stays = observations(truth, *past, calibration, params.sla, params.simulate).stays
    known = stays[["customer_id", "snapshot", "true_again"]]
    rows = joined(
        folders["features"],
        folders["lifecycle"],
        calibration,
        folders["labels"],
        list(calibration["origins"]),
    )
    about = about_of(folders["model"])
    scored = predictions(rows, folders["model"], about)
    scored["snapshot"] = scored["snapshot"].map(day_number)
    scored = scored.merge(known, on=["customer_id", "snapshot"], validate="1:1")
    return {
        population: beside_oracle(scored[scored[population]])
        for population in ("benchmark", "scored")
    }


def beside_oracle(rows: pd.DataFrame) -> dict[str, float]:
    """Return the figures of one population."""
    from sklearn.linear_model import LogisticRegression

    defected, model = rows["defected"].to_numpy(bool), rows["model"].to_numpy(np.float64)
    oracle, everyone = 1 - rows["true_again"].to_numpy(np.float64), np.ones(len(rows))
    odds = np.log(model / (1 - model))[:, None]
    aucs = {
        "model_auc": weighted_auc(model, defected, everyone),
        "oracle_auc": weighted_auc(oracle, defected, everyone),
    }
    slope = float(LogisticRegression(C=np.inf).fit(odds, defected).coef_[0, 0])
    off = [
        abs(weighted_auc(model[at], defected[at], everyone[at]) - (auc if auc else np.nan))
        for origin, at in rows.groupby("origin").indices.items()
        for auc in [estimated(model[at])["auc"]]
    ]
    return {
        "rows": len(rows),
        **aucs,
        "oracle_ahead": aucs["oracle_auc"] - aucs["model_auc"],
        "slope": slope,
        "estimated_off": statistics.mean(off),
        "estimated_close": statistics.mean(each <= CLOSE for each in off),
    }


def planted(seed: int) -> dict[str, Any]:
    """Return the hypotheses from one seed of the demo; for the first seeds, also the model."""
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {"seed": seed}, RECOVER + TRAIN if seed <= MODELS else RECOVER)
        model = against_oracle(root) if seed <= MODELS else None
        return {"hypotheses": store.read(root / "reports" / "hypotheses.json"), "model": model}


def equal(seed: int) -> list[str]:
    """Return the hypotheses that are recovered from one seed of the shop EQUAL."""
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {**EQUAL, "seed": seed}, RECOVER)
        return [
            one["id"]
            for one in store.read(root / "reports" / "hypotheses.json")
            if one["verdict"] == RECOVERED
        ]


def by_chance() -> dict[str, list[int]]:
    """Return, by hypothesis, the seeds of the shop EQUAL from which it is recovered."""
    seeds: dict[str, list[int]] = {}
    for seed in range(1, MODELS + 1):
        for name in equal(seed):
            seeds.setdefault(name, []).append(seed)
    return seeds


def null() -> dict[str, Any]:
    """Return the AUC intervals and the verdict of the shop NULL."""
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
    """Return mean, standard deviation, lowest and highest."""
    values_by_name = {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values),
        "lowest": min(values),
        "highest": max(values),
    }
    return {name: round(value, 4) for name, value in values_by_name.items()}


def contrasts(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One entry per contrast: its figures over the runs that have it."""
    by_contrast: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        for one in run:
            for part in one["parts"]:
                by_contrast.setdefault((one["id"], part["what"]), []).append(part)
    each = []
    for (name, what), parts in by_contrast.items():
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


def results_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of the demo; seeds count from 1."""
    hypotheses = [run["hypotheses"] for run in runs]
    missed = {
        each[0]["id"]: [seed for seed, one in enumerate(each, 1) if one["verdict"] != RECOVERED]
        for each in zip(*hypotheses, strict=True)
    }
    models = [run["model"] for run in runs if run["model"]]
    model = {
        population: {name: figures([each[population][name] for each in models]) for name in first}
        for population, first in models[0].items()
    }
    return {
        "seeds": len(runs),
        "missed": missed,
        "contrasts": contrasts(hypotheses),
        "must": MUST,
        "model": model,
    }


def spread(figure: dict[str, float]) -> str:
    """Return mean and range as text."""
    return f"{figure['mean']:.3f} ({figure['lowest']:.3f} to {figure['highest']:.3f})"


def cells(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """One row per contrast as texts: hypothesis, contrast, estimate, ground truth, error, seeds.

    `error`: difference of estimate and ground truth in standard errors. `seeds`: from how many the
    hypothesis is recovered.
    """
    rows: list[tuple[str, ...]] = []
    for one in results["contrasts"]:
        estimate, off = one["estimate"], one["off"]
        digits = 0 if abs(one["truth"]) > SHARES else 3
        texts = (
            f"{estimate['mean']:.{digits}f} ± {estimate['sd']:.{digits}f}",
            f"{one['truth']:.{digits}f}",
        )
        held = f"{results['seeds'] - len(results['missed'][one['id']])} of {results['seeds']}"
        rows.append((one["id"], one["what"], *texts, f"{off['mean']:+.1f} ± {off['sd']:.1f}", held))
    return rows


def show(results: dict[str, Any]) -> None:
    """Print the results."""
    table = Table(
        "",
        "contrast",
        "[right]estimate",
        "[right]ground truth",
        "[right]off by, standard errors",
        "[right]recovered",
    )
    for row in cells(results):
        table.add_row(*row)
    Console(width=140).print(table)
    for population, measured in results["model"].items():
        for name in [name for name in measured if name != "rows"]:
            Console().print(f"{population}, {name}: {spread(measured[name])}")
    Console().print(f"shops EQUAL: {results['equal']}; shop NULL: {results['null']}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    if seeds < 2:
        parser.error("--seeds: at least 2, or there is no spread")
    results = results_of(
        [planted(seed) for seed in progress(range(1, seeds + 1), seeds, "simulated shops")]
    ) | {"equal": by_chance(), "null": null()}
    show(results)
    store.write(RESULTS, results)


if __name__ == "__main__":
    main()
