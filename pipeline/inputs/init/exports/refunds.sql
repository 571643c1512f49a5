-- A refund includes postage: at most the goods came back. The export has no day of the refund; 30
-- days after the order nearly all refunds are known, so no snapshot sees one before it happened.
create view returns as
select
    'R' || order_id as return_id,
    customer_id,
    order_id,
    1 as quantity,
    least(abs(refunded), coalesce(greatest(goods, 0), abs(refunded))) as net_amount,
    ordered_at + interval 30 day as returned_at,
    source_file,
    source_line
from order_rows
where place = 1 and refunded <> 0{{ " and cancelled_at is null" if has("Cancelled at") else "" }};
