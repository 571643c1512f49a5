"""Invoices credited and billed again: one purchase, not two.

A wrong name or address on an invoice is corrected by a credit note over the whole order and a new
order of the same amount, within days. Both are left out, the first order stays. As with merged ids,
snapshots between the two know of the correction already; such an order is no purchase in any label.
"""

from pipeline.inputs.database import Db, fetch_all
from pipeline.inputs.staging import Types

CENT = 0.005  # amounts are equal up to rounding


def mark_rebilled(db: Db, delivered: dict[str, Types], days: int) -> None:
    """Give the credit and the second order the fate `rebilled`.

    The credit of a day has the amount of one order, and another order of the customer has it again
    up to `days` later. A credit and a second order count once.
    """
    if not days or "net_amount" not in delivered["orders"]:
        return
    order = "order_id" if "order_id" in delivered["returns"] else "null"
    pairs = f"""
        with credits as (
            select customer_id, {order} as order_id, returned_at::date as day,
                   sum(net_amount) as amount, list(rowid) as credited
            from staged_returns where fate is null group by all having amount > 0),
        placed as (
            select customer_id, order_id, min(ordered_at)::date as day,
                   sum(net_amount) as amount, list(rowid) as lines
            from staged_orders where fate is null and customer_id in (
                select customer_id from credits) group by all)
        select credited, second.lines as lines from credits c
        join placed once on once.customer_id = c.customer_id and once.day <= c.day
            and coalesce(once.order_id = c.order_id, true) and abs(once.amount - c.amount) < {CENT}
        join placed second on second.customer_id = c.customer_id
            and second.order_id <> once.order_id and second.day between c.day and c.day + {days}
            and abs(second.amount - c.amount) < {CENT}
        qualify row_number() over (
            partition by c.customer_id, c.order_id, c.day
            order by second.day, second.order_id, once.day desc, once.order_id) = 1
        and row_number() over (
            partition by second.customer_id, second.order_id
            order by c.day, c.order_id, once.order_id) = 1"""
    db.execute(f"create or replace temp table rebilled as {pairs}")
    if not fetch_all(db, "from rebilled limit 1"):
        return
    for table, column in (("returns", "credited"), ("orders", "lines")):
        rows = f"select unnest({column}) from rebilled"
        db.execute(f"update staged_{table} set fate = 'rebilled' where rowid in ({rows})")
