"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

# set for the stages that `corekeep repro` runs: 0 leaves their lines out, 1 shows logs as well
VERBOSE = "COREKEEP_VERBOSE"


def say(text: str) -> None:
    """Print a line for the person who waits."""
    if os.environ.get(VERBOSE) != "0":
        print(text, flush=True)


def warn(text: str) -> None:
    """Print a line that has to be seen, whatever else is left out."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items and show how many of `total` are done."""
    if os.environ.get(VERBOSE) == "0":
        yield from items
        return
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=label, total=total, transient=True)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or done * 4 // total > (done - 1) * 4 // total:
            say(f"{label}: {done} of {total}")
