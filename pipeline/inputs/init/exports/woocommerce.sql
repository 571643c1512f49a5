{#- needs: Order Number, Order Status, Order Date, Email (Billing), Item Name, Item Cost -#}
-- {{ file }}: an export of orders from WooCommerce, one row per line item, with the fields of the
-- order on each line or on the first one. A customer is the billing address of e-mail.
create view order_rows as
select
    "Order Number" as order_id,
    max(lower(trim("Email (Billing)"))) over (partition by "Order Number") as customer_id,
    try_strptime(max("Order Date") over (partition by "Order Number"),
        ['%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M', '%Y-%m-%d']) as ordered_at,
    max("Order Status") over (partition by "Order Number") as status,
    {{ "coalesce(nullif(SKU, ''), \"Item Name\")" if has("SKU") else '"Item Name"' }} as sku,
    try_cast({{ '"Quantity (- Refund)"' if has("Quantity (- Refund)") else "Quantity" }} as decimal(18, 4)) as quantity,
    try_cast({{ '"Quantity (- Refund)"' if has("Quantity (- Refund)") else "Quantity" }} as decimal(18, 4)) * try_cast("Item Cost" as decimal(18, 4)) as listed,
    {{ "coalesce(try_cast(max(\"Cart Discount Amount\") over (partition by \"Order Number\") as decimal(18, 4)), 0)" if has("Cart Discount Amount") else "0" }} as discount,
    sum(listed) over (partition by "Order Number") - discount as goods,
    {{ "try_cast(max(\"Order Refund Amount\") over (partition by \"Order Number\") as decimal(18, 4))" if has("Order Refund Amount") else "null::decimal(18, 4)" }} as refunded,
    row_number() over (partition by "Order Number" order by source_line) as place,
    source_file,
    source_line
from {{ source }};

-- A coupon is spread over the lines of its order. Cancelled and failed orders were no purchases.
create view orders as
select
    customer_id,
    order_id,
    order_id || '-' || place as line_id,
    ordered_at,
    sku,
    quantity,
    case when sum(listed) over o = 0 then listed
        else round(listed * greatest(goods, 0) / sum(listed) over o, 4)
    end as net_amount,
    if(lower(status) in ('cancelled', 'failed', 'wc-cancelled', 'wc-failed'), ordered_at, null)
        as cancelled_at,
    source_file,
    source_line
from order_rows
window o as (partition by order_id);
{% if has("Order Refund Amount") %}
{% set rows, goods, day, which = "order_rows", "goods", "", "place = 1" -%}
{% include "refunds.sql" %}
{% endif -%}
