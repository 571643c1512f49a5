-- query: core
-- One row per customer who is or was core and snapshot.
select customer_id, last_purchase_on - date '1970-01-01' as day, stage, {evidence},
       activity <> 'active' and row_number() over (
           partition by customer_id, last_purchase_on, activity <> 'active' order by snapshot
       ) = 1 as first_late
from {lifecycle}
where stage in ('core', 'core_defector')
order by customer_id, snapshot
