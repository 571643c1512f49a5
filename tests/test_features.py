"""Every feature column against its naive twin: plain Python, written from the column's meaning alone."""

import functools
import math
import statistics
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from situations import CRITICAL, MAJOR, MINOR, Customer, Order, customer, features_at, past_of, random_customers, shop, tables_of

from features.catalogue import COLUMNS, available
from features.columns import Column
from features.history import NEVER, Shop

SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=250)
BY_NAME = {column.name: column for column in COLUMNS}


def bought(seen: Customer, snapshot: int) -> dict[int, list[float]]:
    """Paid amounts of each day with a purchase, as known at the snapshot."""
    days = defaultdict(list)
    for day, amount, quantity, cancelled in sorted(seen.orders):
        if day < snapshot and amount > 0 and quantity > 0 and not cancelled < snapshot:
            days[day].append(amount)
    return days


def naive_rhythm(gaps: list[int], of: Shop) -> tuple[float, float]:
    """Usual gap and spread, both shrunk (domain rule: prior weight k, the last L gaps)."""
    k, logs = of.cycle.prior_weight, [math.log(g) for g in gaps[-of.cycle.last_gaps :]]
    centre = (k * math.log(of.usual_gap) + sum(logs)) / (k + len(logs))
    spread = (k * of.log_sd**2 + sum((x - centre) ** 2 for x in logs)) / (k + len(logs))
    return math.exp(centre), math.sqrt(spread)


