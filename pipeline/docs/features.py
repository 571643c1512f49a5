"""The feature dictionary, docs/features.md: one table per family, made from the catalogue."""

from features.catalogue import FAMILIES, FEATURES
from features.columns import Feature, expand
from features.settings import Windows
from models.reasons.catalogue import CATALOGUE, EVIDENCE_FEATURES
from pipeline.docs.markdown import table
from pipeline.runtime.resources import read_text

HEAD = "column, unit, meaning, absent, needs, higher means"
HIGHER_MEANS = {1: "churned", -1: "retained", 0: ""}


def _section(name: str, title: str, features: tuple[Feature, ...], windows: Windows) -> str:
    rows = [
        (f"`{column.name}`", column.unit, column.meaning, f"{column.absent:g}",
         ", ".join(f"`{need}`" for need in column.needs), HIGHER_MEANS[column.monotone])
        for column in expand(features, windows)
    ]  # fmt: skip
    return f"\n## {name}\n\n{title}\n\n{table(HEAD, rows)}"


def feature_dictionary(windows: Windows) -> str:
    """Return docs/features.md for these windows."""
    each = [(family.name, family.title, family.features) for family in FAMILIES]
    each += [(reason.name, reason.title, reason.features) for reason in CATALOGUE]
    families = "\n".join(_section(*one, windows) for one in each)
    count = len(expand(FEATURES, windows)) + len(EVIDENCE_FEATURES)
    return read_text(__file__, "features.md").format(count=count, families=families)
