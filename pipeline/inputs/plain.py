"""Plain copies of raw files in other forms: other encodings, packed files, spreadsheets.

A plain copy is UTF-8 text with one kind of line end, one line per line of the raw file, so a line
number of the copy is one of the raw file. It lies in a temporary folder until the process ends.
"""

import atexit
import codecs
import csv
import datetime as dt
import gzip
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

from pipeline.inputs.refusals import refusal
from pipeline.runtime.sections import RawFile

BLOCK = 1 << 20
SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
PACKED = (".gz", ".zip")
TEXTS = (".csv", ".tsv", ".txt")
BOMBS = 1000  # text is packed to a tenth; a file that unpacks to this many times its size is a trap
SMALL = 1 << 28  # an unpacked size that does no harm


@cache
def plain_folder() -> Path:
    """Return the folder of this process's plain copies; it is removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="corekeep-plain-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def ending(path: Path) -> str:
    """Return the ending of a raw file in lower case, without that of its packing: orders.csv.gz
    ends in .csv, and so does a zip file, which holds one text.
    """
    kind = path.suffix.lower()
    if kind not in PACKED:
        return kind
    inner = Path(path.stem).suffix.lower()
    return inner if inner in TEXTS else ".csv"


def table_name(path: Path) -> str:
    """Return the name of a raw file's table: the file's name without its endings."""
    stem = Path(path.stem)
    is_packed = path.suffix.lower() in PACKED and stem.suffix.lower() in TEXTS
    return stem.stem if is_packed else path.stem


def plain(path: Path, form: RawFile) -> Path:
    """Return the raw file itself if it is plain text, else the path of its plain copy.

    Raises InputError for a zip file without exactly one text, a damaged or a huge packed file.
    """
    is_sheet, is_packed = path.suffix.lower() in SHEETS, path.suffix.lower() in PACKED
    if is_utf8(form) and not is_sheet and not is_packed and not has_mixed_line_ends(path):
        return path
    copy = Path(tempfile.mkdtemp(dir=plain_folder())) / path.name  # errors name it
    if is_sheet:
        with copy.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(sheet_rows(path, form.sheet))
        return copy
    try:
        with raw_bytes(path) as source, copy.open("w", encoding="utf-8", newline="") as file:
            _decode(source, file, form.encoding, path)
    except UnicodeDecodeError as error:
        name = form.encoding
        raise refusal("E_ENCODING other", f"{path.name} byte {error.start}", name=name) from None
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise refusal("E_TRUNCATED packed", path.name) from None
    return copy


def is_utf8(form: RawFile) -> bool:
    """Whether a file is said to be UTF-8 text, with or without a byte order mark."""
    return codecs.lookup(form.encoding).name in ("utf-8", "utf-8-sig")


def has_mixed_line_ends(path: Path) -> bool:
    """Whether only some lines of a text file end in CRLF: DuckDB does not read such a file."""
    lines = returns = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
            returns += block.count(b"\r")
    return 0 < returns < lines


def raw_bytes(path: Path) -> IO[bytes]:
    """Open a raw file for its bytes, unpacked. Raises InputError for a zip file of several."""
    kind = path.suffix.lower()
    if kind == ".gz":
        return cast(IO[bytes], gzip.open(path))
    if kind != ".zip":
        return path.open("rb")
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise refusal("E_TRUNCATED packed", path.name) from None
    texts = [
        entry
        for entry in archive.infolist()
        if Path(entry.filename).suffix.lower() in TEXTS
        and not Path(entry.filename).name.startswith(".")
        and "__MACOSX" not in entry.filename
    ]
    if len(texts) != 1:
        raise refusal("E_ZIP", path.name, count=len(texts))
    return archive.open(texts[0])


def _decode(source: IO[bytes], target: IO[str], encoding: str, path: Path) -> None:
    """Write the text with line feeds at the ends of its lines."""
    limit = max(SMALL, BOMBS * path.stat().st_size)
    decoder, size = codecs.getincrementaldecoder(encoding)(), 0
    held = ""  # a carriage return at the end of a block may belong to a line feed
    while block := source.read(BLOCK):
        size += len(block)
        if size > limit:
            raise refusal("E_TOO_LARGE", path.name)
        text = held + decoder.decode(block)
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        target.write(text)
    target.write(decoder.decode(b"", final=True) + ("\n" if held else ""))


def sheet_names(path: Path) -> list[str]:
    """Return the names of a spreadsheet's sheets. Raises InputError for a file that is none."""
    return list(_workbook(path).sheet_names)


def sheet_rows(path: Path, sheet: str | None) -> Iterator[list[str]]:
    """Yield the rows of a sheet, the first one by default, from its first row and column on."""
    workbook = _workbook(path)
    if sheet is not None and sheet not in workbook.sheet_names:
        names = ", ".join(workbook.sheet_names)
        raise refusal("E_SHEET", path.name, sheet=sheet, names=names)
    name = workbook.sheet_names[0] if sheet is None else sheet
    for row in workbook.get_sheet_by_name(name).iter_rows():
        yield [_cell(value) for value in row]


def _workbook(path: Path) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(path)
    except CalamineError:
        raise refusal("E_TRUNCATED sheet", path.name) from None


def _cell(value: object) -> str:
    """Return a cell as text: whole numbers without a point, days and times as in ISO 8601."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat().replace("T00:00:00", "")
    return str(value).lower() if isinstance(value, bool) else str(value)
