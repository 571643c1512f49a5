"""Rows for the model: features, life cycle and what became of the customer, joined by customer and snapshot."""

from typing import Any

import pandas as pd

from pipeline.store import Folder

KEYS = ["customer_id", "snapshot"]


def feature_names(features: Folder) -> list[str]:
    """The feature columns of the shop, in their order."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(features.path / features.names("*.parquet")[0])
    return [name for name in schema.names if name not in KEYS]


def joined(features: Folder, lifecycle: Folder, calibration: dict[str, Any], labels: Folder | None, snapshots: list[str]) -> pd.DataFrame:
    """One row per customer and snapshot, sorted by both, of those who bought at least twice and are scored or in the benchmark.

    Columns: customer_id, snapshot (ISO), features, stage, scored, benchmark and, with labels, defected, returned.
    """
    import duckdb

    with duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": "false"}) as con:
        future = "" if labels is None else f"join read_parquet('{labels.path}/*.parquet') y using (customer_id, snapshot)"
        outcome = "" if labels is None else ", y.defected, y.returned"
        relation = con.execute(
            f"""
            select f.* replace (strftime(f.snapshot, '%Y-%m-%d') as snapshot), l.stage, l.scored,
                   f.recency_days <= $recency as benchmark {outcome}
            from read_parquet('{features.path}/*.parquet') f
            join read_parquet('{lifecycle.path}/*.parquet') l using (customer_id, snapshot) {future}
            where f.purchases >= 2 and (l.scored or f.recency_days <= $recency)
              and list_contains($snapshots, strftime(f.snapshot, '%Y-%m-%d'))
            order by f.customer_id, f.snapshot
            """,
            {"recency": calibration["benchmark_recency_days"], "snapshots": snapshots},
        )
        return relation.df()
