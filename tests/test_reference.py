"""Features of a few customers, kept since they were last agreed upon: what a change meant only for
speed may not change.

`reference/histories.yaml` tells the customers, `reference/features.csv` has a line for each feature
and a column for each customer and snapshot. Features are float32, and nine digits name a float32
fully, so they are compared without any tolerance.

A change that is meant to change features ends with `python tests/test_reference.py`, which writes
them anew: the difference is part of it.
"""

import csv
import datetime as dt
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from situations import ROWS, Customer, columns, customer, features_at, tables_of

HISTORIES = Path(__file__).with_name("reference") / "histories.yaml"
KEPT = HISTORIES.with_name("features.csv")
# The last day of a year, the first of the next, a leap day and the day after, and a year on.
SNAPSHOTS = ("2023-12-31", "2024-01-01", "2024-02-29", "2024-03-01", "2025-01-15")


def day(date: dt.date) -> int:
    """Days since 1970-01-01."""
    return (date - dt.date(1970, 1, 1)).days


def row(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a row, dates as days."""
    return {
        name: day(value) if isinstance(value, dt.date) else value
        for name, value in fields.items()
        if name != "times"
    }


def histories() -> dict[str, Customer]:
    """The customers by what is special about them."""
    told = yaml.safe_load(HISTORIES.read_text(encoding="utf-8"))
    made = {}
    for name, tables in told.items():
        rows = {
            kind: [
                row(fields)
                for fields in tables.get(kind, ())
                for _ in range(fields.get("times", 1))
            ]
            for kind in ROWS
        }
        made[name] = customer(known=day(tables["known"]) if "known" in tables else None, **rows)
    return made


@functools.cache
def now() -> dict[str, dict[str, str]]:
    """Each feature of each customer at each snapshot, as the kernels have it now."""
    customers = histories()
    days = {day(dt.date.fromisoformat(date)): date for date in SNAPSHOTS}
    found = features_at(tables_of(*customers.values()), *days)
    cells = {
        (f"{list(customers)[number]} {days[at]}"): values for (number, at), values in found.items()
    }
    return {
        column.name: {cell: f"{values[column.name]:.9g}" for cell, values in cells.items()}
        for column in columns()
    }


@functools.cache
def kept() -> dict[str, dict[str, str]]:
    """The same, as it was agreed upon."""
    with KEPT.open(encoding="utf-8", newline="") as file:
        return {line.pop("feature"): line for line in csv.DictReader(file)}


@pytest.mark.parametrize("column", columns(), ids=lambda column: column.name)
def test_a_feature_is_what_it_was_when_it_was_last_agreed_upon(column: Any) -> None:
    assert now()[column.name] == kept()[column.name]


def test_no_feature_is_kept_that_is_there_no_more() -> None:
    assert list(kept()) == [column.name for column in columns()]


@pytest.mark.parametrize("column", columns(), ids=lambda column: column.name)
def test_what_is_kept_has_more_to_tell_of_a_feature_than_its_absence(column: Any) -> None:
    told = {np.float32(value) for value in kept()[column.name].values()} - {
        np.float32(column.absent)
    }
    assert len({value for value in told if not np.isnan(value)}) > (column.unit != "0 or 1")


if __name__ == "__main__":
    found = now()
    with KEPT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["feature", *next(iter(found.values()))])
        writer.writerows([name, *values.values()] for name, values in found.items())
