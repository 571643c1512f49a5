"""A shop's raw files, read strictly: each becomes a table `raw.<file name without ending>`.

A folder of files is one such table too, named after the folder. A table has the columns of
its file, then `source_file` and `source_line`, the number of the record in the file. All columns of
a CSV file are text; a .txt file has one column `text`. A file that is damaged, or not what its
ending says, is refused before anything is read from it.
"""

import codecs
import csv
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.inputs.database import Db, identifier, literal, one_file
from pipeline.inputs.plain import PACKED, SHEETS, ending, is_utf8, plain, table_name
from pipeline.inputs.refusals import refusal
from pipeline.inputs.source_sql import named_tables
from pipeline.inputs.unreadable import HIDDEN, unreadable
from pipeline.runtime.sections import RawFile
from pipeline.runtime.store import Folder

BLOCK = 1 << 24
LONG = 1 << 21  # DuckDB reads no longer lines, and may lose the row behind one
MISTAKEN = {
    b"\x1f\x8b": ("a gzip file", "name it .csv.gz"),
    b"PK\x03\x04": ("a zip file", "name it .zip"),
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
    b"PAR1": ("a parquet file", "name it .parquet"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "name it .xls"),
}
SEPARATORS = {";": ("semicolons", '";"'), "\t": ("tabs", '"\\t"'), "|": ("bars", '"|"')}
CSVS = (".csv", ".tsv", *SHEETS)


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
            for start in range(0, len(block) - LONG + 1, LONG):
                window = (start, start + LONG)
                if block.find(b"\n", *window) < 0 and block.find(b"\r", *window) < 0:
                    line = _lines_before(path, offset + start) + 1
                    raise refusal("E_LINE_LENGTH", f"{path.name}:{line}")
            offset += len(block)
    if pending := len(decoder.getstate()[0]):
        raise refusal("E_ENCODING", f"{path.name} byte {offset - pending}")


def _lines_before(path: Path, offset: int) -> int:
    """Return the number of line ends before a byte."""
    with path.open("rb") as file:
        text = file.read(offset)
    return text.count(b"\n") or text.count(b"\r")


