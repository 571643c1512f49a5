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
        else round(listed * greatest(sum(listed) over o - discount, 0) / sum(listed) over o, 4)
    end as net_amount,
    if(lower(status) in ('cancelled', 'failed', 'wc-cancelled', 'wc-failed'), ordered_at, null)
        as cancelled_at,
    source_file,
    source_line
from order_rows
window o as (partition by order_id);
{% if has("Order Refund Amount") %}
-- A refund includes postage: at most the goods came back. The export has no day of the refund; 30
-- days after the order nearly all refunds are known, so no snapshot sees one before it happened.
create view returns as
select
    'R' || order_id as return_id,
    any_value(customer_id) as customer_id,
    order_id,
    1 as quantity,
    least(abs(any_value(refunded)), greatest(sum(listed) - any_value(discount), 0)) as net_amount,
    any_value(ordered_at) + interval 30 day as returned_at,
    any_value(source_file) as source_file,
    min(source_line) as source_line
from order_rows
group by order_id
having any_value(refunded) <> 0;
{% endif -%}
