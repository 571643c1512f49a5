"""DVC's own files: a signal does not cut them off, and what a kill cut off is repaired.

DVC rewrites `dvc.lock` and `.dvc/tmp/rwlock` in place. One that is empty or cut off would stop
every later run.
"""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import yaml

from pipeline.runtime.progress import warn
from pipeline.runtime.yaml_file import FastLoader

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """A signal came while DVC was at work between two stages."""


@contextlib.contextmanager
def dvc_finishes() -> Iterator[list[int]]:
    """Yield the signals that have come: they end the stage at work, but not DVC.

    DVC then writes what it has to write, and the caller ends.
    """
    import psutil

    signals: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def repair(root: Path) -> None:
    """Remove those of DVC's files that a kill left empty or cut off: they can be made again."""
    locks = root / ".dvc" / "tmp" / "rwlock"
    if locks.exists() and not _is_json(locks):
        locks.unlink()
        warn(".dvc/tmp/rwlock was cut off by a run that was killed: removed")
    made = root / "dvc.lock"
    if made.exists() and not _is_lock(made):
        made.unlink()
        warn("dvc.lock was cut off by a run that was killed: removed; every stage is checked again")


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except ValueError:
        return False


def _is_lock(path: Path) -> bool:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), FastLoader)  # noqa: S506
        COMPILED_LOCKFILE_SCHEMA(content)
    except (ValueError, yaml.YAMLError, Invalid):
        return False
    return True
