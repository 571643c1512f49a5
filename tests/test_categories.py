"""Partial defection by category: a fall of a customer against their own past and its trend."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import params
from situations import Customer, Order, customer, random_customers, shop, states_at, tables_of
from small_shop import category_falls

from features.category_rates import CATEGORY
from features.records import NEVER, UNIT
from models.lifecycle.categories import falls, rates
from pipeline.delivery.categories import MONTHS, WORDS, category_list, category_words

RULES = params().categories
TEA, STATIONERY = 0, 1
EVERY = 10  # days between two purchases


def judged(*customers: Customer, snapshot: int = 1000) -> pd.DataFrame:
    """One row per customer and category that can be compared, as (customer, category)."""
    owners, rows = rates(tables_of(*customers), snapshot, shop(EVERY), RULES)
    frame = pd.DataFrame({name: rows[name] for name in CATEGORY.names or ()})
    frame = frame.assign(customer=owners, **falls(rows, RULES)._asdict())
    return frame.set_index(["customer", "category"])


def buyer(stationery: list[float], tea: float = 10, last: int = 995) -> Customer:
    """A customer who buys tea at each purchase and stationery for these amounts, 0 for none."""
    orders = []
    for i, amount in enumerate(stationery):
        day = last - EVERY * (len(stationery) - 1 - i)
        orders.append(Order(day, tea, category=TEA))
        orders += [Order(day, amount, category=STATIONERY)] if amount else []
    return customer(orders=orders)


STEADY = [8.0, 12.0] * 12
STOPPED = [*STEADY[:18], *[0.0] * 6]
FALLEN = [*STEADY[:19], 3.0, 2.0, 4.0, 2.0, 4.0]


def others(amounts: list[float], count: int = 30) -> list[Customer]:
    return [buyer(amounts) for _ in range(count)]


@pytest.mark.parametrize(("amounts", "lost"), [(STEADY, False), (STOPPED, True), (FALLEN, True)])
def test_a_customer_is_listed_for_the_category_that_stopped_or_fell_and_for_no_other(
    amounts: list[float], lost: bool
) -> None:
    rows = judged(buyer(amounts), *others(STEADY))
    assert rows.index[rows["listed"]].tolist() == ([(0, STATIONERY)] if lost else [])
    if amounts is STOPPED:
        assert rows.loc[(0, STATIONERY), "last_on"] == 995 - 6 * EVERY
        assert rows.loc[(0, STATIONERY), "fall"] == 1
        assert rows.loc[(0, STATIONERY), "evidence"] > 0.9


def test_a_category_that_falls_for_everybody_is_no_defection_of_anybody() -> None:
    everybody = judged(*others(FALLEN))
    assert everybody.loc[(0, STATIONERY), "trend"] == pytest.approx(-0.7, abs=0.01)
    assert not everybody["listed"].any()


def test_the_trend_is_that_of_the_others_alone_and_unknown_with_few_of_them() -> None:
    with_many = judged(buyer(STOPPED), *others(FALLEN)).loc[(0, STATIONERY), "trend"]
    assert with_many == judged(buyer(FALLEN), *others(FALLEN)).loc[(0, STATIONERY), "trend"]
    few = judged(*others(FALLEN, RULES.min_others))
    assert set(few["trend"]) == {0.0}
    assert few["listed"].any()


@pytest.mark.parametrize("bought", range(RULES.min_purchases))
def test_a_category_bought_once_or_twice_is_never_listed(bought: int) -> None:
    amounts = [10.0] * bought + [0.0] * (24 - bought)
    rows = judged(buyer(amounts), *others(STEADY))
    assert (0, STATIONERY) not in rows.index


def test_a_customer_who_has_lapsed_has_left_altogether_and_is_not_listed() -> None:
    assert 0 not in judged(buyer(STOPPED, last=700), *others(STEADY)).index


def test_what_comes_at_or_after_the_snapshot_changes_nothing() -> None:
    seen = [buyer(STOPPED), *others(STEADY, 25)]
    more = [c._replace(orders=[*c.orders, Order(1000, 99, category=STATIONERY)]) for c in seen]
    pd.testing.assert_frame_equal(judged(*seen), judged(*more))


def reference(seen: Customer, snapshot: int) -> dict[int, dict[str, Any]]:
    """The rows of one customer in plain Python, from the definition."""
    lines = [
        o for o in seen.orders
        if o.day < snapshot and o.quantity > 0 and round(o.amount * UNIT) > 0
        and o.cancelled >= snapshot
    ]  # fmt: skip
    days = sorted({o.day for o in lines})
    rows = {}
    for category in {o.category for o in lines} - {-1}:
        own = [o for o in lines if o.category == category]
        recent = sorted({o.day for o in own if days[-1] - o.day <= RULES.history_days})
        if len(recent) < 2:
            continue
        usual = (recent[-1] - recent[0]) / (len(recent) - 1)
        usual_days = math.ceil(RULES.usual_purchases * usual - 1e-6)
        length = max(usual_days, days[-1] - recent[-1])
        since = days[-1] - length
        length_before = min(RULES.before_windows * usual_days, max(0, since - days[0] + 1))

        def spend(first: int, last: int, own: list[Order] = own) -> list[float]:
            """The spend of each day after the first and up to the last with the category."""
            per_day = {o.day: 0.0 for o in own if first < o.day <= last}
            for o in own:
                if o.day in per_day:
                    per_day[o.day] += o.amount
            return [*per_day.values()]

        def others(first: int, last: int, category: int = category) -> int:
            return len({o.day for o in lines if first < o.day <= last and o.category != category})

        now, before = spend(since, days[-1]), spend(since - length_before, since)
        if len(before) >= RULES.min_purchases:
            rows[category] = {
                "days": length,
                "days_before": length_before,
                "since": since,
                "now": len(now),
                "before": len(before),
                "others_now": others(since, days[-1]),
                "others_before": others(since - length_before, since),
                "spend_now": sum(now),
                "spend_before": sum(before),
                "squares_before": sum(s**2 for s in before),
                "spend_365d": sum(o.amount for o in own if snapshot - o.day <= 365),
                "first_on": recent[0],
                "last_on": recent[-1],
            }
    return rows


def test_the_kernel_agrees_with_the_reference_on_random_customers() -> None:
    people = [
        c._replace(orders=[o._replace(cancelled=NEVER) if i % 2 else o for o in c.orders])
        for i, c in enumerate(random_customers(5, 400, 2500))
    ]
    snapshot, tables, of = 1500, tables_of(*people), shop(1000)
    owners, rows = rates(tables, snapshot, of, RULES)
    seen = {
        (owner, int(row["category"])): row for owner, row in zip(owners.tolist(), rows, strict=True)
    }
    states = states_at(tables, snapshot, of=of)
    buying = {owner for (owner, _), state in states.items() if state["scored"]}
    expected = {
        (owner, category): row
        for owner in buying
        for category, row in reference(people[owner], snapshot).items()
    }
    assert len(expected) > 20
    assert seen.keys() == expected.keys()
    for key, row in expected.items():
        assert {name: seen[key][name] for name in row} == pytest.approx(row)


def drawn(random: np.random.Generator, share: float, size: int) -> list[float]:
    bought = random.random(size) < share
    return [float(x) for x in np.where(bought, random.gamma(4, 2.5, size).round(2), 0)]


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_chance_alone_lists_few_customers_and_a_stop_lists_most(share: float) -> None:
    random, purchases = np.random.default_rng(3), 100
    silent = math.ceil(1.5 * RULES.usual_purchases / share)
    steady = [buyer(drawn(random, share, purchases)) for _ in range(600)]
    gone = [buyer([*drawn(random, share, purchases - silent), *[0.0] * silent]) for _ in range(60)]
    rows = judged(*steady, *gone)["listed"].xs(STATIONERY, level="category")
    assert rows[rows.index < 600].mean() < 0.03
    assert rows[rows.index >= 600].mean() > 0.9


SCORED = pd.DataFrame({"customer_id": ["a", "b"], "contact": ["call", "none"]})


def test_the_list_is_ordered_by_what_is_missing_a_year_and_its_evidence() -> None:
    rows = category_list(category_falls("a", "b"), SCORED, "2025-09-01").to_pandas()
    assert rows["category"].tolist() == ["tea", "stationery", "paper"]
    assert rows["lost_365d"].tolist() == [182.5, 121.67, 36.5]
    assert rows["change"].tolist() == ["fell", "stopped", "fell"]
    assert rows["contact"].tolist() == ["none", "call", "call"]


def test_who_may_not_be_profiled_is_not_on_the_list() -> None:
    rows = category_list(
        category_falls("a", "b"), SCORED[SCORED["customer_id"] == "a"], "2025-09-01"
    )
    assert set(rows["customer_id"].to_pylist()) == {"a"}


def test_a_shop_without_a_fall_has_an_empty_list() -> None:
    nothing = category_falls("a", "b").slice(0, 0)
    assert len(category_list(nothing, SCORED, "2025-09-01")) == 0
    assert len(category_words(category_list(nothing, SCORED, "2025-09-01"), "en")) == 0


@pytest.mark.parametrize(
    ("language", "of_a", "of_b"),
    [
        ("en", "stopped buying stationery since May 2025, usually every 20 days; tea unchanged",
         "75 % less spent on tea since May 2025, usually every 20 days"),
        ("de",
         "seit Mai 2025 nichts mehr aus stationery gekauft, sonst alle 20 Tage; tea unverändert",
         "seit Mai 2025 75 % weniger für tea ausgegeben, sonst alle 20 Tage"),
        ("it",
         "da maggio 2025 nessun acquisto di stationery, di solito ogni 20 giorni; tea come prima",
         "da maggio 2025 75 % in meno spesi per tea, di solito ogni 20 giorni"),
    ],
)  # fmt: skip
def test_the_words_name_the_first_fall_and_what_did_not_change(
    language: str, of_a: str, of_b: str
) -> None:
    words = category_words(category_list(category_falls("a", "b"), SCORED, "2025-09-01"), language)
    assert dict(zip(*words.to_pydict().values(), strict=True)) == {"a": of_a, "b": of_b}


def test_each_language_has_all_months_and_words() -> None:
    assert MONTHS.keys() == WORDS.keys()
    assert {len(names.split()) for names in MONTHS.values()} == {12}


def test_the_judgement_of_no_rows_is_empty() -> None:
    assert all(len(each) == 0 for each in falls(np.zeros(0, CATEGORY), RULES))
