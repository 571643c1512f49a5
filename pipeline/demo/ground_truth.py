"""The ground truth of the simulated shop: what only the simulation knows of its customers."""

import numpy as np
import pyarrow as pa

from features.records import NEVER, Floats
from pipeline.demo import life, prospects
from pipeline.demo.blocks import Block
from pipeline.demo.prospects import Market
from pipeline.demo.service import KINDS, SEVERITIES
from pipeline.demo.tables import Sold, as_names, ids
from pipeline.runtime.demo_section import Simulate

NO_CAUSE = ("none", *life.CAUSES)


def truth_tables(block: Block, _: Market, p: Simulate) -> dict[str, pa.Table]:
    """Return the ground truth about a block's customers and orders."""
    return {
        "customer": _customers(block.people, block.buyers, block.sold),
        "order": _orders(block.sold, p),
    }


def _customers(people: prospects.Prospects, b: life.Buyers, sold: Sold) -> pa.Table:
    """One row per customer: traits (null without a purchase), since when and why they left."""
    buyer = np.full(len(people.number), -1)
    buyer[b.customer] = np.arange(len(b.customer))
    bought = buyer >= 0
    gone = bought & np.append(b.reason >= 0, False)[buyer]
    last = np.zeros(len(b.customer), np.int64)
    np.maximum.at(last, sold.orders.buyer, np.arange(len(sold.orders.buyer)))
    take = pa.array(buyer, mask=~bought)
    traits = {
        "purchases": b.number,
        "ipt_days": b.ipt,
        "gamma_shape": b.shape,
        "spend_level": b.level,
        "variety": b.variety,
        "favourite_category": as_names(prospects.CATEGORIES, b.favourite),
        "exposed": b.exposed,
    }
    return pa.table(
        {
            "customer_id": ids("C", people.number, 6),
            "converted": bought,
            "expectations_met": people.all_met,
            "cutoff_missed": people.missed,
            **{name: pa.array(values).take(take) for name, values in traits.items()},
            "left_at": sold.ordered_at.take(pa.array(last)).take(pa.array(buyer, mask=~gone)),
            "reason": as_names(NO_CAUSE, np.append(b.reason, -1)[buyer] + 1),
        }
    )


def _any(hazard: Floats) -> Floats:
    """Return the chance that one of the causes ends the relation."""
    chance: Floats = np.round(1 - np.prod(1 - hazard, axis=1), 6)
    return chance


def _orders(sold: Sold, p: Simulate) -> pa.Table:
    """One row per order: the true stage after it, each cause's chance to end the relation there.

    `fired`: the cause that did. `hazard_uncalled` and `hazard_called`: the chance that any does.
    """
    orders, service = sold.orders, sold.service
    return pa.table(
        {
            "order_id": sold.order_id,
            "customer_id": sold.customer_id,
            "ordered_at": sold.ordered_at,
            "number": orders.number,
            "stage": as_names(life.STAGES, orders.stage),
            "run": orders.run,
            "contested": orders.contested,
            "mishap": as_names(SEVERITIES, service.severity),
            "kind": as_names(KINDS, service.kind),
            "complained": service.opened != NEVER,
            "in_time": service.in_time,
            **{f"hazard_{cause}": orders.hazard[:, k] for k, cause in enumerate(life.CAUSES)},
            "hazard_uncalled": _any(orders.uncalled),
            "hazard_called": _any(life.after_call(orders.uncalled, p)),
            "listed": orders.listed != NEVER,
            "called": orders.called,
            "fired": as_names(NO_CAUSE, orders.fired + 1),
        }
    )
