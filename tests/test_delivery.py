"""However a shop delivers the same facts, and whatever it delivers about later days, the features
are the same.

From raw files through the stages `ingest` and `extract`, for every feature column.
"""

import datetime as dt
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from frozen import params
from raw_customers import START, Raw, at, iso, raw_of, tables_of_raw
from raw_shop import SETTINGS, ingested
from situations import Customer, columns, customer, features_at, later, random_customers, tables_of

from pipeline.runtime.store import Folder
from pipeline.stages.calibrate import calibrate
from pipeline.stages.extract import extract

COLUMNS = [column.name for column in columns()]
SNAPSHOTS = (200, 400, 401, 800)
CUT = 401  # the snapshot from which on the future is tampered with
END = 900
TIMES = ("ordered_at", "returned_at", "opened_at", "at", "created_at")  # of the event itself
ZONE = ZoneInfo(SETTINGS["timezone"])
every_column = pytest.mark.parametrize("column", COLUMNS)


def deliverable(told: Customer) -> Customer:
    """What of a random history is an input: no line of nothing, and nothing later than today."""
    early = Customer(
        *([row for row in rows if row[0] < END + 300] for rows in told[:-1]), known=told.known
    )
    return early._replace(orders=[line for line in early.orders if line.quantity > 0])


CUSTOMERS = [deliverable(c) for c in random_customers(seed=6, count=100)]


def features_of(events: Folder) -> pd.DataFrame:
    """Features by customer and snapshot, with a rhythm of the shop frozen before."""
    frozen = {"expected_ipt": 30, "log_sd": 0.5, "snapshots": [iso(day) for day in SNAPSHOTS]}
    parts = extract(
        events, frozen, params().ipt, params().sla, [], params().windows, params().engine
    )["features"]
    return (
        pd.concat([table.to_pandas() for _, table in parts])
        .set_index(["customer_id", "snapshot"])
        .sort_index()
    )


