-- One snapshot: a wide GROUP BY with COUNT(DISTINCT) FILTER, and joins of the rest.
with line as (
    select customer_id, ordered_at::date as day, $snapshot - day as age, product, category, amount
    from orders where ordered_at < $snapshot and amount > 0 and quantity > 0),
wide as (
    select customer_id, count(distinct day) as purchases, count(*) as lines, sum(amount) as spend, {counted}, {summed},
           spend / purchases as basket_mean, min(age) as recency_days, max(age) as tenure_days,
           count(distinct product) filter (age <= 365) as products_365d, count(distinct category) filter (age <= 365) as categories_365d
    from line group by customer_id),
purchase as (
    select customer_id, day, sum(amount) as basket, day - lag(day) over (partition by customer_id order by day) as gap
    from line group by customer_id, day),
ipt as (
    select customer_id, avg(gap) as gap_mean, quantile_cont(gap, 0.5) as gap_median, quantile_cont(gap, 0.9) as gap_q90,
           max(gap) as gap_max, stddev_samp(gap) as gap_sd, arg_max(gap, day) as gap_last, arg_max(basket, day) as basket_last
    from purchase group by customer_id),
regularity as (
    select customer_id, avg((gap >= recency_days)::integer) as gap_share_longer,
           avg((gap between 0.75 * gap_median and 1.25 * gap_median)::integer) as gap_regular_share
    from purchase join wide using (customer_id) join ipt using (customer_id) where gap is not null group by customer_id),
weekday as (
    select customer_id, max(n) as top_weekday
    from (select customer_id, dayofweek(day), count(*) as n from purchase group by all) group by customer_id),
month as (
    select customer_id, max(n) as top_month
    from (select customer_id, month(day), count(*) as n from purchase group by all) group by customer_id),
product as (
    select customer_id, sum(n * n) / sum(n) ** 2 as product_concentration_365d,
           count(*) filter (oldest <= 365) / sum(n) as new_item_share_365d, min(oldest) as days_since_new_item
    from (select customer_id, product, count(*) filter (age <= 365) as n, max(age) as oldest from line group by all)
    group by customer_id),
category as (
    select customer_id, sum(n * n) / sum(n) ** 2 as category_concentration_365d
    from (select customer_id, category, count(*) as n from line where age <= 365 group by all) group by customer_id),
returned as (
    select customer_id, count(*) as returns, count(*) filter (age <= 365) as returns_365d,
           count(*) filter (age <= 365 and defect) as defect_returns_365d, sum(amount) filter (age <= 365) as returned_amount,
           min(age) as days_since_return
    from (select *, $snapshot - returned_at::date as age from returns where returned_at < $snapshot) group by customer_id),
complaint as (
    select customer_id, opened_at::date as opened, $snapshot - opened as age, severity,
           coalesce(resolved_at >= $snapshot, true) as open, case when open then $snapshot else resolved_at::date end - opened as took,
           took / case severity when 0 then {minor} when 1 then {major} else {critical} end as ratio
    from complaints where opened_at < $snapshot),
complained as (
    select customer_id, count(*) as complaints, count(*) filter (age <= 90) as complaints_90d,
           count(*) filter (age <= 365) as complaints_365d, count(*) filter (age <= 365 and severity = 0) as complaints_minor_365d,
           count(*) filter (age <= 365 and severity > 0) as complaints_major_365d, count(*) filter (open) as complaints_open,
           count(*) filter (age <= 365 and ratio > 1) as complaints_past_sla, max(age) filter (open) as oldest_open_days,
           max(ratio) filter (open) as open_over_sla, max(ratio) filter (age <= 365) as longest_repair_ratio,
           min(age) as days_since_complaint
    from complaint group by customer_id),
columns_of as (
    select *, {compared}, gap_sd / gap_mean as gap_cv, gap_last / gap_mean as gap_last_over_mean,
           recency_days / gap_max as recency_over_gap_max, purchases / tenure_days as purchase_rate,
           lines / purchases as lines_per_purchase, spend_in_365d - coalesce(returned_amount, 0) as net_spend_365d,
           basket_last / basket_mean as basket_last_over_mean, spend_in_90d / spend as spend_share_90d,
           top_weekday / purchases as weekday_top_share, top_month / purchases as month_top_share,
           coalesce(returns, 0) / purchases as returns_per_purchase,
           coalesce(returned_amount, 0) / nullif(spend_in_365d, 0) as returned_share_365d,
           coalesce(complaints, 0) / purchases as complaints_per_purchase, tenure_days as known_days
    from wide join ipt using (customer_id) join weekday using (customer_id) join month using (customer_id)
    join product using (customer_id) left join regularity using (customer_id) left join category using (customer_id)
    left join returned using (customer_id) left join complained using (customer_id))
select customer_id, $snapshot as snapshot, {result} from columns_of
