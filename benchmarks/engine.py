"""The columns by this project: checked events to features, all computed, the shared ones written.

The events are those that the stage `ingest` wrote before the clock starts; `raw_engine` has both.
"""

import datetime as dt
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from benchmarks import ingest
from benchmarks.columns import COLUMNS, SLA_DAYS, TRENDS, TWELVE, WINDOWS
from benchmarks.measure import ROOT
from features.catalogue import FEATURES, feature_matrix
from features.columns import expand
from features.records import Ints, Shop
from features.settings import Sla, Windows
from pipeline.engine.calendar import EPOCH, dates, shop_of
from pipeline.engine.part import Part
from pipeline.engine.run import over
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder

IPT = {"expected_ipt": 30.0, "log_sd": 0.8}  # no shared column depends on it


def _shop() -> Shop:
    """Return the project's own rules, with the SLA and windows that all systems share."""
    ipt = load(ROOT).ipt
    return shop_of(
        IPT, ipt, Sla(*SLA_DAYS, delivery_grace=2, major_late=7.0), (), Windows(WINDOWS, TRENDS)
    )


def _features(part: Part, days: Ints, shop: Shop) -> pa.Table:
    names = [column.name for column in expand(FEATURES, Windows(WINDOWS, TRENDS))]
    kept = [names.index(name) for name in COLUMNS]
    customers, at, columns = feature_matrix(part.tables, days, shop, kept)
    ids = part.customer_id.take(pa.array(customers))
    shared = dict(zip(COLUMNS, columns, strict=True))
    return pa.table({"customer_id": ids, "snapshot": dates(at), **shared})


def write_features(events: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file of rows per partition, in order of customer and snapshot."""
    days = np.array([(snapshot - EPOCH).days for snapshot in snapshots], np.int32)
    work = partial(_features, days=days, shop=_shop())
    store.write(out / "features", over(Folder(events), load(ROOT).engine, work, "features"))


def ingested(data: Path) -> Path:
    """Return the folder of the checked events of the data."""
    return data.parent / "ingested" / data.name


def prepare(data: Path) -> None:
    """Write the checked events, if they are not there."""
    if not ingested(data).exists():
        ingested(data).mkdir(parents=True)
        ingest.run(data, ingested(data), [])


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write the features of the events of `prepare`."""
    write_features(ingested(data) / "events", out, snapshots)


def warm(data: Path) -> None:
    """Compile the kernels, or load them from disk."""
    prepare(data)
    with TemporaryDirectory() as out:
        run(data, Path(out), TWELVE[-1:])
