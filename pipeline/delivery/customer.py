"""`corekeep why CUSTOMER`: a customer's stage, the reason for it, and their time line.

It reads only: nothing is written and nothing is logged.
"""

import itertools
import json
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

from models.decision.playbook import Playbook
from models.decision.queues import queue_of
from models.reasons.catalogue import REASONS
from pipeline.delivery.drivers import DRIVER
from pipeline.delivery.explanations import texts
from pipeline.delivery.lists import money_of
from pipeline.delivery.timeline import Entry, history
from pipeline.delivery.why import strongest
from pipeline.engine.calendar import day_number, iso_date
from pipeline.engine.lifecycle import lifecycle_work
from pipeline.engine.part import part_of, partitions
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Params, load
from pipeline.runtime.playbook import read_playbook
from pipeline.runtime.runner import require_made
from pipeline.runtime.store import Folder, read, text_sha256

SHOWN_DRIVERS = 3
DEADLINES = {"late_on": "overdue", "defects_on": "defecting", "lapses_on": "lapsed"}


class Story(NamedTuple):
    """One customer on one day. `timeline` holds ISO date and text of each entry, newest first."""

    as_of: str
    facts: dict[str, Any]
    why: str
    why_stage: str
    queue: str
    reasons: str
    to_do: str
    model: str
    timeline: list[tuple[str, str]]


def partition_of(events: Folder, customer: str) -> tuple[str, dict[str, Any]]:
    """Return the partition of a customer, and their row of the table of customers.

    Raises ConfigError if the customer is not known.
    """
    for name in partitions(events):
        path, only_this = events.path / "customers" / name, pc.field("customer_id") == customer
        for row in pq.read_table(path, filters=only_this).to_pylist():
            return name, row
    place, fix = f"customer #{text_sha256(customer)[:6]}", "write the id as in the raw files"
    raise ConfigError("E_CUSTOMER", place, "not known in this shop", fix)


def reader(events: Folder, partition: str, number: int) -> Callable[[str], pa.Table]:
    """Return a function: the rows of one customer in a table, with customer number 0."""

    @cache
    def rows(table: str) -> pa.Table:
        path, only_this = events.path / table / partition, pc.field("customer") == number
        own = pq.read_table(path, filters=only_this)
        zeros = pa.array(np.zeros(len(own), np.int32))
        return own.set_column(own.column_names.index("customer"), "customer", zeros)

    return rows


def changes(days: list[Any]) -> Iterator[Entry]:
    """Yield the changes of stage between consecutive days, from rows of data/lifecycle.

    A deadline passes at the midnight that begins a day. An event shows at the next midnight.
    """
    last = [row.status if isinstance(row.status, str) else row.activity for row in days]
    states = [f"{row.stage}, {state}" for row, state in zip(days, last, strict=True)]
    if days:
        yield day_number(days[0].snapshot.isoformat()) - 1, 5, states[0]
    for (before, after), row in zip(itertools.pairwise(states), days[1:], strict=True):
        if before != after:
            at_deadline = row.snapshot in (row.late_on, row.defects_on, row.lapses_on)
            day = day_number(row.snapshot.isoformat()) - (not at_deadline)
            yield day, 0 if at_deadline else 5, f"{before} -> {after}"


def _day(as_of: str | None, known: int, data_end: str) -> int:
    try:
        day = day_number(as_of or data_end)
    except ValueError:
        raise ConfigError("E_DATE", "--as-of", "not a date", "write it as in 2026-01-31") from None
    if not known < day <= day_number(data_end):
        problem = "before the first record of the customer, or after the end of the data"
        fix = f"use a day from {iso_date(known + 1)} to {data_end}"
        raise ConfigError("E_DATE", "--as-of", problem, fix)
    return day


def reasons_in_words(evidence: pa.Table, weak: float) -> str:
    """All reasons of one customer with at least weak evidence, the strongest first."""
    values = {name: evidence[f"evidence_{name}"][0].as_py() or 0 for name in REASONS}
    order = sorted(values, key=lambda name: -values[name])
    return ", ".join(f"{name} {values[name]:.2f}" for name in order if values[name] >= weak)


def by_model(lists: Folder, customer: str, as_of: str) -> str:
    """What the model adds for each reason, whether the records agree, and the strongest drivers.

    Of the list of this day. Empty without that list, or without a risk of the customer in it.
    """
    if not lists.has("manifest.json") or lists.read("manifest.json")["snapshot"] != as_of:
        return ""
    columns = [f"contribution_{reason}" for reason in REASONS]
    own = (pc.field("customer_id") == customer) & (pc.field("position") <= SHOWN_DRIVERS)
    rows = pq.read_table(
        lists.path / "explanations.parquet",
        columns=[*columns, "agreement", "driver_text", "position"],
        filters=own,
    )
    head, *drivers = rows.sort_by("position").to_pylist() or [{columns[0]: None}]
    if head[columns[0]] is None:
        return ""
    added = sorted(zip(columns, REASONS, strict=True), key=lambda pair: -abs(head[pair[0]]))
    words = ", ".join(f"{reason} {head[column]:+.2f}" for column, reason in added)
    agreed = head["agreement"] or "no strong evidence to compare"
    strongest = "; ".join(row["driver_text"] for row in drivers)
    return f"The model adds to the log-odds for {words}: {agreed}. Drivers: {strongest}."


