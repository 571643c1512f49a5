-- The 1/10 sample of CDNOW: 2,357 customers who first bought CDs in the first quarter of 1997. One
-- row per order, at fixed columns.
create view orders as
select
    substr(text, 2, 5) as customer_id,
    substr(text, 2, 5) || '-' || substr(text, 13, 8) || '-' || source_line as order_id,
    strptime(substr(text, 13, 8), '%Y%m%d') as ordered_at,
    substr(text, 22, 2) as quantity,
    substr(text, 24) as net_amount,
    source_file,
    source_line
from raw.cdnow_sample;
