-- query: orders
select customer_id, ordered_at::date - date '1970-01-01' as day, o.stage as true_stage,
       o.run as true_run, contested, fired, columns('hazard_.*'),
       ipt_days, gamma_shape, spend_level,
       count(*) filter (o.stage = 'early_repeat') over (
           partition by customer_id order by number
           rows between unbounded preceding and 1 preceding) as early
from read_parquet($orders) o join read_parquet($customers) using (customer_id)
where customer_id in (select unnest($wanted::varchar[]))

-- query: prospects
select customer_id, expectations_met, cutoff_missed from read_parquet($customers)
