"""Champion and challenger: two versions of a model compared at the same test origins.

Each predicts with a booster that was trained through nothing after the origin. Only the ranking of
customers counts (AUC), on outcomes within the horizon of today: the horizon that a shop's data give
may shift by a day, and no champion should stay one for that alone.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from features.records import Floats
from models.defection.evaluation import compare
from pipeline.registry.model_files import baseline_of, model_of
from pipeline.runtime.errors import ModelError
from pipeline.runtime.sections import Evaluate
from pipeline.runtime.store import Folder


class Judgement(NamedTuple):
    """The alias of a version, and the reason in words."""

    alias: str
    reason: str


def not_compared(reason: str) -> Judgement:
    """Return the judgement of a version that could not be compared: it is challenger."""
    return Judgement("challenger", f"not compared: {reason}")


@dataclass(frozen=True)
class ModelVersion:
    """A version of the model: its files, its model.json, the scorer that its verdict selected."""

    model: Folder
    about: dict[str, Any]
    verdict: str

    def booster_for(self, origin: str) -> str | None:
        """Return the newest booster whose training outcomes were known at an origin, or None."""
        days = {
            name: name.removeprefix("origins/").removesuffix(".txt")
            for name in self.about["sha256"]
            if name.startswith("origins/")
        }
        horizon = dt.timedelta(days=self.about["horizon_days"])
        through = dt.date.fromisoformat(self.about["trained_through"])
        days["model.txt"] = (through + horizon).isoformat()
        fit = [name for name, day in days.items() if day <= origin]
        return max(fit, key=lambda name: days[name], default=None)

    def scores(self, origin: str, rows: pd.DataFrame) -> Floats:
        """Return the probability of defection by the selected scorer, one per row.

        Raises ModelError for altered files, ValueError for an origin without a booster.
        """
        name = self.booster_for(origin)
        if name is None:
            raise ValueError(f"no booster of this version may predict at {origin}")
        if self.verdict in {"model", "no_signal"}:
            return model_of(self.model, self.about, name).predict(rows)
        return baseline_of(self.model, self.about, name, self.verdict).predict(rows)


def compare_versions(
    champion: ModelVersion,
    newcomer: ModelVersion,
    rows: pd.DataFrame,
    horizon: int,
    params: Evaluate,
) -> Judgement:
    """Return `champion` for the newcomer if the 95 % CI of the difference in AUC lies above 0.

    `rows`: benchmark rows at test origins, one per customer and origin: customer_id, snapshot,
    defected (within `horizon` days), features. Customers are resampled with all
    their rows.
    """
    versions = {"champion": champion, "newcomer": newcomer}
    for name, version in versions.items():
        if missing := [column for column in version.about["features"] if column not in rows]:
            gone = f"{len(missing)} features of the {name} are no longer made, first {missing[0]}"
            return not_compared(gone)
    origins = [
        origin
        for origin in sorted(rows["snapshot"].unique())
        if all(version.booster_for(origin) for version in versions.values())
    ]
    rows = rows[rows["snapshot"].isin(origins)]
    if len(rows) < params.min_rows or rows["defected"].nunique() < 2:
        seen = f"{len(rows)} rows at origins neither was trained through, or one outcome only"
        return not_compared(seen)
    try:
        parts = [
            at.assign(
                origin=origin,
                **{name: version.scores(origin, at) for name, version in versions.items()},
            )
            for origin, at in ((origin, rows[rows["snapshot"] == origin]) for origin in origins)
        ]
    except ModelError as error:
        return not_compared(f"{error.place}: {error.rule}")
    scored = pd.concat(parts, ignore_index=True)
    scored["customer"] = pd.factorize(scored["customer_id"])[0]
    measured, deltas = compare(
        scored, ["newcomer", "champion"], None, params.capacity, params.bootstrap, params.seed
    )
    point, low, high = deltas["champion"]["auc"] if deltas else (None, None, None)
    if low is None:
        return not_compared(f"{len(rows)} rows are too few to compare on")
    figures = f"AUC {measured['newcomer']['auc']:.3f} against {measured['champion']['auc']:.3f}, "
    figures += f"{point:+.3f} [{low:+.3f}, {high:+.3f}] on {len(scored)} rows at "
    figures += ", ".join(origins)
    for name, version in versions.items():
        if (own := version.about["horizon_days"]) != horizon:
            figures += f", the {name} being made for {own} days, not {horizon}"
    if low > 0:
        return Judgement("champion", f"better: {figures}")
    return Judgement("challenger", f"not better beyond chance: {figures}")
