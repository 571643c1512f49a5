"""Exports of known shop systems, recognised by their columns: one SQL template each, in exports/.

The first line of a template names the columns that it needs. Other columns are used if a file has
them, since an export's columns differ between versions of a system.
"""

import itertools
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.inputs.database import literal
from pipeline.inputs.init.columns import Column
from pipeline.inputs.init.draft import CLOCKS
from pipeline.inputs.init.tables import RawTable

FOLDER = Path(__file__).with_name("exports")
NEEDS = re.compile(r"\{#- needs: (.*?) -#\}")


def recognised(table: RawTable) -> str:
    """Return the template that fits a table's columns best, empty where none does."""
    names = {column.name.lower() for column in table.columns}
    fitting = {}
    for path in sorted(FOLDER.glob("*.sql")):
        match = NEEDS.match(path.read_text(encoding="utf-8"))
        needed = {name.strip().lower() for name in match[1].split(",")} if match else set()
        if needed and needed <= names:
            fitting[path.name] = len(needed)
    return max(fitting, key=lambda name: fitting[name], default="")


def statements(template: str, table: RawTable) -> list[str]:
    """Return the template's statements for a table, each with the comment before it."""
    columns = {column.name.lower(): column for column in table.columns}

    def has(name: str) -> bool:
        return name.lower() in columns

    def formats(name: str) -> str:
        form = columns[name.lower()].time
        return _listed(form.formats if form and form.formats else ("%Y-%m-%d %H:%M:%S",))

    def clocked(day: str, clock: str) -> str:
        return _clocked(columns[day.lower()], columns[clock.lower()])

    # SQL is no HTML, and the templates are ours
    jinja = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined)  # noqa: S701
    text = jinja.get_template(template).render(
        file=table.file, source=table.sql, has=has, formats=formats, clocked=clocked
    )
    parts = [part.strip().removesuffix(";") for part in text.split(";\n")]
    return [f"{part};\n" for part in parts if part]


def _listed(formats: tuple[str, ...]) -> str:
    listed = ", ".join(map(literal, formats))
    return f"[{listed}]" if len(formats) > 1 else listed


def _clocked(day: Column, clock: Column) -> str:
    """Return the format of a day in one column and a time of day in another."""
    days = day.time.formats if day.time and day.time.formats else ("%Y-%m-%d",)
    halves = any(re.search("[AaPp][Mm]", value) for value in clock.samples)
    seconds = any(value.count(":") > 1 for value in clock.samples)
    fitting = [f for f in CLOCKS if ("%p" in f) == halves and ("%S" in f) == seconds and ":" in f]
    return _listed(tuple(f"{d} {c}" for d, c in itertools.product(days, fitting)))
