-- What a shop saw of its customers, one query per kind of row. In braces: the tables of data/events
-- and the constants that visits.py fills in.

-- query: visits
-- One row per customer and day with a purchase: spend, service failures, competitors, what follows.
-- A complaint or return that names no order belongs to the last order before it.
with line as (
    select part, customer, day, basket, sku, category, amount, promised, delivered, cancelled
    from {orders} where quantity > 0 and amount > 0),
bought as (
    select part, customer, basket, min(day) as day, sum(amount) / {unit} as spend,
           count(distinct category) as categories,
           if(count(distinct sku) = 1, min(sku), null) as item,
           bool_or(cancelled < {never}) as cut,
           max(promised) filter (where promised < {never}) as promised,
           max(delivered) filter (where cancelled = {never}) as delivered
    from line group by all having bool_or(cancelled = {never})),
placed as (
    select c.part, c.customer, coalesce(nullif(c.basket, -1), b.basket) as basket,
           c.opened, c.resolved, c.severity
    from {complaints} c asof left join bought b
    on c.part = b.part and c.customer = b.customer and c.opened >= b.day),
complaint as (
    select part, customer, basket, max(severity) as severity, max(resolved) as resolved,
           max(if(resolved = {never}, 'inf'::double,
                  (resolved - opened) / list_value({sla_days})[severity + 1])) as repair
    from placed group by all),
sent_back as (
    select r.part, r.customer, coalesce(nullif(r.basket, -1), b.basket) as basket, true as defect
    from {returns} r asof left join bought b
    on r.part = b.part and r.customer = b.customer and r.day >= b.day
    where r.defect group by all),
visit as (
    select part, customer, day, sum(spend) as spend, max(categories) as categories,
           if(count(*) = 1, min(item), null) as item, bool_or(cut) as cut,
           coalesce(max(delivered - promised), 0) as late, max(severity) as severity,
           max(repair) as repair, max(resolved) as resolved,
           coalesce(bool_or(defect), false) as defect
    from bought left join complaint using (part, customer, basket)
    left join sent_back using (part, customer, basket) group by all),
following as (
    select *, row_number() over past as number,
           coalesce(lead(day) over past, {never}) as next_on,
           (item is null or item is distinct from lag(item) over past)::int as other
    from visit window past as (partition by part, customer order by day)),
running as (
    select *, sum(other) over (partition by part, customer order by day) as spell from following),
competitor as (
    select part, customer, visit.day, max(ends) as ends
    from visit join {market_events} e on visit.day >= starts and visit.day < ends and (
        select arg_max(category, (count, category)) from (
            select category, count(*) as count from line
            where line.part = visit.part and line.customer = visit.customer
              and line.day <= visit.day and category >= 0
            group by category)) = e.category
    group by all),
core as (
    select customer_id, min(core_since) - date '1970-01-01' as core_since
    from {lifecycle} group by all)
select customer_id, v.* exclude (part, customer, item, other, spell),
       if(item is null, 0, row_number() over (
           partition by v.part, v.customer, spell order by v.day)) as run,
       c.ends as competitor_until,
       case when number = 1 then 'first_time'
            when core_since <= v.day then 'core' else 'early_repeat' end as stage,
       coalesce(core_since < v.day, false) as was_core
from running v join {customers} using (part, customer)
left join competitor c on c.part = v.part and c.customer = v.customer and c.day = v.day
left join core using (customer_id)
order by customer_id, v.day

-- query: stays
-- One row per buyer and snapshot; `evidence`: of the strongest reason.
select customer_id, snapshot - date '1970-01-01' as snapshot,
       last_purchase_on - date '1970-01-01' as day, stage::varchar as stage,
       activity = 'lapsed' as lapsed, greatest({evidence}) as evidence,
       satisfaction, net_spend_365d, not defected as again
from {lifecycle} join {labels} using (customer_id, snapshot)
where last_purchase_on is not null order by customer_id, snapshot

-- query: prospects
-- One row per customer who was touched.
with first as (
    select part, customer, min(day) as first_on
    from {orders} where quantity > 0 and amount > 0 group by all),
touch as (
    select customer_id, known, first_on,
           least(coalesce(first_on, {never}), known + {within}) as until, t.*
    from {touches} t join {customers} using (part, customer)
    left join first using (part, customer)
    where known + {within} < {end} and t.day <= until)
select customer_id, coalesce(first_on <= known + {within}, false) as converted,
       count(*) as touches, bool_and(expectation is null or met <= until) as all_met,
       bool_or(due <= until and met > due) as missed
from touch group by all order by customer_id

-- query: calls
-- One row per customer on a list, called or in the control group.
select customer_id, as_of, contact = 'call' as called
from {treatments} join {customers} using (part, customer)
where contact in ('call', 'hold_out') and as_of < {end} order by as_of, customer_id
