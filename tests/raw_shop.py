"""A shop whose raw files are literals, and the results of `ingest`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from frozen import params

from pipeline.runtime.sections import Ingest
from pipeline.runtime.store import Folder, write
from pipeline.stages.ingest import ingest

HEAD = "customer_id,order_id,ordered_at,sku,category,quantity,net_amount"
GOOD = "C1,O1,2026-01-05T10:00:00,A,tea,1,9.99"
SETTINGS: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "EUR",
    "data_end": None,
    "max_amount": 1000,
    "data_end_after": 1000,
    "rebilled_days": 3,
    "against_last": {"lines_fall": 0.5, "price_times": 5, "then": "stop"},
    "files": {},
    "plausible": {  # nothing is implausible: a literal shop has few rows
        "lone_rate": 0,
        "lone_days": 14,
        "lone_share": 0,
        "nobody": [],
        "nobody_if_first": [],
        "customer_share": 1,
        "customer_times": 10,
        "ids_alike": 1,
        "repeated_totals": 1,
        "repeated_lines": 1,
        "thousands": False,
        "no_price": 1,
        "empty_days": 100_000,
        "refund_times": 1000,
        "unbought": 1,
    },
    "quarantine_limit": {"default": 1.0},
}


@dataclass(frozen=True)
class Ingested:
    """The results of `ingest`: events as dicts, quarantined rows, the account."""

    events: Folder
    quarantine: Folder
    account: dict[str, Any]

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [
            row
            for name in self.events.names(f"{table}/*.parquet")
            for row in self.events.read(name).to_pylist()
        ]

    def codes(self, table: str) -> dict[str, int]:
        return dict(self.account["tables"][table]["quarantined"])

    def quarantined(self, table: str) -> list[tuple[str, int, str, str]]:
        return [tuple(row.values()) for row in self.quarantine.read(f"{table}.parquet").to_pylist()]


def csv(*rows: str, head: str = HEAD) -> str:
    """A CSV file: by default of orders."""
    return "\n".join([head, *rows, ""])


def ingested(
    folder: Path,
    files: Mapping[str, Any],
    /,
    sql: str | None = None,
    lines_per_partition: int = 1000,
    **settings: Any,
) -> Ingested:
    """Run the stage on files given as text, bytes or tables.

    Without SQL each file is the input table of its name.
    """
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    for name, content in files.items():
        (raw / name).parent.mkdir(exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, raw / name)
        else:
            (raw / name).write_bytes(content.encode() if isinstance(content, str) else content)
    views = sql or " ".join(
        f"create view {name.split('.')[0]} as from raw.{name.split('.')[0]};" for name in files
    )
    engine = params().engine.model_copy(update={"lines_per_partition": lines_per_partition})
    result = ingest(
        Folder(raw), views, Ingest.model_validate({**SETTINGS, **settings}), engine, "literal"
    )
    for output in ("events", "quarantine"):
        write(folder / output, result[output])
    return Ingested(Folder(folder / "events"), Folder(folder / "quarantine"), result["ingest"])
