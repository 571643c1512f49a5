-- Features as an analyst would write them: one view features_<group> per group, one row per customer and snapshot.
-- `snapshots` has one row per customer and snapshot t: days are whole, and an event is known from the next day on.

create view bought as
select customer, t, day, t - day as age, amount, sku, category
from snapshots join orders using (customer)
where day < t and amount > 0 and quantity > 0 and (cancelled is null or cancelled >= t);

create view purchases as
select customer, t, day, any_value(age) as age, sum(amount) as spend, count(*) as lines from bought group by customer, t, day;

create view gaps as
select customer, t, day - lag(day) over w as gap, row_number() over (partition by customer, t order by day desc) as back
from purchases window w as (partition by customer, t order by day) qualify gap is not null;

create view expected_ipts as
with latest as (
    select customer, t, count(gap) as n, coalesce(sum(ln(gap)), 0) as total, coalesce(sum(ln(gap) ** 2), 0) as squares
    from snapshots left join (select customer, t, gap from gaps, shop where back <= last_gaps) using (customer, t) group by all),
shrunk as (select *, prior + n as weight, (prior * ln(expected_ipt) + total) / (prior + n) as mean from latest, shop)
select customer, t, exp(mean) as ipt_days,
       sqrt((prior * log_sd ** 2 + squares - 2 * mean * total + n * mean ** 2) / weight) as ipt_log_sd
from shrunk;

create view cases as
select customer, t, t - opened as age, opened, severity, wait_open,
       (if(wait_open, t, resolved) - opened) / sla as over_sla
from (
    select *, resolved is null or resolved >= t or coalesce(reopened >= resolved and reopened < t, false) as wait_open
    from snapshots join complaints using (customer) where opened < t) join sla using (severity);

create view placed as
with whole as (
    select customer, t, day, basket, max(promised) as promised, max(coalesce(delivered, 1e9)) as delivered,
           max(coalesce(cancelled, 1e9)) as cancelled
    from snapshots join orders using (customer) where day < t and amount > 0 and quantity > 0 group by all)
select customer, t, promised, promised + grace as due, t - promised - grace as age, nullif(if(delivered < t, delivered, 1e9), 1e9) as delivered,
       nullif(if(cancelled < t, cancelled, 1e9), 1e9) as cancelled
from whole, shop;

create view owed as select *, coalesce(delivered > due, true) as late from placed where due < t and coalesce(cancelled > due, true);

create view features_recency as
select customer, t, min(age) as recency_days, max(age) as tenure_days, min(age) / any_value(ipt_days) as recency_over_ipt,
       ln(min(age) / any_value(ipt_days)) / any_value(ipt_log_sd) as recency_surprise, any_value(ipt_days) as ipt_days,
       any_value(ipt_log_sd) as ipt_log_sd, any_value(ipt_days) - min(age) as expected_next_days
from purchases join expected_ipts using (customer, t) group by all;

create view features_gaps as
select customer, t, avg(gap) as gap_mean, median(gap) as gap_median, quantile_cont(gap, 0.9) as gap_q90, max(gap) as gap_max,
       stddev_samp(gap) as gap_sd, stddev_samp(gap) / avg(gap) as gap_cv, max(gap) filter (back = 1) / avg(gap) as gap_last_over_mean,
       any_value(recency) / max(gap) as recency_over_gap_max, avg((gap >= recency)::int) as gap_share_longer
from gaps join (select customer, t, min(age) as recency from purchases group by all) using (customer, t) group by all;

create view features_regularity as
select customer, t, avg((gap between 0.75 * middle and 1.25 * middle)::int) as gap_regular_share
from gaps join (select customer, t, median(gap) as middle from gaps group by all) using (customer, t) group by all;

create view features_frequency as
select customer, t, count(*) as purchases, count(*) / max(age) as purchase_rate, avg(lines) as lines_per_purchase,
       count(*) filter (age <= 14) as purchases_in_14d, count(*) filter (age <= 30) as purchases_in_30d,
       count(*) filter (age <= 60) as purchases_in_60d, count(*) filter (age <= 90) as purchases_in_90d,
       count(*) filter (age <= 180) as purchases_in_180d, count(*) filter (age <= 365) as purchases_in_365d,
       (1 + purchases_in_30d) / (1 + count(*) filter (age between 31 and 60)) as purchase_trend_30d,
       (1 + purchases_in_90d) / (1 + count(*) filter (age between 91 and 180)) as purchase_trend_90d
from purchases group by all;

create view features_season as
select customer, t,
       if(length >= 364 + 30, coming_30, null) as purchases_year_ago_30d,
       if(length >= 364 + 30, (1 + coming_30) / (1 + before_30), null) as season_trend_30d,
       if(length >= 364 + 90, coming_90, null) as purchases_year_ago_90d,
       if(length >= 364 + 90, (1 + coming_90) / (1 + before_90), null) as season_trend_90d
from (
    select customer, t, max(age) as length,
       count(*) filter (age between 364 - 30 + 1 and 364) as coming_30, count(*) filter (age between 365 and 364 + 30) as before_30,
       count(*) filter (age between 364 - 90 + 1 and 364) as coming_90, count(*) filter (age between 365 and 364 + 90) as before_90
    from purchases group by all);

