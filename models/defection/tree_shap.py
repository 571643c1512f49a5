"""Exact SHAP values of small trees from a table: what LightGBM's `pred_contrib` returns, sooner.

A tree of at most 7 leaves makes at most 6 comparisons, so a row has at most 64 outcomes in it. Its
SHAP values (path-dependent TreeSHAP, Lundberg and others 2018) depend on the outcome alone and are
computed once per outcome. A row then costs six comparisons and at most six additions per tree. The
log-odds alone come from the same table in a tenth of LightGBM's time.
"""

from math import comb
from typing import Any, NamedTuple

import numpy as np

from features.kernel import entry
from features.records import Bytes, Floats, Ints

MOST_SPLITS = 6  # per tree: a seventh would double the table
OUTCOMES = 1 << MOST_SPLITS
BLOCK = 1024  # rows: their outcomes and scores stay in the CPU's first cache
OUTCOME = np.arange(OUTCOMES)
# Of LightGBM's decision_type: bit 1 sends missing values left, bits 2 and 3 say which are missing.
GOES_LEFT, MISSING_IS, ZERO, NAN = 2, 12, 4, 8


class ShapTable(NamedTuple):
    """The trees of a booster, one row each.

    Bit k of an outcome is set where the row goes left at split k. `feature`, `threshold`,
    `missing_left`: trees x 6, the comparisons; the threshold is nan where there are fewer. `value`:
    trees x 64, the leaf's value. `owner`: trees x 6, the features of the tree. `shap`: trees x 64 x
    6, their SHAP values, zero where there are fewer. `expected`: mean score of the training rows.
    """

    feature: Ints
    threshold: Floats
    missing_left: Bytes
    value: Floats
    owner: Ints
    shap: Any
    expected: float


def _trees(text: str) -> list[dict[str, list[float]]]:
    """Return the arrays of each tree in a booster's text."""
    blocks = [block.split("\n\n")[0] for block in text.split("\nTree=")[1:]]
    pairs = [[line.split("=", 1) for line in block.splitlines()[1:]] for block in blocks]
    return [{name: [float(n) for n in numbers.split()] for name, numbers in tree} for tree in pairs]


def _expectations(tree: dict[str, Any], place: list[int], node: int) -> tuple[Any, float]:
    """Return the expected value below a node, outcomes x sets of known features, and its rows.

    A split on a known feature follows the outcome. Any other split averages its branches by their
    training rows. A set of features is a number whose bits are their places.
    """
    if node < 0:
        return tree["leaf_value"][~node], tree["leaf_count"][~node]
    children = [int(tree[side][node]) for side in ("left_child", "right_child")]
    (left, more), (right, fewer) = (_expectations(tree, place, child) for child in children)
    followed = np.where(((OUTCOME >> node) & 1 == 1)[:, None], left, right)
    average = (more * left + fewer * right) / (more + fewer)
    known = ((OUTCOME >> place[node]) & 1 == 1)[None, :]
    return np.where(known, followed, average), more + fewer


def shap_table(text: str) -> ShapTable | None:
    """Return the table of a booster's text.

    None where a tree has more than 7 leaves, compares categories or takes zeros for missing.
    """
    trees = _trees(text)
    size = (len(trees), MOST_SPLITS)
    comparisons = np.zeros(size, np.int32), np.full(size, np.nan), np.zeros(size, np.int8)
    value, shap = np.zeros((len(trees), OUTCOMES)), np.zeros((len(trees), OUTCOMES, MOST_SPLITS))
    table, expected = ShapTable(*comparisons, value, np.zeros(size, np.int32), shap, 0.0), 0.0
    for t, tree in enumerate(trees):
        splits = int(tree["num_leaves"][0]) - 1
        if splits == 0:
            table.value[t], expected = tree["leaf_value"][0], expected + tree["leaf_value"][0]
            continue
        features = np.array(tree["split_feature"], np.int32)
        kinds = np.array(tree["decision_type"], np.int64)
        if splits > MOST_SPLITS or (kinds & 1).any() or (kinds & MISSING_IS == ZERO).any():
            return None
        owners, place = np.unique(features, return_inverse=True)
        thresholds = np.array(tree["threshold"])
        table.feature[t, :splits], table.threshold[t, :splits] = features, thresholds
        # Where training saw no missing value, LightGBM takes one for zero.
        sent_left = np.where(kinds & MISSING_IS == NAN, kinds & GOES_LEFT > 0, thresholds >= 0)
        table.missing_left[t, :splits], table.owner[t, : len(owners)] = sent_left, owners
        values = _expectations(tree, place.tolist(), 0)[0][:, : 1 << len(owners)]
        table.value[t], expected = values[:, -1], expected + values[0, 0]
        subsets = OUTCOME[: 1 << len(owners)]
        for i in range(len(owners)):
            without = subsets[subsets >> i & 1 == 0]
            weights = [1 / len(owners) / comb(len(owners) - 1, int(s).bit_count()) for s in without]
            table.shap[t, :, i] = (values[:, without | 1 << i] - values[:, without]) @ weights
    return table._replace(expected=float(expected))


@entry
def _add_up(
    columns: Any, table: ShapTable, outcomes: Bytes, scores: Floats, shap: Any, explain: bool
) -> None:
    """Add each tree's value to the scores, and with `explain` its SHAP values to the features'.

    Columns and `shap` are features x rows. The rows of a block take the same comparison one after
    the other, without a branch: the processor does several at once.
    """
    for start in range(0, len(scores), BLOCK):
        end = min(start + BLOCK, len(scores))
        outcome, total = outcomes[: end - start], scores[start:end]
        for t in range(len(table.value)):
            outcome[:] = 0
            for k in range(MOST_SPLITS):
                threshold, missing_left = table.threshold[t, k], table.missing_left[t, k] != 0
                if np.isnan(threshold):
                    break
                values = columns[table.feature[t, k], start:end]
                for i in range(len(values)):
                    left = (values[i] <= threshold) | (np.isnan(values[i]) & missing_left)
                    outcome[i] |= left << k
            for i in range(len(outcome)):
                total[i] += table.value[t, outcome[i]]
            for k in range(MOST_SPLITS if explain else 0):
                added = shap[table.owner[t, k], start:end]
                for i in range(len(outcome)):
                    added[i] += table.shap[t, outcome[i], k]


def _added_up(table: ShapTable, rows: Any, shap: Floats, explain: bool) -> Floats:
    """Return the log-odds; `shap` is filled in with `explain`. Rows of float32 are not copied."""
    scores, outcomes = np.zeros(len(rows)), np.zeros(BLOCK, np.int8)
    _add_up(np.ascontiguousarray(rows.T), table, outcomes, scores, shap, explain)
    return scores


def log_odds(table: ShapTable, rows: Any) -> Floats:
    """Return the log-odds, those of `Booster.predict(raw_score=True)` to the last bit."""
    return _added_up(table, rows, np.empty((0, 0)), explain=False)


def shap_values(table: ShapTable, rows: Any) -> tuple[Floats, Floats]:
    """Return the log-odds, one per row, and the SHAP values, rows x features.

    The SHAP values of a row and `expected` add up to its log-odds.
    """
    shap = np.zeros(rows.shape[::-1])
    return _added_up(table, rows, shap, explain=True), shap.T
