"""The columns in plain SQL, duckdb_naive.sql: the query that comes first to mind."""

import datetime as dt
from pathlib import Path

import duckdb

from benchmarks.columns import ABSENT_0, COLUMNS, SLA_DAYS, TRENDS, WINDOWS


def _query() -> str:
    counted = (f"count(distinct day) filter (age <= {w}) as purchases_in_{w}d" for w in WINDOWS)
    summed = (f"coalesce(sum(amount) filter (age <= {w}), 0) as spend_in_{w}d" for w in WINDOWS)
    compared = (
        f"({name}_in_{t}d + {one}) / ({name}_in_{2 * t}d - {name}_in_{t}d + {one}) as {trend}_{t}d"
        for name, one, trend in (
            ("purchases", "1", "purchase_trend"),
            ("spend", "basket_mean", "spend_trend"),
        )
        for t in TRENDS
    )
    result = (f"{f'coalesce({c}, 0)' if c in ABSENT_0 else c}::float as {c}" for c in COLUMNS)
    minor, major, critical = SLA_DAYS
    return (
        Path(__file__)
        .with_suffix(".sql")
        .read_text(encoding="utf-8")
        .format(
            counted=", ".join(counted),
            summed=", ".join(summed),
            compared=", ".join(compared),
            result=", ".join(result),
            minor=minor,
            major=major,
            critical=critical,
        )
    )


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file of rows per snapshot."""
    db = duckdb.connect()
    db.execute("set threads = 2")
    db.execute("set preserve_insertion_order = false")
    db.execute(f"create view orders as from '{data}/orders/*.parquet'")
    db.execute(f"create view returns as from '{data}/returns.parquet'")
    db.execute(f"create view complaints as from '{data}/complaints.parquet'")
    options = "format parquet, compression zstd, compression_level 1"
    for snapshot in snapshots:
        query = _query().replace("$snapshot", f"date '{snapshot}'")
        db.execute(f"copy ({query}) to '{out}/{snapshot}.parquet' ({options})")
