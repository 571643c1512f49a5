"""Stage `extract`: one row per customer and snapshot, one column per feature of the shop."""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.catalogue import FEATURES, feature_matrix
from features.columns import expand, recorded
from features.records import Ints, Shop
from features.settings import IptRules, Sla, Windows
from models.reasons.evidence import evidence_at
from models.reasons.settings import ReasonRules
from pipeline.engine.calendar import dates, day_number, shop_of
from pipeline.engine.evidence import Market, evidence_features, features_recorded, market_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder


def feature_table(
    part: Part, snapshots: Ints, shop: Shop, columns: list[tuple[int, str]], market: Market
) -> pa.Table:
    """Return the features of a partition; `columns` are places in the catalogue with names."""
    customers, days, matrix = feature_matrix(part.tables, snapshots, shop, [i for i, _ in columns])
    evidence = evidence_at(part.tables, snapshots, market.context)[2]
    keys = {"customer_id": part.customer_id.take(pa.array(customers)), "snapshot": dates(days)}
    features = {name: row for (_, name), row in zip(columns, matrix, strict=True)}
    return pa.table({**keys, **features, **dict(evidence_features(evidence, market))})


def extract(
    events: Folder,
    calibration: dict[str, Any],
    trends: pa.Table,
    reasons: ReasonRules,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    windows: Windows,
    engine: Engine,
) -> dict[str, Any]:
    """Return the features of all customers at all snapshots, and the constraints of the model.

    `features`: customer_id, snapshot and float32 columns, sorted by customer and snapshot within a
    partition. A customer who objects to profiling has no row, so no part in training, scores or
    evaluation.

    `monotone_constraints`: by column, +1 where it can only speak for defection, -1 where it can
    only speak against it.
    """
    delivered = recorded(events.read("meta.json")["tables"])
    own = [(i, c) for i, c in enumerate(expand(FEATURES, windows)) if c.is_recorded(delivered)]
    shop = shop_of(calibration, ipt, sla, closed, windows)
    market = market_of(events, calibration, trends, reasons, shop)
    columns = [c for _, c in own] + features_recorded(market.recorded)
    work = partial(
        feature_table,
        snapshots=np.array([day_number(day) for day in calibration["snapshots"]], np.int32),
        shop=shop,
        columns=[(i, c.name) for i, c in own],
        market=market,
    )
    return {
        "features": over(events, engine, work, "features"),
        "monotone_constraints": {c.name: c.monotone for c in columns if c.monotone},
    }
