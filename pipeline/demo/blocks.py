"""Customers of the simulated shop in blocks, one block in memory at a time.

The seed and the place of a block alone determine its random numbers.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.demo import life, prospects, tables
from pipeline.demo.prospects import Market
from pipeline.demo.tables import Clock, Sold
from pipeline.runtime.demo_section import Simulate

Files = Iterator[tuple[str, pa.Table]]


class Block(NamedTuple):
    """Some of the customers, all their purchases, and the random numbers for their tables."""

    rng: np.random.Generator
    clock: Clock
    people: prospects.Prospects
    buyers: life.Buyers
    sold: Sold


Tables = Callable[[Block, Market, Simulate], dict[str, pa.Table]]


def random_stream(p: Simulate, stream: int) -> tuple[np.random.Generator, Clock]:
    """Return the random numbers of a stream and a clock that uses them; 0 is the market's."""
    rng, days = np.random.default_rng([p.seed, stream]), p.timing.days
    return rng, Clock(rng, int(np.datetime64(p.end_date).astype(np.int64)) - days, days)


def _block(place: int, market: Market, p: Simulate) -> Block:
    """Simulate the lives of a block's customers."""
    before = place * p.customers_per_block
    rng, clock = random_stream(p, 1 + place)
    number = 1 + np.arange(before, min(before + p.customers_per_block, p.customers))
    people = prospects.prospects(rng, number, p)
    buyers = life.buyers(rng, people, p)
    lives = life.live(rng, buyers, market.rivals, p)
    taken = before * p.timing.days  # nobody buys twice a day
    sold = tables.in_order_of_time(clock, people.number[buyers.customer], *lives, taken)
    return Block(rng, clock, people, buyers, sold)


def input_tables(block: Block, market: Market, p: Simulate) -> dict[str, pa.Table]:
    """Return what the shop knows of a block's customers."""
    rng, clock, people, buyers, sold = block
    lines = tables.lines_of(rng, sold.orders, buyers, market.prices, p)
    return {
        "customers": tables.customers(clock, people),
        "orders": tables.order_lines(clock, sold, lines),
        "returns": tables.returns(clock, sold, lines, p),
        "complaints": tables.complaints(clock, sold),
        "touches": tables.touches(clock, people),
        "treatments": tables.treatments(clock, sold, p),
    }


def files(tables_of: Tables, market: Market, p: Simulate) -> Files:
    """The tables of all blocks as files: one file per table, or a folder where blocks are many."""
    blocks = -(-p.customers // p.customers_per_block)
    for place in range(blocks):
        for name, table in tables_of(_block(place, market, p), market, p).items():
            yield f"{name}.parquet" if blocks == 1 else f"{name}/{place:05d}.parquet", table
