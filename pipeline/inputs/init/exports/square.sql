{#- needs: Date, Time, Item, Qty, Gross Sales, Net Sales, Transaction ID, Event Type, Customer ID -#}
-- {{ file }}: item sales of Square, one row per item of a transaction. A sale without a customer is
-- a guest's. Discounts are taken off in "Net Sales".
create view sales as
select
    nullif("Customer ID", '') as customer_id,
    "Transaction ID" as order_id,
    try_strptime("Date" || ' ' || "Time", {{ clocked("Date", "Time") }}) as ordered_at,
    {{ "coalesce(nullif(SKU, ''), Item)" if has("SKU") else "Item" }} as sku,
{%- if has("Category") %}
    Category as category,
{%- endif %}
    abs(try_cast(Qty as decimal(18, 4))) as quantity,
    abs(try_cast(regexp_replace("Net Sales", '[^0-9.]', '', 'g') as decimal(18, 4))) as net_amount,
    "Event Type" as event,
    source_file,
    source_line
from {{ source }};

create view orders as
select * exclude (event) from sales where event <> 'Refund';

-- A refund is a transaction of its own: it names no order.
create view returns as
select
    order_id as return_id,
    customer_id,
    sku,
    quantity,
    net_amount,
    ordered_at as returned_at,
    source_file,
    source_line
from sales
where event = 'Refund';
