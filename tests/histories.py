"""Hypothesis strategies for histories, small ones first.

Days lie close to the edges of windows, SLAs and masks.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from situations import CRITICAL, MINOR, Complaint, Customer, Order, Return, Touch

from features.records import NEVER

SNAPSHOT = 1000  # or a day near it
AGES = sorted(
    {max(age + off, -3) for age in (0, 7, 14, 30, 60, 90, 180, 365, 730) for off in (-1, 0, 1)}
)
WAITS = (NEVER, 0, 1, 2, 3, 4, 7, 8, 9, 20, 100, 363, 364, 365, 366, 367, 400)
AMOUNTS = (10.0, 0.0, -5.0, 0.0001, 0.1, 0.2, 7.35, 19.99, 99_999.99)

# The same examples on every machine and in every run.
compare = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

days = st.sampled_from([*(SNAPSHOT - age for age in AGES), *range(0, SNAPSHOT, 47)])
waits = st.sampled_from(WAITS)


def snapshots() -> st.SearchStrategy[int]:
    """A day of the snapshot."""
    return st.integers(SNAPSHOT - 1, SNAPSHOT + 1)


def after(day: int, wait: int) -> int:
    """The day so long after another one."""
    return NEVER if wait == NEVER else day + wait


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """One line."""
    day, amount, quantity = (
        draw(days),
        draw(st.sampled_from(AMOUNTS)),
        draw(st.sampled_from([1, 2.5, 0, -1])),
    )
    sku, category, basket = (
        draw(st.integers(-1, 3)),
        draw(st.integers(-1, 2)),
        draw(st.integers(0, 2)),
    )
    cancelled, promised, delivered = (after(day, draw(waits)) for _ in range(3))
    return Order(day, amount, quantity, cancelled, sku, category, promised, delivered, basket)


@st.composite
def complaints(draw: st.DrawFn) -> Complaint:
    """One complaint."""
    day = draw(days)
    resolved, reopened = after(day, draw(waits)), after(day, draw(waits))
    return Complaint(
        day, draw(st.integers(MINOR, CRITICAL)), resolved, reopened, draw(st.integers(-1, 2))
    )


@st.composite
def customers(draw: st.DrawFn) -> Customer:
    """A customer whose every row may be odd.

    Some purchases come at a steady pace, which makes many IPTs and long runs.
    """
    lines = draw(st.lists(orders(), max_size=6))
    start, pace, count = (
        draw(st.integers(0, 900)),
        draw(st.integers(1, 40)),
        draw(st.integers(0, 12)),
    )
    lines += [Order(start + k * pace, sku=1, category=0) for k in range(count)]
    returned = st.builds(
        Return,
        days,
        st.sampled_from([amount for amount in AMOUNTS if amount >= 0]),
        st.booleans(),
        st.integers(-1, 2),
        st.sampled_from([NEVER, *range(0, SNAPSHOT + 2, 53)]),
    )
    return Customer(
        lines,
        draw(st.lists(returned, max_size=3)),
        draw(st.lists(complaints(), max_size=3)),
        draw(st.lists(st.builds(Touch, days), max_size=2)),
        draw(st.integers(0, SNAPSHOT + 1)),
    )
