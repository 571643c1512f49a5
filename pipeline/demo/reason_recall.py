"""How well evidence names the reason for which core customers of the simulated shop left."""

from typing import Any

import numpy as np
import pandas as pd

from models.reasons.catalogue import OTHER_UNKNOWN, REASONS, primary
from models.reasons.settings import ReasonRules
from pipeline.demo.oracle import true_orders
from pipeline.engine.rows import query, rows_of
from pipeline.runtime.resources import read_queries
from pipeline.runtime.store import Folder

SQL = read_queries(__file__, "reason_recall.sql")


def judged(truth: Folder, lifecycle: Folder, rules: ReasonRules) -> pd.DataFrame:
    """Return the rows of core customers with the reason named and the cause that fired.

    `first_late`: the first snapshot after a purchase at which the customer is overdue.
    """
    evidence = ", ".join(f"evidence_{name}" for name in REASONS)
    rows = query(SQL["core"].format(lifecycle=rows_of(lifecycle), evidence=evidence))
    orders = true_orders(truth, rows["customer_id"])
    orders = orders[orders["true_stage"] == "core"][["customer_id", "day", "fired"]]
    rows = rows.merge(orders, on=["customer_id", "day"], validate="m:1")
    named = primary(rows[[f"evidence_{name}" for name in REASONS]].to_numpy(np.float64), rules)
    return rows.assign(named=np.array([*REASONS, OTHER_UNKNOWN])[named.reason])


def reason_recall(truth: Folder, lifecycle: Folder, rules: ReasonRules) -> dict[str, Any]:
    """Return how often the true reason is named, and how often one is named without cause.

    `named`: of the core customers who left for each reason, or none, the share by the reason named
    at the first snapshot at which they were overdue. `accused`: of the core customers who stayed,
    the share by reason, at all snapshots.
    """
    rows = judged(truth, lifecycle, rules)
    left = rows[rows["first_late"] & (rows["fired"] != "none")]
    stayed = rows[rows["fired"].eq("none") & rows["stage"].eq("core")]
    names = [*REASONS, OTHER_UNKNOWN]

    def shares(some: pd.DataFrame) -> dict[str, float]:
        counts = some["named"].value_counts(normalize=True)
        return {name: round(float(counts.get(name, 0)), 4) for name in names}

    causes = {name: left[left["fired"] == name] for name in REASONS}
    causes[OTHER_UNKNOWN] = left[left["fired"] == "base"]
    named = {name: {"customers": len(of), **shares(of)} for name, of in causes.items()}
    recall = {name: named[name][name] for name in names}
    return {
        "recall": recall,
        "macro_recall": round(float(np.mean([recall[name] for name in REASONS])), 4),
        "named": named,
        "stayers": len(stayed),
        "accused": shares(stayed),
        "evidence_of_stayers": {
            name: round(float((stayed[f"evidence_{name}"] >= rules.weak).mean()), 4)
            for name in REASONS
        },
    }
