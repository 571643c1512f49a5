"""The baselines that a model is compared with, one class each, with scikit-learn's verbs.

A class with a name is trained, evaluated, published and shown: no other file lists the baselines.
A fitted baseline is kept as JSON that a person can read.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import factorial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection import bg_nbd
from models.defection.booster import (
    ModelSpec,
    as_stored,
    fit_booster,
    matrix,
    shap,
    without_feature_ranges,
)

if TYPE_CHECKING:
    import lightgbm as lgb

RFM = ["recency_days", "purchases", "spend"]
PAST = ["purchases", "recency_days", "tenure_days"]
WINDOWS = ("purchases_in_", "spend_in_", "products_", "categories_")
BUYERS = 20_000  # BG/NBD has four parameters: more customers would not change them
ROUNDS = 100  # trees of expert_windows: not searched, because more or fewer change little
TREES, LEAVES, ROWS_PER_LEAF = 50, 32, 20  # of the forest: more makes the file long, not better

BASELINES: dict[str, type["Baseline"]] = {}
"""Every baseline of buyers by its name, in the order of this file."""
OF_PROSPECTS: dict[str, type["Baseline"]] = {}
"""Likewise of customers who have not bought yet."""


def rounded(values: Floats, digits: int = 9) -> list[float]:
    """Round to significant digits: the last bits differ between kinds of CPU."""
    return [float(f"{value:.{digits}g}") for value in values]


@dataclass(frozen=True)
class Baseline(ABC):
    """A fitted scorer; its fields are what its JSON holds.

    `class New(Baseline, name="new")` adds a baseline. `simple`: a person can follow it, so a model
    has to beat it. `prospects`: it needs no purchase, and is not for buyers. A field `text` is a
    booster: it is checked before it is loaded.
    """

    columns: list[str]

    simple: ClassVar[bool]
    uses: ClassVar[list[str]] = []  # features, if they are always the same

    def __init_subclass__(
        cls, name: str | None = None, simple: bool = False, prospects: bool = False
    ) -> None:
        cls.simple = simple
        if name is not None:
            (OF_PROSPECTS if prospects else BASELINES)[name] = cls

    @classmethod
    @abstractmethod
    def fit(cls, rows: pd.DataFrame, buyers: pd.DataFrame, spec: ModelSpec) -> Self:
        """Train on one row per customer and snapshot, with features and `defected`.

        `buyers`: one row with `PAST` per customer who had bought by the newest snapshot, once or
        more. `spec`: the horizon and the parameters of the model beside it.
        """

    @abstractmethod
    def predict(self, rows: pd.DataFrame) -> Floats:
        """Return the probability of defection, one per row."""

    def log_odds(self, rows: pd.DataFrame) -> Floats:
        """Return the log-odds of defection, one per row."""
        risk = self.predict(rows)
        return np.asarray(np.log(risk) - np.log1p(-risk))

    @abstractmethod
    def contributions(self, rows: pd.DataFrame) -> Floats:
        """Return Shapley values, rows x columns: with a constant they add up to the log-odds."""


@dataclass(frozen=True)
class Logistic(Baseline):
    """Logistic regression on log1p of the columns, each centred and scaled.

    A value that is not known counts as the mean.
    """

    centre: list[float]
    scale: list[float]
    coefficients: list[float]
    intercept: float

    @classmethod
    def fit(
        cls, rows: pd.DataFrame, buyers: pd.DataFrame | None = None, spec: ModelSpec | None = None
    ) -> Self:
        from sklearn.linear_model import LogisticRegression

        logs = _logs(rows, cls.uses)
        known = ~np.isnan(logs)
        centre = np.nansum(logs, axis=0) / np.maximum(known.sum(axis=0), 1)
        logs = np.where(known, logs, centre)
        scale = np.maximum(logs.std(axis=0), 1e-9)
        # Newton's method to the end: another solver stops earlier, at a point that depends on BLAS
        fitted = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(
            (logs - centre) / scale, rows["defected"].to_numpy(bool)
        )
        centred = rounded(centre), rounded(scale)
        slopes, intercept = rounded(fitted.coef_[0]), rounded(fitted.intercept_)[0]
        return cls(cls.uses, *centred, slopes, intercept)

    def log_odds(self, rows: pd.DataFrame) -> Floats:
        return np.asarray(self.contributions(rows).sum(axis=1) + self.intercept)

    def predict(self, rows: pd.DataFrame) -> Floats:
        return np.asarray(1 / (1 + np.exp(-self.log_odds(rows))))

    def contributions(self, rows: pd.DataFrame) -> Floats:
        centred = np.nan_to_num(_logs(rows, self.columns) - np.array(self.centre))
        return np.asarray(centred / np.array(self.scale) * np.array(self.coefficients))


class Recency(Logistic, name="recency", simple=True):
    """Days since the last purchase alone."""

    uses = ["recency_days"]


class LogisticRFM(Logistic, name="logistic_rfm", simple=True):
    """Recency, frequency and monetary value."""

    uses = RFM


class LastContact(Logistic, name="last_contact", simple=True, prospects=True):
    """Days since the last contact alone."""

    uses = ["days_since_touch"]


class LogisticContacts(Logistic, name="logistic_contacts", simple=True, prospects=True):
    """Days since the customer became known and since the last contact, and number of contacts."""

    uses = ["known_days", "days_since_touch", "touches"]


@dataclass(frozen=True)
class BySubsets(Baseline):
    """A baseline with exact Shapley values: columns outside a subset are at their median."""

    median: list[float]

    @abstractmethod
    def risk(self, values: Floats) -> Floats:
        """Return the probability of defection from the values of the columns."""

    def predict(self, rows: pd.DataFrame) -> Floats:
        return self.risk(matrix(rows, self.columns))

    def contributions(self, rows: pd.DataFrame) -> Floats:
        values, size, log_odds = matrix(rows, self.columns), len(self.columns), {}
        for subset in product((False, True), repeat=size):
            risk = self.risk(np.where(subset, values, np.array(self.median)))
            risk = np.clip(risk, 1e-6, 1 - 1e-6)
            log_odds[subset] = np.log(risk / (1 - risk))
        total = np.zeros_like(values)
        for subset, with_it in log_odds.items():
            for column in np.flatnonzero(subset):
                without = (*subset[:column], False, *subset[column + 1 :])
                weight = factorial(sum(without)) * factorial(size - sum(subset)) / factorial(size)
                total[:, column] += weight * (with_it - log_odds[without])
        return total


@dataclass(frozen=True)
class BgNbd(BySubsets, name="bg_nbd", simple=True):
    """BG/NBD's exact probability of no purchase within the horizon.

    It is trained on all buyers, once each: it describes a cohort, most of whom buy only once.
    """

    horizon_days: int
    parameters: dict[str, float]

    uses = PAST

    @classmethod
    def fit(cls, rows: pd.DataFrame, buyers: pd.DataFrame, spec: ModelSpec) -> Self:
        sample = buyers.sample(min(len(buyers), BUYERS), random_state=0)
        parameters = _bg_nbd(matrix(sample, PAST).tobytes())
        return cls(PAST, _median(rows, PAST), spec.horizon_days, dict(parameters))

    def risk(self, values: Floats) -> Floats:
        parameters = bg_nbd.Parameters(**self.parameters)
        return bg_nbd.no_purchase(parameters, *histories(values), self.horizon_days)


@dataclass(frozen=True)
class ExpertWindows(Baseline, name="expert_windows"):
    """LightGBM on counts, amounts and unique products in trailing windows.

    It has the model's hyperparameters, except `extra_trees`: with few columns it would be weaker
    with split thresholds at random.
    """

    text: str

    @classmethod
    def fit(cls, rows: pd.DataFrame, buyers: pd.DataFrame, spec: ModelSpec) -> Self:
        columns = [column for column in rows.columns.astype(str) if column.startswith(WINDOWS)]
        params = spec.params.model_copy(update={"extra_trees": False})
        spec = spec._replace(columns=columns, params=params, monotone_constraints={})
        text: str = fit_booster(rows, spec, ROUNDS).model_to_string()
        return cls(columns, without_feature_ranges(text))

    @cached_property
    def _booster(self) -> "lgb.Booster":
        import lightgbm as lgb

        return lgb.Booster(model_str=self.text)

    def predict(self, rows: pd.DataFrame) -> Floats:
        return np.asarray(self._booster.predict(as_stored(rows, self.columns), num_threads=1))

    def contributions(self, rows: pd.DataFrame) -> Floats:
        return shap(self._booster, matrix(rows, self.columns))


@dataclass(frozen=True)
class RandomForestRFM(BySubsets, name="random_forest_rfm"):
    """A random forest on RFM, grown by scikit-learn and kept as numbers: no file can run code.

    Per node: the column it splits on (-1: a leaf), threshold, next nodes, and rate of defection.
    """

    trees: list[dict[str, list[Any]]]

    @classmethod
    def fit(cls, rows: pd.DataFrame, buyers: pd.DataFrame, spec: ModelSpec) -> Self:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            TREES, max_leaf_nodes=LEAVES, min_samples_leaf=ROWS_PER_LEAF, random_state=0, n_jobs=1
        ).fit(matrix(rows, RFM).astype(np.float32), rows["defected"].to_numpy(bool))
        trees = [
            {
                "column": np.maximum(tree.feature, -1).tolist(),
                "threshold": np.where(tree.feature >= 0, tree.threshold, 0).tolist(),
                "upto": tree.children_left.tolist(),
                "above": tree.children_right.tolist(),
                "rate": rounded(tree.value[:, 0, 1]),
            }
            for tree in (estimator.tree_ for estimator in forest.estimators_)
        ]
        return cls(RFM, _median(rows, RFM), trees)

    def risk(self, values: Floats) -> Floats:
        # the forest's split thresholds lie between numbers of this precision
        values = values.astype(np.float32).astype(np.float64)
        total, row = np.zeros(len(values)), np.arange(len(values))
        for tree in self.trees:
            column, threshold, upto, above, rate = map(np.array, tree.values())
            node = np.zeros(len(values), np.int64)
            while (inner := column[node] >= 0).any():
                at = node[inner]
                small = values[row[inner], column[at]] <= threshold[at]
                node[inner] = np.where(small, upto[at], above[at])
            total += rate[node]
        return total / len(self.trees)


def baseline_class(name: str) -> type[Baseline]:
    """Return the class of a baseline. Raises KeyError."""
    return OF_PROSPECTS[name] if name in OF_PROSPECTS else BASELINES[name]


def is_simple(name: str) -> bool:
    """Return whether a scorer is a baseline that a person can follow."""
    return name in {**BASELINES, **OF_PROSPECTS} and baseline_class(name).simple


@lru_cache(maxsize=16)
def _bg_nbd(past: bytes) -> dict[str, float]:
    """Return the parameters for rows of `PAST`: tasks and forecasts share buyers with the model."""
    fitted = bg_nbd.fit(*histories(np.frombuffer(past).reshape(-1, len(PAST))))
    # where the likelihood is flat, more digits would differ between kinds of CPU
    return dict(zip(fitted._fields, rounded(np.array(fitted), 7), strict=True))


def _logs(rows: pd.DataFrame, columns: list[str]) -> Floats:
    return np.asarray(np.log1p(np.maximum(matrix(rows, columns), 0)))


def _median(rows: pd.DataFrame, columns: list[str]) -> list[float]:
    return rounded(np.median(matrix(rows, columns), axis=0))


def histories(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Repeat purchases, day of the last one and age, from the first purchase on, out of `PAST`."""
    purchases, recency, tenure = values.T
    return purchases - 1, np.maximum(tenure - recency, 0), tenure
