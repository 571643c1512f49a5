"""What the columns of a raw table hold: how full they are, how numbers and times are written."""

import itertools
import re
from dataclasses import dataclass

from pipeline.inputs.checks import ISO
from pipeline.inputs.database import Db, fetch_all, fetch_value, identifier, literal

SAMPLE = 5000  # different values of a column that are looked at for their form
ENOUGH = 0.98  # of the values have the form; the rest is reported
DATES = {
    "ymd": ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    "dmy": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%d-%m-%y"),
    "mdy": ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y"),
    "named": (
        "%d %b %Y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d %B %Y",
        "%b %d, %Y",
        "%B %d, %Y",
        "%d. %B %Y",
    ),
}
CLOCKS = tuple(
    f"{gap}{clock}{zone}"
    for gap, clock in itertools.product(
        (" ", "T", ", "), ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
    )
    for zone in ("", " %z", "%z", " %Z")
)
CLOCK = re.compile(r"\d{1,2}[:.]\d{2}([:.]\d{2})?( ?[AaPp][Mm])?")
TIMELIKE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|(19|20)\d{6}|.*[A-Za-z]{3,9}.*\d{2,4}.*")
EPOCHS = {10: "to_timestamp({x}::bigint)", 13: "to_timestamp({x}::bigint / 1000)"}
NUMBER = re.compile(
    r"\(?[-+]?\s*[^\d\s.,+()-]{0,4}\s*([-+]?[\d.,'\u00a0\u202f ]*\d)\s*[^\d.,]{0,4}\)?"
)


@dataclass(frozen=True)
class NumberForm:
    """How a column's numbers are written. `thousands`: the separators between thousands."""

    decimal: str = "."
    thousands: str = ""
    has_symbols: bool = False
    has_trailing_minus: bool = False
    has_parentheses: bool = False
    is_whole: bool = False
    unsure: bool = False  # all points have three digits behind them: decimals, or thousands

    def sql(self, x: str) -> str:
        """SQL that writes a number of this form with a point and without separators."""
        for wanted, pattern, by in (
            (self.has_parentheses, r"^\((.*)\)$", r"-\1"),
            (self.has_trailing_minus, "^(.*)-$", r"-\1"),
        ):
            x = f"regexp_replace({x}, {literal(pattern)}, {literal(by)})" if wanted else x
        if self.has_symbols:
            x = f"regexp_replace({x}, '[^0-9.,+-]', '', 'g')"
        for separator in self.thousands:
            x = f"replace({x}, {literal(separator)}, '')"
        return f"replace({x}, ',', '.')" if self.decimal == "," else x


@dataclass(frozen=True)
class TimeForm:
    """How a column's times are written. `formats`: of strptime; none where ingest reads them."""

    formats: tuple[str, ...] = ()
    expression: str = ""  # SQL with {x} for what strptime cannot read
    dates_only: bool = False
    is_ambiguous: bool = False  # both orders of day and month fit
    is_zoned: bool = False
    unread: int = 0  # rows that do not fit

    def sql(self, x: str) -> str:
        """SQL for the times; null where a value does not fit."""
        if self.expression:
            return self.expression.format(x=x)
        if not self.formats:
            return x
        formats = ", ".join(map(literal, self.formats))
        return f"try_strptime({x}, {f'[{formats}]' if len(self.formats) > 1 else formats})"


@dataclass(frozen=True)
class Column:
    """One column of a raw table. `sql`: how the shop's SQL names it; `kind`: its DuckDB type."""

    table: str
    name: str
    sql: str
    kind: str
    rows: int
    filled: int
    distinct: int
    samples: tuple[str, ...]
    number: NumberForm | None = None
    time: TimeForm | None = None
    is_clock: bool = False

    @property
    def share(self) -> float:
        """The share of rows that have a value."""
        return self.filled / max(self.rows, 1)


