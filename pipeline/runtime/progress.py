"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def say(text: str) -> None:
    """One line for the person who waits."""
    print(text, flush=True)


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Pass the items on, showing how many of `total` are done."""
    if sys.stdout.isatty():
        from rich.progress import track

        yield from track(items, description=label, total=total, transient=True)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or done * 4 // total > (done - 1) * 4 // total:
            say(f"{label}: {done} of {total}")
