"""The input tables of the simulated shop, made from the arrays of prospects.py and life.py.

Rows are in order of time. A time at or after the end is not known yet, so null.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.records import NEVER, Flags, Floats, Longs
from pipeline.demo import answers, life, prospects
from pipeline.demo.service import DEFECT, KINDS, SEVERITIES, Service
from pipeline.runtime.demo_section import Simulate

EXPECTATIONS = (
    *("delivery on a given day", "price within budget"),
    *("advice before buying", "a certain origin"),
)
WORKDAY = (9, 17)


@dataclass(frozen=True)
class Clock:
    """Turns whole days into times of day."""

    rng: np.random.Generator
    first: int  # days since 1970
    days: int

    def at(self, day: Longs, hours: tuple[int, int] = WORKDAY) -> pa.Array:
        second = self.rng.integers(hours[0] * 3600, hours[1] * 3600, len(day))
        return self._times(day, second, day < self.days)

    def promise(self, day: Longs) -> pa.Array:
        """The evening of a promised day: known even if it lies after the end."""
        return self._times(day, np.full(len(day), 18 * 3600), day != NEVER)

    def midnight(self, day: Longs) -> pa.Array:
        """The midnight at the start of a day: the snapshot of a list."""
        return self._times(day, np.zeros_like(day), day < self.days)

    def _times(self, day: Longs, second: Longs, known: Flags) -> pa.Array:
        seconds = np.where(known, (self.first + day) * 86400 + second, 0)
        return pa.array(seconds * 1_000_000, mask=~known).cast(pa.timestamp("us"))


def ids(letter: str, number: Longs, width: int) -> pa.Array:
    """Ids such as C000123."""
    digits = pc.utf8_lpad(pa.array(number).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(letter, digits, "")


def _line_ids(order_id: pa.Array, place: Longs) -> pa.Array:
    return pc.binary_join_element_wise(order_id, pa.array(place + 1).cast(pa.string()), "-")


def as_names(names: tuple[str, ...], code: Longs, known: Flags | None = None) -> pa.Array:
    """Return the names of codes; null where not known."""
    return pa.array(names).take(pa.array(code, mask=None if known is None else ~known))


def _money(cents: Longs) -> pa.Array:
    """DECIMAL(18,2) from cents: 128-bit integers, low half first."""
    halves = np.stack([cents, np.zeros_like(cents)], axis=1).astype("<i8")
    buffers = [None, pa.py_buffer(halves.tobytes())]
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), buffers)


def customers(clock: Clock, people: prospects.Prospects) -> pa.Table:
    """One row per customer, known since the first touch."""
    return pa.table(
        {
            "customer_id": ids("C", people.number, 6),
            "created_at": clock.at(people.arrived, (6, 8)),
            "do_not_contact": people.do_not_contact,
            "profiling_objection": people.profiling_objection,
        }
    )


def touches(clock: Clock, people: prospects.Prospects) -> pa.Table:
    """One row per touch with a prospect: the expectation, its deadline, and when it was met."""
    who, which = np.nonzero(people.at < clock.days)
    expected, limit = people.expected[who, which], people.limit[who, which]
    budget, grade = 10 * clock.rng.integers(2, 11, len(who)), clock.rng.integers(1, 6, len(who))
    within = (people.due - people.at)[who, which]
    value = np.select([limit == 1, limit == 2], [within, budget], grade)
    at = clock.at(people.at[who, which])
    expectation = clock.rng.integers(0, len(EXPECTATIONS), len(who))
    return pa.table(
        {
            "customer_id": ids("C", people.number[who], 6),
            "at": at,
            "expectation": as_names(EXPECTATIONS, expectation, expected),
            "limit_kind": as_names(prospects.LIMITS, limit, limit > 0),
            "limit_value": pa.array(value.astype(np.float64), mask=limit == 0),
            "due_at": clock.promise(people.due[who, which]),
            "met_at": clock.at(people.met[who, which]),
        }
    ).sort_by([("at", "ascending"), ("customer_id", "ascending")])


def market_events(clock: Clock, launched: prospects.Rivals) -> pa.Table:
    """One row per launch of a competitor."""
    return pa.table(
        {
            "category": as_names(prospects.CATEGORIES, launched.category),
            "starts_at": clock.at(launched.start),
            "ends_at": clock.at(launched.end),
            "kind": as_names(("rival_launch",), np.zeros_like(launched.category)),
            "price_index": launched.price_index,
        }
    )


class Lines(NamedTuple):
    """One entry per order line, in order of time; `order` is a position in Orders."""

    order: Longs
    place: Longs
    category: Longs
    sku: Longs
    quantity: Longs
    cents: Longs


class Sold(NamedTuple):
    """One entry per order, in order of time: its service, second, number, customer and id."""

    orders: life.Orders
    service: Service
    ordered_at: pa.Array
    number: Longs  # also of its complaint and its return: an order has one at most
    customer_id: pa.Array
    order_id: pa.Array


def in_order_of_time(
    clock: Clock, owner: Longs, orders: life.Orders, service: Service, before: int
) -> Sold:
    """Give each order its time of day, and number the orders from `before` + 1 as they come in.

    `owner` is the customer number of each buyer.
    """
    ordered_at = clock.at(orders.day, (8, 20))
    by_time = np.argsort(ordered_at.to_numpy(), kind="stable")
    orders = life.Orders._make(values[by_time] for values in orders)
    service = Service._make(values[by_time] for values in service)
    number = before + 1 + np.arange(len(by_time))
    customer_id, order_id = ids("C", owner[orders.buyer], 6), ids("O", number, 7)
    return Sold(orders, service, ordered_at.take(pa.array(by_time)), number, customer_id, order_id)


def lines_of(
    rng: np.random.Generator, orders: life.Orders, b: life.Buyers, prices: Longs, p: Simulate
) -> Lines:
    """Return the lines of all orders with their prices."""
    order = np.repeat(np.arange(len(orders.lines)), orders.lines)
    place = np.arange(len(order)) - (np.cumsum(orders.lines) - orders.lines)[order]
    category, sku = orders.category[order, place], orders.sku[order, place]
    # A habitual buyer stocks up.
    quantity = rng.integers(1, 4, len(order)) + 2 * (orders.run[order] > 0)
    buyer = orders.buyer[order]
    drawn = orders.contested[order] & (category == b.favourite[buyer])
    spend: Floats = prices[category, sku] * quantity * b.level[buyer] * orders.growth[order]
    spend *= np.where(drawn, p.competitor_shrink, 1)
    cents = np.maximum(1, np.rint(spend)).astype(np.int64)
    return Lines(order, place, category, sku, quantity, cents)


def order_lines(clock: Clock, sold: Sold, lines: Lines) -> pa.Table:
    """One row per order line, in order of time."""
    order = pa.array(lines.order)
    order_id = sold.order_id.take(order)
    last = lines.place == sold.orders.lines[lines.order] - 1
    cut = pa.array(last & (sold.service.cancelled[lines.order] != NEVER))
    never = pa.scalar(None, pa.timestamp("us"))
    category = as_names(prospects.CATEGORIES, lines.category)
    return pa.table(
        {
            "order_id": order_id,
            "line_id": _line_ids(order_id, lines.place),
            "customer_id": sold.customer_id.take(order),
            "ordered_at": sold.ordered_at.take(order),
            "sku": pc.binary_join_element_wise(category, ids("", lines.sku + 1, 2), "-"),
            "category": category,
            "quantity": lines.quantity,
            "net_amount": _money(lines.cents),
            "currency": as_names(("EUR",), np.zeros_like(lines.order)),
            "promised_at": clock.promise(sold.service.promised).take(order),
            "delivered_at": pc.if_else(cut, never, clock.at(sold.service.delivered).take(order)),
            "cancelled_at": pc.if_else(cut, clock.at(sold.service.cancelled).take(order), never),
        }
    )


def returns(clock: Clock, sold: Sold, lines: Lines, p: Simulate) -> pa.Table:
    """One row per return: one whole line, because of a defect or of a changed mind."""
    n = len(sold.order_id)
    defect = sold.service.kind == DEFECT
    returned = clock.rng.random(n) < np.where(defect, p.defect_returned, p.other_returned)
    on = sold.service.delivered + clock.rng.integers(2, 10, n)
    settled = on + clock.rng.integers(2, 10, n)
    # never the cancelled line
    place = clock.rng.integers(0, sold.orders.lines - (sold.service.cancelled != NEVER))
    o = np.flatnonzero(returned & (on < clock.days))
    line = (np.cumsum(sold.orders.lines) - sold.orders.lines)[o] + place[o]
    order_id = sold.order_id.take(pa.array(o))
    return pa.table(
        {
            "return_id": ids("R", sold.number[o], 7),
            "customer_id": sold.customer_id.take(pa.array(o)),
            "order_id": order_id,
            "line_id": _line_ids(order_id, place[o]),
            "quantity": lines.quantity[line],
            "net_amount": _money(lines.cents[line]),
            "returned_at": clock.at(on[o]),
            "settled_at": clock.at(settled[o]),
            "reason": as_names(("changed_mind", "defect"), defect[o].astype(np.int64)),
        }
    ).sort_by([("returned_at", "ascending"), ("return_id", "ascending")])


def complaints(clock: Clock, sold: Sold) -> pa.Table:
    """One row per complaint."""
    o = np.flatnonzero(sold.service.opened < clock.days)
    return pa.table(
        {
            "complaint_id": ids("K", sold.number[o], 7),
            "customer_id": sold.customer_id.take(pa.array(o)),
            "opened_at": clock.at(sold.service.opened[o], (9, 13)),
            "severity": as_names(SEVERITIES, sold.service.severity[o]),
            "resolved_at": clock.at(sold.service.resolved[o], (13, 17)),
            "kind": as_names(KINDS, sold.service.kind[o]),
            "order_id": sold.order_id.take(pa.array(o)),
        }
    ).sort_by([("opened_at", "ascending"), ("complaint_id", "ascending")])


def treatments(clock: Clock, sold: Sold, p: Simulate) -> pa.Table:
    """One row per core customer on a list, called or held out at random, with their answer.

    The control group measures the effect of a call.
    """
    o = np.flatnonzero(sold.orders.listed < clock.days)
    called = sold.orders.called[o]
    return pa.table(
        {
            "customer_id": sold.customer_id.take(pa.array(o)),
            "as_of": clock.midnight(sold.orders.listed[o]),
            "queue": as_names(("core_care",), np.zeros_like(o)),
            "action": as_names(("call and mend",), np.zeros_like(o)),
            "contact": as_names(("hold_out", "call"), called.astype(np.int64)),
            "decision": as_names(("done",), np.zeros_like(o), called),
            "done_on": clock.at(np.where(called, sold.orders.listed[o], NEVER)),
            "stated_reason": answers.stated(clock.rng, sold.orders, o, p),
        }
    ).sort_by([("as_of", "ascending"), ("customer_id", "ascending")])
