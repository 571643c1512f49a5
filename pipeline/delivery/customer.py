"""`corekeep why CUSTOMER`.

Where one customer stands, why, and how it came to that. It reads; nothing is written and nothing
logged.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.decision.queues import queue_of
from models.lifecycle.facts import of_one
from models.lifecycle.why import facts
from models.lifecycle.why import why as text_of
from pipeline.delivery.timeline import happened
from pipeline.engine.calendar import day_number, iso_date
from pipeline.engine.part import Part, part_of, partitions
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Params, load
from pipeline.runtime.store import Folder, read, text_sha256
from pipeline.stages.assign import judging

DEADLINES = {"late_on": "late", "defects_on": "defecting", "lapses_on": "lapsed"}


class Story(NamedTuple):
    """One customer on one day. `timeline`: what happened, (ISO date, words), newest first."""

    as_of: str
    facts: dict[str, Any]
    why: str
    queue: str
    timeline: list[tuple[str, str]]


def place_of(events: Folder, customer: str) -> tuple[str, dict[str, Any]]:
    """The partition of a customer, and his row of the table of customers.

    Raises ConfigError for one who is not known.
    """
    for name in partitions(events):
        found = pq.read_table(
            events.path / "customers" / name, filters=pc.field("customer_id") == customer
        ).to_pylist()
        if found:
            return name, found[0]
    raise ConfigError(
        "E_CUSTOMER",
        f"customer #{text_sha256(customer)[:6]}",
        "not known in this shop",
        "write the id as in the raw files",
    )


def reader(events: Folder, name: str, number: int) -> Callable[[str], pa.Table]:
    """The rows of one customer of a partition, by table; he is number 0 in them."""

    @cache
    def rows(table: str) -> pa.Table:
        found = pq.read_table(events.path / table / name, filters=pc.field("customer") == number)
        return found.set_column(
            found.column_names.index("customer"),
            "customer",
            pa.array(np.zeros(len(found), np.int32)),
        )

    return rows


def changes(days: list[Any]) -> Iterator[tuple[int, int, str]]:
    """Changes of stage in rows of data/lifecycle of following days: day, place within it, words.

    A deadline passes at the midnight that begins a day; what an event changes is seen at the next
    one.
    """
    for before, after in itertools.pairwise([None, *days]):
        named = [
            row and f"{row.stage}, {row.status if isinstance(row.status, str) else row.activity}"
            for row in (before, after)
        ]
        if named[0] == named[1]:
            continue
        passed = before is not None and after.snapshot in (
            after.late_on,
            after.defects_on,
            after.lapses_on,
        )
        words = f"{named[0]} -> {named[1]}" if named[0] else str(named[1])
        yield day_number(after.snapshot.isoformat()) - (not passed), 0 if passed else 5, words


def story(
    customer: str, as_of: str | None, events: Folder, calibration: dict[str, Any], params: Params
) -> Story | None:
    """All that is known of a customer on a day, the end of the data unless told; None of one who
    objects to profiling.

    Raises ConfigError when the customer is not known, or was not on that day, or the day is after
    the end of the data.
    """
    name, about = place_of(events, customer)
    if about["profiling_objection"]:
        return None
    try:
        day = day_number(as_of or calibration["data_end"])
    except ValueError:
        raise ConfigError("E_DATE", "--as-of", "not a date", "write it as in 2026-01-31") from None
    if not about["known"] < day <= day_number(calibration["data_end"]):
        rule = "before the customer was known, or after the end of the data"
        raise ConfigError(
            "E_DATE",
            "--as-of",
            rule,
            f"a day from {iso_date(about['known'] + 1)} to {calibration['data_end']}",
        )
    rows = reader(events, name, about["customer"])
    part: Part = part_of(name, lambda table, columns: rows(table).select(columns))
    judge = judging(events, calibration, params.assign, params.ipt, params.sla, params.closed)
    # Day by day, so that every change is seen on the day on which it happened.
    days = judge(part, np.arange(about["known"] + 1, day + 1, dtype=np.int32))
    told = list(days.to_pandas(date_as_object=True).itertuples())
    last = facts(days.slice(len(days) - 1), params.assign, calibration["expected_ipt"])
    found = of_one(last, 0)
    timeline = sorted(
        [*happened(rows, day, params.sla, events.read("meta.json")["currency"]), *changes(told)],
        reverse=True,
    )
    return Story(
        iso_date(day),
        found,
        text_of(last)[0].as_py(),
        queue_of(found["stage"], found["activity"], found.get("status")),
        [(iso_date(on), words) for on, _, words in timeline],
    )


def printable(words: Any) -> str:
    """Text from the data with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(words))


def show(told: Story, console: Console, everything: bool) -> None:
    """Print the story, of its time line no more than fits a screen unless everything is asked for."""
    now = told.facts
    state = f"{now['stage']}, {now.get('status', now['activity'])}"
    console.print(Text(f"{told.as_of}: {state}. Queue: {told.queue}."), style="bold")
    console.print(Text(told.why))
    to_come = [
        f"{word} on {now[name]}"
        for name, word in DEADLINES.items()
        if now.get(name, "") > told.as_of
    ]
    console.print(Text(f"If nothing happens: {', '.join(to_come) or 'nothing changes'}."))
    console.print(
        Columns(
            [Text(f"{name} {value}", no_wrap=True) for name, value in now.items()], padding=(0, 3)
        ),
        style="dim",
    )
    shown = told.timeline if everything else told.timeline[: max(10, console.height - 16)]
    table = Table(box=None, show_header=False, pad_edge=False)
    for on, words in shown:
        table.add_row(on, Text(printable(words)))
    console.print(table)
    if len(shown) < len(told.timeline):
        console.print(
            Text(f"{len(told.timeline) - len(shown)} earlier: --all shows them"), style="dim"
        )


def why(customer: str, as_of: str | None, everything: bool, root: Path, console: Console) -> None:
    """Print where the customer stood on a day (ISO, the end of the data unless told), and why."""
    paths = {name: root / "data" / name for name in ("events", "calibration.json")}
    for path in paths.values():
        if not path.exists():
            raise ConfigError(
                "E_STAGE", str(path.relative_to(root)), "not there", "run `make repro`"
            )
    found = story(
        customer, as_of, read(paths["events"]), read(paths["calibration.json"]), load(root)
    )
    if found is None:
        console.print(Text("This customer objects to profiling: nothing is told of him."))
    else:
        show(found, console, everything)
