"""Drift before outcomes are known: what the scores expect of themselves, and how inputs moved.

If risks are calibrated, they say how often each customer will churn, and so which AUC and base rate
to expect (confidence-based performance estimation). Where they are too bold or too cautious, that
AUC is too high or too low. The population stability index (PSI) compares the distribution of a
feature now and in training: above .25 it has moved a lot.
"""

from typing import Any

import numpy as np
import pandas as pd

from features.records import Floats
from models.defection.metrics import auc_of

BINS = 10
LEAST = 1e-4  # share of an empty bin: its logarithm stays finite


def expected_auc(risk: Floats) -> float:
    """Return the AUC to expect if the risks are true; nan without rows."""
    ascending = np.sort(risk)
    return float(auc_of(ascending, 1 - ascending)) if len(risk) else np.nan


def estimated(risk: Floats) -> dict[str, float | None]:
    """Return the AUC and the base rate to expect if the risks are true; AUC None without rows."""
    auc = expected_auc(risk)
    return {
        "auc": round(auc, 5) if np.isfinite(auc) else None,
        "base_rate": round(float(risk.mean()), 5) if len(risk) else None,
    }


def reference(rows: pd.DataFrame, columns: list[str]) -> dict[str, dict[str, Any]]:
    """Return each feature's deciles, and the shares of rows between them; unknown comes last."""
    known = {}
    for name in columns:
        deciles = rows[name].astype(np.float64).quantile(np.arange(1, BINS) / BINS).dropna()
        edges = sorted({float(f"{edge:.6g}") for edge in deciles})
        shares = [round(share, 5) for share in _shares(rows[name], edges)]
        known[name] = {"edges": edges, "shares": shares}
    return known


def stability(known: dict[str, dict[str, Any]], rows: pd.DataFrame) -> dict[str, float]:
    """Return the PSI of each feature of `reference` in other rows, the most moved first."""
    moved = {}
    for name, then in known.items():
        before = np.maximum(then["shares"], LEAST)
        now = np.maximum(_shares(rows[name], then["edges"]), LEAST)
        moved[name] = round(float(((now - before) * np.log(now / before)).sum()), 5)
    return dict(sorted(moved.items(), key=lambda item: -item[1]))


def _shares(values: pd.Series, edges: list[float]) -> Floats:
    numbers = values.to_numpy(np.float64)
    bins = np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, "left"))
    return np.asarray(np.bincount(bins, minlength=len(edges) + 2) / max(len(numbers), 1))
