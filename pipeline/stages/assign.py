"""Stage `assign`.

The life-cycle stage of every known customer at every snapshot, and the life cycle over time.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import NEVER, Ints, Shop
from features.settings import IptRules, Sla
from models.lifecycle.core_rules import NEEDS
from models.lifecycle.over_time import Tracking, out_of_order
from models.lifecycle.state_machine import ACTIVITIES, STAGES, STATUSES, life_cycle
from models.settings import Limits
from pipeline.engine.calendar import dates, day_number, shop_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.params import Engine
from pipeline.runtime.progress import warn
from pipeline.runtime.store import Folder

# What may be lacking for core, by the bits of `lacks`.
LACKS = tuple(
    ",".join(need for i, need in enumerate(NEEDS) if code >> i & 1)
    for code in range(1 << len(NEEDS))
)
FIGURES = (
    *(
        "purchases",
        "ipt_days",
        "ipt_log_sd",
        "entry_purchases",
        "entry_days",
        "entry_ipt_days",
        "entry_log_sd",
        "purchases_back",
    ),
    *(
        "complaints",
        "defects",
        "grave_open",
        "past_sla",
        "open_past_sla",
        "net_spend_365d",
        "purchases_365d",
        "weekday",
        "month",
    ),
)
REASONS = ("unrepaired", "service_failure", "competitor", "boredom")


def words(codes: npt.NDArray[np.integer], names: tuple[str, ...]) -> pa.Array:
    """Codes as their names; the empty name as null."""
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=np.isin(codes, [i for i, n in enumerate(names) if not n])), list(names)
    )


def lifecycle_table(
    found: npt.NDArray[Any], ids: pa.Array, at: npt.NDArray[np.int32], complaints_known: bool
) -> pa.Table:
    """One row per customer and snapshot.

    Evidence of reasons is null while no reason is looked for.
    """
    never = pa.nulls(len(found), pa.float32())
    return pa.table(
        {
            "customer_id": ids,
            "snapshot": dates(at),
            "stage": words(found["stage"], STAGES),
            "activity": words(found["activity"], ACTIVITIES),
            "status": words(found["status"], STATUSES),
            "since": dates(found["since"]),
            "scored": found["scored"],
            "reactivated": found["reactivated"],
            "partial_defection": found["partial_defection"],
            "satisfaction": pa.array(
                found["satisfaction"], mask=np.full(len(found), not complaints_known)
            ),
            "confidence": pa.array(
                ["normal" if complaints_known else "low"] * len(found)
            ).dictionary_encode(),
            **{f"evidence_{reason}": never for reason in REASONS},
            "late_on": dates(found["late_on"]),
            "defects_on": dates(found["defects_on"]),
            "lapses_on": dates(found["lapses_on"]),
            "first_on": dates(found["first_on"]),
            "last_purchase_on": dates(found["last_purchase_on"]),
            "core_since": dates(found["core_since"]),
            "lacks": words(found["lacks"], LACKS),
            **{c: found[c] for c in FIGURES},
        }
    )


def rows(
    part: Part, snapshots: Ints, shop: Shop, limits: Limits, complaints_known: bool
) -> pa.Table:
    """The life cycle of a partition."""
    customers, at, found = life_cycle(part.tables, snapshots, shop, limits)
    return lifecycle_table(found, part.customer_id.take(pa.array(customers)), at, complaints_known)


def judging(
    events: Folder,
    calibration: dict[str, Any],
    limits: Limits,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
) -> Callable[..., pa.Table]:
    """`rows` by the rules of the shop, to be asked with a partition and snapshots."""
    complaints_known = "complaints" in events.read("meta.json")["tables"]
    if limits.core_needs_complaints and not complaints_known:
        limits = limits._replace(core_max_complaints_per_purchase=-1.0)  # which nobody reaches
    return partial(
        rows,
        shop=shop_of(calibration, ipt, sla, closed),
        limits=limits,
        complaints_known=complaints_known,
    )


def states(lifecycle: pa.Table, days: dict[str, int]) -> pd.DataFrame:
    """What is tracked of a partition.

    Its rows at the snapshots given, as ISO dates and day numbers.
    """
    columns = [
        "customer_id",
        "snapshot",
        "stage",
        "activity",
        "first_on",
        "purchases",
        "ipt_days",
        "ipt_log_sd",
        "net_spend_365d",
    ]
    columns += ["purchases_365d", "weekday", "month"]
    days_of = lifecycle["snapshot"].cast(pa.int32())
    kept = lifecycle.select(columns).filter(pc.is_in(days_of, pa.array(days.values(), pa.int32())))
    codes = np.searchsorted(list(days.values()), kept["snapshot"].cast(pa.int32()).to_numpy())
    frame: pd.DataFrame = kept.drop_columns(["customer_id", "snapshot", "first_on"]).to_pandas()
    frame["as_of"] = pd.Categorical.from_codes(codes, pd.Index(days))
    frame["customer"] = kept["customer_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    frame["first_on"] = kept["first_on"].cast(pa.int32()).fill_null(NEVER).to_numpy()
    return frame


def assign(
    events: Folder,
    calibration: dict[str, Any],
    params: Limits,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    engine: Engine,
) -> Iterator[tuple[str, Any]]:
    """`lifecycle`.

    One row per customer and snapshot. Over the regular ones: `stage_counts`, `transitions`,
    `stage_profile`, `net_flow`.
    """
    days = {iso: day_number(iso) for iso in calibration["tracking"]}
    snapshots = np.array(
        sorted({*days.values(), *(day_number(s) for s in calibration["snapshots"])}), np.int32
    )
    work = partial(judging(events, calibration, params, ipt, sla, closed), snapshots=snapshots)
    tracking = Tracking(days)

    def parts() -> Iterator[tuple[str, pa.Table]]:
        for name, table in over(events, engine, work, "life cycle"):
            tracking.add(states(table, days))
            yield name, table

    yield "lifecycle", parts()
    yield "stage_counts", tracking.stage_counts()
    yield "transitions", tracking.transitions()
    yield "stage_profile", tracking.stage_profile()
    yield "net_flow", tracking.net_flow(params.leak_periods)
    retention = tracking.retention()
    yield "retention", retention
    if warning := out_of_order(retention):
        warn(warning)
