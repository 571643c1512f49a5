"""`python -m benchmarks.next_order`: how near the day of the next purchase can be forecast.

After `make repro`, for the chosen shop: median and mean absolute error in days at the test origin
of `timing`, of those who bought within two horizons.

* The model and the baselines, each by the median day; BG/NBD by earlier quantiles as well.
* One day for everybody: a quantile of the days after the training snapshots.
* The bound: the model trained on the outcomes at the test origin itself, of four customers in five,
  and applied to the fifth. Nobody knows them on that day, so what is left is beyond the features.
"""

import argparse
from pathlib import Path
from statistics import median_grouped

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.measure import ROOT
from features.records import Floats
from models.defection import bg_nbd, timing
from models.defection.baselines import BgNbd
from models.defection.booster import ModelSpec
from pipeline.engine.rows import buyers, feature_names
from pipeline.registry.forecasts import buyer_rows
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder

FOLDS = 5
EARLIER = (0.45, 0.4, 0.35, 0.3)


def days_by_scorer(root: Path) -> tuple[Floats, dict[str, Floats]]:
    """Return the true days at the test origin, and those of each scorer."""
    names = ("features", "lifecycle", "labels")
    folders = {name: Folder(root / "data" / name) for name in names}
    calibration = store.read(root / "data" / "calibration.json")
    plan, horizon = calibration["forecasts"]["timing"], calibration["horizon_days"]
    constraints = store.read(root / "data" / "monotone_constraints.json")
    columns = feature_names(folders["features"])
    spec = ModelSpec(columns, load(root).train, constraints, horizon)

    def rows(snapshots: list[str]) -> pd.DataFrame:
        of_buyers = buyer_rows(folders, calibration, snapshots)
        return of_buyers[of_buyers["next_days"].notna()].reset_index(drop=True)

    training, test = rows(plan["training"]), rows([plan["origin"]])
    fitted = BgNbd.fit(training, buyers(folders["features"], plan["origin"]), spec)
    past = bg_nbd.Parameters(**fitted.parameters)
    days: dict[str, Floats] = {
        "model": timing.fit_timing(training, spec, past).predict(test)["on"].to_numpy(),
        "expected_ipt": timing.by_expected_ipt(test),
        "bg_nbd": timing.by_bg_nbd(test, past, plan["days"]),
    }
    for share in EARLIER:
        days[f"bg_nbd, quantile {share}"] = timing.by_bg_nbd(test, past, plan["days"], share)
    for share in (0.5, *EARLIER):
        day = training["next_days"].quantile(share)
        days[f"one day for everybody, quantile {share}"] = np.full(len(test), day)
    bound, fold = np.zeros(len(test)), np.random.default_rng(0).permutation(len(test)) % FOLDS
    for number in range(FOLDS):
        known = timing.fit_timing(test[fold != number], spec, past)
        bound[fold == number] = known.predict(test[fold == number])["on"]
    return test["next_days"].to_numpy(np.float64), {**days, "bound": bound}


def main() -> None:
    """Print the errors of each scorer."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    true, scorers = days_by_scorer(ROOT)
    table = Table("scorer", "median error", "mean error", title=f"{len(true)} customers, days")
    for name, days in scorers.items():
        errors = np.abs(np.rint(days) - true)
        table.add_row(name, f"{median_grouped(errors.tolist()):.2f}", f"{errors.mean():.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
