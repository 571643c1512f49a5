"""The simulated shop before anybody buys, as arrays: its market and its prospects.

Times are whole days from the shop's first day; NEVER is what does not happen.
"""

from typing import NamedTuple

import numpy as np

from features.records import NEVER, Flags, Floats, Longs
from pipeline.runtime.demo_section import Simulate

CATEGORIES = ("coffee", "tea", "chocolate", "honey", "spices", "oil")
SKUS = 8  # in each category
MOST_TOUCHES = 8
LIMITS = ("none", "deadline", "price_ceiling", "minimum_spec")


class Prospects(NamedTuple):
    """One entry per customer, in order of arrival; fields of touches have a row of MOST_TOUCHES.

    `decided` is the day of the first purchase, NEVER for a prospect who does not buy.
    """

    number: Longs  # unique in the shop, from 1
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
    """One entry per launch of a competitor."""

    category: Longs
    start: Longs
    end: Longs  # the day after the last
    price_index: Floats  # the competitor's price divided by ours


class Market(NamedTuple):
    """The prices and competitors that all customers meet, in every block."""

    prices: Longs  # cents: one row per category, one entry per item
    rivals: Rivals


def market(rng: np.random.Generator, p: Simulate) -> Market:
    """Return the price list, and launches spread over the years, the categories taking turns."""
    n, days = p.competitor_events, p.timing.days
    category = np.resize(rng.permutation(len(CATEGORIES)), n)
    start = (np.arange(n) * days + rng.integers(0, days, n)) // n
    price_index = np.round(rng.integers(80, 96, n) / 100, 2)
    rivals = Rivals(category, start, start + p.competitor_days, price_index)
    return Market(rng.integers(300, 2001, (len(CATEGORIES), SKUS)), rivals)


def prospects(rng: np.random.Generator, number: Longs, p: Simulate) -> Prospects:
    """Draw arrivals, expectations, whether we meet them in time, and decisions to buy."""
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
    score = p.convert_base + p.convert_expectations_met * all_met + p.convert_cutoff_missed * missed
    score = score + p.convert_touch * np.log1p(touches)
    latest = [np.where(day == NEVER, 0, day).max(axis=1) for day in (at, due, met)]
    settled = np.maximum.reduce(latest)
    decided = settled + rng.integers(1, 15, n)
    decided[(rng.random(n) >= 1 / (1 + np.exp(-score))) | (decided >= days)] = NEVER
    no_contact, no_profile = rng.random(n) < p.do_not_contact, rng.random(n) < p.profiling_objection
    touched = (at, expected, limit, due, met, all_met, missed)
    return Prospects(number, arrived, *touched, decided, no_contact, no_profile)
