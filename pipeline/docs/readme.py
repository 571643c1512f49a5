"""The figures of README.md: the demo's first five calls and its AUC, kept in docs/demo.json."""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.delivery.scorers import measured_scorers
from pipeline.runtime import store
from pipeline.runtime.yaml_file import read_yaml

ROWS = 5
SHOWN = ("recency", "logistic_rfm", "bg_nbd", "expert_windows", "model")  # columns of the AUC table
BLOCK = re.compile(r"(?<=<!-- demo list: made by `corekeep docs` -->\n).*?(?=<!-- end -->)", re.S)
AUC_ROW = re.compile(r"(?m)^(\| demo, simulated [^|]*\|).*?(\|[^|]*\|)$")


def demo_figures(root: Path) -> dict[str, Any]:
    """The figures of the demo's run in this folder; `model_md5` is data/model in dvc.lock."""
    lists = root / "data" / "lists"
    calls = pq.read_table(lists / "scored.parquet", filters=[("contact", "=", "call")])
    rows = [
        {
            "customer": row["customer_id"],
            "risk": row["risk"],
            "value": row["value_365d"],
            "why": row["why"],
        }
        for row in calls.slice(0, ROWS).to_pylist()
    ]
    scorers = measured_scorers(store.read(root / "reports" / "evaluation.json"))
    outs = read_yaml(root / "dvc.lock", root)["stages"]["train"]["outs"]
    return {
        "model_md5": next(out["md5"] for out in outs if out["path"] == "data/model"),
        "list": rows,
        "auc": {name: scorers[name]["auc"] for name in SHOWN},
        "auc_ci": scorers["model"]["auc_ci"],
    }


def _percent(risk: float | None) -> str:
    return "–" if risk is None else f"{risk * 100:.0f} %"


def readme(text: str, figures: dict[str, Any]) -> str:
    """README with these figures: the block of the list and the demo's row of the AUC table."""
    rows = [
        f"| {rank} | {r['customer']} | {_percent(r['risk'])} | {r['value']:,.0f} | {r['why']} |\n"
        for rank, r in enumerate(figures["list"], 1)
    ]
    head = "\n| | customer | risk | spend a year | why |\n|---|---|---|---|---|\n"
    *others, own = (f"{figures['auc'][name]:.3f}".lstrip("0") for name in SHOWN)
    low, high = (f"{bound:.3f}".lstrip("0") for bound in figures["auc_ci"])
    cells = [*others, f"**{own}** [{low}, {high}]"]
    text = BLOCK.sub(lambda _: f"{head}{''.join(rows)}\n", text)
    return AUC_ROW.sub(lambda row: f"{row[1]} {' | '.join(cells)} {row[2]}", text)
