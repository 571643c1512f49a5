"""A lock that frees itself when its holder ends, however it ends, and that names the holder."""

import datetime as dt
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.runtime.errors import BusyError


def _is_still_there(file: TextIO, path: Path) -> bool:
    """Return whether the file is the one at its path: the holder before may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Allow one holder at a time. Raises BusyError at once, with process, host and start.

    `work` says in the message what is locked. The file is removed at the end. What a killed holder
    leaves locks nobody out.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        with path.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                rule = f"{file.read().strip() or 'another process'} is at work"
                raise BusyError("E_BUSY", work, rule, "wait for it to end") from None
            if not _is_still_there(file, path):
                continue
            try:
                now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}")
                file.flush()
                yield
            finally:
                path.unlink(missing_ok=True)
            return
