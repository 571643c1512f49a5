"""When a customer usually buys, against a reference implementation."""

from collections import Counter

import numpy as np
from reference_features import bought
from situations import past_of, random_customers, states_at, tables_of


def reference_habit(kinds: list[int]) -> int:
    """The most frequent kind, of several the one seen last.

    -1 without any. `kinds` in the order of time.
    """
    counts = Counter(kinds)
    return (
        max(counts, key=lambda kind: (counts[kind], len(kinds) - kinds[::-1].index(kind)))
        if kinds
        else -1
    )


def test_habits_are_those_of_the_purchases_of_a_year() -> None:
    customers, seen = random_customers(31, 80), set()
    for (number, snapshot), row in states_at(tables_of(*customers), *range(100, 1500, 130)).items():
        days = [day for day in sorted(bought(customers[number], snapshot)) if day >= snapshot - 365]
        months = np.array(days, "datetime64[D]").astype("datetime64[M]").astype(int) % 12
        habits = int(row["purchases_365d"]), int(row["weekday"]), int(row["month"])
        assert habits == (
            len(days),
            reference_habit([(day + 3) % 7 for day in days]),
            reference_habit(months.tolist()),
        )
        seen.add(habits[1])
    assert seen == set(range(-1, 7))


def test_the_first_of_january_1970_was_a_thursday() -> None:
    row = states_at(past_of(orders=[0]), 1)[0, 1]
    assert (row["weekday"], row["month"]) == (3, 0)
