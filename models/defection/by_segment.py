"""How good a scorer is within each value of a segment: counts, base rate, AUC with 95 % CI."""

from typing import Any

import numpy as np
import pandas as pd

from models.defection.evaluation import interval, resamples
from models.defection.metrics import auc_of, counts_by_score
from models.settings import SMALLEST_CELL


def by_segment(
    rows: pd.DataFrame, scorer: str | None, least: int, draws: int, seed: int
) -> list[dict[str, Any]]:
    """One entry per value of the column `segment`, most rows first; `value` is null if unknown.

    `rows`: one per customer and origin, with a column of risks for the scorer, if there is one.
    Values of fewer than ten customers are left out. `auc` is null where fewer than `least` rows
    have the rarer outcome; `expected` is the mean risk, to be compared with `base_rate`.
    """
    entries = []
    for value, own in rows.groupby("segment", dropna=False):
        customers = own["customer_id"].nunique()
        if customers < SMALLEST_CELL:
            continue
        defected = own["defected"].to_numpy(bool)
        entry: dict[str, Any] = {
            "value": None if pd.isna(value) else str(value),
            "customers": int(customers),
            "population": len(own),
            "base_rate": round(float(defected.mean()), 5),
            **dict.fromkeys(("expected", "auc", "auc_ci")),
        }
        if scorer:
            risk = own[scorer].to_numpy(np.float64)
            entry["expected"] = round(float(risk.mean()), 5)
            if min(defected.sum(), (~defected).sum()) >= least:
                count = counts_by_score(risk, defected)
                ids = pd.factorize(own["customer_id"])[0]
                aucs = [auc_of(*count(weights)) for weights in resamples(ids, draws, seed)]
                point = auc_of(*count(np.ones((1, len(own)))))[0]
                entry |= {"auc": round(float(point), 5), "auc_ci": interval(np.concatenate(aucs))}
        entries.append(entry)
    return sorted(entries, key=lambda entry: (-entry["population"], entry["value"] or ""))
