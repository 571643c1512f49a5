"""Rows read by SQL from folders of parquet files: for the model, and for the list."""

from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from pipeline.runtime.errors import ConfigError
from pipeline.runtime.resources import read_queries
from pipeline.runtime.store import Folder

KEYS = ["customer_id", "snapshot"]


class Population(NamedTuple):
    """Whose rows a model is trained and evaluated on, as SQL over features `f` and life cycle `l`.

    `purchases`: at least so many by the newest snapshot have all of them, so the sample is drawn
    among those. `benchmark`: the rows to train on.
    """

    purchases: int
    rows: str
    benchmark: str = "true"


RECENT = "f.recency_days <= {recency}"
REPEAT_BUYERS = Population(2, f"f.purchases >= 2 and (l.scored or {RECENT})", RECENT)
QUERIES = read_queries(__file__, "rows.sql")


def rows_of(folder: Folder, pattern: str = "*.parquet") -> str:
    """Return SQL for the rows of a folder's files; `part` names the partition of each."""
    path = f"{folder.path}/{pattern}".replace("'", "''")
    source = f"read_parquet('{path}', filename = true)"
    return f"(select *, parse_filename(filename) as part from {source})"


def table(sql: str, **values: Any) -> pa.Table:
    """Return the result of a query. The SQL names an order where one matters."""
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as con:
        return con.sql(sql, params=values).to_arrow_table()


def query(sql: str, **values: Any) -> pd.DataFrame:
    """Return the same for pandas, dates as dates, nulls as None or NaN."""
    frame: pd.DataFrame = table(sql, **values).to_pandas(date_as_object=True)
    return frame


def feature_names(features: Folder) -> list[str]:
    """Return the feature columns of the shop, in their order."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(features.path / features.names("*.parquet")[0])
    return [name for name in schema.names if name not in KEYS]


def buyers(features: Folder, snapshot: str) -> pd.DataFrame:
    """One row per customer who had bought by the snapshot, once or more, sorted by customer_id.

    Columns: purchases, recency_days, tenure_days.
    """
    return query(QUERIES["buyers"].format(features=rows_of(features)), snapshot=snapshot)


def scored_features(
    features: Folder, lifecycle: Folder, snapshot: str, rows: str = "l.scored"
) -> pd.DataFrame:
    """One row per customer to be scored at the snapshot, indexed and sorted by customer_id.

    `rows`: who is, as SQL over the life cycle `l`.
    """
    folders = {"features": rows_of(features), "lifecycle": rows_of(lifecycle)}
    sql = QUERIES["scored_features"].format(**folders, rows=rows)
    return query(sql, snapshot=snapshot).set_index("customer_id")


def joined(
    features: Folder,
    lifecycle: Folder,
    calibration: dict[str, Any],
    labels: Folder,
    snapshots: list[str],
    population: Population = REPEAT_BUYERS,
) -> pd.DataFrame:
    """One row per customer and snapshot, sorted by both; by default 2 or more purchases, scored or
    benchmark.

    Of a large shop a sample of customers, `calibrate.sample_customers`, the same for every stage.
    Columns: customer_id, snapshot (ISO), features, stage, scored, benchmark, defected, returned.
    """
    folders = {"features": features, "lifecycle": lifecycle, "labels": labels}
    recency = int(calibration["benchmark_recency_days"])
    sql = QUERIES["joined"].format(
        **{name: rows_of(at) for name, at in folders.items()},
        rows=population.rows.format(recency=recency),
        benchmark=population.benchmark.format(recency=recency),
    )
    return query(
        sql,
        purchases=population.purchases,
        snapshots=snapshots,
        newest=calibration["data_end"],
        most=calibration["sample_customers"],
    )


def purged(rows: pd.DataFrame, snapshots: list[str], origin: str, horizon: int) -> pd.DataFrame:
    """Return the benchmark rows of the snapshots whose horizon was over at `origin`.

    Raises ConfigError for a later snapshot: it is refused, not dropped.
    """
    known = pd.Timestamp(max(snapshots)) + pd.Timedelta(days=horizon)
    if known > pd.Timestamp(origin):
        problem = f"its outcome was not known at the origin {origin}"
        fix = "train on snapshots a horizon earlier"
        raise ConfigError("E_LEAK", f"snapshot {max(snapshots)}", problem, fix)
    return rows[rows["benchmark"] & rows["snapshot"].isin(snapshots)]
