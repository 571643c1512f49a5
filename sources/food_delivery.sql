-- Five months of orders of a food-delivery kitchen group. One row per order, whose items stand in
-- one text: "2 x Pizza, 1 x Fries".
create view delivered as
select *, string_split(regexp_replace(items, ', ([0-9]+ x )', E'\n\\1', 'g'), E'\n') as lines
from raw.food_delivery;

-- The total is what was paid for the order. Items have no price: each gets a share by its quantity.
-- An order that was rejected, timed out or returned was not received.
create view orders as
with line as (
    select *, unnest(lines) as line, generate_subscripts(lines, 1) as place,
           list_sum(list_transform(lines, lambda x: split_part(x, ' x ', 1)::integer)) as pieces
    from delivered)
select
    customer_id,
    order_id,
    order_id || '-' || place as line_id,
    placed_at as ordered_at,
    regexp_replace(line, '^[0-9]+ x ', '') as sku,
    restaurant as category,
    split_part(line, ' x ', 1)::integer as quantity,
    round(total::decimal(18, 4) * split_part(line, ' x ', 1)::integer / pieces, 2) as net_amount,
    if(status in ('Rejected', 'Timed out', 'Returned'), placed_at, null) as cancelled_at,
    source_file,
    source_line
from line;

-- A complaint was refunded, which resolves it at once, or it was not. Missing or wrong food makes
-- an order worth little: major.
create view complaints as
select
    'K' || order_id as complaint_id,
    customer_id,
    placed_at as opened_at,
    if(complaint = 'Non-refunded complaint', null, placed_at) as resolved_at,
    if(complaint in ('Wrong item(s) delivered', 'Item(s) missing or not delivered'),
       'major', 'minor') as severity,
    complaint as kind,
    order_id,
    source_file,
    source_line
from raw.food_delivery where complaint is not null;
