"""The model in one of two forms: boosting alone (`plain`), or boosting from logistic regression on
RFM (`offset`).

With few customers boosting alone loses to the logistic regression. Started from its log-odds,
boosting only has to learn the rest.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags, Floats
from models.defection.baselines import Baseline, LogisticRFM
from models.defection.booster import ModelSpec, fit_booster, matrix, probabilities, shap
from models.settings import Form

if TYPE_CHECKING:
    import lightgbm as lgb

BASE = "logistic_rfm"
CERTAIN = 1e-15  # a probability counts as no closer to 0 or 1: its log-odds stay finite


class SelectedForm(NamedTuple):
    """The form, its number of trees, and the log losses on the inner snapshot that decided.

    `losses`: of each form, the base and, with a year to look back at, the shifted form; empty
    without an inner snapshot. `error`: of the difference of the two forms, 0 for one. `seasonal`:
    whether the shift did better.
    """

    form: Form
    rounds: int
    losses: dict[str, float]
    error: float
    seasonal: bool


@dataclass(frozen=True)
class Model:
    """A booster with the regression it starts from, if any, and a shift added to all log-odds."""

    booster: "lgb.Booster"
    columns: list[str]
    base: Baseline | None
    shift: float = 0.0

    def predict(self, rows: pd.DataFrame, rounds: int | None = None) -> Floats:
        """Return the probability of defection, one per row, by the first `rounds` trees."""
        start = 0.0 if self.base is None else init_score(self.base, rows)
        return probabilities(self.booster, matrix(rows, self.columns), rounds, start + self.shift)

    def explain(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to the log-odds, rows x features, of booster and base."""
        terms = pd.DataFrame(shap(self.booster, matrix(rows, self.columns)), columns=self.columns)
        if self.base is not None:
            terms[self.base.columns] += self.base.contributions(rows)
        return terms

    def with_shift_of(
        self, rows: pd.DataFrame, weight: float, rounds: int | None = None
    ) -> "Model":
        """Return the model with a part of the shift that these rows, a year ago, would need."""
        risk, defected = self.predict(rows, rounds), rows["defected"].to_numpy(bool)
        return replace(self, shift=season_shift(risk, defected, weight))


def init_score(base: Baseline, rows: pd.DataFrame) -> Floats:
    """Return the log-odds that boosting starts from, without the bits that differ between CPUs."""
    return np.round(base.log_odds(rows), 9)


def fit_form(form: Form, rows: pd.DataFrame, base: Baseline, rounds: int, spec: ModelSpec) -> Model:
    """Train a model of one form on rows with `defected`; `base` was trained on the same rows."""
    if form == "plain":
        return Model(fit_booster(rows, spec, rounds), spec.columns, None)
    return Model(fit_booster(rows, spec, rounds, init_score(base, rows)), spec.columns, base)


def log_losses(risk: Floats, rows: pd.DataFrame) -> Floats:
    """Return the log loss of each row."""
    of_outcome = np.where(rows["defected"].to_numpy(bool), risk, 1 - risk)
    return np.asarray(-np.log(np.clip(of_outcome, CERTAIN, 1)))


def preferred(losses: dict[Form, Floats]) -> tuple[Form, float]:
    """Return the better form by its log loss of each row, and the standard error of the difference.

    The simpler one, boosting alone, unless the other is better by more than one standard error
    (Breiman et al. 1984).
    """
    if len(losses) == 1:
        return next(iter(losses)), 0.0
    better = losses["plain"] - losses["offset"]
    error = float(better.std(ddof=1) / np.sqrt(len(better)))
    return ("offset" if better.mean() > error else "plain"), error


def season_shift(risk: Floats, defected: Flags, weight: float) -> float:
    """Return a part of the shift of the log-odds at which the mean risk is the observed rate.

    The mean rises with the shift, from below the rate to above it: the root is bracketed. Half a
    customer on each side keeps a rate of 0 or 1 finite.
    """
    from scipy.optimize import brentq

    risk = np.clip(risk, CERTAIN, 1 - CERTAIN)
    log_odds = np.log(risk) - np.log1p(-risk)
    rate = (defected.sum() + 0.5) / (len(defected) + 1)
    target = np.log(rate) - np.log1p(-rate)
    shift = brentq(
        lambda shift: (1 / (1 + np.exp(-(log_odds + shift)))).mean() - rate,
        target - log_odds.max() - 1,
        target - log_odds.min() + 1,
        xtol=1e-14,
    )
    return float(f"{weight * shift:.9g}")


def select_form(rows: pd.DataFrame, year_ago: pd.DataFrame, spec: ModelSpec) -> SelectedForm:
    """Select form, number of trees and season on the newest snapshot of the rows.

    The candidates are trained on snapshots at least a horizon older. `year_ago`: the rows a year
    before the newest, if any. A shop without older snapshots takes the first form with a quarter of
    the most trees: it would soon overfit.
    """
    params = spec.params
    day, newest = pd.to_datetime(rows["snapshot"]), rows["snapshot"].max()
    older = rows[day + pd.Timedelta(days=spec.horizon_days) <= pd.Timestamp(newest)]
    if older["defected"].nunique() < 2:
        return SelectedForm(params.forms[0], max(params.max_rounds // 4, 1), {}, 0.0, False)
    inner = rows[rows["snapshot"] == newest]
    base = LogisticRFM.fit(older)
    models = {form: fit_form(form, older, base, params.max_rounds, spec) for form in params.forms}
    losses: dict[Form, Floats] = {}
    rounds: dict[Form, int] = {}
    grid = range(params.round_step, params.max_rounds + 1, params.round_step)
    for form, model in models.items():
        by_rounds = {n: log_losses(model.predict(inner, n), inner) for n in grid}
        rounds[form] = min(by_rounds, key=lambda n: by_rounds[n].mean())
        losses[form] = by_rounds[rounds[form]]
    form, error = preferred(losses)
    means = {str(name): of_rows.mean() for name, of_rows in losses.items()}
    means[BASE] = log_losses(base.predict(inner), inner).mean()
    seasonal = False
    if len(year_ago) and params.season_weight > 0:
        shifted = models[form].with_shift_of(year_ago, params.season_weight, rounds[form])
        means["seasonal"] = log_losses(shifted.predict(inner, rounds[form]), inner).mean()
        seasonal = bool(means["seasonal"] < means[form])
    rounded = {name: float(f"{loss:.6g}") for name, loss in means.items()}
    return SelectedForm(form, rounds[form], rounded, float(f"{error:.6g}"), seasonal)
