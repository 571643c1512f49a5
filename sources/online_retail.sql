-- A wholesaler's invoices (UCI "Online Retail"). One row per invoice line. Postage, discounts, fees
-- and lines entered by hand name no product: what was paid counts, the product is unknown.
create view lines as
select
    CustomerID::bigint as customer_id,
    InvoiceNo as invoice,
    if(regexp_matches(StockCode, '^([0-9]{5}|DCGS|gift|PADS)'), StockCode, null) as sku,
    Quantity as quantity,
    Quantity * UnitPrice as net_amount,
    InvoiceDate as invoiced_at,
    StockCode as stock_code,
    source_file,
    source_line
from raw.online_retail;

create view orders as
select customer_id, invoice as order_id, sku, quantity, net_amount, invoiced_at as ordered_at,
       source_file, source_line
from lines where not starts_with(invoice, 'C');

-- An invoice that begins with C is a credit note: what came back, counted above zero. It names no
-- order. Its 93 lines of discount (D) and commission (CRUK) are left out: nothing came back with
-- them.
create view returns as
select
    invoice as return_id,
    customer_id,
    sku,
    -quantity as quantity,
    -net_amount as net_amount,
    invoiced_at as returned_at,
    source_file,
    source_line
from lines where starts_with(invoice, 'C') and stock_code not in ('D', 'CRUK');
