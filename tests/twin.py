"""The naive twin of every feature column: plain Python, written from the column's meaning alone."""

import datetime as dt
import itertools
import math
import statistics
from collections import Counter, defaultdict

import numpy as np
from situations import CRITICAL, MAJOR, MINOR, Complaint, Customer, Order

from features.records import NEVER, Shop

EPOCH = dt.date(1970, 1, 1)


def bought_lines(seen: Customer, snapshot: int) -> list[Order]:
    """Paid lines not cancelled, as known at the snapshot."""
    return [
        o
        for o in sorted(seen.orders)
        if o.day < snapshot and o.amount > 0 and o.quantity > 0 and not o.cancelled < snapshot
    ]


def bought(seen: Customer, snapshot: int) -> dict[int, list[float]]:
    """Paid amounts of each day with a purchase, as known at the snapshot."""
    days = defaultdict(list)
    for line in bought_lines(seen, snapshot):
        days[line.day].append(line.amount)
    return days


def naive_ipt(gaps: list[int], of: Shop) -> tuple[float, float]:
    """Usual gap and spread, both shrunk (domain rule: prior weight k, the last L gaps)."""
    k, logs = of.ipt.prior_weight, [math.log(g) for g in gaps[-of.ipt.last_gaps :]]
    centre = (k * math.log(of.expected_ipt) + sum(logs)) / (k + len(logs))
    spread = (k * of.log_sd**2 + sum((x - centre) ** 2 for x in logs)) / (k + len(logs))
    return math.exp(centre), math.sqrt(spread)


