"""What a shop saw of its customers, as rows with their outcomes: no row knows the ground truth.

Days are whole days since 1970-01-01; NEVER stands for what has not happened.
"""

from typing import Any

import numpy as np
import pandas as pd

from features.records import KINDS, NEVER, UNIT
from features.settings import Sla
from models.hypotheses.observations import Observations
from models.reasons.catalogue import REASONS
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import query, rows_of
from pipeline.runtime.resources import read_queries
from pipeline.runtime.store import Folder

SQL = read_queries(__file__, "visits.sql")
SILENCE = 3  # horizons without a purchase after which a customer counts as gone
LONG_SILENCE = 4  # horizons after which few are only slow
LOST = 6  # horizons after which hardly anybody is
LONG_RUN = 0.97  # quantile, over visits of core customers, from which a run of one item is long
SHORTEST_RUN = 3  # and at least so many
# customers lie in partitions by the hash of their id: the first partitions are a sample of all
PARTITIONS = 20


def _sample(folder: Folder) -> str:
    return f"(from {rows_of(folder)} where part < 'part-{PARTITIONS:03d}')"


def read_rows(
    events: Folder, lifecycle: Folder, labels: Folder, calibration: dict[str, Any], sla: Sla
) -> dict[str, pd.DataFrame]:
    """Return the rows of the first partitions: visits, stays, prospects and calls (visits.sql)."""
    market_events = f"{events.path}/market_events.parquet".replace("'", "''")
    tables = ("customers", *KINDS, "treatments")
    samples = {table: _sample(Folder(events.path / table)) for table in tables}
    given = {
        **samples,
        "customers": f"(from {samples['customers']} where not profiling_objection)",
        "market_events": f"read_parquet('{market_events}')",
        "lifecycle": _sample(lifecycle),
        "labels": _sample(labels),
        "evidence": ", ".join(f"evidence_{name}" for name in REASONS),
        "never": NEVER,
        "unit": UNIT,
        "sla_days": f"{sla.minor}, {sla.major}, {sla.critical}",
        "within": 2 * calibration["horizon_days"],
        "end": day_number(calibration["data_end"]),
    }
    return {name: query(sql.format(**given)) for name, sql in SQL.items()}


def with_service(visits: pd.DataFrame, sla: Sla) -> pd.DataFrame:
    """Add to each visit: failed (any service failure), serious or small (unknown for a defect
    returned without a complaint), sla_breached, long_run, reason (any reason to leave). Also what
    was known before them: log_number, days_since the visit before (0: the first), log_spend.
    """
    serious = visits["severity"].ge(1) | (visits["late"] > sla.major_late)
    late = visits["late"] > sla.delivery_grace
    failed = serious | visits["cut"] | visits["defect"] | visits["severity"].notna() | late
    small = ~serious & (visits["severity"].eq(0) | visits["cut"] | late)
    runs = visits.loc[visits["stage"] == "core", "run"]
    long_run = visits["run"] >= max(SHORTEST_RUN, runs.quantile(LONG_RUN))
    sla_breached = visits["repair"] > 1
    reason = serious | sla_breached | long_run | visits["competitor_until"].notna()
    visits = visits.assign(failed=failed, serious=serious, small=small)
    visits = visits.assign(
        log_number=np.log(visits["number"]),
        days_since=visits.groupby("customer_id")["day"].diff().fillna(0),
        log_spend=np.log(visits["spend"]),
    )
    return visits.assign(sla_breached=sla_breached, long_run=long_run, reason=reason)


def mature(visits: pd.DataFrame, days: int, end: int) -> pd.DataFrame:
    """Return the visits that so many days of data follow, with the outcome in these days."""
    rows = visits[visits["day"] + days < end]
    gone = rows["next_on"] - rows["day"] > days
    return rows.assign(gone=gone, again=~gone)


def silences(visits: pd.DataFrame, horizon: int, end: int) -> pd.DataFrame:
    """One row per visit and two horizons of data that began without a purchase for `waited` days.

    `back`: a purchase came in these two horizons. `holds`: a reason to leave holds.
    """
    spans = []
    first = LONG_SILENCE * horizon
    longest = end - int(visits["day"].min()) if len(visits) else 0
    for waited in range(first, max(longest, first + 1), 2 * horizon):
        rows = mature(visits, waited + 2 * horizon, end)
        rows = rows[rows["next_on"] - rows["day"] > waited]
        now = rows["day"] + waited
        unresolved = rows["sla_breached"] & (rows["resolved"] > now)
        competitor = rows["competitor_until"] > now
        holds = rows["serious"] | rows["long_run"] | unresolved | competitor
        spans.append(rows.assign(waited=waited, holds=holds, back=rows["again"]))
    return pd.concat(spans, ignore_index=True)


def away(stays: pd.DataFrame, visits: pd.DataFrame, days: int, end: int) -> pd.DataFrame:
    """Return the stays of lost core customers that so many days of data follow.

    `back`: a purchase came in these days.
    """
    lost = stays[(stays["stage"] == "core_defector") & stays["lapsed"]]
    lost = lost[lost["snapshot"] + days <= end]
    next_on = visits[["customer_id", "day", "next_on"]]
    rows = lost.merge(next_on, on=["customer_id", "day"], validate="m:1")
    return rows.assign(back=rows["next_on"] < rows["snapshot"] + days)


def listed(calls: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the last visit before each list; of several lists after one visit, the first."""
    if visits.empty or calls.empty:  # which merge_asof cannot join
        return calls.iloc[:0].merge(visits.iloc[:0], on="customer_id")
    past = visits.sort_values("day")
    rows = pd.merge_asof(
        calls, past, left_on="as_of", right_on="day", by="customer_id", allow_exact_matches=False
    )
    return rows.dropna(subset="day").drop_duplicates(["customer_id", "day"])


def observed(rows: dict[str, pd.DataFrame], calibration: dict[str, Any]) -> Observations:
    """Return the rows with their outcomes, from the visits `with_service` and the other rows."""
    horizon, end = calibration["horizon_days"], day_number(calibration["data_end"])
    visits, prospects = rows["visits"], rows["prospects"]
    return Observations(
        visits=mature(visits, SILENCE * horizon, end),
        lost=mature(visits, LOST * horizon, end),
        silences=silences(visits, horizon, end),
        away=away(rows["stays"], visits, 2 * horizon, end),
        stays=rows["stays"],
        prospects=prospects.assign(log_touches=np.log1p(prospects["touches"])),
        calls=mature(listed(rows["calls"], visits), SILENCE * horizon, end),
    )
