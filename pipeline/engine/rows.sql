-- query: buyers
select purchases, recency_days, tenure_days
from {features}
where snapshot = $snapshot::date and purchases >= 1
order by customer_id

-- query: scored_features
select * exclude (snapshot, filename, part) from {features}
where snapshot = $snapshot::date and customer_id in (
    select customer_id from {lifecycle} l where snapshot = $snapshot::date and {rows})
order by customer_id

-- query: buyers_features
select f.* exclude (snapshot, filename, part), l.yearly_spend, l.net_per_purchase,
       {without_risk} as without_risk
from {features} f join {lifecycle} l using (customer_id, snapshot)
where snapshot = $snapshot::date and f.purchases >= 1
order by customer_id

-- query: joined
with sampled as (
    select customer_id from {features}
    where snapshot = $newest::date and purchases >= $purchases
    order by md5(customer_id), customer_id limit $most)
select f.* exclude (filename, part) replace (strftime(f.snapshot, '%Y-%m-%d') as snapshot),
       l.stage, l.activity, l.scored, l.yearly_spend, l.net_per_purchase,
       {benchmark} as benchmark,
       y.defected, y.returned, y.spend_within
from {features} f
join {lifecycle} l using (customer_id, snapshot)
join {labels} y using (customer_id, snapshot)
where f.customer_id in (from sampled) and {rows}
  and list_contains($snapshots, strftime(f.snapshot, '%Y-%m-%d'))
order by f.customer_id, f.snapshot

-- query: forecast
with sampled as (
    select customer_id from {features}
    where snapshot = $newest::date and purchases >= 1
    order by md5(customer_id), customer_id limit $most)
select f.* exclude (filename, part) replace (strftime(f.snapshot, '%Y-%m-%d') as snapshot),
       l.yearly_spend, l.net_per_purchase, {without_risk} as without_risk,
       y.defected, y.next_days, y.spend_next
from {features} f
join {lifecycle} l using (customer_id, snapshot)
join {labels} y using (customer_id, snapshot)
where f.customer_id in (from sampled) and f.purchases >= 1
  and list_contains($snapshots, strftime(f.snapshot, '%Y-%m-%d'))
order by f.customer_id, f.snapshot