def name_sql(db: Db, name: str) -> str:
    """SQL for the name of a column or table, in quotes only where it needs them."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
    reserved = "select count(*) from duckdb_keywords() where keyword_category = 'reserved'"
    if plain and not fetch_value(db, f"{reserved} and keyword_name = {literal(name.lower())}"):
        return name
    return identifier(name)


def columns_of(db: Db, table: str, day_first: bool | None, width: int) -> list[Column]:
    """Return what is in each column of the table `profiled.<table>`, a copy of `raw.<table>`.

    `day_first`: the order of day and month where values leave it open. `width`: the number of
    columns separated by blanks in a table of one column `text`, or 0.
    """
    source = f"profiled.{identifier(table)}"
    described = fetch_all(db, f"describe {source}")
    names = [
        (row[0], name_sql(db, row[0]), row[1])
        for row in described
        if row[0] not in ("source_file", "source_line")
    ]
    if width:
        split = r"string_split_regex(trim(text), '\s+')"
        names = [(f"column_{i}", f"{split}[{i}]", "VARCHAR") for i in range(1, width + 1)]
    rows = fetch_value(db, f"select count(*) from {source}")
    return [_column(db, source, table, entry, rows, day_first) for entry in names]


def form_of(db: Db, source: str, name: str) -> Column:
    """Return what is in one column of text of any table."""
    rows = fetch_value(db, f"select count(*) from {source}")
    return _column(db, source, source, (name, name, "VARCHAR"), rows, None)


def _column(
    db: Db, source: str, table: str, entry: tuple[str, str, str], rows: int, day_first: bool | None
) -> Column:
    name, sql, kind = entry
    text = f"nullif(trim({sql}::varchar), '')"
    filled, distinct = fetch_all(db, f"select count({text}), count(distinct {text}) from {source}")[
        0
    ]
    db.execute(f"""create or replace temp table sampled as
        select v, n from (select {text} as v, count(*) as n from {source} group by 1)
        where v is not null order by hash(v) limit {SAMPLE}""")
    values = [value for (value,) in fetch_all(db, "select v from sampled order by n desc, v")]
    number, time, clock = None, None, False
    if values:
        is_number = kind not in ("VARCHAR", "DATE", "BOOLEAN") and "TIME" not in kind
        number = NumberForm(is_whole="INT" in kind) if is_number else _number_form(values, kind)
        time = _time_form(db, source, sql, kind, values, day_first)
        clock = kind == "VARCHAR" and _share(values, CLOCK) >= ENOUGH
    return Column(
        table, name, sql, kind, rows, filled, distinct, tuple(values[:200]), number, time, clock
    )


def _share(values: list[str], pattern: re.Pattern[str]) -> float:
    return sum(1 for value in values if pattern.fullmatch(value)) / len(values)


def _number_form(values: list[str], kind: str) -> NumberForm | None:
    """Return how numbers are written, or None if the values are none."""
    if kind != "VARCHAR":
        return None
    bodies = [(value, match[1]) for value in values if (match := NUMBER.fullmatch(value))]
    if len(bodies) < ENOUGH * len(values):
        return None
    symbols = any(re.search(r"[^\d.,+()\s'-]", value) for value, _ in bodies)
    texts = [re.sub(r"[^\d.,']", "", body) for _, body in bodies]
    comma = any(re.fullmatch(r"[\d.']*,(\d{1,2}|\d{4,})", text) for text in texts)
    point = any(re.fullmatch(r"[\d,']*\.(\d{1,2}|\d{4,})", text) for text in texts)
    both = [text for text in texts if "." in text and "," in text]
    if both:
        comma = all(text.rindex(",") > text.rindex(".") for text in both)
        point = not comma
    many_points = any(text.count(".") > 1 for text in texts)
    grouped = [text for text in texts if re.search(r"[.,]", text)]
    decimal = "," if (comma and not point) or (many_points and not comma) else "."
    if comma and point:
        return None
    unsure = bool(grouped) and not comma and not point and not many_points
    if unsure and all("," in text for text in grouped):
        unsure, decimal = False, "."  # 1,234: nobody writes three decimals behind a comma
    other = "." if decimal == "," else ","
    thousands = other if any(other in text for text in texts) else ""
    thousands += "'" if any("'" in text for text in texts) else ""
    blank = any(re.search(r"\d[\s\u00a0\u202f]\d", body) for _, body in bodies)
    return NumberForm(
        decimal=decimal,
        thousands=thousands,
        has_symbols=symbols or blank,
        has_trailing_minus=any(re.fullmatch(r".*\d\s*-", value) for value, _ in bodies),
        has_parentheses=any(value.startswith("(") for value, _ in bodies),
        is_whole=not comma and not point,
        unsure=unsure,
    )


def _time_form(
    db: Db, source: str, sql: str, kind: str, values: list[str], day_first: bool | None
) -> TimeForm | None:
    """Return how times are written, or None if the values are none."""
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        midnights = all(value.endswith("00:00:00") or len(value) == 10 for value in values)
        return TimeForm(dates_only=midnights, is_zoned="TZ" in kind or "ZONE" in kind)
    if kind not in ("VARCHAR", "BIGINT", "INTEGER", "DOUBLE"):
        return None
    if form := _numeric_time(sql, values):
        return form
    if kind != "VARCHAR" or _share(values, TIMELIKE) < 0.9:
        return None
    if _share(values, re.compile(ISO)) >= ENOUGH and not _share(values, re.compile(r".* [+-]\d.*")):
        offset = re.compile(r".*[T ].*([Zz]|[+-]\d{2}(:?\d{2})?)")
        midnight = re.compile(r"[^T ]*([T ]00:00(:00([.]0+)?)?.*)?")
        return TimeForm(
            dates_only=_share(values, midnight) == 1, is_zoned=_share(values, offset) > 0
        )
    return _strptime_form(db, source, sql, day_first)


def _numeric_time(sql: str, values: list[str]) -> TimeForm | None:
    """Return the form of seconds or milliseconds since 1970, or of a spreadsheet's days."""
    for digits, expression in EPOCHS.items():
        seconds = re.compile(rf"[12]\d{{{digits - 1}}}")
        if _share(values, seconds) == 1:
            return TimeForm(expression=expression, is_zoned=True)
    if len(values) > 10 and _share(values, re.compile(r"[34]\d{4}(\.\d+)?")) == 1:
        # days since 1900 as spreadsheets count them
        days = "timestamp '1899-12-30' + to_seconds(round(({x})::double * 86400))"
        whole = _share(values, re.compile(r"\d+")) == 1
        return TimeForm(expression=days, dates_only=whole)
    return None


