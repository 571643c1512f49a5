{#- needs: entity_id, increment_id, state, customer_email, grand_total, created_at -#}
-- {{ file }}: the table sales_order of Magento (Adobe Commerce), one row per order. Times are UTC.
-- A guest has no customer_id, so a customer is an e-mail address.
create view orders as
select
    lower(trim(customer_email)) as customer_id,
    increment_id as order_id,
    try_cast(created_at as timestamp) at time zone 'UTC' as ordered_at,
    {{ "try_cast(subtotal as decimal(18, 4)) + coalesce(try_cast(discount_amount as decimal(18, 4)), 0)" if has("subtotal") and has("discount_amount") else "grand_total" }} as net_amount,
    if(state = 'canceled', try_cast(created_at as timestamp) at time zone 'UTC', null)
        as cancelled_at,
    source_file,
    source_line
from {{ source }};
