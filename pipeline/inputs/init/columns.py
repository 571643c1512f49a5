"""What the columns of a raw table hold: how full they are, how numbers and times are written."""

import re
from dataclasses import dataclass

from pipeline.inputs.database import Db, fetch_all, fetch_value, identifier, literal
from pipeline.inputs.init.times import CLOCK, ENOUGH, MOST, PARTS, TimeForm, share_of, time_form

SAMPLE = 5000  # different values of a column that are looked at for their form
NUMBER = re.compile(
    r"\(?[-+]?\s*[^\d\s.,+()-]{0,4}\s*([-+]?[\d.,'\u00a0\u202f ]*\d)\s*[^\d.,]{0,4}\)?"
)

DASHES = "\u2212\u2013"


@dataclass(frozen=True)
class NumberForm:
    """How a column's numbers are written. `thousands`: the separators between thousands."""

    decimal: str = "."
    thousands: str = ""
    has_symbols: bool = False
    has_dashes: bool = False  # for minus: typesetters and some programs write them
    has_trailing_minus: bool = False
    has_parentheses: bool = False
    is_whole: bool = False
    unsure: bool = False  # all points have three digits behind them: decimals, or thousands
    is_decimal: bool = False  # people say that three digits behind the point are decimals

    def sql(self, x: str) -> str:
        """SQL that writes a number of this form with a point and without separators."""
        x = f"translate({x}, '{DASHES}', '--')" if self.has_dashes else x
        for wanted, pattern, by in (
            (self.has_parentheses, r"^\((.*)\)$", r"-\1"),
            (self.has_trailing_minus, "^(.*)-$", r"-\1"),
        ):
            x = f"regexp_replace({x}, {literal(pattern)}, {literal(by)})" if wanted else x
        if self.has_symbols:
            x = f"regexp_replace({x}, '[^0-9.,+-]', '', 'g')"
        for separator in self.thousands:
            x = f"replace({x}, {literal(separator)}, '')"
        if self.is_decimal:
            return f"try_cast({x} as decimal(18, 4))"
        return f"replace({x}, ',', '.')" if self.decimal == "," else x


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
    of_customer: bool = False  # each customer has one value, as with a name or a town

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
    columns = [_column(db, source, table, entry, rows, day_first) for entry in names]
    if not any(column.time for column in columns) and (day := _day_in_parts(columns)):
        columns.append(_column(db, source, table, day, rows, day_first))
    return columns


def _day_in_parts(columns: list[Column]) -> tuple[str, str, str] | None:
    """Return name, SQL and type of the day whose year, month and day have a column each."""
    parts = [
        next((column for column in columns if column.name.lower() in words.split()), None)
        for words in PARTS
    ]
    year, month, day = (column.sql if column else "" for column in parts)
    if not (year and month and day):
        return None
    padded = [f"lpad({part}::varchar, 2, '0')" for part in (month, day)]
    name = " ".join(column.name for column in parts if column)
    return name, f"concat_ws('-', {year}, {', '.join(padded)})", "VARCHAR"


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
        time = time_form(db, source, sql, kind, values, day_first)
        clock = kind == "VARCHAR" and share_of(values, CLOCK) >= ENOUGH
    return Column(
        table, name, sql, kind, rows, filled, distinct, tuple(values[:200]), number, time, clock
    )


def _number_form(values: list[str], kind: str) -> NumberForm | None:
    """Return how numbers are written, or None if the values are none."""
    if kind != "VARCHAR":
        return None
    has_dashes = any(dash in value for value in values for dash in DASHES)
    values = [value.translate(dict.fromkeys(map(ord, DASHES), "-")) for value in values]
    bodies = [(value, match[1]) for value in values if (match := NUMBER.fullmatch(value))]
    # two signs may be two currencies, or debit and credit: to drop them would mix what they mean
    if len({re.sub(r"[\d.,'+()\s-]", "", value) for value, _ in bodies} - {""}) > 1:
        return None
    if len(bodies) < MOST * len(values):  # `corekeep check` names the others
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
        has_dashes=has_dashes,
        has_trailing_minus=any(re.fullmatch(r".*\d\s*-", value) for value, _ in bodies),
        has_parentheses=any(value.startswith("(") for value, _ in bodies),
        is_whole=not comma and not point,
        unsure=unsure,
    )
