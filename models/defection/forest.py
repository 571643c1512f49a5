"""A random forest that is kept as numbers.

Grown by scikit-learn, read and asked without it, so that no file can run code.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from features.records import Floats

TREES, LEAVES, ROWS_PER_LEAF = 50, 32, 20  # more of either changes little and makes the text long


def grow(features: Floats, defected: npt.NDArray[np.bool_]) -> list[dict[str, list[Any]]]:
    """One entry per tree.

    Per node the column it asks (-1: a leaf), its threshold, the nodes for up to it and above, and
    the rate there.
    """
    from sklearn.ensemble import RandomForestClassifier

    shape = {"n_estimators": TREES, "max_leaf_nodes": LEAVES, "min_samples_leaf": ROWS_PER_LEAF}
    forest = RandomForestClassifier(**shape, random_state=0, n_jobs=1).fit(
        features.astype(np.float32), defected
    )
    return [
        {
            "column": np.maximum(tree.feature, -1).tolist(),
            "threshold": np.where(tree.feature >= 0, tree.threshold, 0).tolist(),
            "upto": tree.children_left.tolist(),
            "above": tree.children_right.tolist(),
            "rate": [float(f"{rate:.9g}") for rate in tree.value[:, 0, 1]],
        }
        for tree in (grown.tree_ for grown in forest.estimators_)
    ]


def ask(trees: list[dict[str, list[Any]]], features: Floats) -> Floats:
    """The mean over the trees of the rate in a row's leaf, one per row."""
    # thresholds were chosen between numbers of this size
    values = features.astype(np.float32).astype(np.float64)
    total, rows = np.zeros(len(values)), np.arange(len(values))
    for tree in trees:
        column, threshold, upto, above = (
            np.array(tree[name]) for name in ("column", "threshold", "upto", "above")
        )
        node = np.zeros(len(values), np.int64)
        while (inner := column[node] >= 0).any():
            asked = node[inner]
            node[inner] = np.where(
                values[rows[inner], column[asked]] <= threshold[asked], upto[asked], above[asked]
            )
        total += np.array(tree["rate"])[node]
    return total / len(trees)
