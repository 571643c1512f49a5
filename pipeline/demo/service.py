"""How each simulated purchase is served: service failures, complaints, and their resolution."""

from typing import NamedTuple

import numpy as np

from features.records import NEVER, Flags, Longs
from pipeline.runtime.demo_section import Simulate

SEVERITIES = ("none", "minor", "major", "critical")
NONE, MINOR, MAJOR, CRITICAL = range(4)
KINDS = ("none", "late", "defect", "billing", "stock_out", "not_delivered", "service")
_, LATE, DEFECT, BILLING, STOCK_OUT, NOT_DELIVERED, SERVICE = range(7)
MINOR_KINDS = np.array([LATE, DEFECT, BILLING, STOCK_OUT])
MAJOR_KINDS = np.array([LATE, DEFECT, NOT_DELIVERED, SERVICE])


class Service(NamedTuple):
    """How each purchase was served, entry by entry beside Orders."""

    severity: Longs
    kind: Longs
    promised: Longs
    delivered: Longs
    cancelled: Longs  # of the last line
    opened: Longs
    resolved: Longs
    in_time: Flags  # complained, and resolved while patience lasted


def serve(rng: np.random.Generator, day: Longs, lines: Longs, p: Simulate) -> Service:
    """Draw service failures, complaints, and the time to resolve them."""
    n = len(day)
    draw = rng.random(n)
    critical, major = p.mishap_major * p.critical_share, p.mishap_major * (1 - p.critical_share)
    bounds = np.cumsum([critical, major, p.mishap_minor])
    severity = np.array([CRITICAL, MAJOR, MINOR, NONE])[np.searchsorted(bounds, draw, side="right")]
    minor, serious = severity == MINOR, severity >= MAJOR
    pick = rng.integers(0, 4, n)
    kind = np.where(serious, MAJOR_KINDS[pick], np.where(minor, MINOR_KINDS[pick], 0))
    # an order is never cancelled as a whole: that would undo the purchase
    kind[(kind == STOCK_OUT) & (lines == 1)] = LATE
    promised = day + 3
    lateness = np.where(serious, rng.integers(8, 21, n), rng.integers(3, 8, n))
    delivered = np.where(kind == LATE, promised + lateness, day + rng.integers(1, 5, n))
    cancelled = np.where(kind == STOCK_OUT, day + 1, NEVER)
    complain = np.where(serious, p.complain_major, np.where(minor, p.complain_minor, 0))
    complained = rng.random(n) < complain
    awaited = (kind == LATE) | (kind == NOT_DELIVERED)
    noticed = np.select([awaited, kind == BILLING], [promised, day], delivered)
    opened = np.where(complained, noticed + rng.integers(1, 4, n), NEVER)
    usual = np.array([1.0, *p.repair_days])[severity]
    repair = np.rint(usual * np.exp(rng.normal(0, p.repair_log_sd, n))).astype(np.int64)
    resolved = np.where(complained & (rng.random(n) >= p.never_repaired), opened + repair, NEVER)
    delivered = np.where(kind == NOT_DELIVERED, resolved, delivered)
    in_time = complained & (resolved - opened <= np.array([0, *p.patience_days])[severity])
    return Service(severity, kind, promised, delivered, cancelled, opened, resolved, in_time)
