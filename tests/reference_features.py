"""The reference implementation of every feature: plain Python, written from the meaning alone."""

import datetime as dt
import itertools
import math
import statistics
from collections import Counter, defaultdict

import numpy as np
from situations import CRITICAL, MAJOR, MINOR, Complaint, Customer, Order

from features.records import NEVER, Shop

EPOCH = dt.date(1970, 1, 1)


def bought_lines(customer: Customer, snapshot: int) -> list[Order]:
    """Paid lines not cancelled, as known at the snapshot."""
    return [
        o
        for o in sorted(customer.orders)
        if o.day < snapshot and o.amount > 0 and o.quantity > 0 and not o.cancelled < snapshot
    ]


def bought(customer: Customer, snapshot: int) -> dict[int, list[float]]:
    """Paid amounts of each day with a purchase, as known at the snapshot."""
    days = defaultdict(list)
    for line in bought_lines(customer, snapshot):
        days[line.day].append(line.amount)
    return days


def reference_ipt(gaps: list[int], shop: Shop) -> tuple[float, float]:
    """Expected IPT and log-sd, both shrunk: prior weight k, the last L IPTs."""
    k, logs = shop.ipt.prior_weight, [math.log(g) for g in gaps[-shop.ipt.last_gaps :]]
    mean = (k * math.log(shop.expected_ipt) + sum(logs)) / (k + len(logs))
    variance = (k * shop.log_sd**2 + sum((x - mean) ** 2 for x in logs)) / (k + len(logs))
    return math.exp(mean), math.sqrt(variance)


def reference_features(customer: Customer, snapshot: int, shop: Shop) -> dict[str, float]:
    """All columns that the past determines."""
    days = bought(customer, snapshot)
    spend = {day: math.fsum(amounts) for day, amounts in days.items()}
    returns = [r for r in customer.returns if r.day < snapshot]
    values: dict[str, float] = {"known_days": snapshot - customer.known, "purchases": len(days)}
    for window in shop.counts:
        values[f"purchases_in_{window}d"] = sum(snapshot - day <= window for day in days)
        values[f"spend_in_{window}d"] = math.fsum(
            value for day, value in spend.items() if snapshot - day <= window
        )
    values["spend"] = math.fsum(spend.values())
    paid_in_year = math.fsum(value for day, value in spend.items() if snapshot - day <= 365)
    back_in_year = math.fsum(r.amount for r in returns if snapshot - r.day <= 365)
    values["net_spend_365d"] = paid_in_year - back_in_year
    values |= (
        complaint_features(customer, snapshot, shop)
        | return_features(customer, snapshot)
        | service_features(customer, snapshot, shop)
    )
    touched = [t.day for t in customer.touches if t.day < snapshot]
    values |= {"touches": len(touched), "touches_90d": sum(snapshot - day <= 90 for day in touched)}
    ages = [snapshot - day for day in days]
    for window in shop.trends:
        if max(ages, default=0) >= 364 + window:
            coming, before = (
                sum(low < age <= low + window for age in ages) for low in (364 - window, 364)
            )
            values[f"purchases_year_ago_{window}d"] = coming
            values[f"season_trend_{window}d"] = (coming + 1) / (before + 1)
    if touched:
        values["days_since_touch"] = snapshot - max(touched)
    if days:
        values |= ipt_features(sorted(days), snapshot, shop) | variety_features(customer, snapshot)
        basket = statistics.fmean(spend.values())
        for window in shop.trends:
            paid = [
                math.fsum(v for d, v in spend.items() if low < snapshot - d <= low + window)
                for low in (0, window)
            ]
            values[f"spend_trend_{window}d"] = (paid[0] + basket) / (paid[1] + basket)
            recent, older = (sum(low < age <= low + window for age in ages) for low in (0, window))
            values[f"purchase_trend_{window}d"] = (recent + 1) / (older + 1)
        if paid_in_year > 0:
            values["returned_share_365d"] = back_in_year / paid_in_year
        values |= {
            "purchase_rate": len(days) / (snapshot - min(days)),
            "lines_per_purchase": statistics.fmean(len(amounts) for amounts in days.values()),
            "basket_mean": basket,
            "basket_last_over_mean": spend[max(days)] / basket,
            "spend_share_90d": math.fsum(
                value for day, value in spend.items() if snapshot - day <= 90
            )
            / values["spend"],
            "returns_per_purchase": len(returns) / len(days),
            "complaints_per_purchase": values["complaints"] / len(days),
        }
    return values


