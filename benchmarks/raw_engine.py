"""The columns by this project from raw files: every row checked, then features, as `make repro`."""

import datetime as dt
from pathlib import Path

from benchmarks import engine, ingest


def run(data: Path, out: Path, snapshots: list[dt.date]) -> None:
    """Write events, quarantine and features."""
    ingest.run(data, out, snapshots)
    engine.write_features(out / "events", out, snapshots)


def warm(data: Path) -> None:
    """Compile the kernels, or load them from disk."""
    ingest.warm(data)
    engine.warm(data)
