"""The feature dictionary, docs/features.md: one table per family, made from the catalogue."""

from features.catalogue import FAMILIES, FEATURES, Family
from features.columns import expand
from features.settings import Windows
from pipeline.docs.markdown import table
from pipeline.runtime.resources import read_text

HEAD = "column, unit, meaning, absent, needs, higher means"
HIGHER_MEANS = {1: "churned", -1: "retained", 0: ""}


def _section(family: Family, windows: Windows) -> str:
    rows = [
        (f"`{column.name}`", column.unit, column.meaning, f"{column.absent:g}",
         ", ".join(f"`{need}`" for need in column.needs), HIGHER_MEANS[column.monotone])
        for column in expand(family.features, windows)
    ]  # fmt: skip
    return f"\n## {family.name}\n\n{family.title}\n\n{table(HEAD, rows)}"


def feature_dictionary(windows: Windows) -> str:
    """Return docs/features.md for these windows."""
    families = "\n".join(_section(family, windows) for family in FAMILIES)
    count = len(expand(FEATURES, windows))
    return read_text(__file__, "features.md").format(count=count, families=families)
