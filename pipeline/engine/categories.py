"""data/categories.parquet: where customers who still buy spend less on a category, or nothing."""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.category_rates import CATEGORY
from features.records import Shop
from features.settings import CategoryRules, IptRules, Sla
from models.lifecycle.categories import falls, rates
from pipeline.engine.calendar import dates, day_number, shop_of
from pipeline.engine.evidence import names_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder

MONTH = 30  # days: rates are shown for so many
FIELDS = CATEGORY.names or ()


def _category_rates(part: Part, snapshot: int, shop: Shop, rules: CategoryRules) -> pa.Table:
    """The rows of `rates` of a partition, with the customer's id."""
    customers, rows = rates(part.tables, snapshot, shop, rules)
    columns = {name: np.ascontiguousarray(rows[name]) for name in FIELDS}
    return pa.table({"customer_id": part.customer_id.take(pa.array(customers)), **columns})


def category_falls(
    events: Folder,
    calibration: dict[str, Any],
    rules: CategoryRules,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    engine: Engine,
) -> pa.Table:
    """One row per customer and category that can be compared at the end of the data.

    Sorted by customer and category. The columns are those of CATEGORY, beside what Falls says.
    """
    work = partial(
        _category_rates,
        snapshot=day_number(calibration["data_end"]),
        shop=shop_of(calibration, ipt, sla, closed),
        rules=rules,
    )
    table = pa.concat_tables(part for _, part in over(events, engine, work, "categories"))
    rows = np.empty(len(table), CATEGORY)
    for name in FIELDS:
        rows[name] = table[name].to_numpy()
    judged = falls(rows, rules)
    columns = {
        "customer_id": table["customer_id"].combine_chunks(),
        "category": names_of(events).category.take(pa.array(rows["category"])),
        "rate_before": rows["spend_before"] / rows["days_before"] * MONTH,
        "rate_now": rows["spend_now"] / rows["days"] * MONTH,
        "purchases_before": rows["before"],
        "purchases_now": rows["now"],
        "usual_days": (rows["last_on"] - rows["first_on"]) / (rows["bought"] - 1),
        "last_bought_on": dates(rows["last_on"]),
        "since": dates(np.where(rows["now"] == 0, rows["last_on"], rows["since"])),
        "value_365d": rows["spend_365d"],
        "rate_expected": judged.expected / rows["days"] * MONTH,
        **{name: getattr(judged, name) for name in ("trend", "fall", "evidence", "listed")},
    }
    by_id = pa.table(columns).sort_by([("customer_id", "ascending"), ("category", "ascending")])
    return by_id.append_column("steady", _steady(by_id, rules))


def _steady(rows: pa.Table, rules: CategoryRules) -> pa.Array:
    """Per row the customer's largest category that neither fell nor rose by `min_fall`, or null."""
    names = ("customer_id", "category", "rate_before", "fall")
    frame = rows.select(names).to_pandas().assign(steady=lambda each: each["category"])
    steady = frame[frame["fall"].abs() < rules.min_fall]
    largest = steady.sort_values("rate_before", ascending=False, kind="stable")
    largest = largest.drop_duplicates("customer_id").set_index("customer_id")["steady"]
    return pa.array(frame["customer_id"].map(largest), pa.string(), from_pandas=True)
