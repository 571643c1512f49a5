"""Lines of an order that take something off: coupons, gift cards, rounding."""

from pipeline.inputs.checks import NOTES
from pipeline.inputs.database import Db, fetch_value

LOWERING = """net_amount < 0 and (fate = 'E_NEGATIVE net_amount'
    or (fate = 'E_QUANTITY quantity' and quantity = 0))"""


NOTE = 1 << [note.code for note in NOTES].index("discount")


def take_off_discounts(db: Db) -> None:
    """Let amounts below zero lower the other lines of their order.

    The line itself stays, at no price. An order that would not stay above zero is left as it is:
    goods that came back belong to returns. What is left is shared out in proportion; the shares add
    up exactly, and they do not depend on the order of the rows.
    """
    if not fetch_value(db, f"select count(*) from staged_orders where {LOWERING}"):
        return
    db.execute(f"""
        create temp table lowered as
        select order_id, sum(net_amount) filter (where fate is null) as full_price,
               sum(net_amount) as price
        from staged_orders
        where order_id in (select order_id from staged_orders where {LOWERING})
          and (fate is null or {LOWERING})
        group by order_id
        having price > 0 and count(distinct customer_id) = 1""")
    db.execute("""
        update staged_orders set net_amount = share from (
            select line.rowid as line, (sum(net_amount) over (partition by order_id order by
                       net_amount, line_id::varchar, sku::varchar, quantity, source_file,
                       source_line rows unbounded preceding))::hugeint as upto,
                   (upto * price // full_price - (upto - net_amount) * price // full_price)::bigint
                       as share
            from staged_orders line join lowered using (order_id) where fate is null) as shares
        where staged_orders.rowid = shares.line""")
    db.execute(f"""
        update staged_orders set net_amount = 0, quantity = 1, fate = null, notes = notes | {NOTE}
        where {LOWERING} and order_id in (select order_id from lowered)""")
