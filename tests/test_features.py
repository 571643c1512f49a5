"""Every feature column against its naive twin: plain Python, written from the column's meaning alone."""

import datetime as dt
import functools
import itertools
import math
import statistics
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from situations import (
    CRITICAL,
    MAJOR,
    MINOR,
    Complaint,
    Customer,
    Order,
    columns,
    features_at,
    params,
    past_of,
    random_customers,
    shop,
    tables_of,
)  # fmt: skip

from features.catalogue import FAMILIES, recorded
from features.columns import Column
from features.records import NEVER, Shop
from pipeline.contract import TABLES

EPOCH = dt.date(1970, 1, 1)
SNAPSHOTS = (90, 91, 250, 400, 777, 1500)
CUSTOMERS = random_customers(seed=2, count=250)
COLUMNS = columns()
BY_NAME = {column.name: column for column in COLUMNS}


def bought_lines(seen: Customer, snapshot: int) -> list[Order]:
    """Paid lines not cancelled, as known at the snapshot."""
    return [o for o in sorted(seen.orders) if o.day < snapshot and o.amount > 0 and o.quantity > 0 and not o.cancelled < snapshot]


def bought(seen: Customer, snapshot: int) -> dict[int, list[float]]:
    """Paid amounts of each day with a purchase, as known at the snapshot."""
    days = defaultdict(list)
    for line in bought_lines(seen, snapshot):
        days[line.day].append(line.amount)
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
    for window in params().windows.counts:
        told[f"purchases_in_{window}d"] = sum(snapshot - day <= window for day in days)
        told[f"spend_in_{window}d"] = math.fsum(value for day, value in spend.items() if snapshot - day <= window)
    told["spend"] = math.fsum(spend.values())
    told["net_spend_365d"] = math.fsum(v for d, v in spend.items() if snapshot - d <= 365) - math.fsum(
        r.amount for r in returns if snapshot - r.day <= 365
    )
    told |= naive_complaints(seen, snapshot, of) | naive_returns(seen, snapshot) | naive_service(seen, snapshot, of)
    touched = [t.day for t in seen.touches if t.day < snapshot]
    told |= {"touches": len(touched), "touches_90d": sum(snapshot - day <= 90 for day in touched)}
    if touched:
        told["days_since_touch"] = snapshot - max(touched)
    if days:
        told |= naive_rhythm_columns(sorted(days), snapshot, of) | naive_variety(seen, snapshot)
        basket = statistics.fmean(spend.values())
        for window in params().windows.trends:
            ages = [snapshot - day for day in days]
            paid = [math.fsum(v for d, v in spend.items() if low < snapshot - d <= low + window) for low in (0, window)]
            told[f"spend_trend_{window}d"] = (paid[0] + basket) / (paid[1] + basket)
            recent, older = (sum(low < age <= low + window for age in ages) for low in (0, window))
            told[f"purchase_trend_{window}d"] = (recent + 1) / (older + 1)
        if told["spend_in_365d"] > 0:
            told["returned_share_365d"] = math.fsum(r.amount for r in returns if snapshot - r.day <= 365) / told["spend_in_365d"]
        told |= {
            "purchase_rate": len(days) / (snapshot - min(days)),
            "lines_per_purchase": statistics.fmean(len(amounts) for amounts in days.values()),
            "basket_mean": basket,
            "basket_last_over_mean": spend[max(days)] / basket,
            "spend_share_90d": told["spend_in_90d"] / told["spend"],
            "returns_per_purchase": len(returns) / len(days),
            "complaints_per_purchase": told["complaints"] / len(days),
        }
    return told


