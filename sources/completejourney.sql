-- "The Complete Journey" (dunnhumby): the groceries of 2,469 households in 2017. One row per basket
-- and product. transaction_timestamp is UTC: the column `week` begins at 05:00 of it in winter and
-- at 04:00 in summer, midnight in New York. product_category (303 kinds, such as COFFEE) rather
-- than department (32): 63 % of all lines are in the one department GROCERY.
create view orders as
select
    household_id as customer_id,
    basket_id as order_id,
    product_id as sku,
    product_category as category,
    quantity,
    sales_value as net_amount,
    transaction_timestamp at time zone 'UTC' as ordered_at,
    t.source_file,
    t.source_line
from raw.transactions t
left join raw.products using (product_id);
