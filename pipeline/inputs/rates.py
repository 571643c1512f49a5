"""Amounts in several currencies, converted to the shop's by the newest rate of the day or before.

Without the table `rates` a row in another currency stops the run.
"""

from pipeline.inputs.database import Db, fetch_all, literal
from pipeline.inputs.plausible import PLACE
from pipeline.inputs.refusals import refusal
from pipeline.inputs.staging import Types
from pipeline.runtime.sections import Ingest

CONVERTED = {"orders": "ordered_at", "returns": "returned_at"}


def convert(db: Db, delivered: dict[str, Types], params: Ingest) -> None:
    """Convert the amounts of orders and returns to the shop's currency, and judge their size.

    A return without a currency has that of its order. Raises InputError where a rate is missing or
    not above zero, with the currency and the day.
    """
    place, count = fetch_all(
        db, f"select {PLACE}, count(*) from accepted_rates where (rate > 0) is not true"
    )[0]
    if count:
        raise refusal("E_RATE value", f"{place} rate", count=count)
    if "returns" in delivered and {"order_id"} <= delivered["returns"].keys():
        db.execute("""update staged_returns r set currency = o.currency
            from (select order_id, any_value(currency) as currency
                  from accepted_orders group by 1) o
            where r.currency is null and r.order_id = o.order_id""")
    for table, day in CONVERTED.items():
        _convert(db, table, day, literal(params.currency))
        db.execute(f"""update staged_{table} set fate = 'E_MAX_AMOUNT net_amount'
            where fate is null and abs(net_amount) > {params.max_amount} * 10000""")


def _convert(db: Db, table: str, day: str, currency: str) -> None:
    db.execute(f"""create or replace temp table priced as
        select t.line, t.currency, t.day, t.place, r.rate
        from (select rowid as line, currency, {day}::date as day,
                     source_file || ':' || source_line as place
              from staged_{table} where fate is null and currency <> {currency}) t
        asof left join (
            select currency, "on"::date as day, rate from accepted_rates) r
        on t.currency = r.currency and t.day >= r.day""")
    missing = fetch_all(
        db,
        """select currency, min(day), min_by(place, day), count(*) from priced
        where rate is null group by 1 order by 4 desc, 1 limit 1""",
    )
    if missing:
        name, first, place, count = missing[0]
        details = {"currency": name, "day": first, "count": count}
        raise refusal("E_RATE missing", f"{place} currency", **details)
    db.execute(f"""update staged_{table} set net_amount = round(net_amount * rate)::bigint
        from priced where staged_{table}.rowid = line""")
