{#- needs: id, Amount, Amount Refunded, Currency, Status, Customer ID -#}
{%- set created = "Created date (UTC)" if has("Created date (UTC)") else "Created (UTC)" -%}
{%- set refund = "Refunded date (UTC)" -%}
-- {{ file }}: payments of Stripe, one row per payment. Times are UTC. Payments that failed are left
-- out: nothing was bought.
create view payments as
select
    coalesce(nullif("Customer ID", ''), {{ "lower(trim(\"Customer Email\"))" if has("Customer Email") else "null" }}) as customer_id,
    id as order_id,
    try_strptime("{{ created }}", ['%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M']) at time zone 'UTC'
        as ordered_at,
    try_cast(replace(Amount, ',', '') as decimal(18, 4)) as net_amount,
    upper(Currency) as currency,
    try_cast(replace("Amount Refunded", ',', '') as decimal(18, 4)) as refunded,
{%- if has(refund) %}
    try_strptime("{{ refund }}", ['%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M']) at time zone 'UTC'
        as refunded_at,
{%- endif %}
    source_file,
    source_line
from {{ source }}
where lower(Status) in ('paid', 'refunded', 'partially refunded', 'partial refund', 'succeeded');

create view orders as
select customer_id, order_id, ordered_at, net_amount, currency, source_file, source_line
from payments;

{% set rows, goods, day, which = "payments", "net_amount", "refunded_at" if has(refund) else "", "" -%}
{% include "refunds.sql" %}
