"""Rows read by SQL from folders of parquet files: for the model, and for the list."""

from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.runtime.store import Folder

KEYS = ["customer_id", "snapshot"]


def rows_of(folder: Folder, pattern: str = "*.parquet") -> str:
    """SQL for the rows of a folder's files; `part` tells the partition of each."""
    path = f"{folder.path}/{pattern}".replace("'", "''")
    return (
        f"(select *, parse_filename(filename) as part from read_parquet('{path}', filename = true))"
    )


def table(sql: str, **values: Any) -> pa.Table:
    """What a query returns. The SQL names an order where one matters."""
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as con:
        return con.sql(sql, params=values).to_arrow_table()


def query(sql: str, **values: Any) -> pd.DataFrame:
    """The same for pandas, dates as dates, nulls as None or NaN."""
    found: pd.DataFrame = table(sql, **values).to_pandas(date_as_object=True)
    return found


def feature_names(features: Folder) -> list[str]:
    """The feature columns of the shop, in their order."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(features.path / features.names("*.parquet")[0])
    return [name for name in schema.names if name not in KEYS]


def buyers(features: Folder, snapshot: str) -> pd.DataFrame:
    """One row per customer who had bought by the snapshot, once or more.

    Purchases, recency_days, tenure_days; sorted by customer_id.
    """
    return query(
        f"""
        select purchases, recency_days, tenure_days from {rows_of(features)}
        where snapshot = $snapshot::date and purchases >= 1 order by customer_id
        """,
        snapshot=snapshot,
    )


def joined(
    features: Folder,
    lifecycle: Folder,
    calibration: dict[str, Any],
    labels: Folder,
    snapshots: list[str],
) -> pd.DataFrame:
    """One row per customer and snapshot, sorted by both, of those who bought at least twice and are
    scored or in the benchmark.

    Columns: customer_id, snapshot (ISO), features, stage, scored, benchmark, defected, returned.
    """
    return query(
        f"""
        select f.* exclude (filename, part) replace (strftime(f.snapshot, '%Y-%m-%d') as snapshot), l.stage, l.scored,
               f.recency_days <= $recency as benchmark, y.defected, y.returned
        from {rows_of(features)} f
        join {rows_of(lifecycle)} l using (customer_id, snapshot)
        join {rows_of(labels)} y using (customer_id, snapshot)
        where f.purchases >= 2 and (l.scored or f.recency_days <= $recency)
          and list_contains($snapshots, strftime(f.snapshot, '%Y-%m-%d'))
        order by f.customer_id, f.snapshot
        """,
        recency=calibration["benchmark_recency_days"],
        snapshots=snapshots,
    )
