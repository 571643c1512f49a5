"""Lists that people worked on and put back: any CSV that a spreadsheet saved, as treatments.

A file is read whatever its separator, encoding, order of columns and form of dates. It must have
the columns customer_id and as_of. Rows that cannot be read go to quarantine, they stop nothing.
"""

import csv
import datetime as dt
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.inputs.contract import TABLES
from pipeline.inputs.database import Db, fetch_all
from pipeline.inputs.refusals import refusal
from pipeline.runtime.progress import say, warn

COLUMNS = TABLES["treatments"].names
BY_HAND = ("decision", "done_on", "note", "stated_reason")
KEY = ("customer_id", "as_of", "queue")
SEPARATORS = ",;\t|"
FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
           "%d/%m/%y", "%m/%d/%y", "%Y/%m/%d", "%d. %m. %Y")  # fmt: skip
EXCEL_DAY_0 = dt.date(1899, 12, 30)
LATEST_DONE = dt.timedelta(days=400)  # a list is worked on within a year
Row = dict[str, Any]


class Returned(NamedTuple):
    """Rows of COLUMNS, source_file and source_line, and the rows that could not be read."""

    rows: list[Row]
    quarantined: list[Row]


def text_of(path: Path) -> str:
    """Return a file's text: UTF-8, UTF-16 with its mark, or else Windows-1252."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise refusal("E_FILE_KIND", path.name, kind="a workbook", ending="csv",
                      fix="save it as CSV")  # fmt: skip
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def cells(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells by lower-case column name, of any CSV a spreadsheet saved.

    Raises InputError where a required column is missing.
    """
    lines = text_of(path).splitlines(keepends=True)
    skipped = 1 if lines and lines[0].lower().startswith("sep=") else 0  # a hint for Excel
    head = lines[skipped] if len(lines) > skipped else ""
    separator = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO("".join(lines[skipped:]), newline=""), delimiter=separator)
    names = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in required if name not in names]:
        raise refusal("E_NO_COLUMN", path.name, columns=", ".join(missing))
    for row in reader:
        if any(cell.strip() for cell in row):
            texts = itertools.zip_longest(names, row[: len(names)], fillvalue="")
            yield reader.line_num + skipped, {name: text.strip() for name, text in texts}


