"""The model as it is asked, in one of two forms: boosting alone (`plain`), or boosting from
logistic regression on RFM (`offset`).

With few customers boosting alone loses to the logistic regression; started from its log-odds it has
only the rest to learn.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Floats
from models.defection.baselines import LOGISTIC, Taught, contributions, logistic, predict
from models.defection.booster import fit, matrix, probabilities, shap
from models.settings import Boosting, Form

if TYPE_CHECKING:
    import lightgbm as lgb


BASE = "logistic_rfm"


class Choice(NamedTuple):
    """The form, its number of trees, and the log losses on the inner snapshot that decided, empty
    where there was none to examine.

    `losses` has one for each form, one for the base and, where there is a year to look back,
    `seasonal` of the form with the season's shift. `error`: the standard error of the difference of
    the two forms, 0 for one. `seasonal`: whether that shift did better.
    """

    form: Form
    rounds: int
    losses: dict[str, float]
    error: float
    seasonal: bool


def _log_odds(base: Taught, rows: pd.DataFrame) -> Floats:
    share = predict(base, rows)
    return np.asarray(np.log(share) - np.log1p(-share))


@dataclass(frozen=True)
class Model:
    """A booster with its features.

    `base` is the regression it starts from, None for boosting alone; `shift` is added to all
    log-odds.
    """

    booster: "lgb.Booster"
    columns: list[str]
    base: Taught | None
    shift: float = 0.0

    def predict(self, rows: pd.DataFrame, rounds: int | None = None) -> Floats:
        """Probability of defection, one per row.

        By the first so many trees only where `rounds` is given.
        """
        start = 0.0 if self.base is None else _log_odds(self.base, rows)
        return probabilities(self.booster, matrix(rows, self.columns), rounds, start + self.shift)

    def explain(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, rows x features.

        Exact TreeSHAP, and the terms of the regression.
        """
        found = pd.DataFrame(shap(self.booster, matrix(rows, self.columns)), columns=self.columns)
        if self.base is not None:
            found[self.base["columns"]] += contributions(self.base, rows)
        return found


def fit_form(
    form: Form,
    rows: pd.DataFrame,
    columns: list[str],
    base: Taught,
    params: Boosting,
    rounds: int,
    monotone_constraints: dict[str, int],
) -> Model:
    """A model of one form on rows that carry `defected`; `base` was taught by the same rows."""
    start = _log_odds(base, rows) if form == "offset" else None
    booster = fit(
        rows, columns, rows["defected"].to_numpy(bool), params, rounds, monotone_constraints, start
    )
    return Model(booster, columns, base if form == "offset" else None)


def _losses(chances: Floats, defected: npt.NDArray[np.bool_]) -> Floats:
    """Log loss of each row."""
    return np.asarray(-np.log(np.clip(np.where(defected, chances, 1 - chances), 1e-15, 1)))


def preferred(losses: dict[Form, Floats]) -> tuple[Form, float]:
    """The form to use, by its log loss of each row, and the standard error of the mean difference.

    The simpler one, boosting alone, unless the other is better by more than one standard error
    (Breiman et al. 1984).
    """
    if len(losses) == 1:
        return next(iter(losses)), 0.0
    better = losses["plain"] - losses["offset"]
    error = float(better.std(ddof=1) / np.sqrt(len(better)))
    return ("offset" if better.mean() > error else "plain"), error


def season_shift(chances: Floats, defected: npt.NDArray[np.bool_], weight: float) -> float:
    """A part of what has to be added to the log-odds of these chances for their mean to be the rate
    that was observed.
    """
    log_odds, rate = (
        np.log(chances) - np.log1p(-chances),
        (defected.sum() + 0.5) / (len(defected) + 1),
    )
    shift = 0.0
    for _ in range(20):  # Newton's method on a smooth, rising function
        found = 1 / (1 + np.exp(-(log_odds + shift)))
        shift += float((rate - found.mean()) / (found * (1 - found)).mean())
    return float(f"{weight * shift:.9g}")


def choose(
    taught: pd.DataFrame,
    examined: pd.DataFrame,
    year_ago: pd.DataFrame,
    columns: list[str],
    params: Boosting,
    monotone_constraints: dict[str, int],
) -> Choice:
    """The form and its number of trees that do best on a later snapshot, and whether the season's
    shift helps there.

    The frames carry `defected`; `year_ago` are the rows a year before the later snapshot, none
    where the history does not reach so far.
    """
    defected = examined["defected"].to_numpy(bool)
    base = logistic(LOGISTIC[BASE], taught, taught["defected"].to_numpy(bool))
    grid = range(params.round_step, params.max_rounds + 1, params.round_step)
    losses: dict[Form, Floats] = {}
    rounds: dict[Form, int] = {}
    models: dict[Form, Model] = {}
    for form in params.forms:
        models[form] = model = fit_form(
            form, taught, columns, base, params, params.max_rounds, monotone_constraints
        )
        tried = {n: _losses(model.predict(examined, n), defected) for n in grid}
        rounds[form] = min(tried, key=lambda n: tried[n].mean())
        losses[form] = tried[rounds[form]]
    form, error = preferred(losses)
    means = {str(name): rows.mean() for name, rows in losses.items()} | {
        BASE: _losses(predict(base, examined), defected).mean()
    }
    seasonal = False
    if len(year_ago) and params.season_weight > 0:
        before = models[form].predict(year_ago, rounds[form])
        shift = season_shift(before, year_ago["defected"].to_numpy(bool), params.season_weight)
        means["seasonal"] = _losses(
            replace(models[form], shift=shift).predict(examined, rounds[form]), defected
        ).mean()
        seasonal = bool(means["seasonal"] < means[form])
    return Choice(
        form,
        rounds[form],
        {name: float(f"{loss:.6g}") for name, loss in means.items()},
        float(f"{error:.6g}"),
        seasonal,
    )
