"""From accepted rows to `data/events`: dense numbers for customers, products and categories, days.

A partition holds whole customers, sorted by customer and day; `row` keeps this order where a table
is stored without it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from features.records import NEVER
from pipeline.inputs import segments
from pipeline.inputs.buyers import total_buyers
from pipeline.inputs.contract import DEFECT_WORDS, SEVERITIES, UNSERVED_WORDS
from pipeline.inputs.database import Db, fetch_value
from pipeline.inputs.line_order import LACKING, in_order
from pipeline.inputs.spill import Spill
from pipeline.runtime.resources import read_queries

BATCH = 100_000  # rows: larger ones cost twice the time in fresh memory
SQL = read_queries(__file__, "partitions.sql")
EVENTS = ("returns", "complaints", "touches", "treatments", "suppressions")


def number(db: Db, per_partition: int) -> int:
    """Number customers, products and categories; return the number of partitions."""
    lines = fetch_value(db, "select count(*) from accepted_orders")
    parts = max(1, -(-int(lines) // per_partition))
    total_buyers(db)
    db.execute(SQL["number"].format(never=NEVER, parts=parts))
    return parts


def place(db: Db, parts: int, columns: Iterable[str]) -> Spill:
    """Return the lines by partition, and create the tables `placed_<table>` for all other events,
    sorted by partition. `columns`: those of orders that the shop has.
    """
    words, by_part = "|".join(DEFECT_WORDS), "order by part" if parts > 1 else ""
    sql = SQL["place"].format(
        severities=list(SEVERITIES),
        defect_words=words,
        unserved_words="|".join(UNSERVED_WORDS),
        by_part=by_part,
    )
    db.execute(sql)
    absent = [name for name in LACKING if not {name, f"{name}_at"} & {*columns}]
    without = f"exclude ({', '.join(absent)})" if absent else ""
    lines = db.sql(f"select * {without} from ({SQL['lines']})")
    return Spill(lines.to_arrow_reader(BATCH), parts)


def _table(db: Db, query: str, **values: int) -> pa.Table:
    return db.sql(SQL[query], params=values).to_arrow_table()


def write(db: Db, lines: Spill, parts: int, meta: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The files of data/events, one table of one partition in memory at a time."""
    yield "meta.json", meta
    yield "products.parquet", _table(db, "products")
    yield "market_events.parquet", _table(db, "market_events")
    yield "aliases.parquet", _table(db, "aliases")
    if names := meta["tables"].get("segments", ["customer_id"])[1:]:
        yield segments.FILE, segments.rows(db, names)
    names_orders = fetch_value(db, SQL["names_orders"])
    db.execute(SQL["no_baskets"])
    empty = {
        name: _table(db, name, part=parts)
        for name in EVENTS
        if not fetch_value(db, f"select count(*) from placed_{name}")
    }
    for part in range(parts):
        file = f"part-{part:03d}.parquet"
        yield f"customers/{file}", _table(db, "customers", part=part)
        orders = in_order(lines.read(part))
        yield f"orders/{file}", _with_row(orders)
        if names_orders:
            db.from_arrow(orders).create_view("orders_of_part", replace=True)
            db.execute(SQL["baskets"])
        for name in EVENTS:
            events = empty[name] if name in empty else _table(db, name, part=part)
            yield f"{name}/{file}", _with_row(events)


def _with_row(events: pa.Table) -> pa.Table:
    """Add the place of each row, which is kept where a table is stored without its order."""
    return events.append_column("row", pa.array(np.arange(len(events), dtype=np.int32)))