def header(path: Path, form: RawFile, place: str) -> list[str]:
    """Return the column names in the first record of a CSV file, which may have several lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(form.skip):
            file.readline(BLOCK)
        start = file.read(BLOCK)
    place = f"{place}:{form.skip + 1}"
    first = next(csv.reader(io.StringIO(start, newline=""), delimiter=form.separator), [])
    names = [column.strip() for column in first]
    separator = next((s for s in SEPARATORS if s in start.partition("\n")[0]), None)
    if len(names) == 1 and separator and separator != form.separator:
        named = f"`{Path(place.partition(':')[0]).name}: {{separator: {SEPARATORS[separator][1]}}}`"
        raise refusal("E_SEPARATOR", place, separator=SEPARATORS[separator][0], entry=named)
    if not names:
        raise refusal("E_HEADER empty", place)
    if form.names and len(form.names) != len(names):
        raise refusal("E_HEADER count", place, count=len(names), names=len(form.names))
    if form.names:
        return list(form.names)
    if "" in names:
        raise refusal("E_HEADER unnamed", place, position=names.index("") + 1)
    _refuse_twice(names, place)
    return names


def _refuse_twice(names: list[str], place: str) -> None:
    """Refuse names that differ in capitals only: SQL would take the first."""
    for position, name in enumerate(names):
        if name.lower() in [other.lower() for other in names[:position]]:
            raise refusal("E_HEADER twice", f"{place} {name}")


def _csv(path: Path, form: RawFile, name: str) -> str:
    """SQL for a CSV file; a text with a line break counts as one line."""
    whole = plain(path, form)
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header(whole, form, name))
    before = form.skip + form.header
    return f"""
        select *, {literal(name)} as source_file, row_number() over () + {before} as source_line
        from read_csv({one_file(whole)}, columns={{{columns}}}, auto_detect=false,
                      compression='none', header={str(form.header).lower()}, skip={form.skip},
                      delim={literal(form.separator)}, quote='"', escape='"', strict_mode=true)"""


def _text(path: Path, form: RawFile, name: str) -> str:
    return f"""
        select text, {literal(name)} as source_file, row_number() over () as source_line
        from read_csv({one_file(plain(path, form))}, columns={{'text': 'VARCHAR'}},
                      auto_detect=false, compression='none', header=false, delim='\x1f',
                      quote='', escape='')"""


def _parquet(path: Path, _: RawFile, name: str) -> str:
    return f"""
        select * exclude (file_row_number), {literal(name)} as source_file,
               file_row_number + 1 as source_line
        from read_parquet({one_file(path)}, file_row_number=true)"""


def _folder(path: Path, form: RawFile, name: str) -> str:
    """SQL for all files of a folder; those of one kind have the same columns."""
    if texts := [file for file in sorted(path.iterdir()) if is_raw(file) and ending(file) in CSVS]:
        return " union all by name ".join(
            f"({_csv(file, form, f'{name}/{file.name}')})" for file in texts
        )
    files = ", ".join(one_file(file) for file in sorted(path.glob("*.parquet")))
    return f"""
        select * exclude (file_row_number, filename),
               {literal(name)} || '/' || parse_filename(filename) as source_file,
               file_row_number + 1 as source_line
        from read_parquet([{files}], file_row_number=true, filename=true)"""


READERS = {**dict.fromkeys(CSVS, _csv), ".txt": _text, ".parquet": _parquet}


def is_raw(path: Path) -> bool:
    """Whether a path is a file that people put there and that can be read."""
    return path.is_file() and not path.name.startswith(HIDDEN) and ending(path) in READERS


def _check_kind(path: Path, root: Path, form: RawFile) -> None:
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
        try:
            _refuse_twice(pq.read_schema(path).names, place)
        except (pa.ArrowException, OSError):
            raise refusal("E_TRUNCATED parquet", place) from None
        return
    if path.suffix.lower() in (*PACKED, *SHEETS):
        return
    refuse_mistaken(path, place, form)
    if is_utf8(form):
        _check_text(path)


def refuse_mistaken(path: Path, place: str, form: RawFile) -> None:
    """Refuse a text file whose first bytes are those of another kind of file."""
    with path.open("rb") as file:
        start = file.read(4)
    for magic, (kind, fix) in MISTAKEN.items():
        if not start.startswith(magic) or (kind == "UTF-16" and form.encoding.startswith("utf-16")):
            continue
        if zipfile.is_zipfile(path) and "xl/workbook.xml" in zipfile.ZipFile(path).namelist():
            kind, fix = "an Excel workbook", "name it .xlsx"  # noqa: PLW2901
        raise refusal("E_FILE_KIND", place, kind=kind, ending=path.suffix[1:], fix=fix)


@dataclass(frozen=True)
class Raw:
    """What becomes one table: a file, a folder of files, or a sheet of a workbook.

    `label` names it in ingest.files and in errors, as sales.xlsx or sales.xlsx#Orders; `title` is
    what people called it.
    """

    path: Path
    label: str
    form: RawFile
    title: str


def raw_tables(shop: Folder, forms: Mapping[str, RawFile]) -> dict[str, Raw]:
    """Return what becomes a table, by its name. Raises InputError for two of one name.

    Sheets of a workbook that `forms` names are tables of their own.
    """
    tables: dict[str, Raw] = {}
    for path in sorted(shop.path.resolve().iterdir()):
        inside = path.is_dir() and any(is_raw(file) for file in path.iterdir())
        if not inside and not is_raw(path):
            continue
        default = RawFile(separator="\t") if ending(path) == ".tsv" else RawFile()
        sheets = [label for label in forms if label.startswith(f"{path.name}#")]
        for label in sheets or [path.name]:
            form, title = forms.get(label, default), path.name if inside else table_name(path)
            name = title
            if sheets:
                title = label.removeprefix(f"{path.name}#")
                form, name = form.model_copy(update={"sheet": title}), f"{name}_{title}"
            if name in tables:
                raise refusal("E_TWICE", label, other=tables[name].label)
            tables[name] = Raw(path, label, form, title)
    return tables


def register(db: Db, shop: Folder, forms: Mapping[str, RawFile], sources: str = "") -> None:
    """Make every raw file and folder of a shop that the SQL names a table in schema `raw`.

    `forms`: how a file is written, by its name, where it is not comma-separated UTF-8. Without
    `sources` every file becomes a table.
    """
    root = shop.path.resolve()
    db.execute("create schema raw")
    named = named_tables(sources)
    for table, raw in raw_tables(shop, forms).items():
        path, form = raw.path, raw.form
        if sources and table.lower() not in named:
            continue
        for part in sorted(filter(is_raw, path.iterdir())) if path.is_dir() else [path]:
            _check_kind(part, root, form)
        reader = _folder if path.is_dir() else READERS[ending(path)]
        if reader is _text and path.name in forms:
            reader = _csv
        try:
            sql = reader(path, form, raw.label)
            db.execute(f"create view raw.{identifier(table)} as {sql}")
        except duckdb.Error as error:
            raise unreadable(error, path.name, db, shop) from None
