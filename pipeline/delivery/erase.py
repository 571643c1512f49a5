"""`corekeep erase`: remove customers from everything in the project's folder.

Raw files, returned files and kept lists are rewritten without their rows. What stages make, and
objects of DVC's cache that name them, are removed: the next run makes them anew. Their ids live on
as keyed hashes alone, so that they stay out when the shop delivers them again.
"""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.inputs.aliases import FILE, canonical_ids
from pipeline.inputs.erased import HASHES, KEY, remember
from pipeline.inputs.returned import SEPARATORS, text_of
from pipeline.runtime import store
from pipeline.runtime.errors import InputError, QualityError
from pipeline.runtime.params import load
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import MANIFEST
from pipeline.runtime.store import Folder

REWRITTEN = ("data/shops", "data/returned", "data/lists")
REMOVED = ("data/events", "data/features", "data/lifecycle", "data/labels", "data/quarantine",
           "data/category_falls.parquet", "data/desk", "data/exports")  # fmt: skip
# elsewhere a file that names a customer is removed as a whole
SEARCHED = ("data", "reports", ".dvc/cache", "mlartifacts", "mlspool", "mlruns", ".cache",
            "dvc_plots")  # fmt: skip
KEPT_NAMES = (HASHES, KEY)


class Erased(NamedTuple):
    """What was found: files rewritten and removed, as paths from the project's folder, and rows."""

    rewritten: list[str]
    removed: list[str]
    rows: int


class Ids:
    """The ids to erase, in the forms in which files hold them."""

    def __init__(self, ids: set[str]) -> None:
        self.ids = {name.strip() for name in ids if name.strip()}
        self.forms = self.ids | {f"'{name}" for name in self.ids} | {f"{i}.0" for i in self.ids}
        word = "|".join(re.escape(name) for name in sorted(self.ids))
        self.pattern = rf"(?:^|[^0-9A-Za-z_-])(?:{word})(?:$|[^0-9A-Za-z_-])"
        self.in_bytes = re.compile(self.pattern.encode())

    def rows(self, table: pa.Table) -> pa.ChunkedArray | None:
        """Return which rows of a table name one of the ids in any column; None if none does."""
        named = None
        for column in table.columns:
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
                continue
            texts = column.cast(kind).cast(pa.string())
            hits = pc.is_in(texts, pa.array(sorted(self.forms), pa.string()))
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                inside = pc.match_substring_regex(texts, self.pattern).fill_null(False)
                hits = pc.or_(hits, inside)
            named = hits if named is None else pc.or_(named, hits)
        return named if named is not None and pc.any(named).as_py() else None


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for name in folders:
        top = root / name
        for path in sorted(top.rglob("*") if top.is_dir() else [top]):
            if path.is_file() and not path.is_symlink() and path.name not in KEPT_NAMES:
                yield path


