{#- needs: Purchase Date, Grand Total (Base), Customer Email, Status -#}
-- {{ file }}: the grid of orders of Magento (Adobe Commerce), one row per order, without its lines.
create view orders as
select
    lower(trim("Customer Email")) as customer_id,
    {{ "ID" if has("ID") else '"Order #"' }} as order_id,
    try_strptime("Purchase Date", {{ formats("Purchase Date") }}) as ordered_at,
    regexp_replace({{ "Subtotal" if has("Subtotal") else '"Grand Total (Base)"' }}, '[^0-9.-]', '', 'g')
        as net_amount,
    if(lower(Status) in ('canceled', 'closed without payment'),
        try_strptime("Purchase Date", {{ formats("Purchase Date") }}), null) as cancelled_at,
    source_file,
    source_line
from {{ source }};
{% if has("Total Refunded") %}
-- A refund includes postage: at most the goods came back. The export has no day of the refund; 30
-- days after the order nearly all refunds are known, so no snapshot sees one before it happened.
create view returns as
select
    'R' || order_id as return_id,
    customer_id,
    order_id,
    1 as quantity,
    least(refunded, try_cast(net_amount as decimal(18, 4))) as net_amount,
    ordered_at + interval 30 day as returned_at,
    source_file,
    source_line
from (
    select o.*, try_cast(regexp_replace("Total Refunded", '[^0-9.-]', '', 'g') as decimal(18, 4))
        as refunded
    from orders o join {{ source }} r using (source_file, source_line))
where refunded > 0;
{% endif -%}