def _fits(formats: str) -> str:
    """SQL that is true of a time v in a format; %Y would also read the years 24 and 0024."""
    return f"year(try_strptime(v, {formats})) between 1971 and 2199"


def _strptime_form(db: Db, source: str, sql: str, day_first: bool | None) -> TimeForm | None:
    """Return the formats that fit the most rows."""
    dates = {date: order for order, group in DATES.items() for date in group}
    formats = [f"{date}{clock}" for date in dates for clock in ("", *CLOCKS)]
    fits = ", ".join(f"count(try_strptime(v, {literal(f)}))" for f in formats)
    db.execute("create or replace temp table probed as from sampled order by hash(v) limit 300")
    probe = dict(zip(formats, fetch_all(db, f"select {fits} from probed")[0], strict=True))
    likely = [f for f in formats if probe[f]]
    if not likely:
        return None
    total = fetch_value(db, f"select count(*) from {source} where trim({sql}) <> ''")
    sums = ", ".join(f"sum(n) filter ({_fits(literal(f))})" for f in likely)
    every = f"(select {sql} as v, count(*) as n from {source} where trim({sql}) <> '' group by 1)"
    reads = dict(zip(likely, fetch_all(db, f"select {sums} from {every}")[0], strict=True))
    reads = {f: int(count or 0) for f, count in reads.items()}

    def order(f: str) -> str:
        return next(
            dates[date] for date in sorted(dates, key=len, reverse=True) if f.startswith(date)
        )

    by_order = {
        name: max((reads[f] for f in likely if order(f) == name), default=0) for name in DATES
    }
    best = max(by_order, key=lambda name: by_order[name])
    ambiguous = best in ("dmy", "mdy") and by_order["dmy"] == by_order["mdy"]
    dotted = all(f[2] == "." for f in likely if order(f) in ("dmy", "mdy"))
    if ambiguous and (dotted or day_first is not None):
        best = "dmy" if dotted or day_first else "mdy"
    chosen: list[str] = []
    left = [f for f in likely if order(f) == best]
    read = 0
    for f in sorted(left, key=lambda f: (-reads[f], len(f))):
        formats_sql = ", ".join(map(literal, [*chosen, f]))
        more = fetch_value(
            db,
            f"""select sum(n) from {every}
            where {_fits(f"[{formats_sql}]")}""",
        )
        if int(more or 0) > read:
            chosen.append(f)
            read = int(more)
        if read == total:
            break
    if read < 0.9 * total:
        return None
    return TimeForm(
        formats=tuple(chosen),
        dates_only=all("%H" not in f and "%I" not in f for f in chosen),
        is_ambiguous=ambiguous and not dotted and day_first is None,
        is_zoned=any("%z" in f.lower() for f in chosen),
        unread=total - read,
    )
