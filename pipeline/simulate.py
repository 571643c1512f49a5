"""Stage `simulate`: a shop that never was, with the truth about its customers kept apart."""

import numpy as np
import pyarrow as pa

from pipeline import demo_life as life
from pipeline import demo_tables as tables
from pipeline import demo_world as world
from pipeline.demo_tables import Sold, ids, words
from pipeline.demo_world import NEVER
from pipeline.params import Simulate


def _true_customers(people: world.Prospects, b: life.Buyers, sold: Sold, p: Simulate) -> pa.Table:
    """One row per customer: what he is like and, if he is gone at the end, since which purchase and why; traits only of who bought."""
    buyer = np.full(p.customers, -1)
    buyer[b.customer] = np.arange(len(b.customer))
    bought = buyer >= 0
    gone = bought & np.append(b.reason >= 0, False)[buyer]
    last = np.zeros(len(b.customer), np.int64)
    np.maximum.at(last, sold.orders.buyer, np.arange(len(sold.orders.buyer)))
    take = pa.array(buyer, mask=~bought)
    traits = {
        "purchases": b.number,
        "cycle_days": b.cycle,
        "gamma_shape": b.shape,
        "spend_level": b.level,
        "variety": b.variety,
        "favourite_category": words(world.CATEGORIES, b.favourite),
        "exposed": b.exposed,
    }
    return pa.table(
        {
            "customer_id": ids("C", np.arange(1, p.customers + 1), 6),
            "converted": bought,
            "expectations_met": people.all_met,
            "cutoff_missed": people.missed,
            **{name: pa.array(values).take(take) for name, values in traits.items()},
            "left_at": sold.ordered_at.take(pa.array(last)).take(pa.array(buyer, mask=~gone)),
            "reason": words(("none", *life.CAUSES), np.append(b.reason, -1)[buyer] + 1),
        }
    )


def _true_orders(sold: Sold) -> pa.Table:
    """One row per order: the true stage it led to, each cause's chance to end the relation there, and the cause that did, if any."""
    orders, went = sold.orders, sold.went
    return pa.table(
        {
            "order_id": sold.order_id,
            "customer_id": sold.customer_id,
            "ordered_at": sold.ordered_at,
            "number": orders.number,
            "stage": words(life.STAGES, orders.stage),
            "run": orders.run,
            "contested": orders.contested,
            "mishap": words(life.SEVERITIES, went.severity),
            "kind": words(life.KINDS, went.kind),
            "complained": went.opened != NEVER,
            "in_time": went.in_time,
            **{f"hazard_{cause}": orders.hazard[:, k] for k, cause in enumerate(life.CAUSES)},
            "listed": orders.listed != NEVER,
            "called": orders.called,
            "fired": words(("none", *life.CAUSES), orders.fired + 1),
        }
    )


def simulate(params: Simulate) -> dict[str, dict[str, pa.Table]]:
    """The demo shop's input tables and, in a folder of its own, the truth that only `recover` may read."""
    rng = np.random.default_rng(params.seed)
    clock = tables.Clock(rng, int(np.datetime64(params.end_date).astype(np.int64)) - params.days, params.days)
    people, launched = world.prospects(rng, params), world.rivals(rng, params)
    b = life.buyers(rng, people, params)
    sold = tables.in_order_of_time(clock, b, *life.live(rng, b, launched, params))
    lines = tables.lines_of(rng, sold.orders, b, params)
    return {
        "shops": {
            "customers.parquet": tables.customers(clock, people),
            "orders.parquet": tables.order_lines(clock, sold, lines),
            "returns.parquet": tables.returns(clock, sold, lines, params),
            "complaints.parquet": tables.complaints(clock, sold),
            "touches.parquet": tables.touches(clock, people),
            "market_events.parquet": tables.market_events(clock, launched),
            "treatments.parquet": tables.treatments(clock, sold),
        },
        "truth": {"customer.parquet": _true_customers(people, b, sold, params), "order.parquet": _true_orders(sold)},
    }
