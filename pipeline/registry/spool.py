"""Runs that wait to be sent to the tracking server, oldest first.

Each is a folder that only its owner can read. Their number and size are bounded.
"""

import re
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.registry.run_record import RunRecord
from pipeline.runtime import store
from pipeline.runtime.progress import warn
from pipeline.runtime.store import Folder

FOLDER = "mlspool"
MOST_RUNS = 30  # a month of nights
MOST_BYTES = 300_000_000
NAME = re.compile(r"\d{6}")


class WaitingRun(NamedTuple):
    """A run that waits: its record, and the folder of its artifacts."""

    path: Path
    run: dict[str, Any]
    artifacts: Folder


def waiting_runs(root: Path) -> list[WaitingRun]:
    """Return all runs that wait, oldest first.

    A run that cannot be read is removed with a warning: it would keep the others waiting.
    """
    runs = []
    for path in sorted(p for p in (root / FOLDER).glob("*") if NAME.fullmatch(p.name)):
        try:
            run = store.read(path / "run.json")
        except (FileNotFoundError, ValueError):
            warn(f"{FOLDER}/{path.name} cannot be read and is removed: that run is not tracked")
            remove(path)
        else:
            runs.append(WaitingRun(path, run, Folder(path / "artifacts")))
    return runs


def remove(path: Path) -> None:
    """Forget a run. It is renamed first, so that no half of it is taken for a run."""
    gone = path.with_name(f".{path.name}")
    path.rename(gone)
    shutil.rmtree(gone)


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def add(root: Path, record: RunRecord) -> None:
    """Let a run wait, unless the same result waits already.

    Beyond the bounds the oldest are removed with a warning.
    """
    folder = root / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for left in folder.glob(".*"):  # by a process that was killed
        shutil.rmtree(left)
    runs = waiting_runs(root)
    if any(waits.run["result"] == record.run["result"] for waits in runs):
        return
    path = folder / f"{int(runs[-1].path.name) + 1 if runs else 1:06d}"
    run = {**record.run, "made_at": time.time_ns() // 1_000_000}
    files = {f"artifacts/{name}": content for name, content in record.files.items()}
    store.write(path, {"run.json": run, **files})
    paths = [*(waits.path for waits in runs), path]
    sizes = [_bytes(path) for path in paths]
    surplus = [
        path
        for k, path in enumerate(paths[:-1])
        if len(paths) - k > MOST_RUNS or sum(sizes[k:]) > MOST_BYTES
    ]
    if surplus:
        warn(f"{FOLDER} is full: its {len(surplus)} oldest runs are removed, untracked")
    for path in surplus:
        remove(path)
