"""What DuckDB could not read, in our words: the file, the line and the column, and what to do."""

import re
from pathlib import Path

import duckdb

from pipeline.inputs.database import Db, fetch_all, identifier, one_file
from pipeline.inputs.refusals import refusal
from pipeline.runtime.errors import InputError
from pipeline.runtime.store import Folder

ABOUT_FILE = re.compile(r"\bfile\b|parquet", re.IGNORECASE)  # in DuckDB's message
FILE = re.compile(r"^\s*file = (.*)$", re.MULTILINE)
LINE = re.compile(r"CSV Error on Line: (\d+)")
HIDDEN = (".", "~$")  # files of the operating system and of office programs
DOES_NOT_FIT = re.compile(
    r"Could not parse string \"(?P<parsed>.*?)\" according to format specifier \"(?P<format>.*?)\""
    r"|Could not convert string [\"'](?P<cast>.*?)[\"'] to "
    r"|invalid (?:timestamp|date|time) field format: \"(?P<time>.*?)\"",
    re.DOTALL,
)


def no_such_table(shop: Folder, table: str, place: str) -> InputError:
    """Return the error for a raw table without a file: is there one in another form or name?"""
    entries = sorted(shop.path.iterdir()) if shop.path.is_dir() else []
    names = [path.name for path in entries if not path.name.startswith(HIDDEN)]
    for name in names:
        if name.split(".")[0].lower() == table.lower():
            return refusal("E_NO_FILE kind", place, file=name)
    others = ", ".join(sorted({name.split(".")[0] for name in names})) or "none"
    return refusal("E_NO_FILE", place, table=table, others=others)


def _bad_csv(text: str, place: str) -> InputError:
    """Return the file, the line and the problem from DuckDB's message about a CSV file."""
    file, line = FILE.search(text), LINE.search(text)
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    problem = "quotes or line ends are not those of a CSV file"
    if counts:
        problem = f"{counts[2]} columns where the header has {counts[1]}"
    if "Maximum line size" in text and line:
        return refusal("E_LINE_LENGTH", f"{Path(file[1]).name if file else place}:{line[1]}")
    number = line[1] if line else None
    where = f"{Path(file[1]).name if file else place}{f':{number}' if number else ''}"
    return refusal("E_CSV", where, problem=problem)


def _place_of_value(db: Db, value: str) -> str | None:
    """Return file, line and column of the first raw value that is this text."""
    columns: dict[str, list[str]] = {}
    texts = """select table_name, column_name from information_schema.columns
        where table_schema = 'raw' and data_type = 'VARCHAR' and column_name <> 'source_file'"""
    for table, column in fetch_all(db, texts):
        columns.setdefault(table, []).append(column)
    for table, names in sorted(columns.items()):
        same = [f"trim({identifier(name)}) = trim($value)" for name in names]
        which = " ".join(f"when {test} then $c{i}" for i, test in enumerate(same))
        sql = f"""select source_file || ':' || source_line || ' ' || case {which} end
            from raw.{identifier(table)} where {" or ".join(same)}
            order by source_file, source_line limit 1"""
        values = {"value": value, **{f"c{i}": name for i, name in enumerate(names)}}
        if rows := db.execute(sql, values).fetchall():
            return str(rows[0][0])
    return None


def _does_not_fit(db: Db, text: str, place: str) -> InputError:
    """Return the error for a value that the shop's SQL cannot convert, with the value's place."""
    patterns = FILE, LINE, re.compile(r'converting column "(.*?)"')
    file, line, column = (pattern.search(text) for pattern in patterns)
    if file and line and column:  # the reader of CSV converts columns itself where it can
        return refusal("E_SOURCE value", f"{Path(file[1]).name}:{line[1]} {column[1]}")
    value = DOES_NOT_FIT.search(text)
    if not value:
        return refusal("E_SOURCE value", place)
    shown = next(group for group in value.group("parsed", "cast", "time") if group is not None)
    where = _place_of_value(db, shown) or place
    if value["format"]:
        return refusal("E_SOURCE time", where, format=value["format"])
    return refusal("E_SOURCE value", where)


def _damaged_file(db: Db, shop: Folder) -> str | None:
    """Return the first parquet file of the shop that cannot be read to its end."""
    for path in sorted(shop.path.resolve().rglob("*.parquet")):
        try:
            db.execute(f"select bit_xor(hash(file)) from read_parquet({one_file(path)}) as file")
        except duckdb.Error:
            return str(path.relative_to(shop.path.resolve()))
    return None


def unreadable(error: duckdb.Error, place: str, db: Db, shop: Folder) -> InputError:
    """Return DuckDB's error about a file or the shop's SQL, without the values it quotes."""
    text = str(error)
    is_invalid = isinstance(error, duckdb.InvalidInputException)
    is_conversion = isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException)
    if is_conversion or (is_invalid and DOES_NOT_FIT.search(text)):
        return _does_not_fit(db, text, place)
    if at := re.search(r"^LINE (\d+):", text, re.MULTILINE):
        place = f"{place}:{at[1]}"
    if isinstance(error, duckdb.PermissionException):
        return refusal("E_OUTSIDE sql", place)
    if is_invalid and "CSV" in text:
        return _bad_csv(text, place)
    # what the reader of parquet cannot decode has no class of its own
    is_read = isinstance(error, duckdb.IOException) or type(error) is duckdb.Error
    if is_read or (is_invalid and ABOUT_FILE.search(text)):
        return refusal("E_TRUNCATED read", _damaged_file(db, shop) or place)
    missing = re.search(r"Table with name \"?(.+?)\"? does not exist", text)
    if isinstance(error, duckdb.CatalogException) and missing:
        return no_such_table(shop, missing[1], place)
    problem = text.strip().splitlines()[0]
    if is_invalid:
        problem = re.sub(r"[\"'].*", "...", problem)  # a value may contain quotes
    return refusal("E_SOURCE sql", place, problem=problem)