def naive(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """All columns that the past has something to tell about."""
    days = bought(seen, snapshot)
    spend = {day: math.fsum(amounts) for day, amounts in days.items()}
    returns = [r for r in seen.returns if r.day < snapshot]
    told: dict[str, float] = {"known_days": snapshot - seen.known, "purchases": len(days)}
    for window in of.counts:
        told[f"purchases_in_{window}d"] = sum(snapshot - day <= window for day in days)
        told[f"spend_in_{window}d"] = math.fsum(
            value for day, value in spend.items() if snapshot - day <= window
        )
    told["spend"] = math.fsum(spend.values())
    paid_in_year = math.fsum(value for day, value in spend.items() if snapshot - day <= 365)
    back_in_year = math.fsum(r.amount for r in returns if snapshot - r.day <= 365)
    told["net_spend_365d"] = paid_in_year - back_in_year
    told |= (
        naive_complaints(seen, snapshot, of)
        | naive_returns(seen, snapshot)
        | naive_service(seen, snapshot, of)
    )
    touched = [t.day for t in seen.touches if t.day < snapshot]
    told |= {"touches": len(touched), "touches_90d": sum(snapshot - day <= 90 for day in touched)}
    if touched:
        told["days_since_touch"] = snapshot - max(touched)
    if days:
        told |= naive_rhythm_columns(sorted(days), snapshot, of) | naive_variety(seen, snapshot)
        basket = statistics.fmean(spend.values())
        for window in of.trends:
            ages = [snapshot - day for day in days]
            paid = [
                math.fsum(v for d, v in spend.items() if low < snapshot - d <= low + window)
                for low in (0, window)
            ]
            told[f"spend_trend_{window}d"] = (paid[0] + basket) / (paid[1] + basket)
            recent, older = (sum(low < age <= low + window for age in ages) for low in (0, window))
            told[f"purchase_trend_{window}d"] = (recent + 1) / (older + 1)
        if paid_in_year > 0:
            told["returned_share_365d"] = back_in_year / paid_in_year
        told |= {
            "purchase_rate": len(days) / (snapshot - min(days)),
            "lines_per_purchase": statistics.fmean(len(amounts) for amounts in days.values()),
            "basket_mean": basket,
            "basket_last_over_mean": spend[max(days)] / basket,
            "spend_share_90d": math.fsum(
                value for day, value in spend.items() if snapshot - day <= 90
            )
            / told["spend"],
            "returns_per_purchase": len(returns) / len(days),
            "complaints_per_purchase": told["complaints"] / len(days),
        }
    return told


def naive_rhythm_columns(days: list[int], snapshot: int, of: Shop) -> dict[str, float]:
    """Recency and cadence of a customer who has bought."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(days)]
    silence = snapshot - days[-1]
    ipt, spread = naive_ipt(gaps, of)
    told = {
        "recency_days": silence,
        "tenure_days": snapshot - days[0],
        "ipt_days": ipt,
        "ipt_log_sd": spread,
        "expected_next_days": ipt - silence,
        "weekday_top_share": max(Counter(day % 7 for day in days).values()) / len(days),
        "month_top_share": max(Counter((EPOCH + dt.timedelta(day)).month for day in days).values())
        / len(days),
        "recency_over_ipt": silence / ipt,
        "recency_surprise": (math.log(silence) - math.log(ipt)) / spread,
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
            "gap_regular_share": statistics.fmean(
                0.75 <= gap / statistics.median(gaps) <= 1.25 for gap in gaps
            ),
        }
    if len(gaps) >= 2:
        told |= {
            "gap_sd": statistics.stdev(gaps),
            "gap_cv": statistics.stdev(gaps) / statistics.fmean(gaps),
        }
    return told


def naive_complaints(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """What went wrong, and how fast it was mended."""
    promised = {MINOR: of.sla.minor, MAJOR: of.sla.major, CRITICAL: of.sla.critical}
    cases = [c for c in seen.complaints if c.opened < snapshot]
    year = [c for c in cases if snapshot - c.opened <= 365]

    def is_open(case: Complaint) -> bool:
        return case.resolved >= snapshot or case.resolved <= case.reopened < snapshot

    def over_promise(case: Complaint) -> float:
        return float(
            ((snapshot if is_open(case) else case.resolved) - case.opened) / promised[case.severity]
        )

    still_open = [c for c in cases if is_open(c)]
    opened = sorted(c.opened for c in cases)
    days = sorted(bought(seen, snapshot))
    # last bits of logarithms
    soon = (
        4 * naive_ipt([later - earlier for earlier, later in itertools.pairwise(days)], of)[0]
        + 1e-6
    )
    told = {
        "complaints": len(cases),
        "complaints_90d": sum(snapshot - c.opened <= 90 for c in cases),
        "complaints_365d": len(year),
        "complaints_minor_365d": sum(c.severity == MINOR for c in year),
        "complaints_major_365d": sum(c.severity in {MAJOR, CRITICAL} for c in year),
        "complaints_open": len(still_open),
        "complaints_past_sla": sum(over_promise(c) > 1 for c in year),
        "oldest_open_days": max((snapshot - c.opened for c in still_open), default=0),
        "open_over_sla": max(map(over_promise, still_open), default=0),
        "longest_repair_ratio": max(map(over_promise, year), default=0),
        "complaint_repeated": any(
            late - early <= soon and snapshot - late <= 365
            for early, late in itertools.pairwise(opened)
        ),
    }
    if cases:
        told["days_since_complaint"] = min(snapshot - c.opened for c in cases)
    return told


def naive_returns(seen: Customer, snapshot: int) -> dict[str, float]:
    """What was sent back."""
    ages = [snapshot - r.day for r in seen.returns if r.day < snapshot]
    told: dict[str, float] = {"returns": len(ages), "returns_365d": sum(age <= 365 for age in ages)}
    told["defect_returns_365d"] = sum(
        r.defect and 0 < snapshot - r.day <= 365 for r in seen.returns
    )
    return told | ({"days_since_return": min(ages)} if ages else {})


def naive_service(seen: Customer, snapshot: int, of: Shop) -> dict[str, float]:
    """Orders not delivered as promised, and those cancelled."""
    orders = defaultdict(list)
    for line in seen.orders:
        if line.day < snapshot and line.amount > 0 and line.quantity > 0:
            orders[line.day, line.basket].append(line)
    delays, due_ages, late_ages, waiting, cancelled = [], [], [], 0, 0
    for lines in orders.values():
        delivered, given_up = (
            max(getattr(line, field) for line in lines) for field in ("delivered", "cancelled")
        )
        delivered, given_up = (day if day < snapshot else NEVER for day in (delivered, given_up))
        cancelled += snapshot - given_up in range(1, 366)
        promised = max((line.promised for line in lines if line.promised != NEVER), default=None)
        if (
            promised is None
            or promised + of.sla.delivery_grace >= snapshot
            or given_up <= promised + of.sla.delivery_grace
        ):
            continue
        age = snapshot - promised - of.sla.delivery_grace
        waiting += delivered == given_up == NEVER
        late = delivered > promised + of.sla.delivery_grace
        late_ages += [age] if late else []
        if age <= 365:
            due_ages.append(age)
            delays.append(min(delivered, given_up, snapshot) - promised)
    late_orders = sum(age <= 365 for age in late_ages)
    told = {
        "late_orders_365d": late_orders,
        "undelivered": waiting,
        "cancelled_orders_365d": cancelled,
    }
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
    products, categories = (
        Counter(getattr(line, f) for line in year if getattr(line, f) >= 0)
        for f in ("sku", "category")
    )
    told: dict[str, float] = {"products_365d": len(products), "categories_365d": len(categories)}
    for name, counts in (("product", products), ("category", categories)):
        if counts:
            told[f"{name}_concentration_365d"] = sum(
                (count / counts.total()) ** 2 for count in counts.values()
            )
    first_bought = {
        sku: min(line.day for line in lines if line.sku == sku)
        for sku in {line.sku for line in lines} - {-1}
    }
    if products:
        told["new_item_share_365d"] = (
            sum(snapshot - day <= 365 for day in first_bought.values()) / products.total()
        )
    if first_bought:
        told["days_since_new_item"] = snapshot - max(first_bought.values())
    held = [
        {line.sku for line in lines if line.day == day} - {-1}
        for day in sorted({line.day for line in lines})
    ]
    told["same_item_run"] = sum(map(bool, itertools.accumulate(held[::-1], set.intersection)))
    return told
