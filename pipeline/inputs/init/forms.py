"""How a raw file is written: encoding, separator, header. Guessed once, then kept in shops/."""

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from pathlib import Path

from pipeline.inputs.plain import BLOCK, PACKED, SHEETS, ending, raw_bytes, sheet_names, sheet_rows
from pipeline.inputs.refusals import refusal
from pipeline.runtime.sections import RawFile

MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
ENCODINGS = ("utf-8", "cp1252", "cp850")  # each fails on texts of those before it
SEPARATORS = ",;\t|"
ROWS = 200  # enough to see how a file is written
VALUE = re.compile(r"[-+(]?[\d.,:/ -]*\d[\d.,:/ %€$£-]*\)?")  # a number or a time, not a name


def guesses(path: Path) -> dict[str, RawFile]:
    """Return how a file is written, by its name; of a workbook each sheet that holds a table.

    Raises InputError.
    """
    if path.is_dir() or path.suffix.lower() not in SHEETS:
        return {path.name: guess(path)}
    sheets = {sheet: _rows_of(path, sheet) for sheet in sheet_names(path)}
    tables = {sheet: rows for sheet, rows in sheets.items() if _is_table(rows)}
    if len(tables) > 1:
        return {f"{path.name}#{name}": _with_header(RawFile(), r) for name, r in tables.items()}
    first, only = next(iter(sheets)), next(iter(tables or sheets))
    form = RawFile() if only == first else RawFile(sheet=only)
    return {path.name: _with_header(form, sheets[only])}


def _rows_of(path: Path, sheet: str) -> list[list[str]]:
    return list(itertools.islice(sheet_rows(path, sheet), ROWS))


def _is_table(rows: list[list[str]]) -> bool:
    """Whether rows are more than a note: two of them with two filled cells or more."""
    return sum(1 for row in rows if sum(1 for cell in row if cell.strip()) > 1) > 1


def guess(path: Path) -> RawFile:
    """Return how a text or Parquet file, or a folder of such files, is written."""
    if path.is_dir():
        first = sorted(file for file in path.iterdir() if not file.name.startswith("."))[0]
        return next(iter(guesses(first).values()))
    if ending(path) == ".parquet":
        return RawFile()
    encoding = _guess_encoding(path)
    with raw_bytes(path) as file:
        start = file.read(BLOCK)
    if b"\0" in start and "16" not in encoding:
        raise refusal("E_NUL", f"{path.name} byte {start.index(0)}")
    text = codecs.getincrementaldecoder(encoding)().decode(start).removeprefix("\ufeff")
    separator, rows = _guess_separator(text)
    return _with_header(RawFile(separator=separator, encoding=encoding), rows)


def _guess_encoding(path: Path) -> str:
    """Return the first encoding that fits all bytes of a file."""
    with raw_bytes(path) as file:
        start = file.read(4)
        for mark, encoding in MARKS:
            if start.startswith(mark):
                return encoding
    if start[1::2] == b"\0\0":
        return "utf-16-le"
    for encoding in ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with raw_bytes(path) as file:
                while block := file.read(BLOCK):
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _guess_separator(text: str) -> tuple[str, list[list[str]]]:
    """Return the separator that gives the most rows of one length, then the most columns."""
    best: tuple[float, int, str, list[list[str]]] = (0, 0, ",", [])
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = []
        try:
            for row in reader:
                rows.append(row)
                if len(rows) == ROWS:
                    break
        except csv.Error:
            continue
        length, count = Counter(map(len, filter(None, rows))).most_common(1)[0] if rows else (0, 0)
        if length > 1:
            best = max(best, (round(count / len(rows), 1), length, separator, rows))
    return (best[2], best[3]) if best[3] else (",", [[line] for line in text.splitlines()[:ROWS]])


def _with_header(form: RawFile, rows: list[list[str]]) -> RawFile:
    """Return the form with the lines to skip, and names where the file has none or bad ones."""
    filled = [sum(1 for cell in row if cell.strip()) for row in rows]
    widths = Counter(len(row) for row in rows if len(row) > 1) or Counter([1])
    width = widths.most_common(1)[0][0]
    enough = 0.5 * max(filled, default=0)
    skip = next((i for i, row in enumerate(rows) if len(row) == width and filled[i] > enough), 0)
    names = [" ".join(cell.split()) for cell in rows[skip]] if rows else []
    has_header = not any(VALUE.fullmatch(name) for name in names)
    update: dict[str, object] = {"skip": skip, "header": has_header}
    if not has_header:
        update["names"] = tuple(f"column_{i + 1}" for i in range(len(names)))
    elif len({name.lower() for name in names} - {""}) < len(names):
        update["names"] = tuple(_distinct(names))
    return form.model_copy(update=update)


def _distinct(names: list[str]) -> list[str]:
    """Return names of which none is empty and no two are equal."""
    result: list[str] = []
    for position, name in enumerate(names):
        own = name or f"column_{position + 1}"
        taken = [other.lower() for other in result]
        result.append(own if own.lower() not in taken else f"{own}_{position + 1}")
    return result


def is_whitespace_table(path: Path, form: RawFile) -> int:
    """Return the number of columns of a .txt file whose columns are separated by blanks, else 0."""
    if ending(path) != ".txt" or path.suffix.lower() in PACKED:
        return 0
    with path.open(encoding=form.encoding) as file:
        lines = [file.readline() for _ in range(ROWS)]
    counts = Counter(len(line.split()) for line in lines if line.strip())
    (width, count), *_ = counts.most_common(1) or [(0, 0)]
    has_separator = any(s in lines[0] for s in SEPARATORS)
    return width if width > 2 and count == sum(counts.values()) and not has_separator else 0
