{#- needs: Purchase Date, Grand Total (Base), Customer Email, Status -#}
-- {{ file }}: the grid of orders of Magento (Adobe Commerce), one row per order, without its lines.
create view order_rows as
select
    lower(trim("Customer Email")) as customer_id,
    {{ "ID" if has("ID") else '"Order #"' }} as order_id,
    try_strptime("Purchase Date", {{ formats("Purchase Date") }}) as ordered_at,
    regexp_replace({{ "Subtotal" if has("Subtotal") else '"Grand Total (Base)"' }}, '[^0-9.-]', '', 'g')
        as net_amount,
    if(lower(Status) in ('canceled', 'closed without payment'),
        try_strptime("Purchase Date", {{ formats("Purchase Date") }}), null) as cancelled_at,
{%- if has("Total Refunded") %}
    try_cast(regexp_replace("Total Refunded", '[^0-9.-]', '', 'g') as decimal(18, 4)) as refunded,
{%- endif %}
    source_file,
    source_line
from {{ source }};

create view orders as
select customer_id, order_id, ordered_at, net_amount, cancelled_at, source_file, source_line
from order_rows;
{% if has("Total Refunded") %}
{% set rows, goods, day, which = "order_rows", "try_cast(net_amount as decimal(18, 4))", "", "" -%}
{% include "refunds.sql" %}
{% endif -%}
