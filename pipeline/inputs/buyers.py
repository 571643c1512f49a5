"""The table `buyers`: one row per customer with accepted order lines, and their totals."""

from pipeline.inputs.database import Db, fetch_all, fetch_value


def total_buyers(db: Db) -> None:
    """Create `buyers` (customer_id, lines, first_at, last_at, pieces), unless it is up to date.

    Lines are only ever lost once the ids are final, so their number shows whether it is.
    """
    if fetch_all(db, "from duckdb_tables() where table_name = 'buyers'"):
        lines = fetch_value(db, "select count(*) from accepted_orders")
        if lines == fetch_value(db, "select sum(lines) from buyers"):
            return
    db.execute("""create or replace temp table buyers as
        select customer_id, count(*) as lines, min(ordered_at) as first_at,
               max(ordered_at) as last_at, sum(quantity) as pieces
        from accepted_orders group by customer_id""")
