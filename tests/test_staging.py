"""Staged tables: what they hold in memory, and which of their columns later steps change."""

import re
from pathlib import Path

from frozen import ROOT, params

from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import open_database
from pipeline.inputs.fates import check_rows
from pipeline.inputs.staging import CHANGED

# the table, and what follows `set`; a table in braces is any
UPDATE = (
    r"update (?:staged_)?\{?([a-z]+)(?:\.name)?\}?(?: as)?(?: [a-z])? "
    r"set (.+?)(?: where | from |\")"
)
OWN = {"fate", "notes"}  # of staging, in every table


def test_neither_staged_rows_nor_columns_that_a_shop_lacks_must_stay_in_memory(
    tmp_path: Path,
) -> None:
    db = open_database("UTC", params().engine, tmp_path)
    db.execute("""create schema raw; create view orders as select i as customer_id,
        i as order_id, timestamp '2026-01-01' as ordered_at, 1 as net_amount,
        'orders.csv' as source_file, i as source_line from range(1_500_000) t(i)""")
    check_rows(db, "sources/shop.sql", params().ingest)
    staged = "select sum(memory_usage_bytes) / 1e6 from duckdb_memory()"
    assert db.execute(staged).fetchall()[0][0] > 60
    db.execute("set memory_limit = '10MB'")  # fails while more cannot move to disk


def test_every_column_that_a_later_step_changes_is_stored() -> None:
    changed = set()
    for module in sorted((ROOT / "pipeline" / "inputs").glob("*.py")):
        text = re.sub(r"\s+", " ", module.read_text(encoding="utf-8"))
        for table, assignments in re.findall(UPDATE, text):
            for column in re.findall(r"(?:^|, )(\w+) = ", assignments):
                changed |= {(name, column) for name in ([table] if table in TABLES else TABLES)}
    assert ("returns", "currency") in changed
    for table, column in sorted(changed):
        if column in OWN or column not in TABLES[table].names:
            continue
        required = column in TABLES[table].required
        assert required or column in CHANGED[table], f"{table}.{column}"