def delivered(raw: Raw, files: int = 1, end: int = END, **settings: Any) -> pd.DataFrame:
    """The features of a shop that delivers these rows, each table in so many files, its data ending
    at a day.
    """
    tables, sql = {}, ""
    for name, rows in tables_of_raw(raw).items():
        edges = [len(rows) * k // files for k in range(files + 1)]
        tables |= {
            f"{name}_{k}.parquet": rows.slice(edges[k], edges[k + 1] - edges[k])
            for k in range(files)
        }
        sql += f"create view {name} as {' union all by name '.join(f'from raw.{name}_{k}' for k in range(files))};"
    with TemporaryDirectory() as folder:
        found = ingested(Path(folder), tables, sql, data_end=iso(end), **settings)
        assert not [table for table in raw if found.codes(table)]
        return features_of(found.events)


def each(raw: Raw, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Raw:
    """The rows changed one by one; None leaves a row out."""
    return {
        name: [new for row in rows if (new := change(dict(row))) is not None]
        for name, rows in raw.items()
    }


def shuffled(raw: Raw) -> Raw:
    """The rows in any order."""
    order = random.Random(1)
    return {name: order.sample(rows, len(rows)) for name, rows in raw.items()}


def renamed(row: dict[str, Any]) -> dict[str, Any]:
    """Other names for customers, orders, products and everything else that has one."""
    ids = {"customer_id", "order_id", "line_id", "sku", "category", "return_id", "complaint_id"}
    return {
        key: f"{key} {value[::-1]}" if key in ids and value is not None else value
        for key, value in row.items()
    }


def elsewhere(row: dict[str, Any]) -> dict[str, Any]:
    """The same instants, as clocks east and west of the shop show them."""
    for key, value in row.items():
        if key.endswith("_at") or key == "at":
            zone = dt.timezone(
                dt.timedelta(hours=(len(row["customer_id"]) + hash_of(value)) % 24 - 11, minutes=30)
            )
            row[key] = (
                value
                and dt.datetime.fromisoformat(value)
                .replace(tzinfo=ZONE)
                .astimezone(zone)
                .isoformat()
            )
    return row


def hash_of(value: str | None) -> int:
    """Any number, the same in every run."""
    return sum(map(ord, value or ""))


def cut(row: dict[str, Any]) -> dict[str, Any] | None:
    """What could be delivered on the day of the cut.

    Events before it, and of what came of them what had come.
    """
    if "created_at" not in row and next(row[key] for key in TIMES if key in row) >= iso(CUT):
        return None
    known_ahead = {"promised_at", "created_at"}
    return {
        k: None if k.endswith("_at") and k not in known_ahead and v and v >= iso(CUT) else v
        for k, v in row.items()
    }


def tampered(row: dict[str, Any]) -> dict[str, Any]:
    """Every later event another one, everything that came later of an earlier one otherwise or on
    another day.
    """
    event = next(row[key] for key in TIMES if key in row)
    latest = at(END + 400, 23)
    other = (None, at(CUT, 23) if event < iso(CUT) else latest, latest)[
        hash_of(row["customer_id"] + event) % 3
    ]
    for key, value in row.items():
        if (
            key.endswith("_at")
            and key not in (*TIMES, "promised_at")
            and (value is None or value >= iso(CUT))
        ):
            row[key] = other
    if "created_at" not in row and event >= iso(CUT):
        worst = {
            "net_amount": 777.0,
            "quantity": 77.0,
            "severity": "critical",
            "reason": "damaged",
            "sku": "odd",
            "category": "odd",
        }
        row |= {key: value for key, value in worst.items() if key in row}
    return row


def among_others() -> pd.DataFrame:
    """The features of the customers in a shop that has more of them."""
    found = delivered(
        raw_of(CUSTOMERS + [deliverable(c) for c in random_customers(seed=7, count=30)])
    )
    return found[found.index.get_level_values(0) < f"C{len(CUSTOMERS):03d}"]


def under_other_names(raw: Raw) -> pd.DataFrame:
    """The features under the names that the customers had before."""
    back = {renamed(row)["customer_id"]: row["customer_id"] for row in raw["customers"]}
    return delivered(each(raw, renamed)).rename(index=back, level=0).sort_index()


CHANGES: dict[str, Callable[[Raw], pd.DataFrame]] = {
    "nothing": delivered,
    "in three files, rows in any order": lambda raw: delivered(shuffled(raw), files=3),
    "every row twice": lambda raw: delivered({name: rows * 2 for name, rows in raw.items()}),
    "under other names": under_other_names,
    "with clocks of other places": lambda raw: delivered(each(raw, elsewhere)),
    "in small partitions": lambda raw: delivered(raw, lines_per_partition=100),
    "among other customers": lambda _: among_others(),
    "as the world was on the day": lambda raw: delivered(each(raw, cut), end=CUT),
    "with another future": lambda raw: delivered(each(raw, tampered)),
}


@cache
def after(change: str) -> pd.DataFrame:
    """Features after a change to how the facts are delivered."""
    return CHANGES[change](raw_of(CUSTOMERS))


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "nothing"])
@every_column
def test_the_features_are_the_same(column: str, change: str) -> None:
    found = after(change)[column]
    expected = after("nothing")[column]
    if change in ("as the world was on the day", "with another future"):
        expected, found = (
            c[c.index.get_level_values(1) <= START + dt.timedelta(CUT)] for c in (expected, found)
        )
        assert len(expected) > 100
    pd.testing.assert_series_equal(found, expected, check_exact=True)


@every_column
def test_the_stages_hand_the_kernels_what_was_delivered(column: str) -> None:
    first = (START - dt.date(1970, 1, 1)).days
    rows = features_at(
        tables_of(*(later(c, first) for c in CUSTOMERS)),
        *(first + snapshot for snapshot in SNAPSHOTS),
    )
    told = [row[column] for _, row in sorted(rows.items(), key=lambda cell: cell[0])]
    np.testing.assert_array_equal(after("nothing")[column].to_numpy(), told)


def test_the_rhythm_is_learnt_from_nothing_that_comes_after_the_first_test_origin(
    tmp_path: Path,
) -> None:
    asked = params().calibrate.model_copy(update={"horizon_days": 60, "step_days": 30})
    first_origin = END - 60 - 2 * 30

    def learnt(name: str, customers: list[Customer]) -> tuple[float, float]:
        folder = tmp_path / name
        folder.mkdir()
        files = {
            f"{table}.parquet": rows for table, rows in tables_of_raw(raw_of(customers)).items()
        }
        events = ingested(folder, files, data_end=iso(END)).events
        found = calibrate(events, asked, [], params().engine)["calibration"]
        assert found["learnt_before"] == iso(first_origin)
        return found["expected_ipt"], found["log_sd"]

    as_it_was = learnt("as it was", CUSTOMERS)
    assert learnt("later", [*CUSTOMERS, customer(orders=range(first_origin, END))]) == as_it_was
    assert (
        learnt("earlier", [*CUSTOMERS, customer(orders=range(first_origin - 9, END))]) != as_it_was
    )
