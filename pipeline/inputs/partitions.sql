-- From accepted rows to the tables of data/events. In braces: what partitions.py fills in.

-- query: number
-- Customers are numbered within their partition, products and categories within the shop, in the
-- order of their ids as texts, whether or not all ids are numbers.
-- greatest() would fill a null
create macro not_before(x, start) as case when x < start then start else x end;
create macro day_of(x) as coalesce((x::date - date '1970-01-01')::integer, {never});

create table customers_known as
with event as (
    select customer_id, first_at as happened_at from buyers
    union all select customer_id, returned_at from accepted_returns
    union all select customer_id, opened_at from accepted_complaints
    union all select customer_id, t.at from accepted_touches t
    union all select customer_id, as_of from accepted_treatments),
first as (select customer_id, min(happened_at) as first_at from event group by 1),
suppressed as (
    select customer_id, bool_or(scope ilike '%profil%') as profiling
    from accepted_suppressions group by 1),
placed as (
    select c.customer_id, day_of(least(c.created_at, first_at)) as known,
           coalesce(c.do_not_contact, false) or s.customer_id is not null as do_not_contact,
           coalesce(c.profiling_objection, false) or coalesce(s.profiling, false)
               as profiling_objection,
           (hash(c.customer_id::varchar) % {parts})::integer as part
    from accepted_customers c
    left join first using (customer_id) left join suppressed s using (customer_id))
select *, (row_number() over (
    partition by part order by customer_id::varchar) - 1)::integer as customer
from placed;

create temp table goods as
select sku, category, count(*) as lines from accepted_orders group by all;

create table categories as
select category as category_id,
       (row_number() over (order by category::varchar) - 1)::integer as category
from (select category from goods union select category from accepted_market_events)
where category is not null;

-- A product has the category of most of its lines.
create table skus as
with seen as (
    from goods where sku is not null
    union all select sku, null, 0 from accepted_returns where sku is not null),
product as (
    select sku as sku_id, arg_max(category, (lines, category::varchar)) as category_id
    from seen group by all)
select sku_id, category_id,
       (row_number() over (order by sku_id::varchar) - 1)::integer as sku
from product;

-- query: place
-- Every other table of a customer with its numbers, sorted by partition so that one can be read
-- alone.
create table placed_returns as
select k.part, k.customer, day_of(t.returned_at) as day, coalesce(s.sku, -1)::integer as sku,
       t.quantity, t.net_amount as amount, day_of(t.settled_at) as settled,
       coalesce(regexp_matches(lower(t.reason), '{defect_words}'), false) as defect,
       t.order_id::varchar as order_id, t.return_id
from accepted_returns t join customers_known k using (customer_id)
left join skus s on s.sku_id = t.sku
{by_part};

create table placed_complaints as
select k.part, k.customer, day_of(t.opened_at) as opened,
       (list_position({severities}, t.severity) - 1)::tinyint as severity,
       day_of(not_before(t.resolved_at, t.opened_at)) as resolved,
       day_of(not_before(t.reopened_at, t.opened_at)) as reopened,
       coalesce(regexp_matches(lower(t.kind), '{unserved_words}'), false) as unserved,
       t.kind, t.order_id::varchar as order_id, t.complaint_id
from accepted_complaints t join customers_known k using (customer_id)
{by_part};

create table placed_touches as
select k.part, k.customer, day_of(t.at) as day, t.expectation, t.limit_kind,
       day_of(t.due_at) as due, day_of(t.met_at) as met
from accepted_touches t join customers_known k using (customer_id)
{by_part};

create table placed_treatments as
select k.part, k.customer, day_of(t.as_of) as as_of, t.queue, t.action, t.contact, t.decision,
       day_of(t.done_on) as done_on, t.note, t.stated_reason
from accepted_treatments t join customers_known k using (customer_id)
{by_part};

create table placed_suppressions as
select k.part, k.customer, t.scope, day_of(t.since) as since
from accepted_suppressions t join customers_known k using (customer_id)
{by_part};

-- query: lines
-- The lines of orders, in no order.
select k.part, k.customer, day_of(t.ordered_at) as day,
       coalesce(s.sku, -1)::integer as sku, coalesce(c.category, -1)::integer as category,
       coalesce(t.quantity, 1) as quantity,
       coalesce(t.net_amount, round(coalesce(t.quantity, 1) * 10000)::bigint) as amount,
       day_of(t.promised_at) as promised,
       day_of(not_before(t.delivered_at, t.ordered_at)) as delivered,
       day_of(not_before(t.cancelled_at, t.ordered_at)) as cancelled,
       t.order_id::varchar as order_id, t.line_id::varchar as line_id, t.ordered_at,
       (hash(t.order_id) >> 1)::bigint as order_hash
from accepted_orders t join customers_known k using (customer_id)
left join skus s on s.sku_id = t.sku left join categories c on c.category_id = t.category

-- query: products
-- Last come, without a product, the categories that lines without one have.
select coalesce(s.sku, -1)::integer as sku, s.sku_id::varchar as sku_id,
       coalesce(c.category, -1)::integer as category, c.category_id::varchar as category_id
from skus s full join categories c using (category_id)
order by s.sku nulls last, c.category

-- query: market_events
select coalesce(c.category, -1)::integer as category, day_of(starts_at) as starts,
       day_of(ends_at) as ends, kind, price_index
from accepted_market_events t left join categories c on c.category_id = t.category
order by all

-- query: aliases
select alias::varchar as customer_id, canonical::varchar as canonical_id from alias_of order by 1

-- query: customers
select customer, customer_id::varchar as customer_id, known, do_not_contact, profiling_objection
from customers_known where part = $part order by customer

-- query: names_orders
select exists (from accepted_returns where order_id is not null)
    or exists (from accepted_complaints where order_id is not null)

-- query: no_baskets
create table baskets (customer integer, order_id varchar, basket integer)

-- query: baskets
-- The number of an order among its customer's. A return or a complaint names one of them, or none.
create or replace table baskets as select distinct customer, order_id, basket from orders_of_part

-- query: returns
select p.* exclude (part), coalesce(basket, -1)::integer as basket
from placed_returns p left join baskets using (customer, order_id) where part = $part
order by customer, day, return_id, order_id, sku, quantity, amount, settled, defect

-- query: complaints
select p.* exclude (part), coalesce(basket, -1)::integer as basket
from placed_complaints p left join baskets using (customer, order_id) where part = $part
order by customer, opened, complaint_id

-- query: touches
select * exclude (part) from placed_touches where part = $part
order by customer, day, expectation, limit_kind, due, met

-- query: treatments
select * exclude (part) from placed_treatments where part = $part order by all

-- query: suppressions
select * exclude (part) from placed_suppressions where part = $part order by all
