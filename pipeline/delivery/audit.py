"""`corekeep audit FILE`: how often groups of customers are called, and called when they leave.

The file has customer_id and one column per attribute. It is read for this alone: no feature, score
or list is made from it. Writes reports/audit.json; groups below ten customers are not shown.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from models.defection.metrics import wilson
from models.settings import SMALLEST_CELL
from pipeline.delivery.outcomes import past_lists
from pipeline.delivery.published import published_table
from pipeline.inputs.returned import cells
from pipeline.runtime import store
from pipeline.runtime.errors import InputError
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import MANIFEST, in_force
from pipeline.runtime.runner import require_made
from pipeline.runtime.store import Folder


def group_rates(rows: pd.DataFrame, attribute: str) -> list[dict[str, Any]]:
    """One entry per group of at least ten: customers, share with `hit`, its 95 % interval."""
    entries = []
    for group, own in rows.groupby(attribute):
        if len(own) >= SMALLEST_CELL:
            low, high = wilson(int(own["hit"].sum()), len(own))
            shares = {"share": float(own["hit"].mean()), "low": low, "high": high}
            rounded = {name: round(value, 5) for name, value in shares.items()}
            entries.append({"group": str(group), "customers": len(own), **rounded})
    return entries


def _gap(entries: list[dict[str, Any]]) -> float | None:
    shares = [entry["share"] for entry in entries]
    return round(max(shares) - min(shares), 5) if len(shares) > 1 else None


def audit(path: Path, root: Path) -> dict[str, Any]:
    """Compare groups on the list in force, and on past lists whose outcome is known; return it.

    `called`: of those with a risk, who is called or in the control group. `called_of_churned`: the
    same of those who churned. `gap`: the largest share minus the smallest.
    """
    require_made(root, "data/calibration.json", f"data/lists/{MANIFEST}")
    people = pd.DataFrame([row for _, row in cells(path, ("customer_id",))])
    attributes = [name for name in people.columns if name != "customer_id"]
    if not attributes:
        raise InputError("E_AUDIT", path.name, "no column but customer_id", "add the attributes")
    lists = Folder(in_force(root / "data" / "lists"))
    manifest = lists.read(MANIFEST)
    scored = published_table(lists, "scored.parquet", manifest).to_pandas()
    today = scored[scored["risk"].notna()].merge(people, on="customer_id")
    if today.empty:
        fix = "compare the ids with those of the list"
        raise InputError("E_AUDIT", path.name, "names no customer with a risk", fix)
    calibration = store.read(root / "data" / "calibration.json")
    events = Folder(root / "data" / "events")
    past = past_lists(
        events, root / "data" / "lists", calibration["horizon_days"], calibration["data_end"]
    )
    past = past[past["risk"].notna() & past["defected"]].merge(people, on="customer_id")
    report: dict[str, Any] = {"snapshot": manifest["snapshot"], "attributes": {}}
    for attribute in attributes:
        for name, rows in (("called", today), ("called_of_churned", past)):
            hits = rows.assign(hit=rows["contact"].isin(["call", "hold_out"]))
            entries = group_rates(hits, attribute)
            entry = report["attributes"].setdefault(attribute, {})
            entry[name] = {"groups": entries, "gap": _gap(entries)}
        gap = report["attributes"][attribute]["called"]["gap"]
        say(f"{attribute}: " + ("too few customers" if gap is None else f"gap {gap:.1%} of calls"))
    store.write(root / "reports" / "audit.json", report)
    return report
