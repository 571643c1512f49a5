{#- needs: Name, Email, Created at, Lineitem name, Lineitem quantity, Lineitem price -#}
{%- set cancels = has("Cancelled at") or has("Financial Status") %}
-- {{ file }}: an export of orders from Shopify, one row per line item. What an order has once
-- stands on its first line only. A customer is an e-mail address; an order without one is a guest's.
create view order_rows as
select
    Name as order_id,
    max(lower(trim(Email))) over (partition by Name) as customer_id,
    try_strptime(max("Created at") over (partition by Name), '%Y-%m-%d %H:%M:%S %z') as ordered_at,
{%- if cancels %}
    coalesce(
        {{ "try_strptime(max(\"Cancelled at\") over (partition by Name), '%Y-%m-%d %H:%M:%S %z')" if has("Cancelled at") else "null" }},
        {{ "if(max(\"Financial Status\") over (partition by Name) = 'voided', ordered_at, null)" if has("Financial Status") else "null" }}
    ) as cancelled_at,
{%- endif %}
{%- if has("Currency") %}
    max(Currency) over (partition by Name) as currency,
{%- endif %}
    {{ "coalesce(nullif(\"Lineitem sku\", ''), \"Lineitem name\")" if has("Lineitem sku") else '"Lineitem name"' }} as sku,
{%- if has("Vendor") %}
    Vendor as category,
{%- endif %}
    try_cast("Lineitem quantity" as decimal(18, 4)) as quantity,
    try_cast("Lineitem quantity" as decimal(18, 4)) * try_cast("Lineitem price" as decimal(18, 4))
{%- if has("Lineitem discount") %}
        - coalesce(try_cast("Lineitem discount" as decimal(18, 4)), 0)
{%- endif %} as listed,
    {{ "try_cast(max(Subtotal) over (partition by Name) as decimal(18, 4))" if has("Subtotal") else "null::decimal(18, 4)" }} as goods,
    {{ "try_cast(max(\"Refunded Amount\") over (partition by Name) as decimal(18, 4))" if has("Refunded Amount") else "null::decimal(18, 4)" }} as refunded,
    row_number() over (partition by Name order by source_line) as place,
    source_file,
    source_line
from {{ source }};

-- Discounts of the order are spread over its lines: the subtotal is what was paid for goods. Gift
-- cards are a way to pay, so they take nothing off.
create view orders as
select
    customer_id,
    order_id,
    order_id || '-' || place as line_id,
    ordered_at,
    sku,
{%- if has("Vendor") %}
    category,
{%- endif %}
    quantity,
    case when goods is null or sum(listed) over o = 0 then listed
        else round(listed * goods / sum(listed) over o, 4) end as net_amount,
{%- if has("Currency") %}
    currency,
{%- endif %}
{%- if cancels %}
    cancelled_at,
{%- endif %}
    source_file,
    source_line
from order_rows
window o as (partition by order_id);
{% if has("Refunded Amount") %}
{% set rows, goods, day, which = "order_rows", "goods", "", "place = 1" ~ (" and cancelled_at is null" if cancels else "") -%}
{% include "refunds.sql" %}
{% endif -%}
