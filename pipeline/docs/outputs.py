"""docs/outputs.md: every published column, from the schema."""

from collections.abc import Sequence

from pipeline.delivery.schema import (
    BY_HAND,
    CALL_LIST,
    CATEGORIES,
    EXPLANATIONS,
    FOR_PEOPLE,
    SCORED,
    Output,
)
from pipeline.docs.markdown import table
from pipeline.runtime.resources import read_text


def source_text(column: Output) -> str:
    """Where a column's values come from, as Markdown."""
    source = column.source
    if callable(source):
        source = f"{source.__module__}.{source.__qualname__}"
    if source == BY_HAND:
        return source
    module, _, name = source.rpartition(".")
    if module == "lifecycle":
        return f"`{name}` of `data/lifecycle`"
    return f"[`{name}`](../{module.replace('.', '/')}.py)"


def _table(columns: Sequence[Output]) -> str:
    rows = [(f"`{c.name}`", c.type, c.unit, c.meaning, source_text(c)) for c in columns]
    return table("column, type, unit, meaning, source", rows)


def outputs_markdown() -> str:
    """The document: a table of columns for each file."""
    return read_text(__file__, "outputs.md").format(
        scored=_table(SCORED),
        for_people=_table(FOR_PEOPLE),
        explanations=_table(EXPLANATIONS),
        categories=_table(CATEGORIES),
        call_list=", ".join(f"`{name}`" for name in CALL_LIST),
    )
