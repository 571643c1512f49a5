"""The demo world before anybody buys, as arrays: its words, its market, who arrives and decides.

Time is whole days from the shop's first day; NEVER stands for what does not happen.
"""

from typing import NamedTuple

import numpy as np

from features.records import NEVER, Flags, Floats, Longs
from pipeline.runtime.params import Simulate

CATEGORIES = ("coffee", "tea", "chocolate", "honey", "spices", "oil")
SKUS = 8  # in each category
MOST_TOUCHES = 8
LIMITS = ("none", "deadline", "price_ceiling", "minimum_spec")


class Prospects(NamedTuple):
    """One entry per customer, in order of arrival; what belongs to touches has one row of
    MOST_TOUCHES for each.

    `decided` is the day of the first purchase, NEVER for those who do not buy.
    """

    number: Longs  # his own in the whole world, from 1
    arrived: Longs
    at: Longs
    expected: Flags
    limit: Longs  # position in LIMITS
    due: Longs
    met: Longs
    all_met: Flags
    missed: Flags
    decided: Longs
    do_not_contact: Flags
    profiling_objection: Flags


class Rivals(NamedTuple):
    """One entry per launch of a rival.

    Its category, first day and day after the last, the rival's price over ours.
    """

    category: Longs
    start: Longs
    end: Longs
    price_index: Floats


class Market(NamedTuple):
    """What all customers meet, whichever block they are made in."""

    prices: Longs  # cents: one row per category, one entry per item
    rivals: Rivals


def market(rng: np.random.Generator, p: Simulate) -> Market:
    """The price list, and launches of rivals spread over the years, each category in turn in a
    random order.
    """
    n, days = p.competitor_events, p.timing.days
    category = np.resize(rng.permutation(len(CATEGORIES)), n)
    start = (np.arange(n) * days + rng.integers(0, days, n)) // n
    rivals = Rivals(
        category, start, start + p.competitor_days, np.round(rng.integers(80, 96, n) / 100, 2)
    )
    return Market(rng.integers(300, 2001, (len(CATEGORIES), SKUS)), rivals)


def prospects(rng: np.random.Generator, number: Longs, p: Simulate) -> Prospects:
    """Who arrives, what they expect of us, whether we meet it in time, and who decides to buy."""
    n, days = len(number), p.timing.days
    size = (n, MOST_TOUCHES)
    arrived = np.sort(rng.integers(0, days, n))
    touches = rng.integers(1, MOST_TOUCHES + 1, n)
    real = np.arange(MOST_TOUCHES) < touches[:, None]
    pause = rng.integers(2, 11, size)
    pause[:, 0] = 0
    at = np.where(real, arrived[:, None] + pause.cumsum(axis=1), NEVER)
    expected = real & ((rng.random(size) < 0.2) | (np.arange(MOST_TOUCHES) == 0))
    limit = np.where(expected & (rng.random(size) < p.cutoff_share), rng.integers(1, 4, size), 0)
    allowed = rng.integers(3, 11, size)
    due = np.where(limit > 0, at + allowed, NEVER)
    late = (limit > 0) & (rng.random(size) >= p.cutoff_kept)
    meets = expected & (rng.random(size) < p.expectation_met)
    took = np.where(late, allowed + rng.integers(1, 6, size), 1 + rng.integers(0, allowed))
    met = np.where(meets, at + took, NEVER)
    all_met: Flags = np.all(meets | ~expected, axis=1)
    missed: Flags = np.any((limit > 0) & (met > due), axis=1)
    score = (
        p.convert_base
        + p.convert_expectations_met * all_met
        + p.convert_cutoff_missed * missed
        + p.convert_touch * np.log1p(touches)
    )
    settled = np.maximum.reduce(
        [np.where(day == NEVER, 0, day).max(axis=1) for day in (at, due, met)]
    )
    decided = settled + rng.integers(1, 15, n)
    decided[(rng.random(n) >= 1 / (1 + np.exp(-score))) | (decided >= days)] = NEVER
    no_contact, no_profile = rng.random(n) < p.do_not_contact, rng.random(n) < p.profiling_objection
    return Prospects(
        number,
        arrived,
        at,
        expected,
        limit,
        due,
        met,
        all_met,
        missed,
        decided,
        no_contact,
        no_profile,
    )
