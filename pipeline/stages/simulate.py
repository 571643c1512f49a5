"""Stage `simulate`: a shop that never was, with the truth about its customers kept apart.

Customers are made in blocks, one in memory at a time. A block's random numbers come from the seed
and its place alone, so what is in it does not depend on how many follow; where there is one block
only, as in the demo, each table is one file.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.records import NEVER, Floats
from pipeline.demo import life, tables, world
from pipeline.demo.tables import Clock, Sold, ids, words
from pipeline.demo.world import Market
from pipeline.runtime.params import Simulate

Files = Iterator[tuple[str, pa.Table]]


class Block(NamedTuple):
    """Some of the customers, all that they bought, and the random numbers that what is told of it
    goes on with.
    """

    rng: np.random.Generator
    clock: Clock
    people: world.Prospects
    buyers: life.Buyers
    sold: Sold


def _random(p: Simulate, stream: int) -> tuple[np.random.Generator, Clock]:
    """A stream of random numbers of its own, and a clock that uses it; 0 is the market's."""
    rng, days = np.random.default_rng([p.seed, stream]), p.timing.days
    return rng, Clock(rng, int(np.datetime64(p.end_date).astype(np.int64)) - days, days)


def _live(block: int, market: Market, p: Simulate) -> Block:
    """The lives of a block's customers."""
    before = block * p.customers_per_block
    rng, clock = _random(p, 1 + block)
    people = world.prospects(
        rng, 1 + np.arange(before, min(before + p.customers_per_block, p.customers)), p
    )
    buyers = life.buyers(rng, people, p)
    orders, went = life.live(rng, buyers, market.rivals, p)
    numbers_taken = before * p.timing.days  # nobody buys twice a day
    return Block(
        rng,
        clock,
        people,
        buyers,
        tables.in_order_of_time(clock, people.number[buyers.customer], orders, went, numbers_taken),
    )


def _shop(block: Block, market: Market, p: Simulate) -> dict[str, pa.Table]:
    """What the shop knows of these customers."""
    rng, clock, people, buyers, sold = block
    lines = tables.lines_of(rng, sold.orders, buyers, market.prices, p)
    return {
        "customers": tables.customers(clock, people),
        "orders": tables.order_lines(clock, sold, lines),
        "returns": tables.returns(clock, sold, lines, p),
        "complaints": tables.complaints(clock, sold),
        "touches": tables.touches(clock, people),
        "treatments": tables.treatments(clock, sold),
    }


def _true_customers(people: world.Prospects, b: life.Buyers, sold: Sold) -> pa.Table:
    """One row per customer.

    What he is like and, if he is gone at the end, since which purchase and why; traits only of who
    bought.
    """
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
        "favourite_category": words(world.CATEGORIES, b.favourite),
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
            "reason": words(("none", *life.CAUSES), np.append(b.reason, -1)[buyer] + 1),
        }
    )


def _any(hazard: Floats) -> Floats:
    """The chance that one of the causes ends the relation."""
    chance: Floats = np.round(1 - np.prod(1 - hazard, axis=1), 6)
    return chance


def _true_orders(sold: Sold, p: Simulate) -> pa.Table:
    """One row per order: the true stage it led to, each cause's chance to end the relation there,
    and the cause that did, if any.

    `hazard_uncalled` and `hazard_called` are the chances that any cause does, had he been left
    alone and had he been called.
    """
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
            "hazard_uncalled": _any(orders.uncalled),
            "hazard_called": _any(life.after_call(orders.uncalled, p)),
            "listed": orders.listed != NEVER,
            "called": orders.called,
            "fired": words(("none", *life.CAUSES), orders.fired + 1),
        }
    )


def _truth(block: Block, market: Market, p: Simulate) -> dict[str, pa.Table]:
    """What only the simulation knows of these customers."""
    return {
        "customer": _true_customers(block.people, block.buyers, block.sold),
        "order": _true_orders(block.sold, p),
    }


def _files(
    told: Callable[[Block, Market, Simulate], dict[str, pa.Table]], market: Market, p: Simulate
) -> Files:
    """Tables as files, block by block.

    One file each, or where there are several blocks a folder with a file for each of them.
    """
    blocks = -(-p.customers // p.customers_per_block)
    for block in range(blocks):
        for name, table in told(_live(block, market, p), market, p).items():
            yield f"{name}.parquet" if blocks == 1 else f"{name}/{block:05d}.parquet", table


def _shop_files(clock: Clock, market: Market, p: Simulate) -> Files:
    yield "market_events.parquet", tables.market_events(clock, market.rivals)
    yield from _files(_shop, market, p)


def simulate(params: Simulate) -> dict[str, Files]:
    """The demo shop's input tables and, in a folder of its own, the truth that only `recover` may
    read.

    Every block lives twice, once for each folder: that costs less than holding the truth of all
    until the shop is written.
    """
    rng, clock = _random(params, 0)
    market = world.market(rng, params)
    return {"shops": _shop_files(clock, market, params), "truth": _files(_truth, market, params)}
