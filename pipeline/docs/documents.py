"""The documents that are made from the code, so that they cannot say anything else."""

from pathlib import Path
from typing import Any

from features.catalogue import FAMILIES, FEATURES, Family
from features.columns import Feature, expand
from features.settings import Windows
from pipeline.docs.handbook import lifecycle_markdown
from pipeline.docs.outputs import outputs_markdown
from pipeline.docs.readme import demo_figures, readme
from pipeline.runtime import store
from pipeline.runtime.params import Params
from pipeline.runtime.yaml_file import read_yaml, reasons

HIGHER = {1: "leaves", -1: "stays", 0: ""}

ABOUT_FEATURES = """# Features

Made from [features/](../features) by `corekeep docs`: change it there.

`data/features/` has one row per customer and snapshot: `customer_id`, `snapshot` and the {count} columns below, as float32. They
are made of nothing but what happened before midnight of the snapshot. Who has objected to profiling has no row.

A purchase is a day with at least one paid line that was not cancelled by the snapshot. The last 30 days are the 30 whole days before
the snapshot; which windows there are stands in `params.yaml`. The usual gap is shrunk towards the shop's, because few gaps prove
little ([features/ipt.py](../features/ipt.py)).

* **absent**: the value where the past has nothing to tell, as of gaps before the second purchase, or of the share of nothing.
* **needs**: tables of the input contract, or columns of them ([pipeline/inputs/contract.py](../pipeline/inputs/contract.py)). Where a shop does
  not record them the column is not there at all.
* **higher**: `leaves` where a higher value can only speak for leaving, `stays` where only against it, by what the column means.

What the families are worth, and how one more feature comes in: [adding-a-feature.md](adding-a-feature.md).
"""


def _cells(column: Feature) -> str:
    needs = ", ".join(f"`{need}`" for need in column.needs)
    return f"| `{column.name}` | {column.unit} | {column.meaning} | {column.absent:g} | {needs} | {HIGHER[column.monotone]} |"


def _section(family: Family, windows: Windows) -> str:
    title = family.name
    head = "| column | unit | meaning | absent | needs | higher |\n|---|---|---|---|---|---|"
    return "\n".join(
        [
            f"\n## {title}\n\n{family.title}\n\n{head}",
            *map(_cells, expand(family.features, windows)),
        ]
    )


def feature_dictionary(windows: Windows) -> str:
    """Every feature column, a table for each family."""
    about = ABOUT_FEATURES.format(count=len(expand(FEATURES, windows)))
    return "\n".join([about.rstrip(), *(_section(family, windows) for family in FAMILIES)]) + "\n"


def documents(root: Path) -> dict[str, str]:
    """The text of each document by its path.

    Numbers are those of params.yaml, whatever a shop's own file says.
    """
    path = root / "params.yaml"
    base = Params.model_validate(read_yaml(path, root))
    rules = lifecycle_markdown(
        base.assign, base.ipt, base.sla, reasons(path, ("assign", "ipt", "sla"))
    )
    return {
        "docs/features.md": feature_dictionary(base.windows),
        "docs/lifecycle.md": rules,
        "docs/outputs.md": outputs_markdown(),
    }


def demo_documents(root: Path) -> dict[str, Any]:
    """The model card and README's figures as the demo's last run made them.

    Nothing while another shop's results lie there.
    """
    reports = root / "reports"
    evaluation = reports / "evaluation.json"
    if not evaluation.exists() or store.read(evaluation)["shop"] != "demo":
        return {}
    figures = demo_figures(root)
    return {
        "docs/model_card.md": (reports / "model_card.md").read_text(encoding="utf-8"),
        "docs/demo.json": figures,
        "README.md": readme((root / "README.md").read_text(encoding="utf-8"), figures),
    }
