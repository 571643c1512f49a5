"""Tables in Markdown."""

from collections.abc import Iterable


def table(head: str, rows: Iterable[Iterable[object]]) -> str:
    """A table; `head` separates its columns by `, `."""
    columns = head.split(", ")
    lines = [f"| {' | '.join(map(str, row))} |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])
