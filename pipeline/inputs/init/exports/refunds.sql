{#- from: the rows with `refunded`; goods: what was paid for goods; day: of the refund, if known -#}
-- A refund includes postage: at most the goods came back.{% if not day %} The export has no day of the refund; 30
-- days after the order nearly all refunds are known, so no snapshot sees one before it happened.{% endif %}
create view returns as
select
    'R' || order_id as return_id,
    customer_id,
    order_id,
    1 as quantity,
    least(abs(refunded), coalesce(greatest({{ goods }}, 0), abs(refunded))) as net_amount,
    {{ day or "ordered_at + interval 30 day" }} as returned_at,
    source_file,
    source_line
from {{ rows }}
where refunded <> 0{{ " and " ~ which if which }};
