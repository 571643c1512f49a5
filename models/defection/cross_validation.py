"""Cross-validation by customer: each half is scored by a model trained on the other half.

So outcomes that are known show what the model's probabilities are worth on customers it has not
seen: how they differ from the outcomes in each season, and how well they rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Floats
from models.defection.baselines import Baseline
from models.defection.booster import ModelSpec, as_stored, tree_sums
from models.defection.forms import Model, SelectedForm, corrected, fit_form, init_score
from models.defection.metrics import weighted_auc
from models.defection.season import Line, Season, correction, learn_season

FOLDS = 2  # both together cost one more training


@dataclass(frozen=True)
class CrossFitted:
    """Two models without a season, each trained without one half of the customers.

    `known`: what their trees said of the rows of each snapshot, the same at later origins.
    """

    models: list[Model]
    known: dict[str, Floats] = field(default_factory=dict)

    def log_odds(self, rows: pd.DataFrame, base: Baseline, season: Season) -> Floats:
        """Return log-odds of a snapshot's rows, by the model that has not seen the customer.

        They are in the snapshot's season. `base` and `season` may be of a later origin.
        """
        day = str(rows["snapshot"].iloc[0])
        if day not in self.known:
            self.known[day] = self._trees(rows)
        start = init_score(base, rows)
        return self.known[day] + season.starts(rows, start) + self.models[0].slope * start

    def _trees(self, rows: pd.DataFrame) -> Floats:
        fold, sums = _folds(rows), np.empty(len(rows))
        for unseen, model in enumerate(self.models):
            if (at := fold == unseen).any():
                values = as_stored(rows[at], model.columns)
                sums[at] = tree_sums(model.booster, values) + model.shift
        return sums

    def own_season(
        self,
        training: pd.DataFrame,
        years: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
        year_ago: pd.DataFrame,
        base: Baseline,
        season: Season,
        spec: ModelSpec,
    ) -> Line:
        """Return how the model's log-odds are corrected in the season expected at the origin.

        By what its correction a year ago differed from the one of all training rows, as far as that
        recurs. For the arguments see `learn_season`.
        """
        prior, sd = spec.params.season_prior, spec.params.season_sd
        days = [rows for _, rows in training.groupby("snapshot")]
        outcomes = np.concatenate([rows["defected"].to_numpy(bool) for rows in days])
        log_odds = np.concatenate([self.log_odds(rows, base, season) for rows in days])
        always = correction(log_odds, outcomes, sd)

        def without_season(rows: pd.DataFrame) -> Floats:
            return corrected(self.log_odds(rows, base, season), always)

        return learn_season(without_season, training, years, year_ago, prior, sd).now


def cross_fit(
    rows: pd.DataFrame, selected: SelectedForm, base: Baseline, spec: ModelSpec, season: Season
) -> CrossFitted | None:
    """Train the two models; None where the rows of one have one outcome only."""
    fold = _folds(rows)
    parts = [rows[fold != unseen] for unseen in range(FOLDS)]
    if any(part["defected"].nunique() < 2 for part in parts):
        return None
    return CrossFitted(
        [fit_form(selected.form, part, base, selected.rounds, spec, season) for part in parts]
    )


def grouped_cv(
    rows: pd.DataFrame, fitted: CrossFitted | None, base: Baseline, season: Season
) -> dict[str, Any]:
    """Return the AUC of unseen rows, the mean over the snapshots; folds, customers, rows beside it.

    It is optimistic in time, because training and test rows are of the same snapshots. It is None
    where a snapshot or a fold has one outcome only.
    """
    sizes = {"folds": FOLDS, "customers": rows["customer_id"].nunique(), "rows": len(rows)}
    if fitted is None:
        return {**sizes, "auc": None}
    aucs = [
        weighted_auc(
            fitted.log_odds(day, base, season), day["defected"].to_numpy(bool), np.ones(len(day))
        )
        for _, day in rows.groupby("snapshot")
    ]
    auc = np.mean(aucs)
    return {**sizes, "auc": round(float(auc), 5) if np.isfinite(auc) else None}


def _folds(rows: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """Return the fold of each row, the same for all rows of a customer."""
    hashed = pd.util.hash_pandas_object(rows["customer_id"], index=False)
    return np.asarray(hashed.to_numpy() % FOLDS)