def story(
    customer: str,
    as_of: str | None,
    events: Folder,
    calibration: dict[str, Any],
    trends: pa.Table,
    params: Params,
    playbook: Playbook,
    lists: Folder,
) -> Story | None:
    """Return what is known of a customer on a day (ISO; None: the end of the data).

    None for a customer who objects to profiling. ConfigError if not known, or not on that day.
    """
    name, about = partition_of(events, customer)
    if about["profiling_objection"]:
        return None
    day = _day(as_of, about["known"], calibration["data_end"])
    rows = reader(events, name, about["customer"])
    part = part_of(name, lambda table, columns: rows(table).select(columns))
    rules = params.assign, params.reasons, params.ipt, params.sla, params.closed
    # Evaluated on every day, so that each change shows on its own day.
    daily = np.arange(about["known"] + 1, day + 1, dtype=np.int32)
    lifecycle = lifecycle_work(events, calibration, trends, *rules)(part, daily)
    today = lifecycle.slice(len(daily) - 1)
    states = (today[name][0].as_py() for name in ("stage", "activity", "status"))
    evidence = strongest(today, params.reasons)
    known = {"queue": [queue_of(*states)], "reason": evidence["reason"]}
    known |= {"risk": [np.nan], "chance": [np.nan]}
    # only the list knows these; this command reads the customer alone
    known |= dict.fromkeys(("category_change", *DRIVER), pa.nulls(1, pa.string()))
    known |= {"limit_on": pa.nulls(1, pa.date32())}
    for column, values in known.items():
        today = today.append_column(column, pa.array(values))
    about_today = params.assign, calibration["expected_ipt"], playbook, params.score.language
    (row,) = texts(today, *about_today).to_pylist()
    currency = money_of(events.read("meta.json"))["currency"]
    days = list(lifecycle.to_pandas(date_as_object=True).itertuples())
    entries = sorted([*history(rows, day, params.sla, currency), *changes(days)], reverse=True)
    return Story(
        iso_date(day),
        json.loads(row["facts"]),
        row["why"],
        row["why_stage"],
        known["queue"][0],
        reasons_in_words(today, params.reasons.weak),
        f"{row['owner']}, by {iso_date(row['act_by'])}: {row['action']}",
        by_model(lists, customer, iso_date(day)),
        [(iso_date(on), text) for on, _, text in entries],
    )


def printable(text: Any) -> str:
    """Replace the characters that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def show(customer: Story, console: Console, everything: bool) -> None:
    """Print the story; of its time line a screenful, or everything."""
    now = customer.facts
    state = f"{now['stage']}, {now.get('status', now['activity'])}"
    console.print(Text(f"{customer.as_of}: {state}. Queue: {customer.queue}."), style="bold")
    console.print(Text(printable(customer.why)))
    if customer.reasons:
        console.print(Text(f"Evidence: {customer.reasons}."))
    if customer.model:
        console.print(Text(customer.model))
    console.print(Text(printable(f"To do: {customer.to_do}")))
    console.print(Text(customer.why_stage), style="dim")
    coming = {word: now.get(name, "") for name, word in DEADLINES.items()}
    ahead = [f"{word} on {day}" for word, day in coming.items() if day > customer.as_of]
    console.print(Text(f"Without a purchase: {', '.join(ahead) or 'nothing changes'}."))
    pairs = [Text(printable(f"{name} {value}"), no_wrap=True) for name, value in now.items()]
    console.print(Columns(pairs, padding=(0, 3)), style="dim")
    entries = customer.timeline
    shown = entries if everything else entries[: max(10, console.height - 16)]
    table = Table(box=None, show_header=False, pad_edge=False)
    for on, text in shown:
        table.add_row(on, Text(printable(text)))
    console.print(table)
    if len(shown) < len(entries):
        console.print(f"{len(entries) - len(shown)} earlier entries: use --all", style="dim")


def why(customer: str, as_of: str | None, everything: bool, root: Path, console: Console) -> None:
    """Print a customer's stage on a day (ISO; None: the end of the data), and why."""
    made = ("data/events", "data/calibration.json", "data/trends.parquet")
    require_made(root, *made)
    events, calibration, trends = (read(root / name) for name in made)
    params = load(root)
    playbook = read_playbook(root, params.score.action_characters)
    lists = Folder(root / "data" / "lists")
    known = story(customer, as_of, events, calibration, trends, params, playbook, lists)
    if known is None:
        console.print("This customer objects to profiling: corekeep shows nothing about them.")
    else:
        show(known, console, everything)
