"""The documents that are made from the code."""

from pathlib import Path
from typing import Any

from pipeline.docs.contract import contract_dbt, contract_json_schema, contract_markdown
from pipeline.docs.features import feature_dictionary
from pipeline.docs.handbook import lifecycle_markdown
from pipeline.docs.outputs import outputs_markdown
from pipeline.docs.readme import demo_figures, readme
from pipeline.docs.reasons import reasons_markdown
from pipeline.runtime import store
from pipeline.runtime.params import Params
from pipeline.runtime.yaml_file import read_yaml, reasons


def documents(root: Path) -> dict[str, str]:
    """Return the text of each document by its path, with the numbers of params.yaml."""
    path = root / "params.yaml"
    base = Params.model_validate(read_yaml(path, root))
    rules = lifecycle_markdown(
        base.assign,
        base.ipt,
        base.sla,
        base.categories,
        reasons(path, ("assign", "ipt", "sla", "categories")),
    )
    return {
        "docs/contract.md": contract_markdown(),
        "docs/contract.schema.json": contract_json_schema(),
        "docs/contract_schema.yml": contract_dbt(),
        "docs/features.md": feature_dictionary(base.windows),
        "docs/lifecycle.md": rules,
        "docs/outputs.md": outputs_markdown(),
        "docs/reasons.md": reasons_markdown(
            base.reasons, base.sla, reasons(path, ("reasons",))["reasons"]
        ),
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
