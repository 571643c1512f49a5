"""A shop's raw files, read strictly: each becomes a table `raw.<file name without ending>`.

A folder of parquet files is one such table too, named after the folder. A table has the columns of
its file, then `source_file` and `source_line`, the number of the record in the file. All columns of
a CSV file are text; a .txt file has one column `text`. A file that is damaged, or not what its
ending says, is refused before anything is read from it.
"""

import codecs
import csv
import io
import re
from pathlib import Path

import duckdb

from pipeline.inputs.database import Db, identifier, literal
from pipeline.inputs.refusals import refusal
from pipeline.runtime.errors import InputError
from pipeline.runtime.store import Folder

BLOCK = 1 << 24
MISTAKEN = {
    b"\x1f\x8b": ("a gzip file", "unpack it"),
    b"PK\x03\x04": ("a zip file", "unpack it"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
    b"PAR1": ("a parquet file", "name it .parquet"),
}
ABOUT_FILE = re.compile(r"\bfile\b|parquet", re.IGNORECASE)  # in DuckDB's message
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _check_text(path: Path) -> None:
    """Refuse a NUL byte and bytes that are not UTF-8 text, by their offset."""
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if (at := block.find(b"\0")) >= 0:
                raise refusal("E_NUL", f"{path.name} byte {offset + at}")
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                place = f"{path.name} byte {offset - pending + error.start}"
                raise refusal("E_ENCODING", place) from None
            offset += len(block)
    if pending := len(decoder.getstate()[0]):
        raise refusal("E_ENCODING", f"{path.name} byte {offset - pending}")


def _header(path: Path) -> list[str]:
    """Return the column names of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(1 << 20)
    place = f"{path.name}:1"
    names = [column.strip() for column in next(csv.reader(io.StringIO(first)), [])]
    separator = next((s for s in SEPARATORS if s in first), None)
    if len(names) == 1 and separator:
        raise refusal("E_SEPARATOR", place, separator=SEPARATORS[separator])
    if not names:
        raise refusal("E_HEADER empty", place)
    for position, column in enumerate(names):
        if not column:
            raise refusal("E_HEADER unnamed", place, position=position + 1)
        if column.lower() in [other.lower() for other in names[:position]]:
            raise refusal("E_HEADER twice", f"{place} {column}")
    return names


def _csv(path: Path) -> str:
    """SQL for a CSV file; a text with a line break counts as one line."""
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in _header(path))
    return f"""
        select *, {literal(path.name)} as source_file, row_number() over () + 1 as source_line
        from read_csv({literal(str(path))}, columns={{{columns}}}, auto_detect=false, header=true,
                      delim=',', quote='"', escape='"', strict_mode=true)"""


def _text(path: Path) -> str:
    return f"""
        select text, {literal(path.name)} as source_file, row_number() over () as source_line
        from read_csv({literal(str(path))}, columns={{'text': 'VARCHAR'}}, auto_detect=false,
                      header=false, delim='\x1f', quote='', escape='')"""


def _parquet(path: Path) -> str:
    return f"""
        select * exclude (file_row_number), {literal(path.name)} as source_file,
               file_row_number + 1 as source_line
        from read_parquet({literal(str(path))}, file_row_number=true)"""


def _folder(path: Path) -> str:
    """SQL for all parquet files of a folder; they have the same columns."""
    files = ", ".join(literal(str(file)) for file in sorted(path.glob("*.parquet")))
    return f"""
        select * exclude (file_row_number, filename),
               {literal(path.name)} || '/' || parse_filename(filename) as source_file,
               file_row_number + 1 as source_line
        from read_parquet([{files}], file_row_number=true, filename=true)"""


READERS = {".csv": _csv, ".txt": _text, ".parquet": _parquet}


def _check_kind(path: Path, root: Path) -> None:
    """Refuse a file whose bytes are not what its ending says."""
    place = str(path.relative_to(root))
    if not path.resolve().is_relative_to(root):
        raise refusal("E_OUTSIDE file", place)
    size = path.stat().st_size
    if not size:
        raise refusal("E_EMPTY", place)
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(size - 4, 0))
        end = file.read(4)
    if path.suffix.lower() == ".parquet":
        if start != b"PAR1" or end != b"PAR1":
            raise refusal("E_TRUNCATED parquet", place)
        return
    for magic, (kind, fix) in MISTAKEN.items():
        if start.startswith(magic):
            raise refusal("E_FILE_KIND", place, kind=kind, ending=path.suffix[1:], fix=fix)
    _check_text(path)


def register(db: Db, shop: Folder) -> None:
    """Make every raw file of a shop, and every folder of parquet files, a table in schema `raw`."""
    root = shop.path.resolve()
    db.execute("create schema raw")
    kinds = {file: Path(file).suffix.lower() for file in shop.names()}
    readers = {file: READERS[kind] for file, kind in kinds.items() if kind in READERS}
    readers |= {str(Path(file).parent): _folder for file in shop.names("*/*.parquet")}
    registered: dict[str, str] = {}
    for file, reader in sorted(readers.items()):
        path = root / file
        if path.stem in registered:
            raise refusal("E_TWICE", file, other=registered[path.stem])
        for part in sorted(path.glob("*.parquet")) if reader is _folder else [path]:
            _check_kind(part, root)
        try:
            db.execute(f"create view raw.{identifier(path.stem)} as {reader(path)}")
        except duckdb.Error as error:
            raise unreadable(error, file) from None
        registered[path.stem] = file


def _bad_csv(text: str, place: str) -> InputError:
    """Return the file, the line and the problem from DuckDB's message about a CSV file."""
    file = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    problem = "quotes or line ends are not those of a CSV file"
    if counts:
        problem = f"{counts[2]} columns where the header has {counts[1]}"
    where = f"{Path(file[1]).name if file else place}{':' + line[1] if line else ''}"
    return refusal("E_CSV", where, problem=problem)


def unreadable(error: duckdb.Error, place: str) -> InputError:
    """Return DuckDB's error about a file or the shop's SQL, without the values it quotes."""
    text = str(error)
    if at := re.search(r"^LINE (\d+):", text, re.MULTILINE):
        place = f"{place}:{at[1]}"
    if isinstance(error, duckdb.PermissionException):
        return refusal("E_OUTSIDE sql", place)
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
        return refusal("E_SOURCE value", place)
    is_invalid = isinstance(error, duckdb.InvalidInputException)
    if is_invalid and "CSV" in text:
        return _bad_csv(text, place)
    # what the reader of parquet cannot decode has no class of its own
    is_read = isinstance(error, duckdb.IOException) or type(error) is duckdb.Error
    if is_read or (is_invalid and ABOUT_FILE.search(text)):
        return refusal("E_TRUNCATED read", place)
    missing = re.search(r"Table with name \"?(.+?)\"? does not exist", text)
    if isinstance(error, duckdb.CatalogException) and missing:
        return refusal("E_NO_FILE", place, table=missing[1])
    problem = text.strip().splitlines()[0]
    if is_invalid:
        problem = re.sub(r"[\"'].*", "...", problem)  # a value may contain quotes
    return refusal("E_SOURCE sql", place, problem=problem)
