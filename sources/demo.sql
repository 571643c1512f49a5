-- The simulated shop is written as the input tables themselves.
create view customers as from raw.customers;
create view orders as from raw.orders;
create view returns as from raw.returns;
create view complaints as from raw.complaints;
create view touches as from raw.touches;
create view market_events as from raw.market_events;
create view treatments as from raw.treatments;
