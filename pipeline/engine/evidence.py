"""Evidence of reasons to leave for the customers of a partition, as columns, and the shop's trends.

The kernels give the places of rows; their ids and names are looked up here.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.columns import Feature, recorded
from features.records import NEVER, UNIT, Flags, Floats, Ints, Longs, Records, Shop
from models.reasons.catalogue import CATALOGUE
from models.reasons.context import LAUNCH, SPEND, VISITS, WEEK, Context
from models.reasons.settings import ReasonRules
from pipeline.engine.calendar import dates, day_number
from pipeline.engine.part import Part, columns_of
from pipeline.engine.run import over
from pipeline.runtime.sections import Engine
from pipeline.runtime.store import Folder

ID_TABLES = ("complaints", "returns", "orders")  # by the code in `<reason>_table`


class Names(NamedTuple):
    """The shop's ids of products and categories, by their numbers."""

    product: pa.Array
    category: pa.Array


class Market(NamedTuple):
    """What evidence needs besides a partition; `recorded`: the reasons that the shop records."""

    context: Context
    names: Names
    recorded: tuple[str, ...]


def names_of(events: Folder) -> Names:
    """Return the ids of products and categories."""
    products = events.read("products.parquet").to_pandas()
    skus = products[products["sku"] >= 0].sort_values("sku")["sku_id"]
    categories = products[products["category"] >= 0].drop_duplicates("category")
    ids = categories.sort_values("category")["category_id"]
    return Names(pa.array(skus, pa.string()), pa.array(ids, pa.string()))


