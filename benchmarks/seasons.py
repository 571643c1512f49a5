"""`python -m benchmarks.seasons`: calibration through the year in a demo with a strong season.

The amplitude of the season is .6, and six test origins a horizon apart cover the year. By seed and
origin: the share of the scored population that churned and the one predicted, the part of last
year's correction that the model took over (`weight`), what its own log-odds are multiplied by in
this season (`scale`), the calibration error (ten bins), and the error that true probabilities would
show by chance. Written to benchmarks/results/seasons.json.
"""

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.measure import ROOT
from benchmarks.simulated_shops import TRAIN, made
from models.defection.metrics import calibration_error, calibration_floor
from pipeline.engine.rows import joined
from pipeline.registry.about import about_of
from pipeline.registry.model_files import predictions
from pipeline.runtime import store
from pipeline.runtime.progress import progress
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "seasons.json"
SEEDS = 5
HORIZON = 60  # days, twice the median IPT
CALENDAR = {"horizon_days": HORIZON, "step_days": HORIZON // 2, "origins": 11}
MUST = 0.015  # mean calibration error above its floor, at each origin


def origins(root: Path) -> list[dict[str, Any]]:
    """One entry per test origin a horizon apart."""
    data = root / "data"
    calibration = store.read(data / "calibration.json")
    days = list(calibration["origins"])[::-2][::-1]
    features, lifecycle = Folder(data / "features"), Folder(data / "lifecycle")
    rows = joined(features, lifecycle, calibration, Folder(data / "labels"), days)
    model, about = Folder(data / "model"), about_of(Folder(data / "model"))
    scored = predictions(rows[rows["scored"]], model, about)
    return [_entry(str(day), part, about) for day, part in scored.groupby("origin", sort=True)]


def _entry(day: str, rows: pd.DataFrame, about: dict[str, Any]) -> dict[str, Any]:
    chosen = about["chosen"][f"origins/{day}.txt"]
    risk, defected = rows["model"].to_numpy(np.float64), rows["defected"].to_numpy(bool)
    return {
        "origin": day,
        "rows": len(rows),
        "base_rate": round(float(defected.mean()), 4),
        "predicted": round(float(risk.mean()), 4),
        "weight": chosen["season_weight"],
        "scale": round(chosen["scale"], 4),
        "ece": round(calibration_error(risk, defected), 5),
        "floor": round(calibration_floor(risk, 1), 5),
    }


def run(seed: int) -> list[dict[str, Any]]:
    """Return the origins of one seed."""
    with TemporaryDirectory() as folder:
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["calibrate"] |= CALENDAR
        changed = Path(folder) / "changed.yaml"
        changed.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        simulate = {"seed": seed, "season_amplitude": 0.6}
        return origins(made(Path(folder), simulate, ("label", *TRAIN), changed))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    runs = [run(seed) for seed in progress(range(1, seeds + 1), seeds, "seasonal shops")]
    names = ("base_rate", "predicted", "weight", "scale", "ece", "floor")
    table = Table("origin", *names)
    means = []
    for same in zip(*runs, strict=True):
        mean = {name: round(statistics.mean(one[name] for one in same), 5) for name in names}
        means.append({"origin": same[0]["origin"], **mean})
        table.add_row(same[0]["origin"], *(f"{mean[name]:.4f}" for name in names))
    Console(width=100).print(table)
    worst = max(one["ece"] - one["floor"] for one in means)
    Console().print(f"most above the floor at an origin: {worst:.4f} (must: {MUST})")
    store.write(RESULTS, {"seeds": seeds, "must": MUST, "means": means, "runs": runs})


if __name__ == "__main__":
    main()
