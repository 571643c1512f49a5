"""Champion against newcomer: both asked at the same origins, each by a model that was taught by
nothing after them.

Only the order of customers counts (AUC), on the outcomes of today's horizon: the horizon a shop
learns may shift by a day, and a champion must not stay one for that alone.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection.evaluation import compare
from models.defection.profit import value_of
from models.settings import Costs
from pipeline.registry.model_files import baselines_of, model_of
from pipeline.runtime.errors import ModelError
from pipeline.runtime.params import Evaluate
from pipeline.runtime.store import Folder


class Judgement(NamedTuple):
    """Which alias a version gets, and why, in words."""

    alias: str
    reason: str


@dataclass(frozen=True)
class Version:
    """A version of the model.

    Its files, what model.json says of them, the verdict that chose the scorer.
    """

    model: Folder
    about: dict[str, Any]
    verdict: str

    def asked_at(self, origin: str) -> str | None:
        """The newest booster whose teachers' outcomes were all known at an origin.

        None where every one is too young.
        """
        final = dt.date.fromisoformat(self.about["trained_through"]) + dt.timedelta(
            days=self.about["horizon_days"]
        )
        known = {
            name: name.removeprefix("origins/").removesuffix(".txt")
            for name in self.about["sha256"]
            if name.startswith("origins/")
        }
        known["model.txt"] = final.isoformat()
        fit = [name for name, day in known.items() if day <= origin]
        return max(fit, key=lambda name: known[name], default=None)

    def scores(self, origin: str, rows: pd.DataFrame) -> Floats:
        """Probability of defection by the scorer that the verdict chose, one per row.

        Raises ModelError for altered files.
        """
        name = self.asked_at(origin)
        if name is None:
            raise ValueError(f"no model of this version may be asked at {origin}")
        if self.verdict in {"model", "no_signal"}:
            return model_of(self.model, self.about, name).predict(rows)
        return baselines_of(self.model, self.about)[name][self.verdict].predict(rows)


def against(
    champion: Version,
    newcomer: Version,
    rows: pd.DataFrame,
    horizon: int,
    params: Evaluate,
    costs: Costs,
) -> Judgement:
    """The newcomer is champion where the whole interval of the AUC difference lies above 0;
    customers are resampled with all their rows.

    `rows`: benchmark rows at test origins, one per customer and origin: customer_id, snapshot,
    defected (within `horizon` days), net_spend_365d, features.
    """
    both = {"champion": champion, "newcomer": newcomer}
    for name, version in both.items():
        if missing := [column for column in version.about["features"] if column not in rows]:
            return Judgement(
                "challenger",
                f"not compared: {len(missing)} features of the {name} are no longer made, first {missing[0]}",
            )
    origins = [
        origin
        for origin in sorted(rows["snapshot"].unique())
        if champion.asked_at(origin) and newcomer.asked_at(origin)
    ]
    common = rows[rows["snapshot"].isin(origins)]
    if len(common) < params.min_rows or common["defected"].nunique() < 2:
        return Judgement(
            "challenger",
            f"not compared: {len(common)} rows at origins neither was trained through, or one outcome only",
        )
    try:
        parts = [
            at.assign(
                origin=origin,
                **{name: version.scores(origin, at) for name, version in both.items()},
            )
            for origin, at in ((origin, common[common["snapshot"] == origin]) for origin in origins)
        ]
    except ModelError as error:
        return Judgement("challenger", f"not compared: {error.place}: {error.rule}")
    asked = pd.concat(parts, ignore_index=True)
    asked["customer"] = pd.factorize(asked["customer_id"])[0]
    asked["value"] = value_of(asked["net_spend_365d"].to_numpy(np.float64), costs)
    measured, deltas = compare(
        asked, ["newcomer", "champion"], costs, params.capacity, params.bootstrap, params.seed
    )
    point, low, high = deltas["champion"]["auc"] if deltas else (None, None, None)
    if low is None:
        return Judgement(
            "challenger", f"not compared: {len(common)} rows are too few to compare on"
        )
    figures = f"AUC {measured['newcomer']['auc']:.3f} against {measured['champion']['auc']:.3f}, {point:+.3f} [{low:+.3f}, {high:+.3f}]"
    figures += f" on {len(asked)} rows at {', '.join(origins)}"
    for name, version in both.items():
        if version.about["horizon_days"] != horizon:
            figures += (
                f", the {name} being made for {version.about['horizon_days']} days, not {horizon}"
            )
    return (
        Judgement("champion", f"better: {figures}")
        if low > 0
        else Judgement("challenger", f"not better beyond chance: {figures}")
    )
