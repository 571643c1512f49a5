"""How the scorers are named to people, and which baseline they are compared with."""

from collections.abc import Mapping
from typing import Any

from models.defection.baselines import is_simple

NAMES = {
    "model": "the model",
    "recency": "recency alone",
    "logistic_rfm": "logistic RFM",
    "bg_nbd": "BG/NBD",
    "expert_windows": "expert windows",
    "random_forest_rfm": "random forest RFM",
}


def scorer_name(name: str) -> str:
    """The scorer's name in words."""
    return NAMES.get(name, name.replace("_", " "))


def measured_scorers(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Each scorer's metrics by name, the model first, None where it was not measured.

    Of the benchmark population where there is one, else of all scored customers.
    """
    population = evaluation.get("benchmark") or evaluation
    return {"model": population.get("model"), **(population.get("baselines") or {})}


def best_simple_baseline(scorers: Mapping[str, Any]) -> str | None:
    """The simple baseline with the highest AUC: the one that `grade` names. None without one."""
    aucs = {name: m["auc"] for name, m in scorers.items() if is_simple(name) and m}
    measured = [name for name in aucs if aucs[name] is not None]
    return max(measured, key=aucs.__getitem__, default=None)
