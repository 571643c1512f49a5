"""Stage `ingest`: raw files of a shop -> checked events, partitioned by customer.

The shop's SQL creates the input tables of contract.yaml as views over `raw.<file>`. Rows that break
a rule go to quarantine with their place and code. Above a limit per code the run ends.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.inputs import aliases, partitions
from pipeline.inputs.checked import checked
from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import fetch_value
from pipeline.inputs.fates import account_of, notes_of, quarantine
from pipeline.inputs.last_run import check_volume
from pipeline.runtime.sections import Engine, Ingest
from pipeline.runtime.store import Folder


def ingest(
    shops: Folder,
    sources: str,
    params: Ingest,
    engine: Engine,
    shop: str,
    returned: Folder | None = None,
    closed: Sequence[str] = (),
    root: Path | None = None,
) -> dict[str, Any]:
    """Return events, quarantine and account of one shop.

    `returned`: lists that people worked on and put back. They become treatments. `root`: where the
    figures of the last run are kept; without it nothing is compared.

    Events are read partition by partition while they are written. Raises ConfigError for
    parameters, InputError for files and tables that break the contract, QualityError for too many
    bad rows. The error names everything that is wrong with the rows.
    """
    rows = checked(shops, sources, params, engine, shop, returned, closed)
    db, delivered = rows.db, rows.delivered
    if root:
        check_volume(db, params, rows.end.isoformat(), shop, root)
    parts = partitions.number(db, engine.lines_per_partition)
    lines = partitions.place(db, parts, delivered["orders"])
    account = account_of(db, delivered, lines.rows)
    merged = {"aliases": aliases.account(db)} if "aliases" in delivered else {}
    meta = {
        "tables": {
            table: [name for name in TABLES[table].with_own(columns).names if name in columns]
            for table, columns in delivered.items()
        },
        "currency": params.currency,
        "timezone": params.timezone,
        "data_end": rows.end.isoformat(),
        "first_event": str(fetch_value(db, "select min(first_at)::date from buyers")),
        "partitions": parts,
        "customers": fetch_value(db, "select count(*) from customers_known"),
        "lines": fetch_value(db, "select count(*) from accepted_orders"),
    }
    return {
        "events": partitions.write(db, lines, parts, meta),
        "quarantine": quarantine(db, delivered, rows.unusable),
        "ingest": {"tables": account, "noted": notes_of(db, delivered), **merged},
    }
