"""Signs that a score knows what it should not: the outcome itself, or the date."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.defection.evaluation import weighted_auc
from models.settings import SMALLEST_CELL

# no customer without a contract is that predictable: the best models known reach .86 on real shops
TOO_GOOD = 0.95


def oracles(
    rows: pd.DataFrame, columns: list[str], defected: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Columns that alone tell leavers from stayers better than any past can, with their AUC, in
    whichever direction; unknown counts lowest.

    Nothing is said of rows with fewer than ten of either outcome: chance alone separates so few.
    """
    if min(defected.sum(), (~defected).sum()) < SMALLEST_CELL:
        return {}
    equal = np.ones(len(rows))
    found = {}
    for column in columns:
        auc = weighted_auc(
            np.nan_to_num(rows[column].to_numpy(np.float64), nan=-np.inf, neginf=-np.inf),
            defected,
            equal,
        )
        if max(auc, 1 - auc) > TOO_GOOD:
            found[column] = max(auc, 1 - auc)
    return found


def clocks(rows: pd.DataFrame, columns: list[str]) -> list[str]:
    """Columns that tell the snapshot and nothing of the customer: the same for all of one snapshot,
    another at the next.

    What a model learns of a date holds for that date; it is never asked about it again.
    """
    snapshots = rows.groupby("snapshot")[columns]
    low, high = snapshots.min(), snapshots.max()
    return [
        column
        for column in columns
        if (low[column] == high[column]).all() and low[column].nunique() > 1
    ]
