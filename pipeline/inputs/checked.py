"""From a shop's folder and SQL to checked rows in a database; what is wrong is reported at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from pipeline.inputs.checks import CODES
from pipeline.inputs.database import Db, open_database
from pipeline.inputs.erased import drop_erased
from pipeline.inputs.fates import Delivered, check_limits, check_rows, relate_rows
from pipeline.inputs.files import register
from pipeline.inputs.findings import everything_wrong
from pipeline.inputs.refusals import refusal
from pipeline.inputs.returned import add_returned
from pipeline.inputs.source_sql import check_source
from pipeline.inputs.suppressed import require_matches
from pipeline.inputs.unreadable import unreadable
from pipeline.runtime.errors import ConfigError, InputError, QualityError
from pipeline.runtime.sections import Engine, Ingest
from pipeline.runtime.store import Folder


def _state(shops: Folder) -> dict[str, tuple[int, int]]:
    """Return size and time of change of each file of a shop."""
    root = shops.path
    states = {path: path.stat() for path in root.rglob("[!.]*") if path.is_file()}
    return {
        str(path.relative_to(root)): (state.st_size, state.st_mtime_ns)
        for path, state in states.items()
    }


@dataclass(frozen=True)
class Checked:
    """The rows of a shop, each with its fate; `delivered`: the columns of each table.

    `end`: the day the data ends. `unusable`: rows of returned lists that cannot be used.
    """

    db: Db
    delivered: Delivered
    end: Any
    unusable: list[dict[str, Any]]


def checked(
    shops: Folder,
    sources: str,
    params: Ingest,
    engine: Engine,
    shop: str,
    returned: Folder | None = None,
    closed: Sequence[str] = (),
) -> Checked:
    """Read and check all rows of a shop.

    Raises ConfigError for parameters, InputError for files and tables that break the contract,
    QualityError for too many bad rows. The error names everything that is wrong with the rows, the
    most harmful first.
    """
    if unknown := [code for code in params.quarantine_limit if code not in (*CODES, "default")]:
        place = f"ingest.quarantine_limit.{unknown[0]}"
        fix = f"use one of: {', '.join(CODES)}"
        raise ConfigError("E_PARAM", place, "there is no such code", fix)
    place = f"sources/{shop}.sql"
    db = open_database(params.timezone, engine, shops.path.resolve())
    check_source(sources, place)
    before = _state(shops)
    register(db, shops, params.files, sources)
    try:
        db.execute(sources)
        unusable = add_returned(db, returned.path) if returned else []
        try:
            delivered = check_rows(db, place, params)
            if returned:
                drop_erased(db, returned.path)
            end = relate_rows(db, delivered, params, place, closed)
            if "suppressions" in delivered:
                require_matches(db, place)
            for table in delivered:
                check_limits(db, table, params)
        except (InputError, QualityError) as error:
            raise everything_wrong(db, place, params, error) from None
    except (duckdb.OutOfMemoryException, duckdb.InternalException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        raise unreadable(error, place, db, shops) from None
    after = _state(shops)
    for name, state in before.items():
        if after.get(name) != state:
            raise refusal("E_CHANGED", name)
    return Checked(db, delivered, end, unusable)
