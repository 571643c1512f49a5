"""The tasks beside defection: who of the other queues buys within the horizon.

A task is a population at a snapshot and the baselines to beat. The outcome is that of defection, no
purchase in [snapshot, snapshot + horizon), so the same code trains and evaluates all of them. Their
result is the other side of it: `chance`, the probability of a purchase.
"""

from typing import NamedTuple

import pandas as pd

from features.records import Floats
from models.defection.baselines import BASELINES, OF_PROSPECTS, Baseline
from models.defection.forms import BASE


class Task(NamedTuple):
    """One task.

    `queue`: the work queue that it is about. `population`: who is in it, as SQL over the life cycle
    `l`. `purchases`: so many everybody in it has made at least. `base`: see `fit_model`.
    """

    name: str
    queue: str
    population: str
    purchases: int
    baselines: dict[str, type[Baseline]]
    base: str

    @property
    def folder(self) -> str:
        """The folder of its boosters in the model folder."""
        return f"tasks/{self.name}/"

    @property
    def columns(self) -> set[str]:
        """The features that its baselines need."""
        return {name for kind in self.baselines.values() for name in kind.uses}


OF_BUYERS = {name: kind for name, kind in BASELINES.items() if kind.simple}

TASKS = (
    Task("second_purchase", "second_purchase", "l.stage = 'first_time'", 1, OF_BUYERS, BASE),
    Task(
        "return",
        "win_back",
        "l.activity = 'lapsed' and l.stage not in ('first_time', 'prospect')",
        2,
        OF_BUYERS,
        BASE,
    ),
    Task("conversion", "convert", "l.stage = 'prospect'", 0, OF_PROSPECTS, "logistic_contacts"),
)


def of_purchase(population: pd.DataFrame, scorers: list[str]) -> pd.DataFrame:
    """Return the rows with a purchase as the outcome `defected`, and its chance by each scorer.

    Metrics are then those of the rarer and wanted outcome.
    """
    flipped: dict[str, Floats] = {name: 1 - population[name].to_numpy() for name in scorers}
    return population.assign(defected=~population["defected"].astype(bool), **flipped)
