"""What the shop itself has seen, as rows to learn from in hindsight: nothing here knows the truth.

Days are whole days since 1970-01-01; NEVER stands for what has not happened.
"""

from typing import Any

import numpy as np
import pandas as pd

from features.records import KINDS, NEVER, UNIT
from features.settings import Sla
from models.hypotheses.statements import Seen
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import query, rows_of
from pipeline.runtime.store import Folder

SILENCE = 3  # horizons without a purchase after which a customer counts as gone
LONG_SILENCE = 4  # horizons after which few are only slow
LOST = 6  # horizons after which hardly anybody is
# quantile, over the visits of core customers, from which on a run of the same item is long
LONG_RUN = 0.97
SHORTEST_RUN = 3  # and at least so many
# customers lie in partitions by the hash of their id: the first ones are a sample of all
PARTITIONS = 20

# Complaints and returns that name no order are put down to the last one before them.
VISITS = """
with line as (
    select part, customer, day, basket, sku, category, amount, promised, delivered, cancelled
    from {orders} where quantity > 0 and amount > 0),
bought as (
    select part, customer, basket, min(day) as day, sum(amount) / {unit} as spend, count(distinct category) as facets,
           if(count(distinct sku) = 1, min(sku), null) as item, bool_or(cancelled < {never}) as cut,
           max(promised) filter (where promised < {never}) as promised, max(delivered) filter (where cancelled = {never}) as delivered
    from line group by all having bool_or(cancelled = {never})),
placed as (
    select c.part, c.customer, coalesce(nullif(c.basket, -1), b.basket) as basket, c.opened, c.resolved, c.severity
    from {complaints} c asof left join bought b on c.part = b.part and c.customer = b.customer and c.opened >= b.day),
complaint as (
    select part, customer, basket, max(severity) as severity, max(resolved) as resolved,
           max(if(resolved = {never}, 'inf'::double, (resolved - opened) / list_value({promises})[severity + 1])) as repair
    from placed group by all),
sent_back as (
    select r.part, r.customer, coalesce(nullif(r.basket, -1), b.basket) as basket, true as defect
    from {returns} r asof left join bought b on r.part = b.part and r.customer = b.customer and r.day >= b.day
    where r.defect group by all),
visit as (
    select part, customer, day, sum(spend) as spend, max(facets) as facets, if(count(*) = 1, min(item), null) as item,
           bool_or(cut) as cut, coalesce(max(delivered - promised), 0) as late, max(severity) as severity,
           max(repair) as repair, max(resolved) as resolved, coalesce(bool_or(defect), false) as defect
    from bought left join complaint using (part, customer, basket) left join sent_back using (part, customer, basket) group by all),
following as (
    select *, row_number() over past as number, coalesce(lead(day) over past, {never}) as next_on,
           (item is null or item is distinct from lag(item) over past)::int as other
    from visit window past as (partition by part, customer order by day)),
running as (select *, sum(other) over (partition by part, customer order by day) as spell from following),
rival as (
    select part, customer, visit.day, max(ends) as ends
    from visit join {market_events} e on visit.day >= starts and visit.day < ends and (
        select arg_max(category, (count, category)) from (
            select category, count(*) as count from line
            where line.part = visit.part and line.customer = visit.customer and line.day <= visit.day and category >= 0
            group by category)) = e.category
    group by all),
core as (select customer_id, min(core_since) - date '1970-01-01' as core_since from {lifecycle} group by all)
select customer_id, v.* exclude (part, customer, item, other, spell),
       if(item is null, 0, row_number() over (partition by v.part, v.customer, spell order by v.day)) as run, r.ends as rival_ends,
       case when number = 1 then 'first_time' when core_since <= v.day then 'core' else 'early_repeat' end as stage,
       coalesce(core_since < v.day, false) as was_core
from running v join {customers} using (part, customer)
left join rival r on r.part = v.part and r.customer = v.customer and r.day = v.day left join core using (customer_id)
order by customer_id, v.day
"""
PROSPECTS = """
with first as (select part, customer, min(day) as first_on from {orders} where quantity > 0 and amount > 0 group by all),
touch as (
    select customer_id, known, first_on, least(coalesce(first_on, {never}), known + {within}) as until, t.*
    from {touches} t join {customers} using (part, customer) left join first using (part, customer)
    where known + {within} < {end} and t.day <= until)
select customer_id, coalesce(first_on <= known + {within}, false) as converted, count(*) as touches,
       bool_and(expectation is null or met <= until) as all_met, bool_or(due <= until and met > due) as missed
from touch group by all order by customer_id
"""
STAYS = """
select customer_id, snapshot - date '1970-01-01' as snapshot, last_purchase_on - date '1970-01-01' as day, stage::varchar as stage,
       activity = 'lapsed' as lapsed, satisfaction, net_spend_365d, not defected as again
from {lifecycle} join {labels} using (customer_id, snapshot)
where last_purchase_on is not null order by customer_id, snapshot
"""
CALLS = """
select customer_id, as_of, contact = 'call' as called from {treatments} join {customers} using (part, customer)
where contact in ('call', 'hold_out') and as_of < {end} order by as_of, customer_id
"""


