"""Evidence of reasons to leave for tiny pasts, in a shop with a market event and no trends."""

from typing import Any

import numpy as np
from frozen import params
from situations import shop

from features.records import NEVER, Tables
from models.lifecycle.state_machine import life_cycle
from models.reasons.catalogue import EVIDENCE_FEATURES
from models.reasons.context import LAUNCH, Context
from models.reasons.evidence import evidence_at, strong_evidence

CATEGORIES = 50
EVENT = (1, 240, 420)  # of the random histories: category, first day, day after the last
FEATURES = [feature.name for feature in EVIDENCE_FEATURES]

Rows = dict[tuple[int, int], Any]


def context(*events: tuple[int, int, int], **changes: Any) -> Context:
    """A shop that records everything, with the frozen rules."""
    made = Context(
        shop=shop(),
        rules=params().reasons,
        resolutions=True,
        settlements=True,
        market=True,
        launches=np.array(list(events), LAUNCH),
        first_day=0,
        trends=np.zeros((CATEGORIES, 2, 300)),
        long_runs=np.full(CATEGORIES, 4.0),
    )
    return made._replace(**changes)


def evidence_rows(tables: Tables, *snapshots: int, at: Context | None = None) -> Rows:
    """Evidence and facts by customer and snapshot."""
    days = np.array(snapshots, np.int32)
    customers, at_days, rows, _ = evidence_at(tables, days, at or context(EVENT))
    return dict(zip(zip(customers.tolist(), at_days.tolist(), strict=True), rows, strict=True))


def evidence_features_at(tables: Tables, *snapshots: int, at: Context | None = None) -> Rows:
    """The features of the reasons by customer and snapshot."""
    rows = evidence_rows(tables, *snapshots, at=at)
    kind = [(name, np.float32) for name in FEATURES]
    return {key: np.array(tuple(row[name] for name in FEATURES), kind) for key, row in rows.items()}


def defecting_at(tables: Tables, *snapshots: int) -> Rows:
    """Life-cycle states by customer and snapshot, with the evidence of the same events."""
    at, days = context(EVENT), np.array(snapshots, np.int32)
    ahead = evidence_at(tables, days, at)[3]
    strong = strong_evidence(tables, int(max(snapshots)), at)
    customers, on, states = life_cycle(tables, days, at.shop, params().assign, strong, ahead)
    return dict(zip(zip(customers.tolist(), on.tolist(), strict=True), states, strict=True))


def first_strong_day(tables: Tables, after: int, first: int, last: int) -> int:
    """The first of these days with strong evidence, from one day after the other."""
    names = [name for name in FEATURES if name.startswith("evidence_")]
    for day in range(first, last + 1):
        row = evidence_rows(tables, day)[0, day]
        if max(row[name] for name in names) >= params().reasons.defecting:
            return day
    return NEVER