def ipt_features(days: list[int], snapshot: int, shop: Shop) -> dict[str, float]:
    """Recency and pattern of a customer with a purchase."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
    recency = snapshot - days[-1]
    ipt, log_sd = reference_ipt(gaps, shop)
    values = {
        "recency_days": recency,
        "tenure_days": snapshot - days[0],
        "ipt_days": ipt,
        "ipt_log_sd": log_sd,
        "expected_next_days": ipt - recency,
        "weekday_top_share": max(Counter(day % 7 for day in days).values()) / len(days),
        "month_top_share": max(Counter((EPOCH + dt.timedelta(day)).month for day in days).values())
        / len(days),
        "recency_over_ipt": recency / ipt,
        "recency_surprise": (math.log(recency) - math.log(ipt)) / log_sd,
    }
    if gaps:
        values |= {
            "gap_mean": statistics.fmean(gaps),
            "gap_median": statistics.median(gaps),
            "gap_q90": float(np.quantile(gaps, 0.9)),
            "gap_max": max(gaps),
            "gap_last_over_mean": gaps[-1] / statistics.fmean(gaps),
            "recency_over_gap_max": recency / max(gaps),
            "gap_share_longer": statistics.fmean(gap >= recency for gap in gaps),
            "gap_regular_share": statistics.fmean(
                0.75 <= gap / statistics.median(gaps) <= 1.25 for gap in gaps
            ),
        }
    if len(gaps) >= 2:
        values |= {
            "gap_sd": statistics.stdev(gaps),
            "gap_cv": statistics.stdev(gaps) / statistics.fmean(gaps),
        }
    return values


def complaint_features(customer: Customer, snapshot: int, shop: Shop) -> dict[str, float]:
    """Complaints, and whether they were resolved within the SLA."""
    sla = {MINOR: shop.sla.minor, MAJOR: shop.sla.major, CRITICAL: shop.sla.critical}
    complaints = [c for c in customer.complaints if c.opened < snapshot]
    year = [c for c in complaints if snapshot - c.opened <= 365]

    def is_open(complaint: Complaint) -> bool:
        return complaint.resolved >= snapshot or complaint.resolved <= complaint.reopened < snapshot

    def over_sla(complaint: Complaint) -> float:
        return float(
            ((snapshot if is_open(complaint) else complaint.resolved) - complaint.opened)
            / sla[complaint.severity]
        )

    still_open = [c for c in complaints if is_open(c)]
    opened = sorted(c.opened for c in complaints)
    days = sorted(bought(customer, snapshot))
    # but for the last bits of logarithms
    soon = (
        4 * reference_ipt([later - earlier for earlier, later in itertools.pairwise(days)], shop)[0]
        + 1e-6
    )
    values = {
        "complaints": len(complaints),
        "complaints_90d": sum(snapshot - c.opened <= 90 for c in complaints),
        "complaints_365d": len(year),
        "complaints_minor_365d": sum(c.severity == MINOR for c in year),
        "complaints_major_365d": sum(c.severity in {MAJOR, CRITICAL} for c in year),
        "complaints_open": len(still_open),
        "complaints_past_sla": sum(over_sla(c) > 1 for c in year),
        "oldest_open_days": max((snapshot - c.opened for c in still_open), default=0),
        "open_over_sla": max(map(over_sla, still_open), default=0),
        "longest_repair_ratio": max(map(over_sla, year), default=0),
        "complaint_repeated": any(
            late - early <= soon and snapshot - late <= 365
            for early, late in itertools.pairwise(opened)
        ),
    }
    if complaints:
        values["days_since_complaint"] = min(snapshot - c.opened for c in complaints)
    return values


def return_features(customer: Customer, snapshot: int) -> dict[str, float]:
    """Returns."""
    ages = [snapshot - r.day for r in customer.returns if r.day < snapshot]
    values: dict[str, float] = {
        "returns": len(ages),
        "returns_365d": sum(age <= 365 for age in ages),
    }
    values["defect_returns_365d"] = sum(
        r.defect and 0 < snapshot - r.day <= 365 for r in customer.returns
    )
    return values | ({"days_since_return": min(ages)} if ages else {})


def service_features(customer: Customer, snapshot: int, shop: Shop) -> dict[str, float]:
    """Orders delivered late, not delivered or cancelled."""
    orders = defaultdict(list)
    for line in customer.orders:
        if line.day < snapshot and line.amount > 0 and line.quantity > 0:
            orders[line.day, line.basket].append(line)
    delays, due_ages, late_ages, waiting, cancelled = [], [], [], 0, 0
    for lines in orders.values():
        delivered, cancelled_on = (
            max(getattr(line, field) for line in lines) for field in ("delivered", "cancelled")
        )
        delivered, cancelled_on = (
            day if day < snapshot else NEVER for day in (delivered, cancelled_on)
        )
        cancelled += snapshot - cancelled_on in range(1, 366)
        promised = max((line.promised for line in lines if line.promised != NEVER), default=None)
        if (
            promised is None
            or promised + shop.sla.delivery_grace >= snapshot
            or cancelled_on <= promised + shop.sla.delivery_grace
        ):
            continue
        age = snapshot - promised - shop.sla.delivery_grace
        waiting += delivered == cancelled_on == NEVER
        late = delivered > promised + shop.sla.delivery_grace
        late_ages += [age] if late else []
        if age <= 365:
            due_ages.append(age)
            delays.append(min(delivered, cancelled_on, snapshot) - promised)
    late_orders = sum(age <= 365 for age in late_ages)
    values = {
        "late_orders_365d": late_orders,
        "undelivered": waiting,
        "cancelled_orders_365d": cancelled,
    }
    values["longest_delay_days_365d"] = max([0, *delays])
    return (
        values
        | ({"late_share_365d": late_orders / len(due_ages)} if due_ages else {})
        | ({"days_since_late": min(late_ages)} if late_ages else {})
    )


def variety_features(customer: Customer, snapshot: int) -> dict[str, float]:
    """Products and categories, new and repeated ones."""
    lines = bought_lines(customer, snapshot)
    year = [line for line in lines if snapshot - line.day <= 365]
    products, categories = (
        Counter(getattr(line, f) for line in year if getattr(line, f) >= 0)
        for f in ("sku", "category")
    )
    values: dict[str, float] = {"products_365d": len(products), "categories_365d": len(categories)}
    for name, counts in (("product", products), ("category", categories)):
        if counts:
            values[f"{name}_concentration_365d"] = sum(
                (count / counts.total()) ** 2 for count in counts.values()
            )
    first_bought = {
        sku: min(line.day for line in lines if line.sku == sku)
        for sku in {line.sku for line in lines} - {-1}
    }
    if products:
        values["new_item_share_365d"] = (
            sum(snapshot - day <= 365 for day in first_bought.values()) / products.total()
        )
    if first_bought:
        values["days_since_new_item"] = snapshot - max(first_bought.values())
    held = [
        {line.sku for line in lines if line.day == day} - {-1}
        for day in sorted({line.day for line in lines})
    ]
    values["same_item_run"] = sum(map(bool, itertools.accumulate(held[::-1], set.intersection)))
    return values