create view features_monetary as
select customer, t, sum(spend)::double as spend, avg(spend) as basket_mean, arg_max(spend, day) / avg(spend) as basket_last_over_mean,
       coalesce(sum(spend) filter (age <= 90), 0) / sum(spend) as spend_share_90d,
       sum(spend) filter (age <= 14) as spend_in_14d, sum(spend) filter (age <= 30) as spend_in_30d,
       sum(spend) filter (age <= 60) as spend_in_60d, sum(spend) filter (age <= 90) as spend_in_90d,
       sum(spend) filter (age <= 180) as spend_in_180d, sum(spend) filter (age <= 365) as spend_in_365d,
       (coalesce(spend_in_30d, 0) + avg(spend))
           / (coalesce(sum(spend) filter (age between 31 and 60), 0) + avg(spend)) as spend_trend_30d,
       (coalesce(spend_in_90d, 0) + avg(spend))
           / (coalesce(sum(spend) filter (age between 91 and 180), 0) + avg(spend)) as spend_trend_90d
from purchases group by all;

create view features_net_spend as
with paid as (select customer, t, sum(spend) as spent from purchases where age <= 365 group by all),
     back as (select customer, t, sum(amount) as returned from snapshots join returns using (customer)
              where t - day between 1 and 365 group by all)
select customer, t, coalesce(spent, 0) - coalesce(returned, 0) as net_spend_365d, coalesce(returned, 0) / spent as returned_share_365d
from snapshots left join paid using (customer, t) left join back using (customer, t);

create view features_pattern as
with weekdays as (select customer, t, day % 7 as weekday, count(*) as n from purchases group by all),
     months as (select customer, t, month(date '1970-01-01' + day::int) as month, count(*) as n from purchases group by all),
     weekly as (select customer, t, max(n) / sum(n) as weekday_top_share from weekdays group by all),
     monthly as (select customer, t, max(n) / sum(n) as month_top_share from months group by all)
from weekly join monthly using (customer, t);

create view features_variety as
with firsts as (select customer, t, sku, min(day) as first_day from bought where sku is not null group by all),
     by_sku as (select customer, t, sku, count(*) as n from bought where age <= 365 and sku is not null group by all),
     by_category as (select customer, t, category, count(*) as n from bought where age <= 365 and category is not null group by all),
     skus as (select customer, t, count(*) as products_365d, sum(n ** 2) / sum(n) ** 2 as product_concentration_365d, sum(n) as lines
              from by_sku group by all),
     categories as (select customer, t, count(*) as categories_365d, sum(n ** 2) / sum(n) ** 2 as category_concentration_365d
                    from by_category group by all),
     novelty as (select customer, t, min(t - first_day) as days_since_new_item, count(*) filter (t - first_day <= 365) as new
                 from firsts group by all)
select snapshots.*, products_365d, categories_365d, product_concentration_365d, category_concentration_365d, days_since_new_item,
       new / lines as new_item_share_365d
from snapshots left join skus using (customer, t) left join categories using (customer, t) left join novelty using (customer, t);

create view features_same_item as
with numbered as (select *, dense_rank() over (partition by customer, t order by day desc) as back from bought),
     held as (select distinct customer, t, sku, back from numbered where sku is not null),
     unbroken as (select *, back = row_number() over (partition by customer, t, sku order by back) as so_far from held)
select customer, t, max(back) as same_item_run from unbroken where so_far group by all;

create view features_returns as
select customer, t, count(*) as returns, count(*) filter (t - day <= 365) as returns_365d,
       count(*) filter (t - day <= 365 and defect) as defect_returns_365d, min(t - day) as days_since_return
from snapshots join returns using (customer) where day < t group by all;

create view features_complaints as
select customer, t, count(*) as complaints, count(*) filter (age <= 90) as complaints_90d,
       count(*) filter (age <= 365) as complaints_365d, count(*) filter (age <= 365 and severity = 0) as complaints_minor_365d,
       count(*) filter (age <= 365 and severity > 0) as complaints_major_365d, count(*) filter (wait_open) as complaints_open,
       count(*) filter (age <= 365 and over_sla > 1) as complaints_past_sla, max(age) filter (wait_open) as oldest_open_days,
       max(over_sla) filter (wait_open) as open_over_sla, max(over_sla) filter (age <= 365) as longest_repair_ratio,
       min(age) as days_since_complaint
from cases group by all;

create view features_repeated_complaint as
with since as (select *, opened - lag(opened) over (partition by customer, t order by opened) as wait from cases)
select customer, t, max((age <= 365 and wait <= 4 * ipt_days + 1e-6)::int) as complaint_repeated
from since join expected_ipts using (customer, t) group by all;

create view features_per_purchase as
with bought_days as (select customer, t, count(*) as n from purchases group by all),
     complained as (select customer, t, count(*) as n from cases group by all),
     back as (select customer, t, count(*) as n from snapshots join returns using (customer) where day < t group by all)
select customer, t, coalesce(c.n, 0) / p.n as complaints_per_purchase, coalesce(b.n, 0) / p.n as returns_per_purchase
from bought_days p left join complained c using (customer, t) left join back b using (customer, t);

create view features_deliveries as
select customer, t, count(*) filter (late and age <= 365) as late_orders_365d,
       count(*) filter (delivered is null and cancelled is null) as undelivered,
       avg(late::int) filter (age <= 365) as late_share_365d, min(age) filter (late) as days_since_late,
       greatest(0, max(least(coalesce(delivered, t), coalesce(cancelled, t), t) - promised) filter (age <= 365))
           as longest_delay_days_365d
from owed group by all;

create view features_cancellations as
select customer, t, count(*) filter (t - cancelled <= 365) as cancelled_orders_365d from placed group by all;

create view features_relationship as
with touched as (select customer, t, t - day as age from snapshots join touches using (customer) where day < t)
select customer, t, any_value(t - known) as known_days, count(age) as touches, count(*) filter (age <= 90) as touches_90d,
       min(age) as days_since_touch
from snapshots join known using (customer) left join touched using (customer, t) group by all;
