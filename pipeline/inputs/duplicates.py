"""Rows delivered twice, and rows of one key that differ.

Two lines of one order may be equal in every column of the contract and still be two articles at one
price: columns that the contract does not have tell them apart. So where a row has no key, the whole
row of the raw file decides, or a second file that has the same order again.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.inputs.contract import ORIGIN, InputTable
from pipeline.inputs.database import Db, fetch_all, fetch_value, identifier
from pipeline.inputs.staging import Types

HASHES = 20_000_000  # 0.16 GB
BATCH = 100_000
COUNTED = ("orders", "returns")  # two equal rows of these may be two pieces


def _hashes(db: Db, rows: str, columns: str) -> Iterator[npt.NDArray[np.uint64]]:
    """Hash some columns of rows. Equal hashes are in one array, which is sorted.

    A sort of numbers costs a twentieth of a group by the columns. An array holds up to about
    HASHES, so memory is bounded.
    """
    count = fetch_value(db, f"select count(*) from {rows}")
    slices = 1 + count // HASHES
    for part in range(slices):
        sql = f"select h from (select hash({columns}) as h from {rows}) where h % {slices} = {part}"
        hashes, end = np.empty(count, np.uint64), 0  # takes memory only as far as it is filled
        for batch in db.sql(sql).to_arrow_reader(BATCH):
            begin, end = end, end + len(batch)
            hashes[begin:end] = batch["h"].to_numpy()
        hashes[:end].sort()
        yield hashes[:end]


def _has_repeated(db: Db, rows: str, columns: str) -> bool:
    """Create the view `repeated` of the hashes that several rows have; are there any?"""
    per_slice = [np.unique(h[1:][h[1:] == h[:-1]]) for h in _hashes(db, rows, columns)]
    repeated = np.concatenate(per_slice)
    if len(repeated):
        db.register("repeated", pa.table({"h": repeated}))
    return len(repeated) > 0


def _kinds(db: Db, rows: str, columns: str) -> int:
    """Return how many different values some columns have."""
    return sum(
        len(h[:1]) + int(np.count_nonzero(h[1:] != h[:-1])) for h in _hashes(db, rows, columns)
    )


def mark_duplicates(db: Db, table: InputTable, types: Types) -> None:
    """Give rows delivered twice the fate `exact_duplicate`.

    Rows with one key that differ, and those of one order of two customers, get the fate of a clash.
    """
    accepted = f"accepted_{table.name}"
    several = False
    if table.name == "orders":
        # an order has one customer, unless two of 2**64 hashes are equal
        orders = _kinds(db, accepted, "order_id")
        if orders == fetch_value(db, f"select count(*) from {accepted}"):
            return  # orders of one line each have no duplicates, which one column shows
        several = orders < _kinds(db, accepted, "order_id, customer_id")
    columns = ", ".join(identifier(column) for column in table.names if column in types)
    if _has_repeated(db, accepted, columns):
        _mark_repeated(db, table, columns, types)
    if table.key and types.keys() >= {*table.key}:
        key = ", ".join(map(identifier, table.key))
        known = " and ".join(f"{identifier(column)} is not null" for column in table.key)
        if _has_repeated(db, f"(from {accepted} where {known})", key):
            suspects = f"{known} and hash({key}) in (from repeated)"
            _mark_clash(db, table, "E_DUPLICATE_ID", key, suspects, "count(*)")
    if several:
        two = """hash(order_id) in (select hash(order_id) from accepted_orders group by all
            having min(hash(customer_id)) <> max(hash(customer_id)))"""
        customers = "count(distinct customer_id)"
        _mark_clash(db, table, "E_ORDER_CUSTOMERS", "order_id", two, customers)


def _mark_repeated(db: Db, table: InputTable, columns: str, types: Types) -> None:
    """Give all but the first of equal rows the fate `exact_duplicate`."""
    staged, suspects = f"staged_{table.name}", f"suspects_{table.name}"
    db.execute(f"""create temp table {suspects} as
        select rowid as line, hash({columns}) as h, source_file, source_line, 0::ubigint as raw,
            {_has_key(table, types)} as has_key
        from {staged} where fate is null and hash({columns}) in (from repeated)""")
    if table.name in COUNTED:
        _hash_raw_rows(db, suspects)
    db.execute(f"""
        update {staged} set fate = 'exact_duplicate' where rowid in (
            select line from {suspects} qualify row_number() over (
                partition by h, has_key, if(has_key, 0, raw)
                order by source_file, source_line, line) > 1)""")
    if table.name == "orders":
        # a file that has all lines of an order again, whatever else its rows say
        db.execute(f"""
            update {staged} set fate = 'exact_duplicate' where rowid in (
                with lines as (
                    select order_id, source_file, rowid as line, hash({columns}) as h
                    from {staged}
                    where (fate is null or fate = 'exact_duplicate') and order_id in (
                        select order_id from {staged} s join {suspects} on s.rowid = line)),
                deliveries as (
                    select order_id, source_file, list(line) as ids,
                           list_sort(list(h)) as content
                    from lines group by all)
                select unnest(ids) from (
                    from deliveries qualify row_number() over (
                        partition by order_id, content order by source_file) > 1))""")


def _has_key(table: InputTable, types: Types) -> str:
    """SQL for whether a row has all columns of its table's key."""
    if not table.key or not types.keys() >= {*table.key}:
        return "false"
    return " and ".join(f"{identifier(column)} is not null" for column in table.key)


def _hash_raw_rows(db: Db, suspects: str) -> None:
    """Fill in the hash of each suspect's raw row; 0 where the shop's SQL hides where it is from."""
    columns: dict[str, list[str]] = {}
    names = """select table_name, column_name from information_schema.columns
        where table_schema = 'raw' order by lower(column_name)"""
    for view, column in fetch_all(db, names):
        columns.setdefault(view, []).append(column)
    for view, own in columns.items():
        content = ", ".join(identifier(name) for name in own if name not in ORIGIN)
        db.execute(f"""
            update {suspects} set raw = r.h from (
                select source_file, source_line, hash({content}) as h from raw.{identifier(view)}
                where (source_file, source_line) in (
                    select (source_file, source_line) from {suspects})) r
            where r.source_file = {suspects}.source_file
                and r.source_line = {suspects}.source_line""")


def _mark_clash(
    db: Db, table: InputTable, code: str, key: str, suspects: str, differing: str
) -> None:
    """Set the fate of all rows whose key belongs to more than one of what should be one."""
    column = key.rpartition(", ")[2].strip('"')
    db.execute(f"""
        update staged_{table.name} set fate = '{code} {column}' where rowid in (
            select unnest(ids) from (
                select list(rowid) as ids from staged_{table.name}
                where fate is null and {suspects} group by {key} having {differing} > 1))""")


def second_place(db: Db, table: InputTable, code: str) -> str:
    """Return the place of a row with the same key as the first row of a clash."""
    key = ", ".join(map(identifier, table.key)) if code == "E_DUPLICATE_ID" else "order_id"
    row = f"select * from staged_{table.name} where starts_with(fate, '{code} ')"
    place: str = fetch_value(
        db,
        f"""with clash as ({row}),
            one as (select {key} from clash order by source_file, source_line limit 1)
            select source_file || ':' || source_line from clash semi join one using ({key})
            order by source_file, source_line offset 1 limit 1""",
    )
    return place
