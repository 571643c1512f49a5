"""The feature dictionary, docs/features.md: one table per family, made from the catalogue."""

from features.catalogue import FAMILIES, FEATURES, Family
from features.columns import Feature, expand
from features.settings import Windows
from pipeline.runtime.resources import read_text

HIGHER_MEANS = {1: "churned", -1: "retained", 0: ""}
HEAD = "| column | unit | meaning | absent | needs | higher means |\n|---|---|---|---|---|---|"


def _line(column: Feature) -> str:
    needs = ", ".join(f"`{need}`" for need in column.needs)
    cells = (f"`{column.name}`", column.unit, column.meaning, f"{column.absent:g}", needs)
    return f"| {' | '.join((*cells, HIGHER_MEANS[column.monotone]))} |"


def _table(family: Family, windows: Windows) -> str:
    lines = map(_line, expand(family.features, windows))
    return "\n".join([f"\n## {family.name}\n\n{family.title}\n\n{HEAD}", *lines])


def feature_dictionary(windows: Windows) -> str:
    """Return docs/features.md for these windows."""
    families = "\n".join(_table(family, windows) for family in FAMILIES)
    count = len(expand(FEATURES, windows))
    return read_text(__file__, "features.md").format(count=count, families=families)
