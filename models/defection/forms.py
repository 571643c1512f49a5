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
from models.defection.baselines import Baseline, baseline_class
from models.defection.booster import ModelSpec, as_stored, fit_booster, matrix, shap, tree_sums
from models.defection.season import NO_CORRECTION, NO_SEASON, Line, Season, correction
from models.settings import Form

if TYPE_CHECKING:
    import lightgbm as lgb

BASE = "logistic_rfm"
CERTAIN = 1e-15  # a probability counts as no closer to 0: its log loss stays finite


class SelectedForm(NamedTuple):
    """The form, its number of trees, and the log losses on the inner snapshot that decided.

    `losses`: of each form and the base; empty without an inner snapshot. `error`: of the difference
    of the two forms, 0 for one.
    """

    form: Form
    rounds: int
    losses: dict[str, float]
    error: float


@dataclass(frozen=True)
class Model:
    """A booster, `scale` times its log-odds, and what is added: `shift`, `slope` times a base's.

    The form `offset` starts from the base; a season shifts and tilts both. It is trained on
    customers who bought in the last `recent` days; `far` corrects the log-odds of the others.
    """

    booster: "lgb.Booster"
    columns: list[str]
    base: Baseline
    slope: float = 0.0
    shift: float = 0.0
    far: Line = NO_CORRECTION
    recent: int = 0
    scale: float = 1.0

    def predict(self, rows: pd.DataFrame, rounds: int | None = None) -> Floats:
        """Return the probability of defection, one per row, by the first `rounds` trees."""
        start = self.slope * init_score(self.base, rows) if self.slope else 0.0
        values = as_stored(rows, self.columns)
        trees = self.scale * tree_sums(self.booster, values, rounds)
        risk = 1 / (1 + np.exp(-(trees + (start + self.shift))))
        if (far := self._is_far(rows)).any():
            log_odds = np.log(risk[far]) - np.log1p(-np.minimum(risk[far], 1 - CERTAIN))
            risk[far] = 1 / (1 + np.exp(-corrected(log_odds, self.far)))
        return risk

    def _is_far(self, rows: pd.DataFrame) -> Flags:
        if self.far == NO_CORRECTION:
            return np.zeros(len(rows), bool)
        return rows["recency_days"].to_numpy(np.float64) > self.recent

    def explain(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what each feature adds to the log-odds, rows x features, of booster and base."""
        values = shap(self.booster, as_stored(rows, self.columns))
        terms = pd.DataFrame(self.scale * values, columns=self.columns)
        if self.slope:
            terms[self.base.columns] += self.slope * self.base.contributions(rows)
        terms[self._is_far(rows)] *= 1 + self.far.slope
        return terms


def init_score(base: Baseline, rows: pd.DataFrame) -> Floats:
    """Return the log-odds that boosting starts from, without the bits that differ between CPUs."""
    return np.round(base.log_odds(rows), 9)


def fit_form(
    form: Form,
    rows: pd.DataFrame,
    base: Baseline,
    rounds: int,
    spec: ModelSpec,
    season: Season = NO_SEASON,
) -> Model:
    """Train a model of one form on rows with `defected`; `base` was trained on the same rows.

    It starts from the season of each row's snapshot, and scores without a season.
    """
    log_odds = init_score(base, rows)
    starts, shift, slope = season.starts(rows, log_odds), 0.0, 0.0
    if form == "offset":
        starts, slope = starts + log_odds, 1.0
    elif season.lines:
        shift = average_log_odds(rows)
        starts = starts + shift
    # without a start, LightGBM starts from the average
    booster = fit_booster(rows, spec, rounds, starts if starts.any() else None)
    return Model(booster, spec.columns, base, slope, shift)


def in_season(model: Model, rows: pd.DataFrame, season: Season) -> Floats:
    """Return the log-odds of rows by a model without a season, each in that of its snapshot."""
    log_odds = init_score(model.base, rows)
    start = season.starts(rows, log_odds) + model.slope * log_odds + model.shift
    return tree_sums(model.booster, matrix(rows, model.columns)) + start


def with_season(model: Model, now: Line, own: Line) -> Model:
    """Return the model in a season: `now` corrects the base's log-odds, `own` the model's then.

    No season turns the order of the customers round.
    """
    scale = max(1 + own.slope, 0.0)
    shift, slope = model.shift + now.shift, model.slope + now.slope
    return replace(model, scale=scale, slope=scale * slope, shift=scale * shift + own.shift)


def with_far(
    model: Model, rows: pd.DataFrame, recent: int, season: Season, spec: ModelSpec
) -> Model:
    """Return the model with a correction learnt from rows beyond `recent`, which are new to it.

    Each counts in the season of its own snapshot; the model has none yet. It stays as it is unless
    a correction learnt a horizon before lowers the log loss at the newest snapshot by a standard
    error, on at least `min_child_samples` rows.
    """
    z = in_season(model, rows, season)
    defected, sd = rows["defected"].to_numpy(bool), spec.params.season_sd
    day, newest = pd.to_datetime(rows["snapshot"]), rows["snapshot"].max()
    inner = (rows["snapshot"] == newest).to_numpy()
    older = (day + pd.Timedelta(days=spec.horizon_days) <= pd.Timestamp(newest)).to_numpy()
    tried = correction(z[older], defected[older], sd)
    sign = np.where(defected[inner], -1, 1)
    losses = [np.logaddexp(0, sign * at) for at in (z[inner], corrected(z[inner], tried))]
    gain = losses[0] - losses[1]
    error = gain.std() / np.sqrt(len(gain))
    if len(gain) < spec.params.min_child_samples or gain.mean() <= error:
        return model
    return replace(model, far=correction(z, defected, sd), recent=recent)


def corrected(log_odds: Floats, line: Line) -> Floats:
    """Return log-odds with their correction."""
    return np.asarray(log_odds + line.shift + line.slope * log_odds)


def average_log_odds(rows: pd.DataFrame) -> float:
    """Return the log-odds of the rate of defection."""
    rate = rows["defected"].mean()
    return float(f"{np.log(rate / (1 - rate)):.9g}")


def log_losses(risk: Floats, rows: pd.DataFrame) -> Floats:
    """Return the log loss of each row."""
    of_outcome = np.where(rows["defected"].to_numpy(bool), risk, 1 - risk)
    return np.asarray(-np.log(np.clip(of_outcome, CERTAIN, 1)))


def preferred(losses: dict[Form, Floats]) -> tuple[Form, float]:
    """Return the better form by its log loss of each row, and the standard error of the difference.

    The simpler one, boosting alone, unless the other is better by more than one standard error
    (Breiman et al. 1984).
    """
    first = next(iter(losses))
    if len(losses) == 1 or len(losses[first]) == 1:  # one row has no standard error
        return first, 0.0
    better = losses["plain"] - losses["offset"]
    error = float(better.std(ddof=1) / np.sqrt(len(better)))
    return ("offset" if better.mean() > error else "plain"), error


def select_form(
    rows: pd.DataFrame, spec: ModelSpec, base_name: str = BASE, earlier: SelectedForm | None = None
) -> SelectedForm:
    """Select form and number of trees on the newest snapshot of the rows.

    The candidates, and the base of this name, are trained on snapshots at least a horizon older. A
    shop without older snapshots takes the first form with a quarter of the most trees: it would
    soon overfit. What was selected at an `earlier` origin stays: a shop changes slowly, and all
    models are then of one kind.
    """
    if earlier and earlier.losses:
        return earlier
    params = spec.params
    day, newest = pd.to_datetime(rows["snapshot"]), rows["snapshot"].max()
    older = rows[day + pd.Timedelta(days=spec.horizon_days) <= pd.Timestamp(newest)]
    if older["defected"].nunique() < 2:
        return SelectedForm(params.forms[0], max(params.max_rounds // 4, 1), {}, 0.0)
    inner = rows[rows["snapshot"] == newest]
    base = baseline_class(base_name).fit(older, older, spec)
    models = {form: fit_form(form, older, base, params.max_rounds, spec) for form in params.forms}
    losses: dict[Form, Floats] = {}
    rounds: dict[Form, int] = {}
    grid = [*range(params.round_step, params.max_rounds, params.round_step), params.max_rounds]
    for form, model in models.items():
        by_rounds = {n: log_losses(model.predict(inner, n), inner) for n in grid}
        rounds[form] = min(by_rounds, key=lambda n: by_rounds[n].mean())
        losses[form] = by_rounds[rounds[form]]
    form, error = preferred(losses)
    means = {str(name): of_rows.mean() for name, of_rows in losses.items()}
    means[base_name] = log_losses(base.predict(inner), inner).mean()
    rounded = {name: float(f"{loss:.6g}") for name, loss in means.items()}
    return SelectedForm(form, rounds[form], rounded, float(f"{error:.6g}"))
