"""The lower bound of any system: read the lines and group them once by customer."""

import datetime as dt
from pathlib import Path

import duckdb

QUERY = """
    select count(*), sum(lines) from (
        select customer_id, count(*) as lines, sum(amount) as spend, max(ordered_at) as last,
               max(product) as product, max(category) as category, sum(quantity) as pieces
        from orders group by customer_id)"""


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Run one scan and one group-by, whatever the snapshots; write nothing."""
    db = duckdb.connect()
    db.execute("set threads = 2")
    db.execute("set preserve_insertion_order = false")
    db.execute(f"create view orders as from '{data}/orders/*.parquet'")
    db.execute(QUERY).fetchall()
