"""What earlier lists and the people who worked on them say about a customer."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from features.records import Flags
from pipeline.delivery.published import UNLISTED
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import query, rows_of
from pipeline.runtime import store
from pipeline.runtime.publishing import folders, named
from pipeline.runtime.store import Folder


class Earlier(NamedTuple):
    """What is known of customers from before today.

    `contacted`: the day of the last contact that was made, by customer_id. `withheld`: the day on
    which the customer was last in the control group. `since`: customer_id, queue and the ISO date
    from which on each list showed them.
    """

    contacted: "pd.Series[int]"
    withheld: "pd.Series[int]"
    since: pd.DataFrame


def kept_lists(lists: Path) -> dict[str, Path]:
    """Return the folder of each list that is kept, by ISO snapshot, oldest first.

    Of several lists of one snapshot the last. A list that somebody changed does not count.
    """
    return {folder.name[:10]: folder for folder in folders(lists) if _is_ours(folder)}


def _is_ours(folder: Path) -> bool:
    scored, manifest = folder / "scored.parquet", folder / "manifest.json"
    if not scored.is_file():
        return False
    # hashing every list of a year each night would take minutes
    if scored.stat().st_mtime_ns <= manifest.stat().st_mtime_ns:
        return True
    return store.sha256(scored) == named(folder).get("scored.parquet")


def _scored(paths: list[Path]) -> str:
    """SQL for the rows of these files; without any, an empty table."""
    if not paths:
        return """(select null::date as as_of, null::varchar as customer_id,
            null::varchar as queue, null::varchar as contact limit 0)"""
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"(select as_of, customer_id, queue, contact from read_parquet([{files}]))"


# A customer is on a list since the first of the lists that showed them without a break, up to the
# newest. Treatments say it for the time before the first list that is kept.
_SINCE = """
with shown as (
    select *, dense_rank() over (order by as_of desc) as back from {scored}),
unbroken as (
    select *, row_number() over (partition by customer_id, queue order by as_of desc) as nth
    from shown where contact not in {unlisted}),
lists as (
    select customer_id, queue, min(as_of) as since from unbroken where nth = back group by all),
first as (select min(as_of) as day from shown),
treated as (
    select c.customer_id, t.queue, min(date '1970-01-01' + t.as_of) as since
    from {treatments} t join {customers} c using (customer, part)
    where t.as_of < $as_of and contact is distinct from 'hold_out' group by all)
select customer_id, queue, coalesce(
    if(l.since = first.day, least(l.since, t.since), l.since),
    if(first.day is null, t.since, null)) as since
from lists l full join treated t using (customer_id, queue) cross join first
where coalesce(l.since, if(first.day is null, t.since, null)) is not null
order by all
"""
_LAST = """
select customer_id, max(day)::integer as day from (
    {rows}) where day < $as_of group by all order by all
"""
_CONTACTED = """select c.customer_id, t.done_on as day
    from {treatments} t join {customers} c using (customer, part)
    where t.contact is distinct from 'hold_out'"""
_WITHHELD = """select customer_id, as_of - date '1970-01-01' as day
    from {scored} where contact = 'hold_out'
    union all select c.customer_id, t.as_of
    from {treatments} t join {customers} c using (customer, part) where t.contact = 'hold_out'"""


def earlier(events: Folder, lists: Path, snapshot: str) -> Earlier:
    """Return what is known from before the snapshot: the kept lists, and what came back."""
    tables = {
        "treatments": rows_of(events, "treatments/*.parquet"),
        "customers": rows_of(events, "customers/*.parquet"),
        "scored": _scored(
            [
                folder / "scored.parquet"
                for day, folder in kept_lists(lists).items()
                if day < snapshot
            ]
        ),
        "unlisted": str(UNLISTED),
    }
    as_of = day_number(snapshot)

    def last(rows: str) -> "pd.Series[int]":
        sql = _LAST.format(rows=rows.format(**tables))
        return query(sql, as_of=as_of).set_index("customer_id")["day"]

    since = query(_SINCE.format(**tables), as_of=as_of)
    return Earlier(last(_CONTACTED), last(_WITHHELD), since)


def rested(
    rows: pd.DataFrame, contacted: "pd.Series[int]", cooldown: dict[str, int], day: int
) -> Flags:
    """Return who may not be called yet: contacted fewer than their queue's days ago."""
    last = contacted.reindex(rows["customer_id"]).to_numpy(np.float64)
    return last > day - rows["queue"].map(cooldown).to_numpy(np.float64)
