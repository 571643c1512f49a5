"""Invoices credited and billed again: one purchase, not two.

A wrong name or address on an invoice is corrected by a credit note over the whole order and a new
order of the same amount, within days. Both are left out, the first order stays. As with merged ids,
snapshots between the two know of the correction already; such an order is no purchase in any label.
"""

from pipeline.inputs.database import Db, fetch_all
from pipeline.inputs.staging import Types


def mark_rebilled(db: Db, delivered: dict[str, Types], days: int) -> None:
    """Give the credit and the second order the fate `rebilled`.

    The credit of a day has the amount of one order, and another order of the customer has it again
    up to `days` later. A credit and a second order count once. A return with a reason is of goods
    that came back, and no correction.
    """
    if not days or "net_amount" not in delivered["orders"]:
        return
    pairs = f"""
        with credits as (
            select customer_id, order_id, returned_at::date as day, sum(net_amount) as amount
            from staged_returns where fate is null and reason is null
            group by all having amount > 0),
        near as (  -- few customers order right after a credit
            select distinct customer_id from staged_orders t join credits c using (customer_id)
            where t.fate is null and t.ordered_at::date between c.day and c.day + {days}),
        orders as (
            select customer_id, order_id, min(ordered_at)::date as day, sum(net_amount) as amount
            from staged_orders where fate is null and customer_id in (from near) group by all),
        placed as (from orders semi join credits using (customer_id, amount))
        select c.customer_id, c.order_id as credited, c.day, second.order_id as again
        from credits c
        join placed once on once.customer_id = c.customer_id and once.amount = c.amount
            and once.day <= c.day and coalesce(once.order_id = c.order_id, true)
        join placed second on second.customer_id = c.customer_id and second.amount = c.amount
            and second.order_id <> once.order_id and second.day between c.day and c.day + {days}
        qualify row_number() over (
            partition by c.customer_id, c.order_id, c.day
            order by second.day, second.order_id, once.day desc, once.order_id) = 1
        and row_number() over (
            partition by second.customer_id, second.order_id
            order by c.day, c.order_id, once.order_id) = 1"""
    db.execute(f"create or replace temp table rebilled as {pairs}")
    if not fetch_all(db, "from rebilled limit 1"):
        return
    credited = """t.order_id is not distinct from pair.credited
        and t.returned_at::date = pair.day and t.reason is null"""
    for table, rows in (("returns", credited), ("orders", "t.order_id = pair.again")):
        db.execute(f"""update staged_{table} t set fate = 'rebilled' from rebilled pair
            where t.fate is null and t.customer_id = pair.customer_id and {rows}""")
