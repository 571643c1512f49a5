"""`corekeep export TARGET`: the list in force as import files of a CRM, by exports/<target>.yaml.

Ids stand verbatim or their row is refused and counted: a program reads these files, no spreadsheet.
The control group and who must not be contacted are left out.
"""

import csv
import hashlib
import io
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.delivery.facts import counted
from pipeline.delivery.published import listed, published_table
from pipeline.delivery.schema import SCORED
from pipeline.inputs.aliases import canonical_ids
from pipeline.inputs.segments import PREFIX
from pipeline.inputs.suppressed import suppressed_today
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import Params, load
from pipeline.runtime.progress import say, warn
from pipeline.runtime.publishing import MANIFEST, folders, in_force
from pipeline.runtime.sections import Section
from pipeline.runtime.store import Folder
from pipeline.runtime.yaml_file import read_yaml

SENT = "sent.json"  # what was exported last, by keyed hash of the id
Limit = Annotated[int, Field(ge=1)] | None


class Identifier(Section):
    """The column that names a customer, and the pattern that a whole id must match."""

    header: str
    pattern: str


class Target(Section):
    """A product's documented rules for an import file: exports/<target>.yaml."""

    documented: str
    checked_on: str
    identifier: Identifier
    max_bytes: Limit
    max_rows: Limit  # with the header
    max_columns: Limit
    columns: dict[str, str]  # header -> column of scored.parquet


class Exported(NamedTuple):
    """How many rows were written and refused, and the files."""

    rows: int
    refused: int
    files: list[Path]


def target_of(name: str, root: Path) -> Target:
    """Return the rules of a target. Raises ConfigError for an unknown or broken one."""
    known = sorted(path.stem for path in (root / "exports").glob("*.yaml"))
    if name not in known:
        fix = f"use one of: {', '.join(known)}"
        raise ConfigError("E_EXPORT", f"exports/{name}.yaml", "there is no such target", fix)
    target = Target.model_validate(read_yaml(root / "exports" / f"{name}.yaml", root))
    place = f"exports/{name}.yaml columns"
    published = {column.name for column in SCORED}
    wanted = {name for name in target.columns.values() if not name.startswith(PREFIX)}
    if unknown := sorted(wanted - published):
        fix = "docs/outputs.md names them all"
        raise ConfigError("E_EXPORT", place, f"not published: {', '.join(unknown)}", fix)
    if target.max_columns and len(target.columns) + 1 > target.max_columns:
        rule = f"{len(target.columns) + 1} columns, allowed are {target.max_columns}"
        raise ConfigError("E_EXPORT", place, rule, "leave some out")
    return target


def exportable(lists: Folder, params: Params, root: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of the list in force that may leave, and its manifest."""
    manifest = lists.read(MANIFEST)
    rows = listed(published_table(lists, "scored.parquet", manifest))
    ids, zone = rows["customer_id"].to_pylist(), params.ingest.timezone
    aliases = canonical_ids(Folder(root / "data" / "events"))
    gone = suppressed_today(ids, manifest["snapshot"], zone, params.privacy, root, aliases)
    return rows.filter(
        pc.invert(pc.is_in(rows["customer_id"], pa.array(gone, pa.string())))
    ), manifest


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _files(head: str, lines: Iterable[str], target: Target) -> Iterator[str]:
    """Yield the texts of the files, none above the limits of the target."""
    most_rows = (target.max_rows or 10**9) - 1
    most_bytes = target.max_bytes or 10**12
    part: list[str] = []
    size = start = len(head.encode())
    for line in lines:
        length = len(line.encode())
        if part and (len(part) == most_rows or size + length > most_bytes):
            yield head + "".join(part)
            part, size = [], start
        part.append(line)
        size += length
    if part:
        yield head + "".join(part)


def import_lines(rows: pa.Table, target: Target) -> tuple[dict[str, str], int]:
    """Return the line of each customer by id, and how many ids the product does not take."""
    pattern = re.compile(target.identifier.pattern)
    columns = [rows[column].cast(pa.string()).to_pylist() for column in target.columns.values()]
    lines, refused = {}, 0
    for name, *cells in zip(rows["customer_id"].to_pylist(), *columns, strict=True):
        if pattern.fullmatch(name):
            lines[name] = _line([name, *("" if cell is None else cell for cell in cells)])
        else:
            refused += 1
    return lines, refused


def withdrawals(lists: Path, gone: Collection[str], target: Target) -> list[str]:
    """Return a line with contact `none`, and nothing else, for each id that has one of the marks.

    The ids are those of the published lists that are kept.
    """
    cells = ["none" if column == "contact" else "" for column in target.columns.values()]
    names: set[str] = set()
    for folder in folders(lists) if gone else ():
        scored = pq.read_table(folder / "scored.parquet", columns=["customer_id"])
        names |= {name for name in scored["customer_id"].to_pylist() if _mark(name) in gone}
    return [_line([name, *cells]) for name in sorted(names)]


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def export(target_name: str, root: Path, changed_only: bool = False) -> Exported:
    """Write data/exports/<target>/<snapshot>/part-*.csv; with `changed_only` no row as sent before.

    Who was sent last and is to be sent no more gets a row with contact `none`, once. An unchanged
    list writes no row. Raises ConfigError, InputError, QualityError for suppressions
    in doubt.
    """
    params, target = load(root), target_of(target_name, root)
    lists = Folder(in_force(root / "data" / "lists"))
    if not lists.has(MANIFEST):
        raise ConfigError("E_EXPORT", "data/lists", "there is no list yet", "run `make repro`")
    rows, manifest = exportable(lists, params, root)
    if absent := sorted(set(target.columns.values()) - {*rows.column_names}):
        place, fix = f"exports/{target_name}.yaml columns", "leave it out for this shop"
        raise ConfigError("E_EXPORT", place, f"the list has no {', '.join(absent)}", fix)
    lines, refused = import_lines(rows, target)
    folder = root / "data" / "exports" / target_name
    sent_path = folder / SENT
    sent = store.read(sent_path) if sent_path.exists() else {}
    marks = {name: (_mark(name), _mark(line)) for name, line in lines.items()}
    gone = sent.keys() - {mark for mark, _ in marks.values()}
    same = {name for name, (mark, line) in marks.items() if sent.get(mark) == line}
    new = [line for name, line in lines.items() if not changed_only or name not in same]
    new += withdrawals(root / "data" / "lists", gone, target)
    head = _line([target.identifier.header, *target.columns])
    texts = list(_files(head, new, target))
    files = {f"part-{n:03d}.csv": text.encode() for n, text in enumerate(texts, 1)}
    snapshot = folder / manifest["snapshot"]
    store.write(snapshot, files)
    store.write(sent_path, dict(sorted(marks.values())))
    size = f"{counted('row|rows', len(new))} in {counted('file|files', len(files))}"
    say(f"{target_name}: {size}, {snapshot.relative_to(root)}")
    if refused:
        rule = f"{refused} ids are not what {target_name} takes as {target.identifier.header}"
        warn(f"{rule}: these rows were refused")
    return Exported(len(new), refused, [snapshot / name for name in files])