def _sample(folder: Folder) -> str:
    return f"(from {rows_of(folder)} where part < 'part-{PARTITIONS:03d}')"


def tables_of(events: Folder, lifecycle: Folder, labels: Folder) -> dict[str, str]:
    """SQL for the rows of each table, of the first partitions alone."""
    found = {
        name: _sample(Folder(events.path / name)) for name in ("customers", *KINDS, "treatments")
    }
    market_events = f"{events.path}/market_events.parquet".replace("'", "''")
    return {
        **found,
        "market_events": f"read_parquet('{market_events}')",
        "lifecycle": _sample(lifecycle),
        "labels": _sample(labels),
    }


def queries(
    events: Folder, lifecycle: Folder, labels: Folder, calibration: dict[str, Any], sla: Sla
) -> dict[str, pd.DataFrame]:
    """What the shop saw, as it lies there.

    Purchases with how they went, stays, prospects and calls.
    """
    given = {
        **tables_of(events, lifecycle, labels),
        "never": NEVER,
        "unit": UNIT,
        "promises": f"{sla.minor}, {sla.major}, {sla.critical}",
        "within": 2 * calibration["horizon_days"],
        "end": day_number(calibration["data_end"]),
    }
    return {
        name: query(sql.format(**given))
        for name, sql in (
            ("visits", VISITS),
            ("stays", STAYS),
            ("prospects", PROSPECTS),
            ("calls", CALLS),
        )
    }


def judged(visits: pd.DataFrame, sla: Sla) -> pd.DataFrame:
    """The visits with how they went: failed, grave, small; overdue: not mended within the promise;
    reason: one to leave is in sight.

    A defect returned in silence has failed, but nobody said whether it was grave or small.
    """
    grave = visits["severity"].ge(1) | (visits["late"] > sla.major_late)
    failed = (
        grave
        | visits["cut"]
        | visits["defect"]
        | visits["severity"].notna()
        | (visits["late"] > sla.delivery_grace)
    )
    small = ~grave & (
        visits["severity"].eq(0) | visits["cut"] | (visits["late"] > sla.delivery_grace)
    )
    long_run = visits["run"] >= max(
        SHORTEST_RUN, visits.loc[visits["stage"] == "core", "run"].quantile(LONG_RUN)
    )
    overdue = visits["repair"] > 1
    reason = grave | overdue | long_run | visits["rival_ends"].notna()
    return visits.assign(
        failed=failed, grave=grave, small=small, overdue=overdue, long_run=long_run, reason=reason
    )


def mature(visits: pd.DataFrame, days: int, end: int) -> pd.DataFrame:
    """The visits that so many days of data follow, with what came in them."""
    rows = visits[visits["day"] + days < end]
    gone = rows["next_on"] - rows["day"] > days
    return rows.assign(gone=gone, again=~gone)


def silences(visits: pd.DataFrame, horizon: int, end: int) -> pd.DataFrame:
    """One row per visit and two horizons of data that began, `waited` days after it, in silence.

    Whether he came `back` in them.
    """
    found = []
    for waited in range(LONG_SILENCE * horizon, end - int(visits["day"].min()), 2 * horizon):
        rows = mature(visits, waited + 2 * horizon, end)
        rows = rows[rows["next_on"] - rows["day"] > waited]
        now = rows["day"] + waited
        holds = (
            rows["grave"]
            | rows["long_run"]
            | (rows["overdue"] & (rows["resolved"] > now))
            | (rows["rival_ends"] > now)
        )
        found.append(rows.assign(waited=waited, holds=holds, back=rows["again"]))
    return pd.concat(found, ignore_index=True)


def listed(calls: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """The visits before a customer was first put on a list after them, with whether he was called."""
    past = visits.sort_values("day")
    rows = pd.merge_asof(
        calls, past, left_on="as_of", right_on="day", by="customer_id", allow_exact_matches=False
    )
    return rows[rows["day"].notna()].drop_duplicates(["customer_id", "day"])


def seen_by(found: dict[str, pd.DataFrame], calibration: dict[str, Any]) -> Seen:
    """The rows that are asked, from the judged visits and the rest."""
    horizon, end = calibration["horizon_days"], day_number(calibration["data_end"])
    visits, prospects = found["visits"], found["prospects"]
    return Seen(
        visits=mature(visits, SILENCE * horizon, end),
        lost=mature(visits, LOST * horizon, end),
        silences=silences(visits, horizon, end),
        stays=found["stays"],
        prospects=prospects.assign(log_touches=np.log1p(prospects["touches"])),
        calls=mature(listed(found["calls"], visits), SILENCE * horizon, end),
    )
