"""The lives of simulated buyers as arrays: purchases, service failures, and why a buyer leaves.

All buyers advance together, one purchase at a time. A round is one array step over the buyers who
buy again before the end.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from features.records import NEVER, Flags, Floats, Longs
from pipeline.demo.prospects import CATEGORIES, SKUS, Prospects, Rivals
from pipeline.demo.service import MAJOR, MINOR, Service, serve
from pipeline.runtime.demo_section import Simulate

MOST_LINES = 4  # of one order

STAGES = ("first_time", "early_repeat", "core")
FIRST, EARLY, CORE = range(3)
CAUSES = ("base", "mishap", "service_failure", "unrepaired", "competitor", "boredom")
BASE, MISHAP, SERVICE_FAILURE, UNREPAIRED, COMPETITOR, BOREDOM = range(6)


@dataclass
class Buyers:
    """One entry per customer who bought: constant traits, then the present state."""

    customer: Longs
    ipt: Floats  # expected inter-purchase time, days
    shape: Floats  # of the gamma distribution of gaps: higher is more regular
    level: Floats  # spend divided by that of the mean customer
    variety: Floats  # chance that an order is not just the favourite item
    favourite: Longs
    favourite_sku: Longs
    exposed: Flags  # hears of competitors
    callable: Flags  # may be contacted
    day: Longs  # of the next purchase
    first: Longs
    last: Longs
    number: Longs  # purchases so far
    early: Longs  # of them, made as an early repeat buyer
    run: Longs  # orders in a row that were the favourite item alone
    since_return: Longs  # purchases since the last return
    core: Flags
    reason: Longs  # cause of leaving, -1 while the customer stays


class Orders(NamedTuple):
    """One entry per purchase.

    `category` and `sku` have one row of MOST_LINES each; only the first `lines` count.
    """

    buyer: Longs
    day: Longs
    number: Longs
    stage: Longs
    lines: Longs
    category: Longs
    sku: Longs
    growth: Floats  # spend against the buyer's first order
    contested: Flags  # a competitor's launch reduces spend in the favourite category
    run: Longs
    # one row of CAUSES per purchase: the chance that this cause alone ends the relation, uncalled
    uncalled: Floats
    hazard: Floats  # the same after a call, if there is one
    listed: Longs  # the day the customer is put on a list for it
    called: Flags  # on the list and called, not held out
    fired: Longs  # the cause that ended the relation, -1 if the customer stays


def buyers(rng: np.random.Generator, people: Prospects, p: Simulate) -> Buyers:
    """Return the prospects who decided to buy; rounded traits hide the last bits of exp and log."""
    customer = np.flatnonzero(people.decided != NEVER)
    first, n = people.decided[customer], len(customer)
    return Buyers(
        customer=customer,
        ipt=np.maximum(1, np.round(p.timing.ipt_days * np.exp(rng.normal(0, p.ipt_log_sd, n)), 2)),
        shape=np.round(rng.uniform(*p.gamma_shape, n), 2),
        level=np.maximum(0.01, np.round(np.exp(rng.normal(0, p.spend_log_sd, n)), 2)),
        variety=np.round(rng.beta(*p.variety, n), 3),
        favourite=rng.integers(0, len(CATEGORIES), n),
        favourite_sku=rng.integers(0, SKUS, n),
        exposed=rng.random(n) < p.competitor_exposed,
        callable=~(people.do_not_contact | people.profiling_objection)[customer],
        day=first.copy(),
        first=first,
        last=first.copy(),
        number=np.zeros(n, np.int64),
        early=np.zeros(n, np.int64),
        run=np.zeros(n, np.int64),
        since_return=np.full(n, p.core_probation),
        core=np.zeros(n, np.bool_),
        reason=np.full(n, -1),
    )


def _stage(b: Buyers, i: Longs, p: Simulate) -> Longs:
    """Return the true stage after this purchase: core stays core until a reason ends it."""
    b.number[i] += 1
    b.since_return[i] += 1
    seasoned = (b.number[i] >= p.core_purchases) & (b.day[i] - b.first[i] >= p.core_days)
    regular = b.day[i] - b.last[i] <= p.core_gap_ipts * b.ipt[i]
    b.core[i] |= seasoned & regular & (b.since_return[i] >= p.core_probation)
    return np.where(b.core[i], CORE, np.where(b.number[i] == 1, FIRST, EARLY))


def _basket(
    rng: np.random.Generator, b: Buyers, i: Longs, p: Simulate
) -> tuple[Longs, Longs, Longs]:
    """Draw the number of lines, which grows early, their categories and items."""
    n = len(i)
    habit = (rng.random(n) >= b.variety[i]) & b.core[i]
    further = np.minimum(0.9, p.further_line + p.early_growth * b.early[i])
    lines = np.where(habit, 1, 1 + rng.binomial(MOST_LINES - 1, further))
    size = (n, MOST_LINES)
    liked, other = rng.random(size) < 0.5, rng.integers(0, len(CATEGORIES), size)
    category = np.where(liked, b.favourite[i][:, None], other)
    sku = (rng.integers(0, SKUS, n)[:, None] + np.arange(MOST_LINES)) % SKUS
    category[habit, 0], sku[habit, 0] = b.favourite[i][habit], b.favourite_sku[i][habit]
    b.run[i] = np.where(habit, b.run[i] + 1, 0)
    return lines, category, sku


def _facets(category: Longs, lines: Longs) -> Longs:
    """Count the different categories of each order."""
    bits = np.where(np.arange(MOST_LINES) < lines[:, None], 1 << category, 0)
    seen: Longs = np.bitwise_or.reduce(bits, axis=1)
    return np.bitwise_count(seen).astype(np.int64)


def bored(run: Longs, p: Simulate) -> Floats:
    """Return boredom, 0..1, by the number of orders in a row of the favourite item alone."""
    grown: Floats = 1 / (1 + np.exp((p.boredom_run - run) / p.boredom_width))
    return grown


def _hazards(
    stage: Longs, facets: Longs, service: Service, contested: Flags, run: Longs, p: Simulate
) -> Floats:
    """One row per purchase, one column per cause: the chance that it alone ends the relation."""
    hazard = np.zeros((len(stage), len(CAUSES)))
    first, early, core = (stage == s for s in (FIRST, EARLY, CORE))
    minor, serious = service.severity == MINOR, service.severity >= MAJOR
    curious = np.maximum(0, p.hazard_first - p.first_facets * (facets - 1))
    hazard[:, BASE] = np.select([first, early], [curious, p.hazard_early], p.hazard_core)
    small = p.hazard_early_minor * np.where(service.in_time, p.early_fixed_factor, 1)
    hazard[:, MISHAP] = np.select(
        [first & (minor | serious), early & minor, early & serious, core & minor & service.in_time],
        [p.hazard_first_failed, small, p.hazard_early_major, p.hazard_core_minor_fixed],
        0,
    )
    hazard[:, SERVICE_FAILURE] = p.hazard_service * (core & serious)
    complained = service.opened != NEVER
    hazard[:, UNREPAIRED] = p.hazard_unrepaired * (core & complained & ~service.in_time)
    hazard[:, COMPETITOR] = p.hazard_competitor * (core & contested)
    hazard[:, BOREDOM] = p.hazard_boredom * core * bored(run, p)
    return np.round(hazard, 6)


def _list(
    rng: np.random.Generator, day: Longs, hazard: Floats, gap: Longs, callable_: Flags, p: Simulate
) -> tuple[Longs, Flags]:
    """Return the day a customer is put on a list, and whether the customer is called.

    A reason above `treatment_from` does that, before the next purchase is due: a call can save it.
    """
    reason = hazard[:, SERVICE_FAILURE:].max(axis=1, initial=0)
    listed = callable_ & (reason > p.treatment_from) & (gap >= 4)
    called = listed & (rng.random(len(day)) < p.treatment_share)
    return np.where(listed, day + np.clip(gap // 2, 2, 14), NEVER), called


def after_call(hazard: Floats, p: Simulate) -> Floats:
    """Return the chance of each cause after a call, which helps against reasons to leave alone."""
    left = np.where(np.arange(len(CAUSES)) < SERVICE_FAILURE, 1, p.treatment_factor)
    return np.round(hazard * left, 6)


def _fire(rng: np.random.Generator, hazard: Floats) -> Longs:
    """Draw the cause that ends the relation (-1: none) by competing exponential clocks."""
    rate, never = -np.log1p(-hazard), np.full(hazard.shape, np.inf)
    clock = np.divide(rng.exponential(size=hazard.shape), rate, out=never, where=rate > 0)
    return np.where(clock.min(axis=1) < 1, clock.argmin(axis=1), -1)


def _away(
    rng: np.random.Generator, day: Longs, fired: Longs, resolved: Longs, rival: Longs, p: Simulate
) -> Longs:
    """Draw the days from `day` until a customer who left comes back: rarer while a reason holds."""
    causes = [fired == BASE, (fired == MISHAP) | (fired == UNREPAIRED), fired == COMPETITOR]
    ends = np.select(causes, [0, resolved, rival], NEVER)
    lasts = np.where(ends == NEVER, NEVER, np.maximum(0, ends - day))
    drawn = rng.exponential(size=len(day)) / p.winback_per_day
    slow = drawn / p.winback_reason_factor
    days = np.where(slow < lasts, slow, lasts + drawn - lasts * p.winback_reason_factor)
    return np.ceil(days).astype(np.int64)


def seasons(p: Simulate) -> Floats:
    """Return, by day, how much faster than usual customers buy."""
    first = np.datetime64(p.end_date) - p.timing.days
    new_year = first.astype("datetime64[Y]").astype("datetime64[D]")
    since_peak = np.arange(p.timing.days) - ((new_year - first).astype(np.int64) + p.season_peak)
    faster: Floats = 1 + p.season_amplitude * np.cos(2 * np.pi * since_peak / 365.25)
    return faster


def live(
    rng: np.random.Generator, b: Buyers, launched: Rivals, p: Simulate
) -> tuple[Orders, Service]:
    """Simulate every purchase of every buyer before the end, in rounds.

    Changes `b` to the state at the end.
    """
    season = seasons(p)
    rival_end = np.zeros((len(CATEGORIES), p.timing.days), np.int64)
    for category, start, end in zip(launched.category, launched.start, launched.end, strict=True):
        rival_end[category, start:end] = np.maximum(rival_end[category, start:end], end)

    rounds: list[tuple[Orders, Service]] = []
    while not rounds or (b.day < p.timing.days).any():
        i = np.flatnonzero(b.day < p.timing.days)
        day = b.day[i]
        stage = _stage(b, i, p)
        lines, category, sku = _basket(rng, b, i, p)
        facets = _facets(category, lines)
        service = serve(rng, day, lines, p)
        core, until = stage == CORE, rival_end[b.favourite[i], day]
        contested = core & b.exposed[i] & (until > 0)
        uncalled = _hazards(stage, facets, service, contested, b.run[i], p)
        stretch = np.where(core, 1 + bored(b.run[i], p), 1)
        drawn = rng.gamma(b.shape[i]) / b.shape[i]
        gap = np.rint(drawn * b.ipt[i] * stretch / season[day]).astype(np.int64)
        listed, called = _list(rng, day, uncalled, gap, b.callable[i], p)
        hazard = np.where(called[:, None], after_call(uncalled, p), uncalled)
        fired = _fire(rng, hazard)
        growth = np.asarray(1 + p.early_growth * b.early[i], np.float64)
        basket = (lines, category, sku, growth, contested, b.run[i])
        risk = (uncalled, hazard, listed, called, fired)
        rounds.append((Orders(i, day, b.number[i], stage, *basket, *risk), service))

        gone = fired >= 0
        # days after the purchase that would have come next
        away = np.where(gone, _away(rng, day + gap, fired, service.resolved, until, p), 0)
        b.reason[i], b.last[i], b.day[i] = fired, day, day + np.maximum(1, gap + away)
        b.early[i] += stage == EARLY
        b.since_return[i] = np.where(gone, 0, b.since_return[i])
    orders, services = (
        map(np.concatenate, zip(*one, strict=True)) for one in zip(*rounds, strict=True)
    )
    return Orders._make(orders), Service._make(services)
