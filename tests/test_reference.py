"""The features of a few customers are those that were last recorded, bit for bit.

`reference/histories.yaml` describes the customers. `reference/features.csv` has one row per feature
and one column per customer and snapshot. Features are float32, and nine digits identify a float32,
so the comparison has no tolerance.

After an intended change of features, run `python tests/test_reference.py` to record them again, and
commit the difference.
"""

import csv
import datetime as dt
import functools
from pathlib import Path
from typing import Any

import numpy as np
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
    """The customers, each under a name that says what is special."""
    described = yaml.safe_load(HISTORIES.read_text(encoding="utf-8"))
    made = {}
    for name, tables in described.items():
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
    """By feature, the values of the kernels by customer and snapshot."""
    customers = histories()
    days = {day(dt.date.fromisoformat(date)): date for date in SNAPSHOTS}
    rows = features_at(tables_of(*customers.values()), *days)
    cells = {
        (f"{list(customers)[number]} {days[at]}"): values for (number, at), values in rows.items()
    }
    return {
        column.name: {cell: f"{values[column.name]:.9g}" for cell, values in cells.items()}
        for column in columns()
    }


@functools.cache
def kept() -> dict[str, dict[str, str]]:
    """By feature, the recorded values by customer and snapshot."""
    with KEPT.open(encoding="utf-8", newline="") as file:
        return {line.pop("feature"): line for line in csv.DictReader(file)}


def test_the_recorded_features_are_those_of_the_catalogue() -> None:
    assert list(kept()) == [column.name for column in columns()]


def test_every_feature_has_the_values_recorded_for_it() -> None:
    changed = {
        name: {
            cell: (value, kept()[name][cell])
            for cell, value in values.items()
            if value != kept()[name][cell]
        }
        for name, values in now().items()
        if values != kept()[name]
    }
    assert not changed, f"features with their (new, recorded) values: {changed}"


def test_the_record_has_more_than_the_absent_value_of_every_feature() -> None:
    for column in columns():
        recorded = {np.float32(value) for value in kept()[column.name].values()}
        present = {v for v in recorded - {np.float32(column.absent)} if not np.isnan(v)}
        assert len(present) > (column.unit != "0 or 1"), f"{column.name} has only {present}"


if __name__ == "__main__":
    values_now = now()
    with KEPT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["feature", *next(iter(values_now.values()))])
        writer.writerows([name, *values.values()] for name, values in values_now.items())
