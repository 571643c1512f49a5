"""The features do not depend on how a shop delivers the same facts, nor on what happens later.

Raw files go through the stages `ingest` and `extract`. Each test covers all feature columns and
names every column that fails.
"""

import datetime as dt
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from frozen import params
from raw_customers import START, Raw, at, iso, raw_of, tables_of_raw
from raw_shop import SETTINGS, ingested
from situations import Customer, columns, customer, features_at, later, random_customers, tables_of

from models.reasons.catalogue import CATALOGUE
from pipeline.engine.evidence import trends_of
from pipeline.runtime.store import Folder
from pipeline.stages.calibrate import calibrate
from pipeline.stages.extract import extract

COLUMNS = [column.name for column in columns()]
EVIDENCE = [feature.name for reason in CATALOGUE for feature in reason.features]
SNAPSHOTS = (200, 400, 401, 800)
CUT = 401  # the future is changed from this snapshot on
END = 900
TIMES = ("ordered_at", "returned_at", "opened_at", "at", "created_at")  # of the event itself
ZONE = ZoneInfo(SETTINGS["timezone"])


def deliverable(history: Customer) -> Customer:
    """A random history as valid input: no quantity of zero, no event after today."""
    early = Customer(
        *([row for row in rows if row[0] < END + 300] for rows in history[:-1]), known=history.known
    )
    return early._replace(orders=[line for line in early.orders if line.quantity > 0])


CUSTOMERS = [deliverable(c) for c in random_customers(seed=6, count=100)]


def features_of(events: Folder) -> pd.DataFrame:
    """Features by customer and snapshot, for a shop of fixed expected IPT."""
    days = [iso(day) for day in SNAPSHOTS]
    calibration = {"expected_ipt": 30, "log_sd": 0.5, "snapshots": days, "long_runs": {"": 5}}
    p = params()
    trends = trends_of(events, p.engine)
    rules = (p.reasons, p.ipt, p.sla, [], p.windows, p.engine)
    parts = extract(events, calibration, trends, *rules)["features"]
    return (
        pd.concat([table.to_pandas() for _, table in parts])
        .set_index(["customer_id", "snapshot"])
        .sort_index()
    )


