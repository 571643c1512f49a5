"""Risk bands: probabilities cut at two thresholds, with the rates observed in each."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.records import Floats
from models.defection.metrics import wilson
from models.settings import SMALLEST_CELL

BANDS = ("low", "medium", "high")


def band(risk: Floats, thresholds: tuple[float, float]) -> npt.NDArray[np.str_]:
    """Return low, medium or high, one per row."""
    return np.array(BANDS)[np.digitize(risk, thresholds)]


def risk_bands(
    population: pd.DataFrame, scorer: str, thresholds: tuple[float, float]
) -> list[dict[str, Any]]:
    """One entry per stage and risk band that occur: sizes, rate of defection and its 95 % CI."""
    bands = band(population[scorer].to_numpy(np.float64), thresholds)
    entries = []
    for (stage, name), rows in population.groupby([population["stage"], bands], observed=True):
        customers, defected = len(rows), int(rows["defected"].sum())
        low, high = wilson(defected, customers)
        figures = {"rate": defected / customers, "low": low, "high": high}
        entries.append(
            {"stage": stage, "band": name, "customers": customers, "defected": defected}
            | {key: round(figure, 5) for key, figure in figures.items()}
        )
    return entries


def publishable(bands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the risk bands, without the figures of those that would describe a few persons."""
    return [
        entry
        if entry["customers"] >= SMALLEST_CELL
        else {**dict.fromkeys(entry), "stage": entry["stage"], "band": entry["band"]}
        for entry in bands
    ]