def _records(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each record of a CSV as its own text and its cells."""
    used: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            used.append(line)
            yield line

    head = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=head.count)
    for cells in csv.reader(lines(), delimiter=separator):
        yield "".join(used), cells
        used.clear()


def _rewrite(path: Path, ids: Ids, dry_run: bool) -> int:
    """Rewrite a file without the rows of the ids; return how many there were."""
    if _is_parquet(path):
        table = pq.read_table(path)
        hits = ids.rows(table)
        if hits is None:
            return 0
        rows = int(pc.sum(hits).as_py())
        if not dry_run:
            store.write(path, table.filter(pc.invert(hits)))
        return rows
    if not ids.in_bytes.search(path.read_bytes()) and not _is_utf16(path):
        return 0
    kept, rows = [], 0
    word = re.compile(ids.pattern)
    for text, cells in _records(text_of(path)):
        named = any(cell.strip() in ids.forms or word.search(cell) for cell in cells)
        rows += named
        kept += [] if named else [text]
    if rows and not dry_run:
        encoding = "utf-8-sig" if path.read_bytes().startswith(b"\xef\xbb\xbf") else "utf-8"
        store.write(path, "".join(kept).encode(encoding))
    return rows


def _is_utf16(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"\xff\xfe", b"\xfe\xff")


def names_one(path: Path, ids: Ids) -> bool:
    """Return whether a file names one of the ids: by decoded values of parquet, else by bytes."""
    if _is_parquet(path):
        try:
            return ids.rows(pq.read_table(path)) is not None
        except pa.ArrowException:
            return False
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = text_of(path).encode()
    return ids.in_bytes.search(data) is not None


def _mend_manifest(folder: Path) -> None:
    """Let the manifest of a list name its rewritten files as they are now."""
    manifest = store.read(folder / MANIFEST)
    for name, about in manifest["files"].items():
        path = folder / name
        if path.is_file():
            rows = store.rows_in(path)
            about |= {"sha256": store.sha256(path), "rows": about["rows"] if rows is None else rows}
            if path.suffix == ".csv":
                about["rows"] = sum(1 for _ in _records(text_of(path))) - 1
    store.write(folder / MANIFEST, manifest)


def _aliases(root: Path) -> dict[str, str]:
    """Return the canonical id of each other id, of the last run, or as the last erasure kept it."""
    events = root / "data" / "events"
    return canonical_ids(Folder(events if events.is_dir() else root / ".cache"))


def _with_aliases(aliases: dict[str, str], customers: set[str]) -> set[str]:
    """Return the customers with all their other ids."""
    named = {aliases.get(name.strip(), name.strip()) for name in customers}
    return customers | named | {alias for alias, name in aliases.items() if name in named}


def _keep_aliases(root: Path, aliases: dict[str, str], erased: set[str]) -> None:
    """Keep the other ids of the others: the next erasure may come before the next run."""
    left = [pair for pair in aliases.items() if not erased & set(pair)]
    names = ("customer_id", "canonical_id")
    rows = pa.table(
        [pa.array(ids, pa.string()) for ids in zip(*left, strict=True)] or [[], []], names
    )
    store.write(root / ".cache" / FILE, rows)


def erase(root: Path, customers: set[str], dry_run: bool = False) -> Erased:
    """Erase customers from the project's folder; with `dry_run` only say what would be done.

    Raises InputError without an id, and QualityError if a file still names one of them at the end.
    """
    aliases = _aliases(root)
    ids = Ids(_with_aliases(aliases, customers))
    if not ids.ids:
        raise InputError("E_ERASE", "corekeep erase", "no id was given", "name one, or use --from")
    shop = load(root).shop
    if not dry_run:
        remember(root / "data" / "returned" / shop, ids.ids)
    rewritten, removed, rows = [], [], 0
    for path in _files(root, REWRITTEN):
        if path.name != MANIFEST and (count := _rewrite(path, ids, dry_run)):
            rewritten.append(path)
            rows += count
    lists = {path.parent for path in rewritten if (path.parent / MANIFEST).is_file()}
    if not dry_run:
        for folder in sorted(lists):
            _mend_manifest(folder)
        _keep_aliases(root, aliases, ids.ids)
        for name in REMOVED:
            path = root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for path in _files(root, SEARCHED):
        if path not in rewritten and names_one(path, ids):
            removed.append(path)
            if not dry_run:
                path.unlink()
    if not dry_run and (left := [p for p in _files(root, SEARCHED) if names_one(p, ids)]):
        rule, fix = f"{len(left)} files still name an erased customer", "remove them by hand"
        raise QualityError("E_ERASE", str(left[0].relative_to(root)), rule, fix)
    changed, gone = (
        [str(path.relative_to(root)) for path in paths] for paths in (rewritten, removed)
    )
    return Erased(changed, gone, rows)


def report(erased: Erased, dry_run: bool) -> None:
    """Say what was done, without an id."""
    verb = "would be " if dry_run else ""
    for word, paths in (("rewritten", erased.rewritten), ("removed", erased.removed)):
        for path in paths:
            say(f"{verb}{word}: {path}")
    say(f"{erased.rows} rows {verb}erased; what stages made is made anew by the next `make repro`")