def _weekly(part: Part, first: int, weeks: int, categories: int) -> pa.Table:
    """One row per category and week with a sale: spend, purchases. The shop itself comes last."""
    lines = part.tables.lines
    owner = np.repeat(np.arange(len(part.tables.known)), np.diff(part.tables.line_start))
    paid = (lines["quantity"] > 0) & (lines["amount"] > 0)
    lines, owner = lines[paid], owner[paid]
    shape = categories + 1, weeks + 1

    def weekly(group: Longs, day: Longs, amount: npt.NDArray[Any] | None = None) -> Floats:
        # an event on a day is known from the next midnight on
        place = group * shape[1] + (day - first) // WEEK + 1
        return np.bincount(place, amount, shape[0] * shape[1]).reshape(shape).astype(np.float64)

    # each line once in its category, and once in the whole shop
    group = np.concatenate([lines["category"], np.full(len(lines), categories)])
    lines, owner = np.tile(lines, 2)[group >= 0], np.tile(owner, 2)[group >= 0]
    group, amount = group[group >= 0].astype(np.int64), lines["amount"]
    back = lines["cancelled"] < first + WEEK * (weeks - 1)
    spend = weekly(group, lines["day"], amount)
    spend -= weekly(group[back], lines["cancelled"][back], amount[back])
    # one number per category, customer and day: sorted in a tenth of the time of three
    customers, days = len(part.tables.known), WEEK * weeks
    visits = np.unique((group * customers + owner) * days + lines["day"] - first)
    purchases = weekly(visits // (customers * days), visits % days + first)
    group, week = np.nonzero((spend != 0) | (purchases != 0))
    columns = {"spend": spend[group, week] / UNIT, "purchases": purchases[group, week]}
    return pa.table({"category": group, "week": week, **columns})


def trends_of(events: Folder, engine: Engine) -> pa.Table:
    """Return one row per category and week: spend and purchases of all customers before `as_of`.

    The rows without a category are of the whole shop.
    """
    meta, names = events.read("meta.json"), names_of(events).category
    first, end = day_number(meta["first_event"]), day_number(meta["data_end"])
    weeks = (end - first) // WEEK + 1
    work = partial(_weekly, first=first, weeks=weeks, categories=len(names))
    total = np.zeros((len(names) + 1, 2, weeks + 1))
    for _, rows in over(events, engine, work, "trends"):
        place = rows["category"].to_numpy(), rows["week"].to_numpy()
        for kind, name in enumerate(("spend", "purchases")):
            total[place[0], kind, place[1]] += rows[name].to_numpy()
    before = total[:, :, :weeks].cumsum(axis=2)
    category = np.repeat(np.arange(len(names) + 1), weeks)
    as_of = np.tile(first + WEEK * np.arange(weeks), len(names) + 1)
    return pa.table(
        {
            "category": names.take(pa.array(category, mask=category == len(names))),
            "as_of": dates(as_of.astype(np.int32)),
            "spend": np.round(before[:, SPEND].ravel(), 4),
            "purchases": before[:, VISITS].ravel().astype(np.int64),
        }
    )


def market_of(
    events: Folder, calibration: dict[str, Any], trends: pa.Table, rules: ReasonRules, shop: Shop
) -> Market:
    """Return what the evidence of a shop needs besides its customers."""
    tables, names = recorded(events.read("meta.json")["tables"]), names_of(events)
    groups = len(names.category) + 1
    values = [trends[name].to_numpy().reshape(groups, -1) for name in ("spend", "purchases")]
    rivals = events.read("market_events.parquet").to_pandas()
    launches = np.zeros(len(rivals), LAUNCH)
    for name in LAUNCH.names or ():
        launches[name] = rivals[name]
    limits = calibration["long_runs"]
    long_runs = [limits.get(name, limits[""]) for name in names.category.to_pylist()]
    context = Context(
        shop=shop,
        rules=rules,
        resolutions="complaints.resolved_at" in tables,
        settlements="returns.settled_at" in tables,
        market="market_events" in tables,
        launches=launches,
        first_day=trends["as_of"].cast(pa.int32())[0].as_py(),
        trends=np.stack(values, axis=1).astype(np.float64),
        long_runs=np.array([*long_runs, limits[""]], np.float64),
    )
    return Market(context, names, tuple(r.name for r in CATALOGUE if r.is_recorded(tables)))


def _ids(part: Part, customers: Ints, rows: dict[str, npt.NDArray[Any]], reason: str) -> pa.Array:
    """Return the ids of the rows on which the evidence of a reason rests; null without any."""
    place, kind = rows[f"{reason}_id"], rows[f"{reason}_table"]
    starts = part.tables.complaint_start, part.tables.return_start, part.tables.line_start
    there = rows[f"evidence_{reason}"] > 0
    ids: list[pa.Array] = [pa.array([None], pa.string())]
    at, size = np.zeros(len(place), np.int64), 1
    for code, table in enumerate(ID_TABLES):
        which = np.flatnonzero(there & (kind == code))
        if len(which):
            row = starts[code][customers[which]] + place[which]
            ids.append(part.ids(table).take(pa.array(row)))
            at[which] = size + np.arange(len(which))
            size += len(which)
    return pa.concat_arrays(ids).take(pa.array(at))


def _fact(
    part: Part, customers: Ints, values: npt.NDArray[Any], none: Flags, kind: Any, names: Names
) -> pa.Array:
    """Return a fact as it is published; null where there is no evidence."""
    if kind == "day":
        return dates(np.where(none, NEVER, values).astype(np.int32))
    if kind in ("product", "category"):
        lines, field = part.tables.lines, {"product": "sku", "category": "category"}[kind]
        place = np.where(none, 0, part.tables.line_start[customers] + values)
        codes = lines[field][place] if len(lines) else values
        codes = pa.array(codes, pa.int32(), mask=none | (codes < 0))
        return pa.DictionaryArray.from_arrays(codes, getattr(names, kind))
    if isinstance(kind, tuple):
        return pa.DictionaryArray.from_arrays(pa.array(values, pa.int8(), mask=none), list(kind))
    return pa.array(values, mask=none | (values == NEVER))


def evidence_columns(
    part: Part, customers: Ints, rows: Records, market: Market
) -> Iterator[tuple[str, pa.Array]]:
    """Yield the evidence of each reason, and then its facts, of EVIDENCE rows of these customers.

    All are null where the shop does not record the reason.
    """
    by_name = columns_of(rows)
    for reason in CATALOGUE:
        name, unknown = f"evidence_{reason.name}", reason.name not in market.recorded
        values = by_name[name]
        yield name, pa.array(values, mask=np.full(len(rows), unknown))
        none = ~(values > 0)
        for fact, kind in reason.facts.items():
            if kind == "id":
                column = _ids(part, customers, by_name, reason.name)
            else:
                facts = by_name[f"{reason.name}_{fact}"]
                column = _fact(part, customers, facts, none, kind, market.names)
            yield f"{reason.name}_{fact}", pa.nulls(len(rows), column.type) if unknown else column


def features_recorded(reasons: tuple[str, ...]) -> list[Feature]:
    """Return the features of these reasons."""
    return [f for reason in CATALOGUE if reason.name in reasons for f in reason.features]


def evidence_features(
    rows: Records, market: Market
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield the features of the reasons that the shop records."""
    for feature in features_recorded(market.recorded):
        yield feature.name, np.ascontiguousarray(rows[feature.name])
