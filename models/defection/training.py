"""Training at one origin: baselines, form, season, and the model on top of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from models.defection.baselines import Baseline
from models.defection.booster import ModelSpec
from models.defection.cross_validation import CrossFitted, cross_fit, grouped_cv
from models.defection.forms import (
    BASE,
    Model,
    SelectedForm,
    fit_form,
    select_form,
    with_far,
    with_season,
)
from models.defection.season import NO_CORRECTION, Season, learn_season
from models.settings import Boosting


class Trained(NamedTuple):
    """A model, how its form was selected, its season, its base, and models of half the customers.

    The latter are only trained for a season.
    """

    model: Model
    selected: SelectedForm
    season: Season
    base: str
    cross_fitted: CrossFitted | None

    def about(self) -> dict[str, object]:
        """What model.json says of it."""
        model = self.model
        return {
            **self.selected._asdict(),
            "base": self.base,
            "season_weight": self.season.weight,
            "slope": model.slope,
            "shift": model.shift,
            "far": list(model.far),
            "recent": model.recent,
            "scale": model.scale,
        }


def too_little(rows: pd.DataFrame, params: Boosting) -> str | None:
    """Return why rows are too few to train on, None where they are enough."""
    customers = rows["customer_id"].nunique()
    if rows["defected"].nunique() == 2 and customers >= 2 * params.min_child_samples:
        return None
    return (
        f"{customers} customers on {rows['snapshot'].nunique()} snapshots, one outcome or too few"
    )


def fit_model(
    training: pd.DataFrame,
    baselines: Mapping[str, Baseline],
    years: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    year_ago: pd.DataFrame,
    spec: ModelSpec,
    base: str = BASE,
    far: pd.DataFrame | None = None,
    recent: int = 0,
    earlier: Trained | None = None,
) -> Trained:
    """Train a model on rows with `defected`, on which the baselines were trained.

    `years`, `year_ago`: see `learn_season`. `base`: the baseline that knows the season, and that
    the form `offset` starts from. `far`: rows of the same snapshots whose last purchase was more
    than `recent` days ago, by which the risk of such customers is corrected. `earlier`: trained
    at an older origin. What was selected and cross-fitted there stays: a shop changes slowly.
    """
    fitted, prior = baselines[base], (spec.params.season_prior, spec.params.season_sd)
    selected = select_form(training, spec, base, earlier.selected if earlier else None)
    season = learn_season(fitted.log_odds, training, years, year_ago, *prior)
    model = fit_form(selected.form, training, fitted, selected.rounds, spec, season)
    if far is not None and len(far):
        model = with_far(model, far, recent, season, spec)
    halves, own = earlier.cross_fitted if earlier else None, NO_CORRECTION
    if season.lines:
        halves = halves or cross_fit(training, selected, fitted, spec, season)
        if halves and season.weight:  # where nothing recurs, the model's own does not either
            own = halves.own_season(training, years, year_ago, fitted, season, spec)
    return Trained(with_season(model, season.now, own), selected, season, base, halves)


def validate(
    training: pd.DataFrame, trained: Trained, base: Baseline, spec: ModelSpec
) -> dict[str, Any]:
    """Return the cross-validation of a model on its training rows, see `grouped_cv`."""
    season = trained.season
    halves = trained.cross_fitted or cross_fit(training, trained.selected, base, spec, season)
    return grouped_cv(training, halves, base, season)
