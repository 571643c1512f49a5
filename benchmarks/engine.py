"""The columns by this project's kernels: all are computed, the shared ones are written."""

import datetime as dt
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.columns import COLUMNS, SLA_DAYS, TRENDS, TWELVE, WINDOWS
from benchmarks.data import lines_of
from benchmarks.partition import partitions
from features.catalogue import FEATURES, feature_matrix
from features.columns import expand
from features.records import Shop
from features.settings import Sla, Windows
from pipeline.engine.calendar import EPOCH, dates, shop_of
from pipeline.runtime.params import load

LINES_PER_PARTITION = 125_000
THREADS = 2
IPT = {"expected_ipt": 30.0, "log_sd": 0.8}  # no shared column depends on it


def _shop() -> Shop:
    """Return the project's own rules, with the SLA and windows that all systems share."""
    ipt = load(Path(__file__).parents[1]).ipt
    return shop_of(
        IPT, ipt, Sla(*SLA_DAYS, delivery_grace=2, major_late=7.0), (), Windows(WINDOWS, TRENDS)
    )


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write one file of rows per partition, in order of customer and snapshot."""
    shop = _shop()
    days = np.array([(snapshot - EPOCH).days for snapshot in snapshots], np.int32)
    names = [column.name for column in expand(FEATURES, Windows(WINDOWS, TRENDS))]
    bits = max(1, math.ceil(math.log2(lines_of(data) / LINES_PER_PARTITION)))

    with partitions(data, bits, out) as parts, ThreadPoolExecutor(THREADS) as pool:

        def work(part: int) -> None:
            ids, tables = parts.load(part)
            customers, at, columns = feature_matrix(tables, days, shop)
            shared = {name: columns[names.index(name)] for name in COLUMNS}
            table = pa.table(
                {"customer_id": ids.take(pa.array(customers)), "snapshot": dates(at), **shared}
            )
            pq.write_table(
                table,
                out / f"part-{part:03d}.parquet",
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
            )

        list(pool.map(work, range(2**bits)))


def warm(data: Path) -> None:
    """Compile the kernels, or load them from disk."""
    with TemporaryDirectory() as out:
        run(data, Path(out), TWELVE[-1:])
