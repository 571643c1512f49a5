"""What called customers of the simulated shop answer to "why?": mostly the true reason."""

import numpy as np
import pyarrow as pa

from features.records import Longs
from pipeline.demo.life import BASE, CAUSES, SERVICE_FAILURE, Orders
from pipeline.runtime.demo_section import Simulate

ANSWERS = {
    "base": (
        *("I have no need of it at the moment", "We moved away"),
        *("nothing wrong, it just turned out like that", "we shall see"),
    ),
    "service_failure": (
        *("the order never came", "Wrong item again, and no excuse", "the goods were damaged"),
        *("too late for what I needed it for", "you let me down"),
    ),
    "unrepaired": (
        *("my complaint is still open", "Still waiting for the refund", "it was never fixed"),
        *("no reply to my letter", "nobody took care of it"),
    ),
    "competitor": (
        *("it is cheaper elsewhere", "another supplier made me a better offer"),
        *("the price", "a competitor has more for the money", "they are nearer"),
    ),
    "boredom": (
        *("always the same", "I am tired of it", "nothing new for months"),
        *("a bit boring by now", "I wanted something else"),
    ),
}
GIVERS = tuple(ANSWERS)
_CODES = np.array([GIVERS.index(c if c in ANSWERS else "service_failure") for c in CAUSES])


def true_reason(orders: Orders, o: Longs) -> Longs:
    """Return the place in GIVERS of what ended the relation, or else came nearest to it."""
    nearest = SERVICE_FAILURE + orders.uncalled[o][:, SERVICE_FAILURE:].argmax(axis=1)
    return _CODES[np.where(orders.fired[o] >= BASE, orders.fired[o], nearest)]


def stated(rng: np.random.Generator, orders: Orders, o: Longs, p: Simulate) -> pa.Array:
    """Return the answers of customers at these orders, in their own words; null without one."""
    answered = orders.called[o] & (rng.random(len(o)) < p.stated_answer)
    other = rng.integers(1, len(GIVERS), len(o))
    wrong = rng.random(len(o)) >= p.stated_true
    giver = (true_reason(orders, o) + np.where(wrong, other, 0)) % len(GIVERS)
    drawn, words = rng.random(len(o)), [answer for each in ANSWERS.values() for answer in each]
    sizes = np.array([len(each) for each in ANSWERS.values()])
    place = (np.cumsum(sizes) - sizes)[giver] + (drawn * sizes[giver]).astype(np.int64)
    return pa.array(words).take(pa.array(place, mask=~answered))
