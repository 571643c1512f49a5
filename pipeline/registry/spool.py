"""Runs that wait to be sent to the tracking server, oldest first.

A folder each, for their owner's eyes, bounded in number and size.
"""

import re
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.registry.run_record import Record
from pipeline.runtime import store
from pipeline.runtime.progress import say
from pipeline.runtime.store import Folder

FOLDER = "mlspool"
MOST_RUNS = 30  # a month of nights: a server that is away for longer is missed by nobody
MOST_BYTES = 300_000_000
NAME = re.compile(r"\d{6}")


class Waiting(NamedTuple):
    """A run that waits: what it says, and the folder of its artifacts."""

    path: Path
    run: dict[str, Any]
    artifacts: Folder


def waiting(root: Path) -> list[Waiting]:
    """All runs that wait, oldest first.

    One that cannot be read is told of and removed: it would keep the others waiting.
    """
    found = []
    for path in sorted(p for p in (root / FOLDER).glob("*") if NAME.fullmatch(p.name)):
        try:
            run = store.read(path / "run.json")
        except (FileNotFoundError, ValueError):
            say(f"{FOLDER}/{path.name} cannot be read and is removed: that run is not tracked")
            remove(path)
            continue
        found.append(Waiting(path, run, Folder(path / "artifacts")))
    return found


def remove(path: Path) -> None:
    """Forget a run that has been sent.

    Out of the row first, so that no half of it is taken for a run.
    """
    gone = path.with_name(f".{path.name}")
    path.rename(gone)
    shutil.rmtree(gone)


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def put(root: Path, record: Record) -> None:
    """Let a run wait, unless the same result does already.

    Beyond the bounds the oldest are told of and removed.
    """
    folder = root / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for left in folder.glob(".*"):  # of a run that was killed
        shutil.rmtree(left)
    rows = waiting(root)
    if any(row.run["result"] == record.run["result"] for row in rows):
        return
    path = folder / f"{int(rows[-1].path.name) + 1 if rows else 1:06d}"
    run = {**record.run, "made_at": time.time_ns() // 1_000_000}
    files = {f"artifacts/{name}": content for name, content in record.files.items()}
    store.write(path, {"run.json": run, **files})
    rows.append(Waiting(path, run, Folder(path / "artifacts")))
    sizes = [_bytes(row.path) for row in rows]
    surplus = [
        k for k in range(len(rows) - 1) if len(rows) - k > MOST_RUNS or sum(sizes[k:]) > MOST_BYTES
    ]
    if surplus:
        say(f"{FOLDER} is full: its {len(surplus)} oldest runs are removed, untracked")
    for k in surplus:
        remove(rows[k].path)
