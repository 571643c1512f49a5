"""A search for hyperparameters on one snapshot before the first test origin."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from models.defection.booster import ModelSpec
from models.defection.forms import select_form
from models.settings import Tune


def search(
    rows: pd.DataFrame, spec: ModelSpec, params: Tune, trials: Iterable[int]
) -> list[dict[str, Any]]:
    """One entry per trial, the hyperparameters in use first; none without an older snapshot.

    Hyperparameters, form, rounds, and log_loss on the newest snapshot of the rows.
    """
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, BaseDistribution] = {
        name: (IntDistribution if isinstance(low, int) else FloatDistribution)(low, high, log=True)
        for name, (low, high) in params.model_dump(exclude={"trials", "seed"}).items()
    }
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=params.seed))
    study.enqueue_trial({name: getattr(spec.params, name) for name in space})
    entries = []
    for _ in trials:
        trial = study.ask(space)
        candidate = spec._replace(params=spec.params.model_copy(update=trial.params))
        selected = select_form(rows, candidate)
        if not selected.losses:
            return []
        loss = selected.losses[selected.form]
        study.tell(trial, loss)
        result = {"form": selected.form, "rounds": selected.rounds, "log_loss": loss}
        entries.append({"hyperparameters": trial.params, **result})
    return entries
