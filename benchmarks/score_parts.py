"""Where the CPU time of the stage `score` goes: seconds by part of its work."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.delivery import lists
from pipeline.runtime import publishing
from pipeline.runtime.cost import spent
from pipeline.stages import score

REST = "rest"
PARTS: dict[str, tuple[tuple[Any, tuple[str, ...]], ...]] = {
    "read": ((lists, ("known_customers",)), (score, ("scored_features",))),
    "risk": ((score, ("scorer",)),),
    "chances": ((score, ("chances",)),),
    "forecasts": ((score, ("forecasts",)),),
    "reasons": ((lists, ("decision_rows",)),),
    "decisions": ((lists, ("decided",)), (score, ("earlier", "value_at_risk", "what_if"))),
    "explanations": ((score, ("explained", "main_drivers", "explanations", "agreement_report")),),
    "sentences": ((score, ("texts",)),),
    "tables": ((lists, ("scored_table", "people_files")),),
    "files": ((publishing, ("publish",)),),
}


@contextmanager
def measured_parts() -> Iterator[dict[str, float]]:
    """Yield a mapping that holds the seconds of each part at the end; `rest` is all other work."""
    seconds = dict.fromkeys([*PARTS, REST], 0.0)
    running: list[str] = []

    def timed(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def run(*given: Any, **named: Any) -> Any:
            if running:  # a part of another part counts there
                return work(*given, **named)
            running.append(part)
            start = spent()
            try:
                return work(*given, **named)
            finally:
                seconds[running.pop()] += spent() - start

        return run

    def timed_rows(by_rows: Callable[..., Any]) -> Callable[..., Any]:
        return lambda work, engine: timed("risk", by_rows(work, engine))

    changed: list[tuple[Any, str, Any]] = []

    def change(module: Any, name: str, wrap: Callable[..., Any]) -> None:
        work = getattr(module, name)
        changed.append((module, name, work))
        setattr(module, name, wrap(work))

    change(score, "by_rows", timed_rows)
    for part, functions in PARTS.items():
        for module, names in functions:
            for name in names:
                change(module, name, functools.partial(timed, part))
    start = spent()
    try:
        yield seconds
    finally:
        seconds[REST] = spent() - start - sum(seconds.values())
        for module, name, work in changed:
            setattr(module, name, work)
