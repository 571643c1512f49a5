"""What goes wrong under a program that writes: it is killed, the disk is full or fails."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# the audit events of whatever changes a disk, before it is done
WRITES = {"os.mkdir", "os.rename", "os.symlink", "os.link"}
CHANGES = WRITES | {"os.remove", "os.rmdir"}
NOT_REACHED = 99


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones included."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a full disk does to one who writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _writes(event: str, args: tuple[object, ...]) -> bool:
    """Whether an audit event opens a file to write."""
    return event == "open" and isinstance(args[2], int) and bool(args[2] & os.O_WRONLY)


def _in_a_child(work: Callable[[], object], hook: Callable[[str, tuple[object, ...]], None]) -> int:
    """Run in a process of its own, with a hook on all it does; return its exit code or -signal."""
    child = os.fork()
    if child == 0:
        try:
            sys.addaudithook(hook)
            work()
            os._exit(0)
        except OSError:
            os._exit(7)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Kill work before its n-th change of the disk. Return whether it came so far."""
    done = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal done
        counts = event in CHANGES or _writes(event, args)
        done += counts
        if counts and done > step:
            os.kill(os.getpid(), signal.SIGKILL)

    return _in_a_child(work, hook) == -signal.SIGKILL


def refused_at(step: int, work: Callable[[], object]) -> bool:
    """Let the n-th write of some work fail for want of space. Return whether it came so far."""
    done = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal done
        counts = event in WRITES or _writes(event, args)
        done += counts
        if counts and done == step + 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    def to_its_end() -> None:
        work()
        if done <= step:
            os._exit(NOT_REACHED)

    return _in_a_child(to_its_end, hook) != NOT_REACHED
