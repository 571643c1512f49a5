"""Signs that a score knows what it should not: the outcome itself, or the date."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags
from models.defection.metrics import weighted_auc
from models.settings import SMALLEST_CELL

# no customer without a contract is that predictable: the best models known reach .86 on real shops
TOO_GOOD = 0.95
OUTCOME = (
    "it separates churned from retained customers with AUC {:.3f}: it contains the outcome, or the "
    "outcome is computed from the past"
)
FIX_OUTCOME = "correct the feature or the label; a label meant like that needs no model"


class Leak(NamedTuple):
    """A column that must not be used, why, and what to do."""

    column: str
    rule: str
    fix: str


def leaks(rows: pd.DataFrame, features: list[str]) -> list[Leak]:
    """Return the features that contain the outcome, the strongest first.

    The column `model`, its probability, is looked at like a feature: it may combine several.
    """
    by_auc = outcome_columns(rows, [*features, "model"], rows["defected"].to_numpy(bool))
    strongest = sorted(by_auc.items(), key=lambda item: -item[1])
    return [Leak(column, OUTCOME.format(auc), FIX_OUTCOME) for column, auc in strongest]


def outcome_columns(rows: pd.DataFrame, columns: list[str], defected: Flags) -> dict[str, float]:
    """Return the columns that alone predict better than any past can, with their AUC.

    Either direction counts; unknown counts lowest. Empty with fewer than ten rows of either
    outcome: chance alone separates so few.
    """
    if min(defected.sum(), (~defected).sum()) < SMALLEST_CELL:
        return {}
    equal = np.ones(len(rows))
    aucs = {}
    for column in columns:
        values = rows[column].to_numpy(np.float64)
        auc = weighted_auc(np.nan_to_num(values, nan=-np.inf, neginf=-np.inf), defected, equal)
        if max(auc, 1 - auc) > TOO_GOOD:
            aucs[column] = max(auc, 1 - auc)
    return aucs


def date_columns(rows: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return the columns that are the same for all rows of a snapshot, and change with it.

    Such a column is the date, which never recurs: a model must not use it. It may be honest, as the
    days since the first purchase are in a cohort that began on one day.
    """
    snapshots = rows.groupby("snapshot")[columns]
    low, high = snapshots.min(), snapshots.max()
    return list(low.columns[(low == high).all() & (low.nunique() > 1)])
