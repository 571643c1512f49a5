"""The life cycle of a partition as a table: the rows of data/lifecycle."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import NEVER, Ints, Records
from features.settings import IptRules, Sla
from models.lifecycle.core_rules import CONDITIONS
from models.lifecycle.limits import Limits
from models.lifecycle.state_machine import life_cycle
from models.lifecycle.states import ACTIVITIES, STAGES, STATUSES
from models.reasons.evidence import evidence_at, strong_evidence
from models.reasons.settings import ReasonRules
from pipeline.engine.calendar import dates, shop_of
from pipeline.engine.evidence import Market, evidence_columns, market_of
from pipeline.engine.part import Part, columns_of
from pipeline.runtime.store import Folder

LACKS = tuple(  # the conditions of core that each combination of bits names
    ",".join(row.name for bit, row in enumerate(CONDITIONS) if code >> bit & 1)
    for code in range(1 << len(CONDITIONS))
)
NAMES = {"stage": STAGES, "activity": ACTIVITIES, "status": STATUSES, "lacks": LACKS}
COUNTED = (  # columns that the life cycle over time is counted from
    *("stage", "activity", "purchases", "ipt_days", "ipt_log_sd"),
    *("net_spend_365d", "purchases_365d", "weekday", "month"),
)


def named(codes: npt.NDArray[np.integer], names: tuple[str, ...]) -> pa.Array:
    """Codes as their names; the empty name as null."""
    empty = names.index("") if "" in names else -1
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes == empty), list(names))


def lifecycle_table(
    states: Records,
    ids: pa.Array,
    at: Ints,
    complaints_known: bool,
    evidence: Iterable[tuple[str, pa.Array]] = (),
) -> pa.Table:
    """One row per customer and snapshot, from STATE rows and the columns beside them.

    Null: satisfaction where the shop records no complaints.
    """
    columns: dict[str, Any] = {"customer_id": ids, "snapshot": dates(at)}
    for name, values in columns_of(states).items():
        if name in NAMES:
            columns[name] = named(values, NAMES[name])
        elif name.endswith(("_on", "since")):
            columns[name] = dates(values)
        elif name == "satisfaction":
            unknown = np.full(len(states), not complaints_known)
            confidence = "normal" if complaints_known else "low"
            columns[name] = pa.array(values, mask=unknown)
            columns["confidence"] = named(np.zeros(len(states), np.int32), (confidence,))
            columns |= evidence
        else:
            columns[name] = values
    return pa.table(columns)


def lifecycle_rows(
    part: Part, snapshots: Ints, market: Market, limits: Limits, complaints_known: bool
) -> pa.Table:
    """The rows of data/lifecycle of a partition: one per customer and snapshot."""
    tables, context = part.tables, market.context
    strong = strong_evidence(tables, int(snapshots[-1]), context)
    customers, at, evidence, ahead = evidence_at(tables, snapshots, context, ahead=True)
    states = life_cycle(tables, snapshots, context.shop, limits, strong, ahead)[2]
    columns = evidence_columns(part, customers, evidence, market)
    ids = part.customer_id.take(pa.array(customers))
    return lifecycle_table(states, ids, at, complaints_known, columns)


def lifecycle_work(
    events: Folder,
    calibration: dict[str, Any],
    trends: pa.Table,
    limits: Limits,
    reasons: ReasonRules,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
) -> Callable[..., pa.Table]:
    """Return `lifecycle_rows` as a function of a partition and snapshots, by the shop's rules."""
    complaints_known = "complaints" in events.read("meta.json")["tables"]
    if limits.core_needs_complaints and not complaints_known:
        limits = limits._replace(core_max_complaints_per_purchase=-1.0)  # which nobody reaches
    shop = shop_of(calibration, ipt, sla, closed)
    market = market_of(events, calibration, trends, reasons, shop)
    return partial(lifecycle_rows, market=market, limits=limits, complaints_known=complaints_known)


def states_over_time(lifecycle: pa.Table, days: dict[str, int]) -> pd.DataFrame:
    """The rows of data/lifecycle at these days (ISO date: day number), for `LifecycleOverTime`."""
    day = lifecycle["snapshot"].cast(pa.int32())
    rows = lifecycle.filter(pc.is_in(day, pa.array(days.values(), pa.int32())))
    codes = np.searchsorted(list(days.values()), rows["snapshot"].cast(pa.int32()).to_numpy())
    states: pd.DataFrame = rows.select(COUNTED).to_pandas()
    states["as_of"] = pd.Categorical.from_codes(codes, pd.Index(days))
    ids = rows["customer_id"].combine_chunks().dictionary_encode()
    states["customer"] = ids.indices.to_numpy()
    states["first_on"] = rows["first_on"].cast(pa.int32()).fill_null(NEVER).to_numpy()
    return states
