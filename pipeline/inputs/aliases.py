"""Several ids of one customer: merged loyalty cards, guests who open an account, old addresses.

An alias that was recorded before the data ends holds for all rows, also those before its date: the
purchases were the same customer's, whenever the shop came to know it. Of several records of one id
the newest holds; one that names the id itself undoes a merge. Chains are followed to their end.
"""

from typing import Any

from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import Db, fetch_all, fetch_value
from pipeline.inputs.plausible import PLACE
from pipeline.inputs.refusals import refusal
from pipeline.runtime.store import Folder

FILE = "aliases.parquet"
LONGEST = 40  # a chain of 2**40 records
NAMED = tuple(
    table.name
    for table in TABLES.values()
    if "customer_id" in table.names and table.name not in ("customers", "aliases")
)


def resolve(db: Db, end: str) -> None:
    """Give every staged row the canonical id of its customer; `end`: midnight after the last day.

    Creates `alias_of` (alias, canonical), and `aliased` with the rows changed by table. Raises
    InputError where a chain leads back to itself.
    """
    db.execute(f"""create table alias_of as
        select * from (
            select customer_id as alias, arg_max(canonical_id, recorded_at) as canonical
            from accepted_aliases where recorded_at < timestamp '{end}' group by 1)
        where alias <> canonical""")
    db.execute("create table aliased (name varchar, rows bigint)")
    if not fetch_value(db, "select count(*) from alias_of"):
        return
    _follow_chains(db)
    for table in NAMED:
        _rename(db, table)
    _merge_customers(db)
    if fetch_all(db, "from duckdb_tables() where table_name = 'erased_again'"):
        for table in ("customers", *NAMED):
            db.execute(f"""update staged_{table} set fate = 'erased'
                where fate is null and customer_id in (from erased_again)""")


def _follow_chains(db: Db) -> None:
    """Let each alias name the end of its chain; each round doubles the length that is followed."""
    open_chains = "select alias from alias_of where canonical in (select alias from alias_of)"
    db.execute(f"insert into aliased select 'chains', count(*) from ({open_chains})")
    for _ in range(LONGEST):
        if not fetch_all(db, f"from ({open_chains}) limit 1"):
            return
        db.execute("""update alias_of set canonical = next.canonical
            from (from alias_of) next where alias_of.canonical = next.alias""")
    place = f"""select {PLACE}, count(*) from accepted_aliases
        where customer_id in ({open_chains})"""
    where, count = fetch_all(db, place)[0]
    raise refusal("E_ALIAS_CYCLE", f"{where} canonical_id", count=count)


def _rename(db: Db, table: str) -> None:
    db.execute(f"""insert into aliased select '{table}', count(*)
        from staged_{table} where customer_id in (select alias from alias_of)""")
    db.execute(f"""update staged_{table} set customer_id = canonical
        from alias_of where customer_id = alias""")


def _merge_customers(db: Db) -> None:
    """Leave one row per canonical id: first known with the first id, objections of any of them."""
    _rename(db, "customers")
    db.execute("""create temp table merged as
        select customer_id, min_by(rowid, (source_file, source_line)) as kept,
               min(created_at) as created_at, max(erased_at) as erased_at,
               bool_or(do_not_contact) as do_not_contact,
               bool_or(profiling_objection) as profiling_objection
        from staged_customers where fate is null
            and customer_id in (select canonical from alias_of)
        group by 1""")
    db.execute("""update staged_customers set fate = 'merged'
        where fate is null and customer_id in (select customer_id from merged)
            and rowid not in (select kept from merged)""")
    db.execute("""update staged_customers set created_at = m.created_at, erased_at = m.erased_at,
            do_not_contact = m.do_not_contact, profiling_objection = m.profiling_objection
        from merged m where staged_customers.rowid = m.kept""")


def account(db: Db) -> dict[str, Any]:
    """Return how many ids were merged, how many of them in chains, and the rows by table."""
    rows = dict(fetch_all(db, "select name, rows from aliased where rows > 0"))
    chains = rows.pop("chains", 0)
    merged = fetch_value(db, "select count(*) from alias_of")
    customers = fetch_value(db, "select count(distinct canonical) from alias_of")
    return {"ids": merged, "in_chains": chains, "customers": customers, "rows": rows}


def canonical_ids(events: Folder) -> dict[str, str]:
    """Return the canonical id of each alias in force, of a folder of events."""
    if not events.names(FILE):
        return {}
    rows = events.read(FILE).to_pylist()
    return {row["customer_id"]: row["canonical_id"] for row in rows}
