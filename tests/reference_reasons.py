"""The reference implementation of the evidence: plain Python, written from docs/reasons.md."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean
from typing import NamedTuple

from reference_features import bought_lines, reference_ipt
from situations import CRITICAL, MAJOR, MINOR, Complaint, Customer

from features.records import NEVER
from models.reasons.context import SPEND, VISITS, Context

Values = dict[str, float]


class Seen(NamedTuple):
    """What the reasons need of a customer before a snapshot."""

    customer: Customer
    snapshot: int
    days: list[int]  # with a purchase
    ipt: float
    at: Context

    def fade(self, day: int, age: float) -> float:
        """What is left of the weight of an event on a day."""
        rules, since = self.at.rules, sum(purchase > day for purchase in self.days)
        halvings = since / rules.fade_purchases + age / (rules.fade_ipts * self.ipt)
        return 0.5**halvings if since <= 10 * rules.fade_purchases else 0.0

    def waits(self, case: Complaint) -> bool:
        """Whether a complaint is open at the snapshot."""
        return case.resolved >= self.snapshot or case.resolved <= case.reopened < self.snapshot


def unrepaired(seen: Seen) -> Values:
    """The worst case that was open for longer than its SLA."""
    rules, sla, cases = seen.at.rules, seen.at.shop.sla, []
    if seen.at.resolutions:
        promised = {MINOR: sla.minor, MAJOR: sla.major, CRITICAL: sla.critical}
        for c in seen.customer.complaints:
            cases.append((c.opened, c.resolved, seen.waits(c), promised[c.severity]))
    if seen.at.settlements:
        for r in seen.customer.returns:
            cases.append((r.day, r.settled, r.settled >= seen.snapshot, rules.return_days))
    evidence, over_sla = [0.0], [0.0]
    for opened, resolved, waiting, length in cases:
        if opened >= seen.snapshot:
            continue
        over = ((seen.snapshot if waiting else resolved) - opened) / length
        if opened >= seen.days[-1]:
            over_sla.append(over)
        if over > 1:
            age = 0 if waiting else seen.snapshot - 1 - resolved
            strength = 0.5 + 0.5 * (1 - math.exp(1 - over))
            evidence.append(strength * seen.fade(opened + int(length), age))
    return {"evidence_unrepaired": max(evidence), "unrepaired_over_sla": max(over_sla)}


def failures(seen: Seen) -> Iterator[tuple[int, float]]:
    """Day and weight of each service failure."""
    rules, sla, snapshot = seen.at.rules, seen.at.shop.sla, seen.snapshot
    for c in seen.customer.complaints:
        if c.opened < snapshot:
            slow = seen.waits(c) or c.resolved - c.opened > sla.minor
            weights = {MINOR: rules.small if slow else rules.small / 2, MAJOR: rules.major}
            weight = rules.critical if c.severity == CRITICAL else weights[c.severity]
            if c.unserved:
                weight = max(rules.never_delivered, weight * (c.severity == CRITICAL))
            yield c.opened, weight
    yield from (
        (r.day, rules.small) for r in seen.customer.returns if r.defect and r.day < snapshot
    )
    orders = defaultdict(list)
    for line in seen.customer.orders:
        if line.day < snapshot and line.amount > 0 and line.quantity > 0:
            orders[line.day, line.basket].append(line)
    ten_ago = seen.days[max(0, len(seen.days) - 1 - int(10 * rules.fade_purchases))]
    for (day, _), lines in orders.items():
        cancelled, delivered = (
            max(getattr(line, name) for line in lines) for name in ("cancelled", "delivered")
        )
        promised = max((o.promised for o in lines if o.promised != NEVER), default=NEVER)
        due = promised + sla.delivery_grace
        if day < ten_ago:
            continue
        if cancelled < snapshot:
            yield cancelled, rules.cancelled
        elif due < min(snapshot, delivered):
            late = min(delivered, snapshot) - promised > sla.major_late
            grave = rules.major_late if delivered < snapshot else rules.never_delivered
            yield promised, grave if late else rules.small


def service_failure(seen: Seen) -> Values:
    """The worst failure, small ones left out, and the worst since the last purchase."""
    weights = list(failures(seen))
    evidence = [
        weight * seen.fade(day, seen.snapshot - 1 - day)
        for day, weight in weights
        if weight > seen.at.rules.small
    ]
    since = [weight for day, weight in weights if day >= seen.days[-1]]
    return {
        "evidence_service_failure": max(evidence, default=0),
        "failure_since_purchase": max(since, default=0),
    }


def log_trend(at: Context, category: int, kind: int, per: int, days: tuple[int, int, int]) -> float:
    """ln of the change of a category over all customers, per visit of category `per`."""
    weeks = [min(max((day - at.first_day) // 7, 0), at.trends.shape[2] - 1) for day in days]
    (before, now), (visits_before, visits_now) = (
        [float(series[end] - series[start]) for start, end in itertools.pairwise(weeks)]
        for series in (at.trends[category, kind], at.trends[per, VISITS])
    )
    if min(before, now, visits_before, visits_now) <= 0:
        return 0.0
    return math.log(now / visits_now) - math.log(before / visits_before)


def falls(seen: Seen, since: int, only: int, prior: float, most: float) -> Iterator[Values]:
    """Evidence and fall of each category, from a day on, against the time before."""
    rules, at, last = seen.at.rules, seen.at, seen.days[-1]
    first = since - math.ceil(rules.competitor_baseline_ipts * seen.ipt - 1e-6)
    before_days = [day for day in seen.days if first <= day < since]
    now_days = [day for day in seen.days if day >= since]
    if len(before_days) < rules.competitor_min_purchases:
        return
    spend: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for line in bought_lines(seen.customer, seen.snapshot):
        if line.day >= first and line.category >= 0:
            spend[line.category][line.day] += line.amount
    total = sum(v for each in spend.values() for day, v in each.items() if day < since)
    for category, each in spend.items():
        before, now = (
            [math.log(v) for day, v in each.items() if (day >= since) == late]
            for late in (False, True)
        )
        if len(before) < rules.competitor_min_purchases or only not in (-1, category):
            continue
        kept, days = math.log(rules.competitor_kept), (first, since, last + 1)
        if now:
            change = smaller = fmean(now) - fmean(before)
            adjusted = change - log_trend(at, category, SPEND, category, days)
            smaller = max(change, adjusted)
            noise = rules.competitor_log_sd**2 * (1 / len(before) + 1 / len(now))
            support = (kept * adjusted - kept**2 / 2) / noise
        else:
            change = smaller = -math.inf
            usual = len(before) / len(before_days) * len(now_days)
            trend = log_trend(at, category, VISITS, len(at.trends) - 1, days)
            support = (1 - rules.competitor_kept) * usual * math.exp(trend)
        share = sum(v for day, v in each.items() if day < since) / total
        share = min(1, share / rules.competitor_full_share)
        chance = 1 / (1 + (1 - prior) / prior * math.exp(-support))
        fell = smaller < math.log(1 - rules.competitor_least_fall)
        yield {
            "evidence_competitor": most * share * chance * fell,
            "category_drop": share * min(3, -change),
        }


def competitor(seen: Seen) -> Values:
    """The strongest fall, lately or since a market event."""
    rules, last = seen.at.rules, seen.days[-1]
    since = last + 1 - math.ceil(rules.competitor_recent_ipts * seen.ipt - 1e-6)
    most = rules.competitor_without_event if seen.at.market else rules.competitor_without_market
    each = [*falls(seen, since, -1, rules.competitor_prior, most)]
    for event in seen.at.launches:
        if event["starts"] <= last < event["ends"]:
            prior = rules.competitor_prior_event
            each += falls(seen, int(event["starts"]), int(event["category"]), prior, 1)
    names = ("evidence_competitor", "category_drop")
    return {name: max([0, *(fall[name] for fall in each)]) for name in names}


def boredom(seen: Seen) -> Values:
    """A run of one item alone."""
    rules, lines, days = seen.at.rules, bought_lines(seen.customer, seen.snapshot), seen.days
    baskets = [{line.sku for line in lines if line.day == day} for day in days[::-1]]
    one = baskets[0] if len(baskets[0]) == 1 and min(baskets[0]) >= 0 else {None}
    run = len([*itertools.takewhile(lambda basket: basket == one, baskets)])
    if run < 2:
        return {"evidence_boredom": 0, "one_item_run": run}
    category = max((line.day, line.basket, i) for i, line in enumerate(lines))[2]
    rare = float(seen.at.long_runs[lines[category].category])
    gaps = [math.log(late - early) for early, late in itertools.pairwise(days[-run:])]
    earlier, later = gaps[: len(gaps) - run // 2], gaps[len(gaps) - run // 2 :]
    grow = run >= 3 and fmean(later) - fmean(earlier) >= math.log(rules.boredom_growth) - 1e-12
    evidence = 1 / (1 + math.exp((rare - run) / rules.boredom_width))
    return {
        "evidence_boredom": evidence * (1 if grow else rules.boredom_steady),
        "one_item_run": run,
    }


REASONS = (unrepaired, service_failure, competitor, boredom)


def reference_reasons(customer: Customer, snapshot: int, at: Context) -> Values:
    """All features of the reasons; empty for a customer without a purchase."""
    days = sorted({line.day for line in bought_lines(customer, snapshot)})
    if not days:
        return {}
    gaps = [late - early for early, late in itertools.pairwise(days)]
    seen = Seen(customer, snapshot, days, reference_ipt(gaps, at.shop)[0], at)
    values: Values = {}
    for reason in REASONS:
        values |= reason(seen)
    return values
