"""docs/outputs.md: every published column, from the schema."""

from collections.abc import Sequence

from pipeline.delivery.schema import BY_HAND, EXPLANATIONS, FOR_PEOPLE, NOT_YET, SCORED, Output

ABOUT = """# Outputs

Made from [pipeline/delivery/schema.py](../pipeline/delivery/schema.py) by `corekeep docs`: change
it there.

`data/lists/manifest.json` is written last. It names every file with its sha256 and its rows: read
only files that it names. Where `currency` is null the shop delivers no amounts, and `value_unit`
says what its values count.
"""
TABLES = (
    (
        "scored.parquet",
        "One row per known customer, by rank. Customers who object to profiling have none.",
        SCORED,
    ),
    (
        "<queue>.csv",
        "One file per queue for people: one row per customer, by rank, without the control group "
        "and without customers who must not be contacted. The columns of `scored.parquet`, then "
        "those below. A text that a spreadsheet would run begins with an apostrophe. Fill in the "
        "last three columns and re-import the file as the table `treatments`.",
        FOR_PEOPLE,
    ),
    (
        "explanations.parquet",
        "Per customer one row with the facts behind `why` at position 0, then one row per "
        "driver of the risk.",
        EXPLANATIONS,
    ),
)


def source_text(column: Output) -> str:
    """Where a column's values come from, as Markdown."""
    source = column.source
    if callable(source):
        source = f"{source.__module__}.{source.__qualname__}"
    if source in (NOT_YET, BY_HAND):
        return source
    module, _, name = source.rpartition(".")
    if module == "lifecycle":
        return f"`{name}` of `data/lifecycle`"
    return f"[`{name}`](../{module.replace('.', '/')}.py)"


def _table(columns: Sequence[Output]) -> str:
    rows = [
        f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} | {source_text(c)} |" for c in columns
    ]
    head = "| column | type | unit | meaning | source |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def outputs_markdown() -> str:
    """The document: a table of columns for each file."""
    parts = [f"## `data/lists/{file}`\n\n{row}\n\n{_table(c)}\n" for file, row, c in TABLES]
    return "\n".join([ABOUT, *parts])
