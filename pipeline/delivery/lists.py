"""The rows of the list: the known customers, the order of work, one list per queue."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.records import NEVER, Floats
from models.decision.control import control_share, customers_needed, held_out
from models.decision.queues import QUEUES, queue_of
from models.decision.worklist import calls_a_day, contacts, ranked, stakes, values, worth_a_call
from models.reasons.catalogue import band
from models.reasons.settings import ReasonRules
from models.settings import Costs
from pipeline.delivery.earlier import Earlier, rested
from pipeline.delivery.facts import combined, fact
from pipeline.delivery.published import may_be_listed
from pipeline.delivery.schema import CALL_LIST, FOR_PEOPLE, fill, with_segments
from pipeline.delivery.spreadsheet import safe_table
from pipeline.delivery.why import strongest
from pipeline.engine.calendar import day_number
from pipeline.engine.rows import rows_of, table
from pipeline.inputs.aliases import canonical_ids
from pipeline.inputs.segments import PREFIX, segments_of
from pipeline.inputs.suppressed import suppressed_today
from pipeline.runtime.progress import say
from pipeline.runtime.sections import Privacy, Score
from pipeline.runtime.store import Folder


def money_of(meta: dict[str, Any]) -> dict[str, str | None]:
    """`currency` and `value_unit` of the shop's values.

    A shop that delivers no amounts has no currency: each piece bought counts 1.
    """
    currency = meta["currency"] if "net_amount" in meta["tables"]["orders"] else None
    return {"currency": currency, "value_unit": currency or "pieces"}


def known_customers(
    lifecycle: Folder, events: Folder, snapshot: str, privacy: Privacy, root: Path
) -> tuple[pa.Table, int]:
    """One row per customer known at the snapshot, by customer_id: life cycle, do_not_contact, and
    `limit_on`, the next limit that the customer has set and nobody has met; then the segments.

    Suppressions are read again here: see `suppressed_today`. Customers who object to profiling are
    left out; their number is returned beside the rows.
    """
    day = day_number(snapshot)
    rows = table(
        f"""
        with limits as (
            select part, customer, min(due) as due from {rows_of(events, "touches/*.parquet")}
            where day < $day and due between $day and {NEVER - 1} and met >= $day group by all)
        select l.* exclude (filename, part), c.do_not_contact,
            date '1970-01-01' + limits.due as limit_on
        from {rows_of(lifecycle)} l
        join {rows_of(events, "customers/*.parquet")} c using (customer_id)
        left join limits on limits.part = c.part and limits.customer = c.customer
        where l.snapshot = $snapshot::date and not c.profiling_objection order by customer_id
        """,
        snapshot=snapshot,
        day=day,
    ).combine_chunks()
    objected = f"select * from {rows_of(events, 'customers/*.parquet')} where profiling_objection"
    objections = len(table(f"from ({objected}) where known < $day", day=day))
    own = segments_of(events, rows["customer_id"])
    rows = pa.table([*rows.columns, *own.values()], [*rows.column_names, *own])
    ids, zone = rows["customer_id"].to_pylist(), events.read("meta.json")["timezone"]
    suppressed = suppressed_today(ids, snapshot, zone, privacy, root, canonical_ids(events))
    if not suppressed:
        return rows, objections
    position = rows.column_names.index("do_not_contact")
    flags = zip(rows["do_not_contact"].to_pylist(), ids, strict=True)
    unwanted = pa.array([flag or name in suppressed for flag, name in flags])
    rows = rows.set_column(position, "do_not_contact", unwanted)
    kept = rows.filter(pa.array([not suppressed.get(name, False) for name in ids]))
    return kept.combine_chunks(), objections + len(rows) - len(kept)


def decision_rows(known: pa.Table, falls: pa.Table, rules: ReasonRules) -> pd.DataFrame:
    """One row per known customer with what a decision needs; no `risk` or `chance` yet.

    `falls`: data/category_falls.parquet.
    """
    everybody = np.ones(len(known), bool)
    state = (fact(known[name], everybody) for name in ("stage", "activity", "status"))
    stopped = pc.and_(falls["listed"], pc.equal(falls["purchases_now"], 0))
    names = ("scored", "do_not_contact", "yearly_spend", "purchases_365d")
    rows = pd.DataFrame({name: known[name].to_numpy() for name in names})
    rows = rows.assign(
        customer_id=known["customer_id"].to_pandas(),
        stage=known["stage"].dictionary_encode().to_pandas(),
        queue=combined(queue_of, *state).spelled(str).to_pandas(),
        activity=known["activity"].dictionary_encode().to_pandas(),
        category_stopped=pc.is_in(
            known["customer_id"], falls.filter(stopped)["customer_id"].combine_chunks()
        ).to_numpy(),
        since=known["since"].cast(pa.int32()).to_numpy(),
        risk=np.nan,
        chance=np.nan,
        **strongest(known, rules),
    )
    band_of = band(rows["evidence"].to_numpy(), rules)
    return rows.assign(value_365d=values(rows), evidence_band=band_of)


def decided(
    rows: pd.DataFrame,
    day: int,
    horizon: int,
    costs: Costs,
    bands: tuple[float, float],
    before: Earlier,
    params: Score,
) -> pd.DataFrame:
    """The rows in the order of work: stakes, ranks and contact. The index is the row's place.

    `day`: the snapshot as a day number. Who was in the control group less than a horizon ago stays
    in it: their outcome is not known yet.
    """
    rows = ranked(stakes(rows, horizon, costs, bands))
    resting = rested(rows, before.contacted, params.cooldown_days, day)
    withheld = before.withheld.reindex(rows["customer_id"]).to_numpy(np.float64) > day - horizon
    worth = worth_a_call(rows, params.call_when)
    control = worth & withheld
    calls = calls_a_day(rows, params.capacity)
    risk = rows["risk"][worth].dropna().to_numpy()
    share = share_of_control(risk, calls, horizon, costs, params)
    drawn = rows[worth]
    period = day // params.hold_out_days
    control[worth] |= held_out(
        drawn["customer_id"], drawn["queue"], share, params.hold_out_seed, period
    )
    contact = contacts(rows, params.call_when, params.capacity, control, resting)
    return rows.assign(contact=contact, control=control, resting=resting)


def share_of_control(risk: Floats, calls: int, horizon: int, costs: Costs, params: Score) -> float:
    """Return the control group's share of the calls, from the risks of those worth one.

    `calls`: see `calls_a_day`. A customer counts again after a horizon, when the outcome is known.
    The line it prints says how many customers a measurement of the save rate needs.
    """
    if len(risk) == 0:
        return params.hold_out_range[1] if params.hold_out == "auto" else params.hold_out
    coming = round(params.hold_out_days * min(len(risk) / horizon, calls))
    mean, share = float(risk.mean()), params.hold_out
    if share == "auto":
        share = control_share(coming, mean, costs.save_rate, *params.hold_out_range)
    needed = customers_needed(mean, costs.save_rate, share) if share else 0
    say(
        f"control group: {share:.0%} of the calls; {needed} customers on the lists show a save "
        f"rate of {costs.save_rate:g}, about {coming} come onto them in {params.hold_out_days} days"
    )
    return share


def scored_table(known: pa.Table, texts: pa.Table, rows: pd.DataFrame) -> pa.Table:
    """scored.parquet: one row per known customer by rank.

    `texts` are in the order of `known`; the index of `rows` is the place in it.
    """
    computed = rows.sort_index()
    columns = {name: pa.array(computed[name], from_pandas=True) for name in computed.columns}
    for given in (known, texts):
        columns |= dict(zip(given.column_names, given.columns, strict=True))
    segments = [name for name in known.column_names if name.startswith(PREFIX)]
    return fill(with_segments(segments), columns).take(rows.index.to_numpy())


def _keys(rows: pa.Table) -> pa.Array:
    parts = (rows[name].cast(pa.string()) for name in ("queue", "customer_id"))
    return pc.binary_join_element_wise(*parts, "/").combine_chunks()


def people_list(rows: pa.Table, owner: pa.ChunkedArray, before: pa.Table) -> pa.Table:
    """Rows of scored.parquet as people get them: owner and dates added, safe in a spreadsheet.

    `owner`: one per row. `before`: `key` of queue and customer, and the day they came on the list.
    """
    since_on = before["since"].take(pc.index_in(_keys(rows), before["key"].combine_chunks()))
    since_on = pc.coalesce(since_on, rows["as_of"].cast(pa.string()))
    people = fill(FOR_PEOPLE, {"owner": owner, "on_list_since": since_on})
    names = rows.column_names + people.column_names
    return safe_table(pa.table([*rows.columns, *people.columns], names))


def people_files(
    scored: pa.Table, owner: pa.ChunkedArray, since: pd.DataFrame
) -> dict[str, pa.Table]:
    """call.csv with today's calls of all queues, and one file with all customers of each queue.

    By rank, without those who may not be contacted. `owner`: one per row of `scored`. `since`: the
    column of `Earlier`. A file is made from its own rows alone: all at once would be there twice.
    """
    texts = pa.table({name: pa.array(since[name].astype(str), pa.string()) for name in since})
    before = pa.table({"key": _keys(texts), "since": texts["since"]})

    def people(column: str, value: str) -> pa.Table:
        here = pc.and_(may_be_listed(scored), pc.equal(scored[column], value))
        return people_list(scored.filter(here), owner.filter(here), before)

    segments = [name for name in scored.column_names if name.startswith(PREFIX)]
    calls = people("contact", "call").select([*CALL_LIST, *segments])
    return {"call.csv": calls, **{f"{queue}.csv": people("queue", queue) for queue in QUEUES}}
