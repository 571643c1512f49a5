"""What a person sees at the end of a run: where the list and the page are, how good the score is, whom to call."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import store

SHOWN = 10


def _auc(name: str, found: dict[str, Any] | None) -> list[str]:
    if found is None or found["auc"] is None:
        return []
    low, high = found["auc_ci"]
    return [f"{name} {found['auc']:.3f} [{low:.3f}, {high:.3f}]"]


def _calls(scored: pd.DataFrame) -> pd.DataFrame:
    """The ten customers most worth a call; the most valuable ones in a queue where nobody is scored."""
    calls = scored[scored["contact"] == "call"].nsmallest(SHOWN, "rank")
    return calls if len(calls) else scored[scored["contact"] == "none"].nsmallest(SHOWN, "rank")


def summary(root: Path) -> str:
    """The closing text of a run, from the published files alone."""
    import pyarrow.parquet as pq

    metrics = store.read(root / "reports" / "metrics.json")
    scored = pq.read_table(root / "data" / "lists" / "scored.parquet").to_pandas(date_as_object=True)
    manifest = store.read(root / "data" / "lists" / "manifest.json")
    benchmark = metrics["benchmark"] or {"model": None, "peers": {}}
    aucs = [*_auc("model", benchmark["model"]), *(t for name, peer in benchmark["peers"].items() for t in _auc(name, peer))]
    shown = _calls(scored)[["rank", "customer_id", "stage", "risk", "value_365d", "expected_profit", "last_purchase_on", "lapses_on"]]
    lines = [
        "",
        f"list     {(root / 'data' / 'lists').relative_to(root)}/scored.parquet, and one CSV per queue beside it",
        "page     data/desk/retention_desk.html",
        f"shop     {metrics['shop']}, as of {manifest['snapshot']}, {manifest['customers']} customers, amounts in {manifest['currency']}",
        f"verdict  {metrics['verdict']}: {metrics['grade']}",
        f"AUC      {'   '.join(aucs) or 'none: nothing was scored'}",
        "",
        "most worth a call today" if (scored["contact"] == "call").any() else "nobody is scored; first in the order of value",
        shown.to_string(index=False, na_rep="-"),
    ]
    return "\n".join(lines)
