"""The fate of every staged row with regard to the others, and the account of all fates."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.inputs import aliases
from pipeline.inputs.buyers import total_buyers
from pipeline.inputs.checks import CODES, NOTES, REFERENCES, UNKNOWN_CUSTOMER
from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import Db, fetch_all, fetch_value, literal
from pipeline.inputs.discounts import take_off_discounts
from pipeline.inputs.duplicates import mark_duplicates
from pipeline.inputs.excess import judge_returns
from pipeline.inputs.finding import staged_findings
from pipeline.inputs.origins import add_origins
from pipeline.inputs.plausible import judge_customers, judge_orders, note_counts
from pipeline.inputs.rates import convert
from pipeline.inputs.rebilled import mark_rebilled
from pipeline.inputs.refusals import refusal
from pipeline.inputs.staging import Types, delivered_types, stage_table, whole_numbers
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import say
from pipeline.runtime.sections import LARGEST_AMOUNT, Ingest

EVENTS = [table.name for table in TABLES.values() if table.event and table.name != "customers"]
Delivered = dict[str, Types]  # by table
# the days next to a change of the clocks, one bit per day from 1971 to 2199; the days in between
# need no arithmetic with the time zone, which takes 150 ns a time
CLOCK_CHANGES = """
    select coalesce(bitstring_agg((day::date - date '1971-01-01')::integer, 0, 83645)::varchar, '')
    from range(timestamp '1971-01-01', timestamp '2200-01-01', interval 1 day) t(day)
    where epoch(timezone({zone}, day + interval 2 day))
          - epoch(timezone({zone}, day - interval 1 day)) <> 3 * 86400"""
NEAR_CLOCK_CHANGE = """
    set variable clock_changes = nullif('{changes}', '')::bit;
    create macro near_clock_change(t) as coalesce(get_bit(
        getvariable('clock_changes'), datediff('day', date '1971-01-01', t)::integer), 0) = 1"""


@cache
def _clock_changes(zone: str) -> str:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as db:
        return str(fetch_value(db, CLOCK_CHANGES.format(zone=zone)))


def rule_settings(db: Db, params: Ingest) -> dict[str, str]:
    """Return what the rules of rules.yaml name in braces; amounts are judged once converted."""
    views = "from information_schema.tables where table_schema = 'main' and table_name = 'rates'"
    has_rates = bool(fetch_all(db, views))
    # one day of tolerance for wrong clocks and zones further east
    now = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    return {
        "zone": literal(params.timezone),
        "currency": literal(params.currency),
        "max_amount": str(LARGEST_AMOUNT if has_rates else params.max_amount),
        "has_rates": str(has_rates).lower(),
        "now": f"timestamp '{now:%Y-%m-%d %H:%M:%S}'",
    }


def check_rows(db: Db, place: str, params: Ingest) -> Delivered:
    """Stage every table and check its rows one by one; return the types of the delivered columns.

    `place` names the shop's SQL.
    """
    settings = rule_settings(db, params)
    db.execute(NEAR_CLOCK_CHANGE.format(changes=_clock_changes(settings["zone"])))
    add_origins(db)
    delivered = delivered_types(db, place)
    whole = whole_numbers(delivered)
    for of in TABLES.values():
        table = of.with_own(delivered.get(of.name, {}))
        stage_table(db, table, delivered.get(table.name, {}), whole, settings)
        if table.name in delivered:
            needed = table.name in ("customers", "orders")  # the other tables may be empty
            if needed and not fetch_all(db, f"from staged_{table.name} limit 1"):
                raise refusal("E_NO_ROWS", f"{place} {table.name}")
            for finding in staged_findings(db, table.name, params):
                if finding.stops:
                    raise finding.error(params)
            mark_duplicates(db, table, delivered[table.name])
    if "rates" in delivered:
        check_limits(db, "rates", params)  # the cause before what follows from it
        convert(db, delivered, params)
    take_off_discounts(db)
    return delivered


def _set_fate(db: Db, table: str, fate: str, condition: str) -> None:
    """Give a fate to the rows t of a table that are still accepted and meet the condition."""
    sql = f"update staged_{table} as t set fate = {literal(fate)}"
    db.execute(f"{sql} where t.fate is null and {condition}")


def _check_references(db: Db, table: str, types: Types) -> None:
    """Set the fate of rows of erased customers, and of rows whose references lead nowhere.

    A rule is a join with another table. Columns that were not delivered are worth none.
    """
    if fetch_all(db, "from staged_customers where fate = 'erased' limit 1"):
        erased = """exists (from staged_customers c
            where c.customer_id = t.customer_id and c.fate = 'erased')"""
        _set_fate(db, table, "erased", erased)
    for reference in REFERENCES:
        if table in reference.tables and types.keys() >= reference.needs:
            _set_fate(db, table, f"{reference.code} {reference.column}", reference.breaks)


def _data_end(db: Db, params: Ingest, place: str) -> dt.date:
    """Return the day at whose first midnight the data ends."""
    total_buyers(db)
    newest: dt.date | None = fetch_value(db, "select max(last_at)::date from buyers")
    if newest is None:
        raise refusal("E_NO_ORDERS", place)
    if params.data_end:
        end = dt.date.fromisoformat(params.data_end)
        if (end - newest).days > params.data_end_after:
            rule = f"more than {params.data_end_after} days after the newest order, of {newest}"
            fix = "correct the day, or leave it empty"
            raise ConfigError("E_DATA_END", "ingest.data_end", rule, fix)
        return end
    return newest + dt.timedelta(days=1)


def relate_rows(
    db: Db, delivered: Delivered, params: Ingest, place: str, closed: Sequence[str]
) -> dt.date:
    """Set the fate of every row with regard to the others; return the day the data ends."""
    judge_orders(db, params, closed)
    newest = None
    if "aliases" in delivered:
        newest = fetch_value(db, "select max(ordered_at)::date + 1 from accepted_orders")
    aliases.resolve(db, params.data_end or str(newest or dt.date.min))
    judge_customers(db, params.plausible)
    if "customers" in delivered:
        _set_fate(db, "customers", "erased", "t.erased_at is not null")
        check_limits(db, "customers", params)  # the cause before what follows from it
        _check_references(db, "orders", delivered["orders"])
    check_limits(db, "orders", params)
    end = _data_end(db, params, place)
    events = [table for table in delivered if table in EVENTS]
    for table in events:
        _set_fate(db, table, "out_of_window", f"t.{TABLES[table].event} >= timestamp '{end}'")
    if not fetch_all(db, "from accepted_orders limit 1"):
        fix = "set a later day, or null"
        raise ConfigError("E_DATA_END", "ingest.data_end", "no order lies before it", fix)
    if "customers" not in delivered:
        total_buyers(db)
        db.execute("""insert into staged_customers (customer_id, created_at)
            select customer_id, first_at from buyers""")
    for table in delivered:
        if table not in ("customers", "orders") and "customer_id" in TABLES[table].names:
            _check_references(db, table, delivered[table])
    if "returns" in delivered:
        judge_returns(db, delivered, params.plausible)
        mark_rebilled(db, delivered, params.rebilled_days)
    if "customers" in delivered:
        late, same = f"created_at >= timestamp '{end}'", "e.customer_id = t.customer_id"
        if fetch_all(db, f"from accepted_customers where {late} limit 1"):
            events_of = [f"exists (from accepted_{table} e where {same})" for table in events]
            late += f" and not ({' or '.join(events_of)})"
            _set_fate(db, "customers", "out_of_window", late)
    for table in {"suppressions", "segments"} & delivered.keys():
        _set_fate(db, table, "out_of_window", UNKNOWN_CUSTOMER)
    if "segments" in delivered and not fetch_all(db, "from accepted_segments limit 1"):
        raise refusal("E_SEGMENTS unknown", f"{place} segments")
    return end


def check_limits(db: Db, table: str, params: Ingest) -> None:
    """Raise the error of the first rule that more rows of a table break than may."""
    for finding in staged_findings(db, table, params):
        raise finding.error(params)


def account_of(db: Db, delivered: Delivered, lines: int) -> dict[str, dict[str, Any]]:
    """Return what became of every row, by table; each number is counted on its own.

    `rows_in` comes from the shop's view, `accepted` from the rows to be written: `lines` of orders.
    """
    account = {}
    written = {"customers": "customers_known"}
    written |= {
        name: f"accepted_{name}" for name in ("market_events", "aliases", "rates", "segments")
    }
    for table in (table for table in TABLES if table in delivered):
        rows_in = fetch_value(db, f"select count(*) from main.{table}")
        counted = f"select count(*) from {written.get(table, f'placed_{table}')}"
        accepted = lines if table == "orders" else fetch_value(db, counted)
        counts = f"""select split_part(fate, ' ', 1), count(*) from staged_{table}
            where fate is not null group by all order by all"""
        fates = dict(fetch_all(db, counts))
        account[table] = {
            "rows_in": rows_in,
            "accepted": accepted,
            "quarantined": {code: count for code, count in fates.items() if code in CODES},
            "exact_duplicates": fates.get("exact_duplicate", 0),
            "out_of_window": fates.get("out_of_window", 0),
            "erased": fates.get("erased", 0),
        }
        account[table] |= {fate: fates[fate] for fate in ("merged", "rebilled") if fate in fates}
        if rows_in != accepted + sum(fates.values()):
            raise RuntimeError(f"{table}: the fates do not add up: {account[table]}, {fates}")
        say(f"{table}: {accepted} of {rows_in} rows accepted")
    return account


def notes_of(db: Db, delivered: Delivered) -> dict[str, dict[str, int]]:
    """Return how many accepted rows of each table had a value changed, or odd, by kind."""
    noted: dict[str, dict[str, int]] = {}
    moved = """select count(*) from customers_known k join accepted_customers c using (customer_id)
        where k.known < day_of(c.created_at)"""
    above = "select count(*) from above_bought where line is not null"
    for table in delivered:
        counts = note_counts(db, table)
        if table == "returns" and (count := fetch_value(db, above)):
            noted[table] = {"above_bought": count}
        if table == "customers" and (count := fetch_value(db, moved)):
            noted[table] = {"created_at_moved": count}
        noted.setdefault(table, {}).update(
            {note.code: counts[note.code] for note in NOTES if counts[note.code]}
        )
    return noted


def quarantine(
    db: Db, delivered: Delivered, unusable: list[dict[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """One row per quarantined row: its place and code, none of its values. One file per table.

    `unusable`: such rows of returned lists, for the file `returned.parquet`.
    """
    if unusable:
        yield "returned.parquet", pa.Table.from_pylist(unusable)
    for table in (table for table in TABLES if table in delivered):
        sql = f"""
            select source_file as file, source_line as line,
                   split_part(fate, ' ', 2) as "column", split_part(fate, ' ', 1) as code
            from staged_{table} where starts_with(fate, 'E_') order by all"""
        yield f"{table}.parquet", db.sql(sql).to_arrow_table()
