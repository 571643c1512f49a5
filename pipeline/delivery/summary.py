"""What a person sees at the end of a run.

Where the list and the page are, how good the score is, whom to call.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.runtime import store

SHOWN = 10


def _auc(name: str, found: dict[str, Any] | None) -> list[str]:
    if found is None or found["auc"] is None or None in found["auc_ci"]:
        return []
    low, high = found["auc_ci"]
    return [f"{name} {found['auc']:.3f} [{low:.3f}, {high:.3f}]"]


def _headline(scored: pd.DataFrame) -> str:
    if (scored["contact"] == "call").any():
        return "most worth a call today"
    reason = "nobody is worth a call today" if scored["risk"].notna().any() else "nobody is scored"
    return f"{reason}; first in the order of work"


def _shown(scored: pd.DataFrame) -> pd.DataFrame:
    """The ten customers most worth a call; where there is none, the first whom nobody holds out."""
    calls = scored[scored["contact"] == "call"]
    return (calls if len(calls) else scored[scored["contact"] == "none"]).nsmallest(SHOWN, "rank")


def summary(root: Path) -> str:
    """The closing text of a run, from the published files alone."""
    import pyarrow.parquet as pq

    metrics = store.read(root / "reports" / "evaluation.json")
    scored = pq.read_table(root / "data" / "lists" / "scored.parquet").to_pandas(
        date_as_object=True
    )
    manifest = store.read(root / "data" / "lists" / "manifest.json")
    benchmark = metrics["benchmark"] or {"model": None, "baselines": {}}
    aucs = [
        *_auc("model", benchmark["model"]),
        *(t for name, baseline in benchmark["baselines"].items() for t in _auc(name, baseline)),
    ]
    shown = _shown(scored)[
        [
            "rank",
            "customer_id",
            "stage",
            "risk",
            "value_365d",
            "expected_profit",
            "last_purchase_on",
            "lapses_on",
        ]
    ]
    lines = [
        "",
        "list     data/lists/scored.parquet, and one CSV per queue beside it",
        "page     data/desk/retention_desk.html",
        f"shop     {metrics['shop']}, as of {manifest['snapshot']}, {manifest['customers']} customers, amounts in {manifest['currency']}",
        f"verdict  {metrics['verdict']}: {metrics['grade'].removeprefix('no signal: ')}",
        f"AUC      {'   '.join(aucs) or 'none: nothing was scored'}",
        "",
        _headline(scored),
        shown.to_string(index=False, na_rep="-"),
    ]
    return "\n".join(lines)
