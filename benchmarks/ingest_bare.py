"""The least work of an ingest: one DuckDB program that trusts its input.

It reads the same files, numbers the customers, sorts all rows by customer and time and writes them.
"""

import datetime as dt
from pathlib import Path

import duckdb

TIMES = {"orders/*": "ordered_at", "returns": "returned_at", "complaints": "opened_at"}


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file per table, whatever the snapshots."""
    db = duckdb.connect()
    db.execute("set threads = 2")
    db.execute("set preserve_insertion_order = false")
    db.execute("set memory_limit = '1GB'")
    db.execute(f"set temp_directory = '{out}/spill'")
    db.execute(f"""create table customers as
        select customer_id, row_number() over (order by customer_id) - 1 as customer
        from (select distinct customer_id from '{data}/orders/*.parquet')""")
    options = "format parquet, compression zstd, compression_level 1"
    for table, time in TIMES.items():
        db.execute(f"""copy (
            select customer, t.* exclude (customer_id)
            from '{data}/{table}.parquet' t join customers using (customer_id)
            order by customer, {time}
        ) to '{out}/{table.partition("/")[0]}.parquet' ({options})""")
