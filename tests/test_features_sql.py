"""Feature columns against what an analyst would write.

The plain SQL of features.sql over tables of events.
"""

import functools
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from situations import ROWS, columns, features_at, random_customers, shop, tables_of

from features.records import NEVER, Shop

SNAPSHOTS = (90, 91, 250, 400, 401, 777, 1500)
CUSTOMERS = random_customers(seed=11, count=150)
ABSENT = {column.name: column.absent for column in columns()}

SQL = Path(__file__).with_name("features.sql").read_text(encoding="utf-8")


def events(of: Shop) -> dict[str, pa.Table]:
    """The customers as tables; what never happens, and what has no name, is null."""
    made = {}
    for kind, row in ROWS.items():
        rows = [
            (number, event)
            for number, seen in enumerate(CUSTOMERS)
            for event in getattr(seen, kind)
        ]
        fields = {field: [getattr(event, field) for _, event in rows] for field in row._fields}
        nothing = {field: -1 if field in ("sku", "category") else NEVER for field in fields}
        told = {
            field: [None if value == nothing[field] else value for value in values]
            for field, values in fields.items()
        }
        made[kind] = pa.table({"customer": [number for number, _ in rows], **told})
    asked = [
        (number, snapshot)
        for number, seen in enumerate(CUSTOMERS)
        for snapshot in SNAPSHOTS
        if seen.known < snapshot
    ]
    made["asked"] = pa.table(
        {"customer": [number for number, _ in asked], "t": [snapshot for _, snapshot in asked]}
    )
    made["known"] = pa.table(
        {"customer": range(len(CUSTOMERS)), "known": [seen.known for seen in CUSTOMERS]}
    )
    days = (of.sla.minor, of.sla.major, of.sla.critical)
    made["promises"] = pa.table({"severity": [0, 1, 2], "sla": days})
    ipt_rules = {
        "expected_ipt": of.expected_ipt,
        "log_sd": of.log_sd,
        "prior": of.ipt.prior_weight,
        "last_gaps": of.ipt.last_gaps,
    }
    made["shop"] = pa.Table.from_pylist([{**ipt_rules, "grace": of.sla.delivery_grace}])
    return made


@functools.cache
def answers() -> pd.DataFrame:
    """What the queries say of every customer and snapshot at which he is known."""
    with duckdb.connect() as db:
        for name, table in events(shop()).items():
            db.register(name, table)
        db.execute(SQL)
        cells = db.sql("from asked").df().set_index(["customer", "t"]).sort_index()
        for (family,) in db.sql(
            "select view_name from duckdb_views() where starts_with(view_name, 'told_')"
        ).fetchall():
            cells = cells.join(db.sql(f"from {family}").df().set_index(["customer", "t"]))
    return cells


@functools.cache
def rows() -> dict[tuple[int, int], Any]:
    """What the kernels say."""
    return features_at(tables_of(*CUSTOMERS), *SNAPSHOTS)


@pytest.mark.parametrize("column", ABSENT)
def test_a_column_is_what_plain_sql_says(column: str) -> None:
    told = answers()[column].astype(float).fillna(ABSENT[column])
    made = [rows()[customer, snapshot][column] for customer, snapshot in answers().index]
    assert len(made) == len(rows())
    np.testing.assert_allclose(made, told, rtol=1e-5, atol=1e-5)
