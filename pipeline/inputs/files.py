"""A shop's raw files, read strictly: each becomes a table `raw.<file name without ending>` that its
SQL selects from.

A folder of parquet files is one such table too, named after the folder. Such a table has the
columns of the file (those of a CSV file all as text, of a .txt file one column `text`), then
`source_file` and `source_line`, the number of the record in the file. A file that is damaged, or
not what its ending says, is refused before anything is read from it.
"""

import codecs
import csv
import io
import re
from pathlib import Path

import duckdb

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
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def _scan_text(path: Path) -> None:
    """Refuse bytes that are not UTF-8 text, by their offset."""
    decoder, offset = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if (at := block.find(b"\0")) >= 0:
                raise InputError(
                    "E_NUL",
                    f"{path.name} byte {offset + at}",
                    "a NUL byte in a text file",
                    "export the file again",
                )
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                place = f"{path.name} byte {offset - pending + error.start}"
                raise InputError(
                    "E_ENCODING", place, "not UTF-8 text", "save the file as UTF-8"
                ) from None
            offset += len(block)
    if pending := len(decoder.getstate()[0]):
        raise InputError(
            "E_ENCODING",
            f"{path.name} byte {offset - pending}",
            "not UTF-8 text",
            "save the file as UTF-8",
        )


def _header(path: Path) -> list[str]:
    """The names of a CSV file's columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(1 << 20)
    names = next(csv.reader(io.StringIO(first)), [])
    separator = next((s for s in SEPARATORS if s in first), None)
    if len(names) == 1 and separator:
        raise InputError(
            "E_SEPARATOR",
            f"{path.name}:1",
            f"columns are separated by {SEPARATORS[separator]}",
            "save it with commas",
        )
    names = [column.strip() for column in names]
    if not names:
        raise InputError(
            "E_HEADER",
            f"{path.name}:1",
            "the first line names no column",
            "begin the file with the names of its columns",
        )
    for position, column in enumerate(names):
        if not column:
            raise InputError(
                "E_HEADER",
                f"{path.name}:1",
                f"column {position + 1} has no name",
                "name every column in the first line",
            )
        if column.lower() in [other.lower() for other in names[:position]]:
            raise InputError(
                "E_HEADER",
                f"{path.name}:1 {column}",
                "two columns have this name",
                "rename one of them",
            )
    return names


def _csv(path: Path) -> str:
    """SQL for a CSV file.

    Records are numbered as lines are, which differs where a text holds a line break.
    """
    columns = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in _header(path))
    return f"""select *, {quoted(path.name)} as source_file, row_number() over () + 1 as source_line
        from read_csv({quoted(str(path))}, columns={{{columns}}}, auto_detect=false, header=true, delim=',', quote='"', escape='"',
                      strict_mode=true)"""


def _text(path: Path) -> str:
    return f"""select text, {quoted(path.name)} as source_file, row_number() over () as source_line
        from read_csv({quoted(str(path))}, columns={{'text': 'VARCHAR'}}, auto_detect=false, header=false, delim='\x1f', quote='',
                      escape='')"""


def _parquet(path: Path) -> str:
    return f"""select * exclude (file_row_number), {quoted(path.name)} as source_file, file_row_number + 1 as source_line
        from read_parquet({quoted(str(path))}, file_row_number=true)"""


def _folder(path: Path) -> str:
    """SQL for all parquet files of a folder; they have the same columns."""
    files = ", ".join(quoted(str(file)) for file in sorted(path.glob("*.parquet")))
    return f"""select * exclude (file_row_number, filename), {quoted(path.name)} || '/' || parse_filename(filename) as source_file,
            file_row_number + 1 as source_line
        from read_parquet([{files}], file_row_number=true, filename=true)"""


READERS = {".csv": _csv, ".txt": _text, ".parquet": _parquet}


def _check(path: Path, root: Path) -> None:
    """Refuse a file whose bytes are not what its ending says."""
    place = str(path.relative_to(root))
    if not path.resolve().is_relative_to(root):
        raise InputError(
            "E_OUTSIDE", place, "the file lies outside the shop's folder", "copy it there"
        )
    size = path.stat().st_size
    if not size:
        raise InputError("E_EMPTY", place, "the file is empty", "export it again")
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(size - 4, 0))
        end = file.read(4)
    if path.suffix.lower() == ".parquet":
        if start != b"PAR1" or end != b"PAR1":
            raise InputError(
                "E_TRUNCATED", place, "not a whole parquet file", "copy or export it again"
            )
        return
    for magic, (what, fix) in MISTAKEN.items():
        if start.startswith(magic):
            raise InputError(
                "E_FILE_KIND", place, f"this is {what}, not {path.suffix[1:]} text", fix
            )
    _scan_text(path)


def register(db: duckdb.DuckDBPyConnection, shop: Folder) -> None:
    """Make every raw file of the shop's folder, and every folder of parquet files there, a table in
    the schema `raw`.
    """
    root = shop.path.resolve()
    db.execute("create schema raw")
    readers = {
        file: READERS[Path(file).suffix.lower()]
        for file in shop.names()
        if Path(file).suffix.lower() in READERS
    }
    readers |= dict.fromkeys(
        {str(Path(file).parent) for file in shop.names("*/*.parquet")}, _folder
    )
    found: dict[str, str] = {}
    for file, reader in sorted(readers.items()):
        path = root / file
        if path.stem in found:
            raise InputError(
                "E_TWICE", file, f"{found[path.stem]} is the same table", "keep one of the two"
            )
        for part in sorted(path.glob("*.parquet")) if reader is _folder else [path]:
            _check(part, root)
        try:
            db.execute(f"create view raw.{name(path.stem)} as {reader(path)}")
        except duckdb.Error as error:
            raise unreadable(error, file) from None
        found[path.stem] = file


def _bad_csv(text: str, place: str) -> InputError:
    """The file and line of DuckDB's complaint about a CSV file, and what is wrong there."""
    file, line = (
        re.search(r"^\s*file = (.*)$", text, re.MULTILINE),
        re.search(r"CSV Error on Line: (\d+)", text),
    )
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    rule = "quotes or line ends that are not those of a CSV file"
    if counts:
        rule = f"{counts[2]} columns where the header has {counts[1]}"
    where = f"{Path(file[1]).name if file else place}{':' + line[1] if line else ''}"
    return InputError("E_CSV", where, rule, "correct the line, or export the file again")


def unreadable(error: duckdb.Error, place: str) -> InputError:
    """What DuckDB says about a file or the shop's SQL, without the values it quotes."""
    text = str(error)
    if at := re.search(r"^LINE (\d+):", text, re.MULTILINE):
        place = f"{place}:{at[1]}"
    if isinstance(error, duckdb.PermissionException):
        return InputError(
            "E_OUTSIDE", place, "it reads a file outside the shop's folder", "copy the file there"
        )
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
        return InputError(
            "E_SOURCE",
            place,
            "a value does not convert",
            "hand the text over: it is checked and converted here",
        )
    if isinstance(error, duckdb.InvalidInputException) and "CSV" in text:
        return _bad_csv(text, place)
    if isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
        return InputError(
            "E_TRUNCATED", place, "a raw file cannot be read to its end", "copy or export it again"
        )
    if isinstance(error, duckdb.CatalogException) and (
        table := re.search(r"Table with name \"?(.+?)\"? does not exist", text)
    ):
        fix = f"put {table[1]}.parquet or {table[1]}.csv into the shop's folder"
        return InputError("E_NO_FILE", place, f"there is no raw file {table[1]}", fix)
    return InputError("E_SOURCE", place, text.strip().splitlines()[0], "correct the SQL")
