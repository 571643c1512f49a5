"""From accepted rows to `data/events`: dense numbers for customers, products and categories, days,
and one partition at a time.

A partition holds whole customers, so a kernel sees one past in one piece; within it rows are sorted
by customer and day. Their number in that order stands beside them, for where a table is kept
without its order.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from features.records import NEVER
from pipeline.inputs.contract import DEFECT_WORDS, SEVERITIES, TABLES

# What each table looks like in data/events: SQL over its accepted rows t, the customer k, product s
# and category c, then the order of rows.
EVENTS: dict[str, tuple[str, str]] = {
    "orders": (
        """k.customer, day_of(t.ordered_at) as day, coalesce(s.sku, -1)::integer as sku, coalesce(c.category, -1)::integer as category,
           coalesce(t.quantity, 1) as quantity, coalesce(t.net_amount, round(coalesce(t.quantity, 1) * 10000)::bigint) as amount,
           day_of(t.promised_at) as promised, day_of(not_before(t.delivered_at, t.ordered_at)) as delivered,
           day_of(not_before(t.cancelled_at, t.ordered_at)) as cancelled, t.order_id, t.line_id, t.ordered_at""",
        "",
    ),
    "returns": (
        f"""k.customer, day_of(t.returned_at) as day, coalesce(s.sku, -1)::integer as sku, t.quantity, t.net_amount as amount,
           day_of(t.settled_at) as settled, coalesce(regexp_matches(lower(t.reason), '{"|".join(DEFECT_WORDS)}'), false) as defect,
           t.order_id, t.return_id""",
        "customer, day, return_id, order_id, sku, quantity, amount, settled, defect",
    ),
    "complaints": (
        f"""k.customer, day_of(t.opened_at) as opened, (list_position({list(SEVERITIES)}, t.severity) - 1)::tinyint as severity,
           day_of(not_before(t.resolved_at, t.opened_at)) as resolved,
           day_of(not_before(t.reopened_at, t.opened_at)) as reopened, t.kind,
           t.order_id, t.complaint_id""",
        "customer, opened, complaint_id",
    ),
    "touches": (
        "k.customer, day_of(t.at) as day, t.expectation, t.limit_kind, day_of(t.due_at) as due, day_of(t.met_at) as met",
        "customer, day, expectation, limit_kind, due, met",
    ),
    "treatments": (
        """k.customer, day_of(t.as_of) as as_of, t.queue, t.action, t.contact, t.decision, day_of(t.done_on) as done_on, t.note,
           t.stated_reason""",
        "all",
    ),
    "suppressions": ("k.customer, t.scope, day_of(t.since) as since", "all"),
}

# The number of an order among its customer's: what a return or a complaint names is one of them, or
# none.
BASKET = """
    with basket as (
        select customer, order_id, row_number() over (partition by customer order by min(day), order_id) - 1 as basket
        from placed_orders where part = $part group by customer, order_id)"""

# Lines without an id are numbered by what they hold, so that the order of the file does not matter.
ORDERS = f"""{BASKET},
    line as (
        select *, coalesce(line_id, format('{{:04d}}', row_number() over (
            partition by customer, order_id order by ordered_at, sku, category, quantity, amount, promised, delivered, cancelled))) as line
        from placed_orders where part = $part)
    select customer, day, basket::integer as basket, sku, category, quantity, amount, promised, delivered, cancelled, order_id,
           line as line_id
    from line join basket using (customer, order_id)
    order by customer, day, order_id, line_id"""


def number(db: duckdb.DuckDBPyConnection, per_partition: int) -> int:
    """Number customers within their partitions, products and categories over the shop.

    The number of partitions.
    """
    row = db.execute("select count(*) from accepted_orders").fetchone()
    assert row
    parts = max(1, -(-row[0] // per_partition))
    # greatest() would fill a null
    db.execute("create macro not_before(x, start) as case when x < start then start else x end")
    db.execute(
        f"create macro day_of(x) as coalesce((x::date - date '1970-01-01')::integer, {NEVER})"
    )
    first = " union all ".join(
        f"select customer_id, min(e.{TABLES[name].event}) as first_at from accepted_{name} e group by 1"
        for name in EVENTS
        if TABLES[name].event
    )
    db.execute(f"""
        create table customers_known as
        with first as (select customer_id, min(first_at) as first_at from ({first}) group by 1),
        suppressed as (select customer_id, bool_or(scope ilike '%profil%') as profiling from accepted_suppressions group by 1),
        placed as (
            select c.customer_id, day_of(least(c.created_at, first_at)) as known,
                   coalesce(c.do_not_contact, false) or s.customer_id is not null as do_not_contact,
                   coalesce(c.profiling_objection, false) or coalesce(s.profiling, false) as profiling_objection,
                   (hash(c.customer_id) % {parts})::integer as part
            from accepted_customers c left join first using (customer_id) left join suppressed s using (customer_id))
        select *, (row_number() over (partition by part order by customer_id) - 1)::integer as customer from placed""")
    db.execute("""
        create table categories as
        select category as category_id, (row_number() over (order by category) - 1)::integer as category
        from (select category from accepted_orders union select category from accepted_market_events) where category is not null""")
    db.execute("""
        create table skus as
        with seen as (select sku, category, count(*) as lines from accepted_orders where sku is not null group by all
                      union all select sku, null, 0 from accepted_returns where sku is not null),
        product as (select sku as sku_id, arg_max(category, (lines, category)) as category_id from seen group by all)
        select sku_id, category_id, (row_number() over (order by sku_id) - 1)::integer as sku from product""")
    return int(parts)


def place(db: duckdb.DuckDBPyConnection, parts: int) -> None:
    """Every per-customer table with its numbers, its rows grouped by partition so that one can be
    read without the others.
    """
    for table, (columns, _) in EVENTS.items():
        sku = "left join skus s on s.sku_id = t.sku" if table in ("orders", "returns") else ""
        category = (
            "left join categories c on c.category_id = t.category" if table == "orders" else ""
        )
        grouped = "order by part" if parts > 1 else ""
        db.execute(f"""
            create table placed_{table} as select k.part, {columns}
            from accepted_{table} t join customers_known k using (customer_id) {sku} {category} {grouped}""")


# Last come, without a product, the categories that lines without one have.
PRODUCTS = """
    select coalesce(s.sku, -1)::integer as sku, s.sku_id, coalesce(c.category, -1)::integer as category, c.category_id
    from skus s full join categories c using (category_id) order by s.sku nulls last, category_id"""
MARKET_EVENTS = """
    select coalesce(c.category, -1)::integer as category, day_of(starts_at) as starts, day_of(ends_at) as ends, kind, price_index
    from accepted_market_events t left join categories c on c.category_id = t.category order by all"""
CUSTOMERS = """
    select customer, customer_id, known, do_not_contact, profiling_objection from customers_known where part = $part order by customer"""


def _table(db: duckdb.DuckDBPyConnection, sql: str, **values: int) -> pa.Table:
    return db.sql(sql, params=values).to_arrow_table()


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column("row", pa.array(np.arange(len(rows), dtype=np.int32)))


def write(
    db: duckdb.DuckDBPyConnection, parts: int, meta: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The files of data/events, one table of one partition in memory at a time."""
    yield "meta.json", meta
    yield "products.parquet", _table(db, PRODUCTS)
    yield "market_events.parquet", _table(db, MARKET_EVENTS)
    for part in range(parts):
        file = f"part-{part:03d}.parquet"
        yield f"customers/{file}", _table(db, CUSTOMERS, part=part)
        yield f"orders/{file}", _numbered(_table(db, ORDERS, part=part))
        for table, (_, order) in EVENTS.items():
            if table != "orders":
                sql = f"select * exclude (part) from placed_{table} where part = $part order by {order}"
                if table in ("returns", "complaints"):
                    sql = f"""{BASKET} select p.* exclude (part), coalesce(basket, -1)::integer as basket
                        from placed_{table} p left join basket using (customer, order_id) where part = $part order by {order}"""
                yield f"{table}/{file}", _numbered(_table(db, sql, part=part))
