"""From accepted rows to `data/events`: dense numbers for customers, products and categories, days.

A partition holds whole customers, sorted by customer and day; `row` keeps this order where a table
is stored without it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from features.records import NEVER
from pipeline.inputs.contract import DEFECT_WORDS, SEVERITIES, UNSERVED_WORDS
from pipeline.inputs.database import Db, fetch_value
from pipeline.runtime.resources import read_queries

SQL = read_queries(__file__, "partitions.sql")
EVENTS = ("orders", "returns", "complaints", "touches", "treatments", "suppressions")


def number(db: Db, per_partition: int) -> int:
    """Number customers, products and categories; return the number of partitions."""
    lines = fetch_value(db, "select count(*) from accepted_orders")
    parts = max(1, -(-int(lines) // per_partition))
    db.execute(SQL["number"].format(never=NEVER, parts=parts))
    return parts


def place(db: Db, parts: int) -> None:
    """Create the tables `placed_<table>`, sorted by partition."""
    words, by_part = "|".join(DEFECT_WORDS), "order by part" if parts > 1 else ""
    sql = SQL["place"].format(
        severities=list(SEVERITIES),
        defect_words=words,
        unserved_words="|".join(UNSERVED_WORDS),
        by_part=by_part,
    )
    db.execute(sql)


def _table(db: Db, query: str, **values: int) -> pa.Table:
    return db.sql(SQL[query], params=values).to_arrow_table()


def write(db: Db, parts: int, meta: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The files of data/events, one table of one partition in memory at a time."""
    yield "meta.json", meta
    yield "products.parquet", _table(db, "products")
    yield "market_events.parquet", _table(db, "market_events")
    for part in range(parts):
        file = f"part-{part:03d}.parquet"
        yield f"customers/{file}", _table(db, "customers", part=part)
        for name in EVENTS:
            table = _table(db, name, part=part)
            row = pa.array(np.arange(len(table), dtype=np.int32))
            yield f"{name}/{file}", table.append_column("row", row)