def delivered(raw: Raw, files: int = 1, end: int = END, **settings: Any) -> pd.DataFrame:
    """The features of a shop that delivers these rows in so many files per table, up to `end`."""
    tables, sql = {}, ""
    for name, rows in tables_of_raw(raw).items():
        edges = [len(rows) * k // files for k in range(files + 1)]
        tables |= {
            f"{name}_{k}.parquet": rows.slice(edges[k], edges[k + 1] - edges[k])
            for k in range(files)
        }
        parts = " union all by name ".join(f"from raw.{name}_{k}" for k in range(files))
        sql += f"create view {name} as {parts};"
    with TemporaryDirectory() as folder:
        result = ingested(Path(folder), tables, sql, data_end=iso(end), **settings)
        assert not [table for table in raw if result.codes(table)]
        return features_of(result.events)


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
    """Another identifier for every customer, order, product and the like."""
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
    """A number that is the same in every run."""
    return sum(map(ord, value or ""))


def cut(row: dict[str, Any]) -> dict[str, Any] | None:
    """What the shop knew on the day of the cut: earlier events, and their outcomes by then."""
    if "created_at" not in row and next(row[key] for key in TIMES if key in row) >= iso(CUT):
        return None
    known_ahead = {"promised_at", "created_at"}
    return {
        k: None if k.endswith("_at") and k not in known_ahead and v and v >= iso(CUT) else v
        for k, v in row.items()
    }


def tampered(row: dict[str, Any]) -> dict[str, Any]:
    """Every later event replaced, every later outcome of an earlier event changed or moved."""
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
    others = [deliverable(c) for c in random_customers(seed=7, count=30)]
    features = delivered(raw_of(CUSTOMERS + others))
    return features[features.index.get_level_values(0) < f"C{len(CUSTOMERS):03d}"]


def under_other_names(raw: Raw) -> pd.DataFrame:
    """The features of a shop with other identifiers, under the original customer ids."""
    back = {renamed(row)["customer_id"]: row["customer_id"] for row in raw["customers"]}
    return delivered(each(raw, renamed)).rename(index=back, level=0).sort_index()


@cache
def unchanged() -> pd.DataFrame:
    """The features as delivered plainly."""
    return delivered(raw_of(CUSTOMERS))


CHANGES: dict[str, Callable[[Raw], pd.DataFrame]] = {
    "in three files, rows in any order": lambda raw: delivered(shuffled(raw), files=3),
    "every row twice": lambda raw: delivered({name: rows * 2 for name, rows in raw.items()}),
    "under other names": under_other_names,
    "with clocks of other places": lambda raw: delivered(each(raw, elsewhere)),
    "in small partitions": lambda raw: delivered(raw, lines_per_partition=100),
    "among other customers": lambda _: among_others(),
}
FUTURES: dict[str, Callable[[Raw], pd.DataFrame]] = {
    "as known on the day": lambda raw: delivered(each(raw, cut), end=CUT),
    "with another future": lambda raw: delivered(each(raw, tampered)),
}


def changed_columns(features: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """The columns that differ in any bit. Both tables must have the same rows."""
    assert features.index.equals(expected.index)
    assert list(features.columns) == list(expected.columns)
    assert features.dtypes.equals(expected.dtypes)
    return [name for name in features if not features[name].equals(expected[name])]


@pytest.mark.parametrize("change", CHANGES)
def test_features_do_not_depend_on_how_the_facts_are_delivered(change: str) -> None:
    changed = changed_columns(CHANGES[change](raw_of(CUSTOMERS)), unchanged())
    if change == "among other customers":  # a competitor is judged against all of the shop
        changed.remove("evidence_competitor")
    assert not changed, f"{change}: these columns change: {', '.join(changed)}"


@pytest.mark.parametrize("future", FUTURES)
def test_features_up_to_a_snapshot_do_not_depend_on_what_follows(future: str) -> None:
    by_then, expected = (
        table[table.index.get_level_values(1) <= START + dt.timedelta(CUT)]
        for table in (FUTURES[future](raw_of(CUSTOMERS)), unchanged())
    )
    assert len(expected) > 100
    changed = changed_columns(by_then, expected)
    assert not changed, f"{future}: these columns see the future: {', '.join(changed)}"


def test_the_stages_give_the_kernels_what_was_delivered() -> None:
    first = (START - dt.date(1970, 1, 1)).days
    rows = features_at(
        tables_of(*(later(c, first) for c in CUSTOMERS)),
        *(first + snapshot for snapshot in SNAPSHOTS),
    )
    direct = pd.DataFrame(
        [
            [row[name] for name in COLUMNS]
            for _, row in sorted(rows.items(), key=lambda item: item[0])
        ],
        index=unchanged().index,
        columns=COLUMNS,
    )
    assert list(unchanged()) == [*COLUMNS, *EVIDENCE]
    changed = changed_columns(direct, unchanged()[COLUMNS])
    assert not changed, f"the stages change these columns: {', '.join(changed)}"


def test_the_expected_ipt_does_not_depend_on_what_follows_the_first_test_origin(
    tmp_path: Path,
) -> None:
    settings = params().calibrate.model_copy(update={"horizon_days": 60, "step_days": 30})
    first_origin = END - 60 - 2 * 30

    def learnt(name: str, customers: list[Customer]) -> tuple[float, float]:
        folder = tmp_path / name
        folder.mkdir()
        files = {
            f"{table}.parquet": rows for table, rows in tables_of_raw(raw_of(customers)).items()
        }
        events = ingested(folder, files, data_end=iso(END)).events
        rules = (params().reasons, [], params().engine)
        calibration = calibrate(events, settings, *rules)["calibration"]
        assert calibration["learnt_before"] == iso(first_origin)
        return calibration["expected_ipt"], calibration["log_sd"]

    def with_daily_orders_from(first: int) -> list[Customer]:
        return [*CUSTOMERS, customer(orders=range(first, END))]

    expected = learnt("before", CUSTOMERS)
    assert learnt("later", with_daily_orders_from(first_origin)) == expected
    assert learnt("earlier", with_daily_orders_from(first_origin - 9)) != expected
