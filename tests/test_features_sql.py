"""Every feature column against plain SQL, features.sql, over tables of the events."""

import functools
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from situations import ROWS, columns, features_at, random_customers, shop, tables_of

from features.records import NEVER, Shop

SNAPSHOTS = (90, 91, 250, 400, 401, 777, 1500)
CUSTOMERS = random_customers(seed=11, count=150)
SQL = Path(__file__).with_name("features.sql").read_text(encoding="utf-8")


def event_tables() -> dict[str, pa.Table]:
    """One table per kind of event; a date that never comes and a missing name are null."""
    tables = {}
    for kind, row in ROWS.items():
        events = [
            (number, event)
            for number, customer in enumerate(CUSTOMERS)
            for event in getattr(customer, kind)
        ]
        columns_of_events: dict[str, list[Any]] = {"customer": [number for number, _ in events]}
        for field in row._fields:
            missing = -1 if field in ("sku", "category") else NEVER
            values = [getattr(event, field) for _, event in events]
            columns_of_events[field] = [None if value == missing else value for value in values]
        tables[kind] = pa.table(columns_of_events)
    return tables


def shop_tables(of: Shop) -> dict[str, pa.Table]:
    """The parameters of the shop, and the rows to compute."""
    rows = [
        {"customer": number, "t": snapshot}
        for number, customer in enumerate(CUSTOMERS)
        for snapshot in SNAPSHOTS
        if customer.known < snapshot
    ]
    known = [{"customer": i, "known": customer.known} for i, customer in enumerate(CUSTOMERS)]
    days = (of.sla.minor, of.sla.major, of.sla.critical)
    parameters = {
        "expected_ipt": of.expected_ipt,
        "log_sd": of.log_sd,
        "prior": of.ipt.prior_weight,
        "last_gaps": of.ipt.last_gaps,
        "grace": of.sla.delivery_grace,
    }
    return {
        "snapshots": pa.Table.from_pylist(rows),
        "known": pa.Table.from_pylist(known),
        "sla": pa.table({"severity": [0, 1, 2], "sla": days}),
        "shop": pa.Table.from_pylist([parameters]),
    }


@functools.cache
def sql_features() -> pd.DataFrame:
    """One row per customer and snapshot at which the customer is known, one column per feature."""
    with duckdb.connect() as db:
        for name, table in {**event_tables(), **shop_tables(shop())}.items():
            db.register(name, table)
        db.execute(SQL)
        rows = db.sql("from snapshots").df().set_index(["customer", "t"]).sort_index()
        views = "select view_name from duckdb_views() where starts_with(view_name, 'features_')"
        for (view,) in db.sql(views).fetchall():
            rows = rows.join(db.sql(f"from {view}").df().set_index(["customer", "t"]))
    return rows


def test_every_column_is_that_of_plain_sql() -> None:
    by_kernel = features_at(tables_of(*CUSTOMERS), *SNAPSHOTS)
    assert set(by_kernel) == set(sql_features().index)
    missing = [column.name for column in columns() if column.name not in sql_features()]
    assert not missing, f"add to tests/features.sql: {missing}"
    wrong = {}
    for column in columns():
        by_sql = sql_features()[column.name].astype(float).fillna(column.absent)
        kernel = np.array([by_kernel[key][column.name] for key in by_sql.index], np.float64)
        same = np.isclose(kernel, by_sql, rtol=1e-5, atol=1e-5, equal_nan=True)
        if not same.all():
            first = int(np.argmin(same))
            wrong[column.name] = (by_sql.index[first], kernel[first], by_sql.iloc[first])
    assert not wrong, f"columns with the first (customer, snapshot), kernel and SQL value: {wrong}"
