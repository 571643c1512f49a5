"""The closing text of a run: where list and page are, how good the scores are, whom to call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pipeline.delivery.scorers import best_simple_baseline, measured_scorers, scorer_name
from pipeline.runtime import store
from pipeline.runtime.runner import champion_folder

ROWS = 10
COLUMNS = {
    "rank": "rank",
    "customer_id": "customer",
    "risk": "risk",
    "chance": "chance",
    "value_365d": "value a year",
    "expected_profit": "profit",
    "why": "why",
}


def _figure(form: str) -> Callable[[float], str]:
    """Return a function that writes a figure in this form, and - where there is none."""
    return lambda value: "-" if pd.isna(value) else format(value, form)


FORMATS = dict.fromkeys(("risk", "chance"), _figure(".2f"))
FORMATS |= dict.fromkeys(("value a year", "profit"), _figure(",.0f"))


def _aucs(evaluation: dict[str, Any]) -> str:
    """AUC and interval of the model, of the best simple baseline and of the scorer in use."""
    scorers = measured_scorers(evaluation)
    best = best_simple_baseline(scorers)
    texts = []
    for name in dict.fromkeys(("model", best, evaluation["verdict"])):
        result = scorers.get(name)
        if result and result["auc"] is not None and None not in result["auc_ci"]:
            low, high = result["auc_ci"]
            title = ", the best simple baseline," if name == best else ""
            texts.append(f"{scorer_name(name)}{title} {result['auc']:.3f} [{low:.3f}, {high:.3f}]")
    return "; ".join(texts) or "none: nobody was scored"


def _headline(scored: pd.DataFrame) -> str:
    if (scored["contact"] == "call").any():
        return "Most worth a call today:"
    reason = "No call is worth its cost today" if scored["risk"].notna().any() else "No risks today"
    return f"{reason}. The first in the order of work:"


def _version(champion: Path) -> str:
    """Which version made the list."""
    kept = store.read(champion / "registered.json")
    if kept["alias"] != "champion":
        return "just trained: no champion of this version is registered"
    return f"the champion, {kept['model_name']} version {kept['model_version']}"


def summary(root: Path) -> str:
    """The closing text: the first calls, or else the first rows of the list that may be shown."""
    root = root.resolve()
    lists = root / "data" / "lists"
    manifest = store.read(lists / "manifest.json")
    champion = champion_folder(root, manifest["shop"])
    evaluation = store.read(champion / "evaluation.json")
    scored = pq.read_table(lists / "scored.parquet").to_pandas(date_as_object=True)
    calls = scored[scored["contact"] == "call"]
    shown = calls if len(calls) else scored[scored["contact"] == "none"]
    rows = shown.nsmallest(ROWS, "rank")[[*COLUMNS]].rename(columns=COLUMNS)
    widest = int(rows["why"].str.len().max()) if len(rows) else 0
    rows["why"] = rows["why"].str.ljust(widest)
    rows = rows.rename(columns={"why": "why".ljust(widest)})  # pandas puts titles to the right
    money = f"amounts in {manifest['currency']}" if manifest["currency"] else "values count pieces"
    shop = f"{manifest['shop']}, as of {manifest['snapshot']}: {manifest['customers']:,} customers"
    return f"""
list    {lists / "scored.parquet"}; call.csv and one CSV per queue beside it
page    {root / "data" / "desk" / "retention_desk.html"}
shop    {shop}, {money}
model   {_version(champion)}
scorer  {manifest["grade"]}
AUC     {_aucs(evaluation)}

{_headline(scored)}
{rows.to_string(index=False, max_colwidth=None, na_rep="-", formatters=FORMATS)}"""
