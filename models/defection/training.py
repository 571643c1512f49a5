"""Training at one origin: baselines, form, season, and the model on top of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from models.defection.baselines import Baseline
from models.defection.booster import ModelSpec
from models.defection.forms import BASE, Model, SelectedForm, fit_form, select_form, with_far
from models.defection.season import learn_season
from models.settings import Boosting


class Trained(NamedTuple):
    """A model, how its form was selected, the part of last year's season that recurs, its base."""

    model: Model
    selected: SelectedForm
    season_weight: float
    base: str

    def about(self) -> dict[str, object]:
        """What model.json says of it."""
        model = self.model
        return {
            **self.selected._asdict(),
            "base": self.base,
            "season_weight": self.season_weight,
            "slope": model.slope,
            "shift": model.shift,
            "far": list(model.far),
            "recent": model.recent,
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
    earlier: SelectedForm | None = None,
) -> Trained:
    """Train a model on rows with `defected`, on which the baselines were trained.

    `years`, `year_ago`: see `learn_season`. `base`: the baseline that knows the season, and that
    the form `offset` starts from. `far`: rows of the same snapshots whose last purchase was more
    than `recent` days ago, by which the risk of such customers is corrected. `earlier`: see
    `select_form`.
    """
    selected = select_form(training, spec, base, earlier)
    prior = spec.params.season_prior, spec.params.season_sd
    season = learn_season(baselines[base], training, years, year_ago, *prior)
    form, rounds = selected.form, selected.rounds
    model = fit_form(form, training, baselines[base], rounds, spec, season)
    if far is not None and len(far):
        model = with_far(model, far, recent, season, spec)
    return Trained(model, selected, season.weight, base)
