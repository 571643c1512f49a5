"""Stage `ingest`: raw files of a shop -> checked events, partitioned by customer.

The shop's SQL creates the input tables of contract.yaml as views over `raw.<file>`. Rows that break
a rule go to quarantine with their place and code. Above a limit per code the run ends.
"""

from typing import Any

import duckdb

from pipeline.inputs import partitions
from pipeline.inputs.checks import CODES
from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import fetch_value, open_database
from pipeline.inputs.fates import account_of, check_limits, check_rows, quarantine, relate_rows
from pipeline.inputs.files import register
from pipeline.inputs.returned import add_returned
from pipeline.inputs.source_sql import check_source
from pipeline.inputs.unreadable import unreadable
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Engine, Ingest
from pipeline.runtime.store import Folder


def ingest(
    shops: Folder,
    sources: str,
    params: Ingest,
    engine: Engine,
    shop: str,
    returned: Folder | None = None,
) -> dict[str, Any]:
    """Return events, quarantine and account of one shop.

    `returned`: lists that people worked on and put back. They become treatments.

    Events are read partition by partition while they are written. Raises ConfigError for
    parameters, InputError for files and tables that break the contract, QualityError for too many
    bad rows.
    """
    if unknown := [code for code in params.quarantine_limit if code not in (*CODES, "default")]:
        place = f"ingest.quarantine_limit.{unknown[0]}"
        fix = f"use one of: {', '.join(CODES)}"
        raise ConfigError("E_PARAM", place, "there is no such code", fix)
    place = f"sources/{shop}.sql"
    db = open_database(params.timezone, engine, shops.path.resolve())
    check_source(sources, place)
    register(db, shops, params.files, sources)
    try:
        db.execute(sources)
        unusable = add_returned(db, returned.path) if returned else []
        delivered = check_rows(db, place, params)
    except (duckdb.OutOfMemoryException, duckdb.InternalException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        raise unreadable(error, place, db, shops) from None
    end = relate_rows(db, delivered, params, place)
    for table in delivered:
        check_limits(db, table, params)
    parts = partitions.number(db, engine.lines_per_partition)
    partitions.place(db, parts)
    account = account_of(db, delivered)
    meta = {
        "tables": {
            table: [name for name in TABLES[table].names if name in columns]
            for table, columns in delivered.items()
        },
        "currency": params.currency,
        "timezone": params.timezone,
        "data_end": end.isoformat(),
        "first_event": str(fetch_value(db, "select min(ordered_at)::date from accepted_orders")),
        "partitions": parts,
        "customers": fetch_value(db, "select count(*) from customers_known"),
        "lines": fetch_value(db, "select count(*) from accepted_orders"),
    }
    return {
        "events": partitions.write(db, parts, meta),
        "quarantine": quarantine(db, delivered, unusable),
        "ingest": {"tables": account},
    }