def records(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield line number and row of COLUMNS of a list. Raises InputError unless it is one."""
    for line, row in cells(path, ("customer_id", "as_of")):
        yield line, {name: row.get(name, "") for name in COLUMNS}


def _day(text: str, form: str) -> dt.date | None:
    if text.isdecimal() and len(text) == 5:  # the number of a day, as Excel counts them
        return EXCEL_DAY_0 + dt.timedelta(days=int(text))
    text = text.replace("T", " ").split(" 0")[0].split(" 1")[0] if ":" in text else text
    try:
        return dt.datetime.strptime(text, form).date()  # noqa: DTZ007
    except ValueError:
        return None


def _form(texts: Iterable[str], plausible: Any) -> str | None:
    """Return the one form in which all these dates are read and plausible, None if several are."""
    texts = set(texts)
    fits = [
        form for form in FORMATS if all((day := _day(t, form)) and plausible(day) for t in texts)
    ]
    readings = {tuple(_day(text, form) for text in sorted(texts)): form for form in fits}
    return next(iter(readings.values())) if len(readings) == 1 else None


def read_list(path: Path, snapshots: set[dt.date]) -> Returned:
    """Return the rows of one file with ISO dates.

    `snapshots`: days of which a list is known. They say whether 03/04/2026 is in March or in April.
    """
    numbered = list(records(path))
    rows, bad = [], []
    as_of_form = _form(
        (row["as_of"] for _, row in numbered if row["as_of"]), lambda day: day in snapshots
    ) or _form((row["as_of"] for _, row in numbered if row["as_of"]), lambda _: True)
    # a contact is made on the day of the list or soon after
    days = [_day(row["as_of"], as_of_form or FORMATS[0]) for _, row in numbered]
    first, last = (f((d for d in days if d), default=dt.date.max) for f in (min, max))
    until = min(last, dt.date.max - LATEST_DONE) + LATEST_DONE
    done = {row["done_on"] for _, row in numbered}
    done = {t for t in done if any(_day(t, form) for form in FORMATS) and not _day(t, FORMATS[0])}

    def plausible(day: dt.date) -> bool:
        return first <= day <= until

    own = as_of_form and all((day := _day(t, as_of_form)) and plausible(day) for t in done)
    done_form = as_of_form if own else _form(done, plausible) if done else None
    for (line, row), as_of in zip(numbered, days, strict=True):
        place = {"file": path.name, "line": line}
        done_on = row["done_on"] and (
            _day(row["done_on"], FORMATS[0]) or (done_form and _day(row["done_on"], done_form))
        )
        if not row["customer_id"]:
            bad.append({**place, "column": "customer_id", "code": "E_NO_CUSTOMER"})
        elif as_of is None or done_on is None:
            column = "as_of" if as_of is None else "done_on"
            bad.append({**place, "column": column, "code": "E_TIME_UNREADABLE"})
        else:
            iso = {"as_of": as_of.isoformat(), "done_on": done_on and done_on.isoformat()}
            rows.append({**row, **iso, "source_file": path.name, "source_line": line})
    return Returned(rows, bad)


def newest(rows: list[Row]) -> list[Row]:
    """Return one row per customer, list and queue: the one that people filled in last.

    The same list may come back twice, half done and done.
    """

    def filled(row: Row) -> tuple[Any, ...]:
        marks = [bool(row[name]) for name in BY_HAND]
        return row["done_on"], sum(marks), row["source_file"], row["source_line"]

    best: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=filled):
        best[tuple(row[name] for name in KEY)] = row
    return sorted(best.values(), key=lambda row: (row["source_file"], row["source_line"]))


def _known(rows: list[Row], customers: set[str]) -> tuple[list[Row], list[Row], int]:
    """Return rows of known customers, of unknown ones, and how many ids got their zeros back.

    A spreadsheet takes the zeros in front from an id of digits. They are put back where one
    customer alone fits.
    """
    stripped = Counter(name.lstrip("0") for name in customers if name.isdecimal())
    whole = {name.lstrip("0"): name for name in customers if name.isdecimal()}
    kept: list[Row] = []
    unknown: list[Row] = []
    restored = 0
    for row in rows:
        name = row["customer_id"]
        if name not in customers and name.isdecimal() and stripped[name.lstrip("0")] == 1:
            name = whole[name.lstrip("0")]
            restored += name != row["customer_id"]
        # the apostrophe that made an id safe for spreadsheets is taken away with all others later
        plain = re.sub(r"^'('*[=+@\t\r-])", r"\1", name)
        (kept if plain in customers else unknown).append({**row, "customer_id": name})
    return kept, unknown, restored


def add_returned(db: Db, folder: Path) -> list[Row]:
    """Add the returned lists of a folder to the view `treatments`; return the quarantined rows.

    A row of the same customer, list and queue in the shop's own treatments stands if it has a
    contact that was made; else the returned row replaces it.
    """
    files = [path for path in sorted(folder.rglob("*.csv")) if path.name[:1] not in (".", "~")]
    if not files:
        return []
    delivered = {t for (t,) in fetch_all(db, "select table_name from information_schema.tables")}
    source = "customers" if "customers" in delivered else "orders"
    ids = fetch_all(db, f"select distinct trim(customer_id::varchar) from main.{source}")
    customers = {name for (name,) in ids if name}
    snapshots = {day for path in files for day in _iso_days(path)}
    lists = [read_list(path, snapshots) for path in files]
    rows = [row for one in lists for row in one.rows]
    rows, unknown, restored = _known(newest(rows), customers)
    rows = newest(rows)
    bad = [row for one in lists for row in one.quarantined]
    bad += [
        {"file": row["source_file"], "line": row["source_line"], "column": "customer_id",
         "code": "E_UNKNOWN_CUSTOMER"}
        for row in unknown
    ]  # fmt: skip
    made = sum(bool(row["done_on"]) for row in rows)
    say(f"returned lists: {len(rows)} rows of {len(files)} files, {made} contacts made")
    if restored:
        say(f"returned lists: {restored} ids had lost the zeros in front")
    if bad:
        place = f"{bad[0]['file']}:{bad[0]['line']} {bad[0]['column']}"
        warn(f"returned lists: {len(bad)} rows cannot be used, the first is {place}: see "
             "data/quarantine/returned.parquet")  # fmt: skip
    text = [*COLUMNS, "source_file"]
    columns = {name: pa.array([row[name] or None for row in rows], pa.string()) for name in text}
    lines = pa.array([row["source_line"] for row in rows], pa.int64())
    db.from_arrow(pa.table({**columns, "source_line": lines})).create("returned_lists")
    if "treatments" not in delivered:
        db.execute("create view treatments as from returned_lists")
        return bad
    db.execute("alter view treatments rename to own_treatments")
    types = fetch_all(db, "select lower(column_name) from (describe own_treatments)")
    own = {name for (name,) in types}
    queue = "o.queue is not distinct from r.queue" if "queue" in own else "true"
    key = f"""trim(o.customer_id::varchar) = r.customer_id
        and left(o.as_of::varchar, 10) = r.as_of and {queue}"""
    made_there = "o.done_on is not null" if "done_on" in own else "false"
    origin = {"source_file": "'treatments'", "source_line": "row_number() over ()"}
    origin_sql = "".join(f", {sql} as {name}" for name, sql in origin.items() if name not in own)
    db.execute(f"""create view treatments as
        select o.*{origin_sql} from own_treatments o where {made_there} or not exists (
            from returned_lists r where {key})
        union all by name
        select r.* from returned_lists r where not exists (
            from own_treatments o where {key} and {made_there})""")
    return bad


def _iso_days(path: Path) -> set[dt.date]:
    """Return the days that a file names beyond doubt, in its name or in the column as_of."""
    names = {day for part in path.parts[-2:] for i in range(len(part) - 9)
             if (day := _day(part[i : i + 10], FORMATS[0]))}  # fmt: skip
    cells = {day for _, row in records(path) if (day := _day(row["as_of"], FORMATS[0]))}
    return names | cells
