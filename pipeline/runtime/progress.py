"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

VERBOSE = "COREKEEP_VERBOSE"  # in the environment: show the logs of libraries as well


def say(text: str) -> None:
    """Print a line for the person who waits."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Print a line that is shown even where the lines of a stage are left out."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items and show how many of `total` are done."""
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=label, total=total, transient=True)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or done * 4 // total > (done - 1) * 4 // total:
            say(f"{label}: {done} of {total}")