def naive_rhythm_columns(days: list[int], snapshot: int, of: Shop) -> dict[str, float]:
    """Recency and cadence of a customer who has bought."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
    silence = snapshot - days[-1]
    cycle, spread = naive_rhythm(gaps, of)
    told = {
        "recency_days": silence,
        "tenure_days": snapshot - days[0],
        "cycle_days": cycle,
        "cycle_log_sd": spread,
        "expected_next_days": cycle - silence,
        "weekday_top_share": max(Counter(day % 7 for day in days).values()) / len(days),
        "month_top_share": max(Counter((EPOCH + dt.timedelta(day)).month for day in days).values()) / len(days),
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
            "gap_regular_share": statistics.fmean(0.75 <= gap / statistics.median(gaps) <= 1.25 for gap in gaps),
        }
    if len(gaps) >= 2:
        told |= {"gap_sd": statistics.stdev(gaps), "gap_cv": statistics.stdev(gaps) / statistics.fmean(gaps)}
    return told


def naive_complaints(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """What went wrong, and how fast it was mended."""
    promised = {MINOR: of.promise.minor, MAJOR: of.promise.major, CRITICAL: of.promise.critical}
    cases = [c for c in seen.complaints if c.opened < snapshot]
    year = [c for c in cases if snapshot - c.opened <= 365]

    def is_open(case: Complaint) -> bool:
        return case.resolved >= snapshot or case.resolved <= case.reopened < snapshot

    def over_promise(case: Complaint) -> float:
        return float(((snapshot if is_open(case) else case.resolved) - case.opened) / promised[case.severity])

    still_open = [c for c in cases if is_open(c)]
    opened = sorted(c.opened for c in cases)
    days = sorted(bought(seen, snapshot))
    soon = 4 * naive_rhythm([later - earlier for earlier, later in itertools.pairwise(days)], of)[0]

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
        "complaint_repeated": any(late - early <= soon and snapshot - late <= 365 for early, late in itertools.pairwise(opened)),
    }
    if cases:
        told["days_since_complaint"] = min(snapshot - c.opened for c in cases)
    return told


def naive_returns(seen: Customer, snapshot: int) -> dict[str, float]:
    """What was sent back."""
    ages = [snapshot - r.day for r in seen.returns if r.day < snapshot]
    told: dict[str, float] = {"returns": len(ages), "returns_365d": sum(age <= 365 for age in ages)}
    told["defect_returns_365d"] = sum(r.defect and 0 < snapshot - r.day <= 365 for r in seen.returns)
    return told | ({"days_since_return": min(ages)} if ages else {})


def naive_service(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """Orders not delivered as promised, and those cancelled."""
    orders = defaultdict(list)
    for line in seen.orders:
        if line.day < snapshot and line.amount > 0 and line.quantity > 0:
            orders[line.day, line.basket].append(line)
    delays, due_ages, late_ages, waiting, cancelled = [], [], [], 0, 0
    for lines in orders.values():
        delivered, given_up = (max(getattr(line, field) for line in lines) for field in ("delivered", "cancelled"))
        delivered, given_up = (day if day < snapshot else NEVER for day in (delivered, given_up))
        cancelled += snapshot - given_up in range(1, 366)
        promised = max((line.promised for line in lines if line.promised != NEVER), default=None)
        if promised is None or promised + of.promise.delivery_grace >= snapshot or given_up <= promised + of.promise.delivery_grace:
            continue
        age = snapshot - promised - of.promise.delivery_grace
        waiting += delivered == given_up == NEVER
        late = delivered > promised + of.promise.delivery_grace
        late_ages += [age] if late else []
        if age <= 365:
            due_ages.append(age)
            delays.append(min(delivered, given_up, snapshot) - promised)
    late_orders = sum(age <= 365 for age in late_ages)
    told = {"late_orders_365d": late_orders, "undelivered": waiting, "cancelled_orders_365d": cancelled}
    told["longest_delay_days_365d"] = max([0, *delays])
    return (
        told
        | ({"late_share_365d": late_orders / len(due_ages)} if due_ages else {})
        | ({"days_since_late": min(late_ages)} if late_ages else {})
    )


def naive_variety(seen: Customer, snapshot: int) -> dict[str, float]:
    """How many different things, and for how long the same."""
    lines = bought_lines(seen, snapshot)
    year = [line for line in lines if snapshot - line.day <= 365]
    products, categories = (Counter(getattr(line, f) for line in year if getattr(line, f) >= 0) for f in ("sku", "category"))
    told: dict[str, float] = {"products_365d": len(products), "categories_365d": len(categories)}
    for name, counts in (("product", products), ("category", categories)):
        if counts:
            told[f"{name}_concentration_365d"] = sum((count / counts.total()) ** 2 for count in counts.values())
    first_bought = {sku: min(line.day for line in lines if line.sku == sku) for sku in {line.sku for line in lines} - {-1}}
    if products:
        told["new_item_share_365d"] = sum(snapshot - day <= 365 for day in first_bought.values()) / products.total()
    if first_bought:
        told["days_since_new_item"] = snapshot - max(first_bought.values())
    held = [{line.sku for line in lines if line.day == day} - {-1} for day in sorted({line.day for line in lines})]
    told["same_item_run"] = max((len(list(itertools.takewhile(lambda of_day: sku in of_day, held[::-1]))) for sku in held[-1]), default=0)
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
    assert len({v for v in values if not math.isnan(v)}) > (column.unit != "0 or 1")


def test_a_prospect_has_no_rhythm_and_has_bought_nothing() -> None:
    row = features_at(past_of(known=0, complaints=[(20, 0)], touches=[12]), 10)[0, 10]
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


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_what_a_shop_does_not_record_is_absent(column: Column) -> None:
    everything = {table.name: table.names for table in TABLES.values()}
    assert recorded(column, everything)
    for need in column.needs:
        table, _, name = need.partition(".")
        less = {t: [n for n in names if t != table or n != name] for t, names in everything.items() if name or t != table}
        assert not recorded(column, less)


def test_a_shop_of_nothing_but_orders_has_what_they_tell() -> None:
    told = {column.name for column in COLUMNS if recorded(column, {"orders": ["customer_id", "order_id", "ordered_at"]})}
    assert {"recency_days", "purchases_in_30d", "gap_cv", "tenure_days"} <= told
    assert not told & {"returns", "complaints", "touches", "late_share_365d", "same_item_run", "categories_365d", "cancelled_orders_365d"}


def test_column_names_are_unique() -> None:
    assert len(BY_NAME) == len(COLUMNS)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_says_what_it_is(column: Column) -> None:
    assert column.unit
    assert column.meaning
    assert column.direction in {-1, 0, 1}
    assert "{" not in column.name + column.meaning


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_family_says_what_it_is(family: Any) -> None:
    assert family.__doc__
    assert getattr(family, family.__name__.removeprefix("features.")).__doc__


def later(seen: Customer, days: int) -> Customer:
    """The same life, so many days later."""

    def moved(day: int) -> int:
        return day if day == NEVER else day + days

    dates = {"day", "cancelled", "promised", "delivered", "opened", "resolved", "reopened"}

    def moved_all(rows: Any) -> Any:
        return [row._replace(**{f: moved(getattr(row, f)) for f in dates & set(row._fields)}) for row in rows]

    return Customer(*(moved_all(rows) for rows in seen[:-1]), known=seen.known + days)


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
    if change == "a year of weeks later":
        found = features_at(tables_of(*(later(c, 364) for c in CUSTOMERS)), *(s + 364 for s in SNAPSHOTS))
    elif change == "more customers":
        found = features_at(tables_of(*CUSTOMERS, *random_customers(seed=3, count=20)), *SNAPSHOTS)
    elif change == "one by one":
        found = {(i, s): row for i, c in enumerate(CUSTOMERS) for (_, s), row in features_at(tables_of(c), *SNAPSHOTS).items()}
    else:
        found = features_at(tables_of(*(dearer(c) if change == "dearer" else split(c) for c in CUSTOMERS)), *SNAPSHOTS)
    return [row for (c, _), row in found.items() if c < len(CUSTOMERS)]


@pytest.mark.parametrize("change", ["a year of weeks later", "more customers", "one by one", "dearer", "split"])
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_does_not_change_with_what_says_nothing_about_the_customer(column: Column, change: str) -> None:
    before = np.array([row[column.name] for row, _ in compared()])
    after = np.array([row[column.name] for row in rows_of(change)])
    if change == "dearer":
        np.testing.assert_allclose(after, before * (100 if column.unit == "currency" else 1), rtol=1e-6)
    elif change == "split" and column.name == "lines_per_purchase":
        np.testing.assert_array_equal(after, before * 2)
    elif change == "split" and column.name == "new_item_share_365d":  # only one of the two lines is the first
        np.testing.assert_array_equal(after, before / 2)
    elif change == "a year of weeks later" and column.name == "month_top_share":  # 364 days are not a year
        assert np.nanmean(after == before) > 0.5
    else:
        np.testing.assert_array_equal(after, before)


def test_an_order_cancelled_later_counts_until_the_day_it_is_cancelled() -> None:
    tables = past_of(orders=[0, (10, 20, 1, 15)])
    purchases = {at: row["purchases"] for (_, at), row in features_at(tables, 10, 11, 15, 16).items()}
    assert purchases == {10: 1, 11: 2, 15: 2, 16: 1}
