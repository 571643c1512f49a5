"""The simple rules a model has to beat, taught on the same snapshots: recency alone, and logistic regression on RFM.

A taught peer is a plain mapping (columns, centres, scales, coefficients), so that it can be kept as JSON and read by eye.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

PEERS = {
    "recency": ("recency_days",),
    "logistic_rfm": ("recency_days", "purchases", "spend"),
}
"""Columns of each peer, taken as log(1 + x)."""

Taught = dict[str, Any]


def _logs(rows: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.float64]:
    return np.asarray(np.log1p(np.maximum(rows[columns].to_numpy(np.float64), 0)))


def nine_digits(values: npt.NDArray[np.float64]) -> list[float]:
    """Numbers as they are kept: the last bits differ between kinds of CPU."""
    return [float(f"{value:.9g}") for value in values]


def teach(name: str, rows: pd.DataFrame, defected: npt.NDArray[np.bool_]) -> Taught:
    """Fit one peer. `rows`: one per customer and snapshot, with the peer's columns."""
    from sklearn.linear_model import LogisticRegression

    columns = list(PEERS[name])
    logs = _logs(rows, columns)
    centre, scale = logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-9)
    fitted = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit((logs - centre) / scale, defected)
    return {
        "columns": columns,
        "transform": "log1p",
        "centre": nine_digits(centre),
        "scale": nine_digits(scale),
        "coefficients": nine_digits(fitted.coef_[0]),
        "intercept": nine_digits(fitted.intercept_)[0],
    }


def contributions(taught: Taught, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """What each column adds to the log-odds, rows x columns."""
    logs = _logs(rows, taught["columns"])
    return np.asarray((logs - np.array(taught["centre"])) / np.array(taught["scale"]) * np.array(taught["coefficients"]))


def predict(taught: Taught, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Probability of defection, one per row."""
    return np.asarray(1 / (1 + np.exp(-(contributions(taught, rows).sum(axis=1) + taught["intercept"]))))