def naive(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """All columns that the past has something to tell about."""
    days = bought(seen, snapshot)
    spend = {day: math.fsum(amounts) for day, amounts in days.items()}
    returns = [r for r in seen.returns if r.day < snapshot]
    told: dict[str, float] = {"known_days": snapshot - seen.known, "purchases": len(days)}
    for window in (14, 30, 60, 90, 180, 365):
        told[f"purchases_{window}d"] = sum(snapshot - day <= window for day in days)
    for window in (30, 90, 180):
        told[f"spend_{window}d"] = math.fsum(value for day, value in spend.items() if snapshot - day <= window)
    told["spend"] = math.fsum(spend.values())
    told["returns_365d"] = sum(snapshot - r.day <= 365 for r in returns)
    told["net_spend_365d"] = math.fsum(v for d, v in spend.items() if snapshot - d <= 365) - math.fsum(
        r.amount for r in returns if snapshot - r.day <= 365
    )
    told |= naive_complaints(seen, snapshot, of)
    if days:
        told |= naive_rhythm_columns(sorted(days), snapshot, of)
        basket = statistics.fmean(spend.values())
        older = told["spend_180d"] - told["spend_90d"]
        told |= {
            "purchase_rate": len(days) / (snapshot - min(days)),
            "purchase_trend_90d": (told["purchases_90d"] + 1) / (told["purchases_180d"] - told["purchases_90d"] + 1),
            "purchase_trend_30d": (told["purchases_30d"] + 1) / (told["purchases_60d"] - told["purchases_30d"] + 1),
            "lines_per_purchase": statistics.fmean(len(amounts) for amounts in days.values()),
            "basket_mean": basket,
            "basket_last_over_mean": spend[max(days)] / basket,
            "spend_trend_90d": (told["spend_90d"] + basket) / (older + basket),
            "spend_share_90d": told["spend_90d"] / told["spend"],
            "return_share": len(returns) / len(days),
            "complaints_per_purchase": told["complaints"] / len(days),
        }
    return told


def naive_rhythm_columns(days: list[int], snapshot: int, of: Shop) -> dict[str, float]:
    """Recency and cadence of a customer who has bought."""
    gaps = [later - earlier for earlier, later in zip(days, days[1:], strict=False)]
    silence = snapshot - days[-1]
    cycle, spread = naive_rhythm(gaps, of)
    told = {
        "recency_days": silence,
        "tenure_days": snapshot - days[0],
        "cycle_days": cycle,
        "cycle_log_sd": spread,
        "recency_over_cycle": silence / cycle,
        "recency_surprise": (math.log(silence) - math.log(cycle)) / spread,
    }
    if gaps:
        told |= {
            "gap_mean": statistics.fmean(gaps),
            "gap_median": statistics.median(gaps),
            "gap_q90": float(np.quantile(gaps, 0.9)),
            "gap_max": max(gaps),
            "gap_last_over_mean": gaps[-1] / statistics.fmean(gaps),
            "recency_over_gap_max": silence / max(gaps),
            "gap_share_longer": statistics.fmean(gap >= silence for gap in gaps),
        }
    if len(gaps) >= 2:
        told |= {"gap_sd": statistics.stdev(gaps), "gap_cv": statistics.stdev(gaps) / statistics.fmean(gaps)}
    return told


def naive_complaints(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """What went wrong, and how fast it was mended."""
    promised = {MINOR: of.promise.minor, MAJOR: of.promise.major, CRITICAL: of.promise.critical}
    cases = [c for c in seen.complaints if c.opened < snapshot]
    still_open = [c for c in cases if c.resolved >= snapshot]
    year = [c for c in cases if snapshot - c.opened <= 365]

    def over_promise(case: Any) -> float:
        return float((min(case.resolved, snapshot) - case.opened) / promised[case.severity])

    told = {
        "complaints": len(cases),
        "complaints_90d": sum(snapshot - c.opened <= 90 for c in cases),
        "complaints_365d": len(year),
        "complaints_minor_365d": sum(c.severity == MINOR for c in year),
        "complaints_major_365d": sum(c.severity in {MAJOR, CRITICAL} for c in year),
        "complaints_open": len(still_open),
        "complaints_past_promise": sum(over_promise(c) > 1 for c in year),
        "oldest_open_days": max((snapshot - c.opened for c in still_open), default=0),
        "open_over_promise": max(map(over_promise, still_open), default=0),
        "longest_repair_ratio": max(map(over_promise, year), default=0),
    }
    if cases:
        told["days_since_complaint"] = min(snapshot - c.opened for c in cases)
    return told


@functools.cache
def compared() -> list[tuple[Any, dict[str, float]]]:
    """Kernel's row and twin's, for every random customer and snapshot."""
    found = features_at(tables_of(*CUSTOMERS), *SNAPSHOTS)
    return [(row, naive(CUSTOMERS[c], snapshot, shop())) for (c, snapshot), row in found.items()]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_is_what_its_meaning_says(column: Column) -> None:
    told = [twin.get(column.name, column.absent) for _, twin in compared()]
    made = [row[column.name] for row, _ in compared()]
    np.testing.assert_allclose(made, told, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_the_random_histories_exercise_every_column(column: Column) -> None:
    values = {float(row[column.name]) for row, _ in compared()} - {column.absent}
    assert len({v for v in values if not math.isnan(v)}) > 1


def test_a_prospect_has_no_rhythm_and_has_bought_nothing() -> None:
    row = features_at(past_of(known=0, touches=[5]), 10)[0, 10]
    told = {name: float(row[name]) for name in BY_NAME if not math.isnan(row[name]) and row[name] != 0}
    assert told == {"known_days": 10}


def test_one_purchase_has_no_gap_but_the_rhythm_of_the_shop() -> None:
    row = features_at(past_of(orders=[0]), 45)[0, 45]
    assert math.isnan(row["gap_mean"])
    assert (row["cycle_days"], row["recency_over_cycle"]) == (30, 1.5)


def test_lines_of_one_day_are_one_purchase() -> None:
    row = features_at(past_of(orders=[(0, 10), (0, 5), (30, 20)]), 31)[0, 31]
    assert (row["purchases"], row["spend"], row["lines_per_purchase"]) == (2, 35, 1.5)


@pytest.mark.parametrize("line", [(30, 0), (30, 10, 0), (30, -5), (30, 10, -1)], ids=["free", "none", "credit", "taken back"])
def test_a_line_without_goods_or_price_is_no_purchase(line: tuple[float, ...]) -> None:
    row = features_at(past_of(orders=[(0, 10), line]), 31)[0, 31]
    assert (row["purchases"], row["spend"]) == (1, 10)


def test_a_shop_whose_customers_are_all_as_regular_as_a_clock_has_no_surprises() -> None:
    row = features_at(past_of(orders=[0]), 45, of=shop(log_sd=0))[0, 45]
    assert math.isnan(row["recency_surprise"])


def test_what_a_shop_does_not_record_is_absent() -> None:
    names = {column.name for column in available(["customers", "orders"])}
    assert "recency_days" in names
    assert not any(name.startswith("complaints") or name.startswith("return") for name in names)


def test_column_names_are_unique() -> None:
    assert len(BY_NAME) == len(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_says_what_it_is(column: Column) -> None:
    assert column.unit
    assert column.meaning
    assert column.needs in {"orders", "returns", "complaints"}


def later(seen: Customer, days: int) -> Customer:
    """The same life, so many days later."""

    def moved(day: int) -> int:
        return day if day == NEVER else day + days

    return Customer(
        [o._replace(day=o.day + days, cancelled=moved(o.cancelled)) for o in seen.orders],
        [r._replace(day=r.day + days) for r in seen.returns],
        [c._replace(opened=c.opened + days, resolved=moved(c.resolved)) for c in seen.complaints],
        [t + days for t in seen.touches],
        seen.known + days,
    )


def dearer(seen: Customer) -> Customer:
    """The same life in a currency of a hundred times the numbers."""
    orders = [o._replace(amount=o.amount * 100) for o in seen.orders]
    return seen._replace(orders=orders, returns=[r._replace(amount=r.amount * 100) for r in seen.returns])


def split(seen: Customer) -> Customer:
    """Every line given as two of half the amount."""
    return seen._replace(orders=[o._replace(amount=o.amount / 2) for o in seen.orders for _ in range(2)])


@functools.cache
def rows_of(change: str) -> list[Any]:
    """Feature rows of the random customers after a change that should mean nothing."""
    if change == "ten weeks later":
        found = features_at(tables_of(*(later(c, 70) for c in CUSTOMERS)), *(s + 70 for s in SNAPSHOTS))
    elif change == "more customers":
        found = features_at(tables_of(*CUSTOMERS, *random_customers(seed=3, count=20)), *SNAPSHOTS)
    elif change == "one by one":
        found = {(i, s): row for i, c in enumerate(CUSTOMERS) for (_, s), row in features_at(tables_of(c), *SNAPSHOTS).items()}
    else:
        found = features_at(tables_of(*(dearer(c) if change == "dearer" else split(c) for c in CUSTOMERS)), *SNAPSHOTS)
    return [row for (c, _), row in found.items() if c < len(CUSTOMERS)]


@pytest.mark.parametrize("change", ["ten weeks later", "more customers", "one by one", "dearer", "split"])
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_does_not_change_with_what_says_nothing_about_the_customer(column: Column, change: str) -> None:
    before = np.array([row[column.name] for row, _ in compared()])
    after = np.array([row[column.name] for row in rows_of(change)])
    if change == "dearer":
        np.testing.assert_allclose(after, before * (100 if column.unit == "currency" else 1), rtol=1e-6)
    elif change == "split" and column.name == "lines_per_purchase":
        np.testing.assert_array_equal(after, before * 2)
    else:
        np.testing.assert_array_equal(after, before)


def test_an_order_cancelled_later_counts_until_the_day_it_is_cancelled() -> None:
    tables = tables_of(customer([Order(0), Order(10, 20, 1, 15)]))
    purchases = {at: row["purchases"] for (_, at), row in features_at(tables, 10, 11, 15, 16).items()}
    assert purchases == {10: 1, 11: 2, 15: 2, 16: 1}
