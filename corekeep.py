"""A shop's results as pandas frames: `import corekeep; shop = corekeep.load()`.

For notebooks and scripts. The stages have made everything; nothing is computed but `tested`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from models.defection.baselines import BASELINES
from models.defection.evaluation import RESAMPLED, compare
from models.defection.profit import value_of
from pipeline.engine.rows import joined
from pipeline.registry.about import about_of
from pipeline.registry.forecasts import ranking_values
from pipeline.registry.model_files import predictions
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import load as load_params
from pipeline.runtime.runner import ROOT
from pipeline.runtime.store import Folder

__all__ = ["ROOT", "Results", "difference", "load"]
KEYS = ["customer_id", "snapshot"]
FOLDERS = ("features", "lifecycle", "labels")
TESTED = ["stage", "defected", "value", "model", *BASELINES]


@dataclass(frozen=True)
class Results:
    """The results of one shop, each frame read when it is first used. Columns: docs/README.md."""

    shop: str
    root: Path

    def _rows(self, name: str) -> pd.DataFrame:
        rows = pd.read_parquet(self.root / "data" / name)
        return rows.set_index(KEYS).sort_index()

    @cached_property
    def features(self) -> pd.DataFrame:
        """One row per customer and snapshot, one column per feature; NaN is unknown."""
        return self._rows("features")

    @cached_property
    def labels(self) -> pd.DataFrame:
        """One row per customer and snapshot whose horizon is over; `defected`: no purchase in it.

        It has the index of `features`: `features.join(labels, how="inner")`.
        """
        return self._rows("labels")

    @cached_property
    def lifecycle(self) -> pd.DataFrame:
        """One row per customer and snapshot: stage, activity and what they follow from."""
        return self._rows("lifecycle")

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per known customer: the list in force, as in data/lists/scored.parquet."""
        path = self.root / "data" / "lists" / "scored.parquet"
        return pd.read_parquet(path).set_index("customer_id")

    @cached_property
    def tested(self) -> pd.DataFrame:
        """One row per benchmark customer and test origin: outcome, value, and each scorer's risk.

        Each scorer was trained on nothing after the origin.
        """
        *folders, model = (Folder(self.root / "data" / name) for name in (*FOLDERS, "model"))
        calibration = store.read(self.root / "data/calibration.json")
        features, lifecycle, labels = folders
        origins = list(calibration["origins"])
        rows = joined(features, lifecycle, calibration, labels, origins)
        about, costs = about_of(model), load_params(self.root).costs
        scored = predictions(rows[rows["benchmark"]], model, about)
        source = store.read(self.root / "reports" / "evaluation.json")["value_source"]
        yearly = ranking_values(model, about, scored)[source].to_numpy(np.float64)
        scored["value"] = value_of(yearly, costs)
        return scored.set_index(["customer_id", "origin"])[TESTED]


def load(shop: str | None = None, root: Path = ROOT) -> Results:
    """Return the results of the last run. Raises ConfigError where they are of another shop.

    `shop`: the shop you expect there; by default the one whose results lie there.
    """
    of = str(about_of(Folder(root / "data" / "model"))["shop"])
    if shop not in (None, of):
        fix = f"run `make repro SHOP={shop}`"
        raise ConfigError("E_SHOP", "data", f"it holds the results of {of}, not of {shop}", fix)
    return Results(of, root)


def difference(before: pd.DataFrame, after: pd.DataFrame, root: Path = ROOT) -> pd.DataFrame:
    """Return the model's metrics in `after` less those in `before`, with 95 % CI, one row each.

    Both are `Results.tested`, of one shop. The bootstrap draws customers with all their rows, as
    the evaluation does. Raises ValueError where the rows or outcomes differ: they do after a change
    of horizon or origins, and nothing can be compared then.
    """
    if not before.index.equals(after.index) or (before["defected"] != after["defected"]).any():
        raise ValueError("before and after have other customers, origins or outcomes")
    rows = before.reset_index()
    rows = rows.assign(after=after["model"].to_numpy(), before=rows["model"])
    rows["customer"] = pd.factorize(rows["customer_id"])[0]
    params = load_params(root)
    how = params.evaluate
    scorers = ["after", "before"]
    deltas = compare(rows, scorers, params.costs, how.capacity, how.bootstrap, how.seed)[1]
    if not deltas:
        raise ValueError("too few rows, or one outcome only")
    lines = [deltas["before"][metric] for metric in RESAMPLED]
    return pd.DataFrame(lines, index=list(RESAMPLED), columns=["difference", "low", "high"])
