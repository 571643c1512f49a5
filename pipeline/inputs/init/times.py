"""How a column's times are written: as ISO, with the formats of strptime, or as counted seconds."""

import itertools
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.inputs.checks import ISO
from pipeline.inputs.database import Db, fetch_all, fetch_value, literal

ENOUGH = 0.98  # of the values have the form; the rest is reported
# a day in three columns
PARTS = (
    "year jahr anno année annee año ano",
    "month monat mese mois mes",
    "day tag giorno jour día dia",
)
MOST = 0.5  # of the values can be read in one form: the others are wrong, not of another kind
DATES = {
    "ymd": ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    "dmy": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%d-%m-%y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y"),
    "named": (
        *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d. %B %Y"),
        *("%d %b %y", "%d. %b %Y", "%a, %d %b %Y", "%a %d %b %Y", "%A, %B %d, %Y"),
    ),
}
# What is left of dates with names of months in other languages: see MACRO.
NUMBERED = {"named": ("%d %m %Y", "%d. %m %Y", "%d-%m-%Y", "%d %m %y", "%d-%m-%y", "%d.%m.%Y")}
CLOCKS = tuple(
    f"{gap}{clock}{zone}"
    for gap, clock in itertools.product(
        (" ", "T", ", "), ("%H:%M:%S", "%H:%M", "%Hh%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
    )
    for zone in ("", " %z", "%z", " %Z", " Uhr", " h")
)
ALONE = ("ymd", "named")  # orders of day and month that no other one can be taken for
CLOCK = re.compile(r"\d{1,2}[:.]\d{2}([:.]\d{2})?( ?[AaPp][Mm])?")
TIMELIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|(19|20)\d{6}|.*[^\W\d_]{3,9}.*\d{2,4}.*")
EPOCHS = {10: "to_timestamp({x}::bigint)", 13: "to_timestamp({x}::bigint / 1000)"}
# The first three letters of the months in English, German, Italian, French and Spanish.
MONTHS = "jan=1 gen=1 ene=1 feb=2 fev=2 mar=3 apr=4 avr=4 abr=4 may=5 mai=5 mag=5 jun=6 giu=6 \
jul=7 lug=7 aug=8 aou=8 ago=8 sep=9 set=9 oct=10 okt=10 ott=10 nov=11 dec=12 dez=12 dic=12"
_PAIRS = [f"'{name}': '{number}'" for name, number in (m.split("=") for m in MONTHS.split())]
MACRO = rf"""-- A day with its month as a number: 3. März 2024 is 3. 3 2024.
create macro plain_day(x) as
    regexp_replace(replace(replace(strip_accents(lower(trim(x))), 'juin', 'jun'), 'juil', 'jul'),
        '^[a-z]+[., ]+|\bdel? ', '', 'g');
create macro numbered(x) as
    regexp_replace(plain_day(x), '[a-z]{{3,}}[.]?', coalesce(map {{
{textwrap.fill(", ".join(_PAIRS), 96, initial_indent=" " * 8, subsequent_indent=" " * 8)}
        }}[regexp_extract(plain_day(x), '[a-z]{{3}}')], '?'));
"""


@dataclass(frozen=True)
class TimeForm:
    """How a column's times are written. `formats`: of strptime; none where ingest reads them."""

    formats: tuple[str, ...] = ()
    expression: str = ""  # SQL with {x} for what strptime cannot read
    dates_only: bool = False
    is_ambiguous: bool = False  # both orders of day and month fit
    is_zoned: bool = False
    unread: int = 0  # rows that do not fit
    has_names: bool = False  # of months in another language than English

    def sql(self, x: str) -> str:
        """SQL for the times; null where a value does not fit."""
        if self.expression:
            return self.expression.format(x=x)
        if not self.formats:
            return x
        formats = ", ".join(map(literal, self.formats))
        text = f"numbered({x})" if self.has_names else x
        return f"try_strptime({text}, {f'[{formats}]' if len(self.formats) > 1 else formats})"


def share_of(values: list[str], pattern: re.Pattern[str]) -> float:
    """Return the share of values that have a form."""
    return sum(1 for value in values if pattern.fullmatch(value)) / len(values)


def time_form(
    db: Db, source: str, sql: str, kind: str, values: list[str], day_first: bool | None
) -> TimeForm | None:
    """Return how times are written, or None if the values are none.

    `sampled` holds the values v of the column with their counts n. `day_first`: the order of day
    and month where values leave it open.
    """
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        midnights = all(value.endswith("00:00:00") or len(value) == 10 for value in values)
        return TimeForm(dates_only=midnights, is_zoned="TZ" in kind or "ZONE" in kind)
    if kind not in ("VARCHAR", "BIGINT", "INTEGER", "DOUBLE"):
        return None
    numeric = _numeric_time(values)
    if numeric or kind != "VARCHAR" or share_of(values, TIMELIKE) < 0.9:
        return numeric
    spaced = re.compile(r".* [+-]\d.*")
    if share_of(values, re.compile(ISO)) >= ENOUGH and not share_of(values, spaced):
        offset = re.compile(r".*[T ].*([Zz]|[+-]\d{2}(:?\d{2})?)")
        midnight = re.compile(r"[^T ]*([T ]00:00(:00([.]0+)?)?.*)?")
        return TimeForm(
            dates_only=share_of(values, midnight) == 1, is_zoned=share_of(values, offset) > 0
        )
    form = _strptime_form(db, source, sql, DATES, day_first)
    if form is None or form.unread:
        other = _strptime_form(db, source, sql, NUMBERED, None)
        if other and (form is None or other.unread < form.unread):
            return other
    return form


def _numeric_time(values: list[str]) -> TimeForm | None:
    """Return the form of seconds or milliseconds since 1970, or of a spreadsheet's days."""
    for digits, expression in EPOCHS.items():
        seconds = re.compile(rf"[12]\d{{{digits - 1}}}")
        if share_of(values, seconds) == 1:
            return TimeForm(expression=expression, is_zoned=True)
    if len(values) > 10 and share_of(values, re.compile(r"[34]\d{4}(\.\d+)?")) == 1:
        # days since 1900 as spreadsheets count them
        days = "timestamp '1899-12-30' + to_seconds(round(({x})::double * 86400))"
        whole = share_of(values, re.compile(r"\d+")) == 1
        return TimeForm(expression=days, dates_only=whole)
    return None


def _fits(formats: str) -> str:
    """SQL that is true of a time v in a format; %Y would also read the years 24 and 0024."""
    return f"year(try_strptime(v, {formats})) between 1971 and 2199"


def _likely(db: Db, text: str, dates: tuple[str, ...]) -> list[str]:
    """Return the formats that fit some values: those of dates, with those of times of day."""
    # a day and its time of day are tried apart: together they are more than a thousand formats
    clock = r"[T, ]+[0-9]{1,2}[:h][0-9]{2}.*$"
    db.execute(rf"""create or replace temp table probed as select v,
        regexp_replace(v, '{clock}', '') as day, regexp_extract(v, '{clock}') as clock
        from (select {text.format(x="v")} as v from sampled order by hash(v) limit 300)""")

    def fitting(formats: list[str], x: str, before: str = "") -> list[str]:
        counts = ", ".join(f"count(try_strptime({x}, {literal(before + f)}))" for f in formats)
        read = fetch_all(db, f"select {counts} from probed")[0]
        return [f for f, count in zip(formats, read, strict=True) if count]

    days = fitting(list(dates), "day")
    clocks = fitting(list(CLOCKS), "'2000-01-01' || clock", "%Y-%m-%d")
    plain = fetch_value(db, "select count(*) from probed where clock = ''")
    formats = [day + clock for day in days for clock in ([""] if plain else []) + clocks]
    return fitting(formats, "v") if formats else []


def _strptime_form(
    db: Db, source: str, sql: str, dates: Mapping[str, tuple[str, ...]], day_first: bool | None
) -> TimeForm | None:
    """Return the formats that fit the most rows."""
    text = "numbered({x})" if dates is NUMBERED else "{x}"
    db.execute(MACRO.replace("create macro", "create or replace temp macro"))
    orders = {date: order for order, group in dates.items() for date in group}
    likely = _likely(db, text, tuple(orders))
    if not likely:
        return None
    every = f"""(select {text.format(x=sql)} as v, count(*) as n from {source}
        where trim({sql}) <> '' group by 1)"""
    total = fetch_value(db, f"select sum(n) from {every}")
    sums = ", ".join(f"sum(n) filter ({_fits(literal(f))})" for f in likely)
    counts = fetch_all(db, f"select {sums} from {every}")[0]
    reads = {f: int(count or 0) for f, count in zip(likely, counts, strict=True)}

    def order(f: str) -> str:
        longest = max((date for date in orders if f.startswith(date)), key=len)
        return orders[longest]

    by_order = {
        name: max((reads[f] for f in likely if order(f) == name), default=0)
        for name in ("ymd", "dmy", "mdy", "named")
    }
    mixed = max(("dmy", "mdy"), key=lambda name: by_order[name])
    is_mixed = by_order[mixed] > (1 - ENOUGH) * total  # beside days that begin with the year
    best = mixed if is_mixed else max(by_order, key=lambda name: by_order[name])
    ambiguous = best in ("dmy", "mdy") and by_order["dmy"] == by_order["mdy"]
    dotted = all(f[2] == "." for f in likely if order(f) in ("dmy", "mdy"))
    if ambiguous and (dotted or day_first is not None):
        best = "dmy" if dotted or day_first else "mdy"
    chosen: list[str] = []
    read = 0
    may_be = [f for f in likely if order(f) in (best, *ALONE)]
    for f in sorted(may_be, key=lambda f: (-reads[f], len(f))):
        formats = ", ".join(map(literal, [*chosen, f]))
        more = fetch_value(db, f"select sum(n) from {every} where {_fits(f'[{formats}]')}")
        if int(more or 0) > read:
            chosen.append(f)
            read = int(more)
        if read == total:
            break
    if read < MOST * total:
        return None
    return TimeForm(
        formats=tuple(chosen),
        dates_only=all("%H" not in f and "%I" not in f for f in chosen),
        is_ambiguous=ambiguous and not dotted and day_first is None,
        is_zoned=any("%z" in f.lower() for f in chosen),
        unread=total - read,
        has_names=dates is NUMBERED,
    )
