"""Files.

How a stage's results get to disk whole or not at all, and how the next stage reads them.
"""

import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# pandas.DataFrame, pyarrow.Table, dict, list, str or bytes: decided by the file's ending
Content = Any


@dataclass(frozen=True)
class Folder:
    """Files that another stage wrote, read by name when asked for."""

    path: Path

    def names(self, pattern: str = "*") -> list[str]:
        """Names of the files that match, sorted."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.glob(pattern) if p.is_file())

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> Content:
        return read(self.path / name)


@dataclass(frozen=True)
class Published:
    """Files for readers outside.

    Each replaced whole, and the manifest that names them written last.
    """

    files: Mapping[str, Content]
    manifest: Mapping[str, Any]


def read(path: Path) -> Content:
    """What a file holds, by its ending; a folder is handed over unread."""
    if path.is_dir():
        return Folder(path)
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_table(path)
    if path.suffix == ".csv":
        import pandas as pd

        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    return path.read_text(encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def to_json(value: Any) -> str:
    """JSON with one shape: two spaces, keys in the order given, never NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _dump(content: Content, path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = (
            content
            if isinstance(content, pa.Table)
            else pa.Table.from_pandas(content, preserve_index=False)
        )
        # a dictionary of figures is only in the way
        text = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
        pq.write_table(
            table.replace_schema_metadata(None),
            path,
            compression="zstd",
            compression_level=1,
            use_dictionary=text,
        )
    elif path.suffix == ".csv" and hasattr(content, "to_batches"):
        _dump_csv(content, path)
    elif path.suffix == ".csv" and not isinstance(content, str):
        content.to_csv(path, index=False, lineterminator="\n")
    elif path.suffix == ".json":
        path.write_text(to_json(content), encoding="utf-8", newline="\n")
    else:
        path.write_text(content, encoding="utf-8", newline="\n")


def _dump_csv(table: Any, path: Path) -> None:
    """A table of Arrow as pandas would write it, which takes five times as long."""
    import duckdb

    target = str(path).replace("'", "''")
    try:
        with duckdb.connect() as db:
            db.from_arrow(table).create_view("content")
            db.execute(f"copy content to '{target}' (format csv, header true, use_tmp_file false)")
    except duckdb.IOException as error:
        raise OSError(errno.EIO, str(error), str(path)) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    """A temporary name next to a path.

    What a killed run left under such a name is removed first, for it may name customers.
    """
    for left in path.parent.glob(f".{path.name}.*-*.*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")


def _put_beside(path: Path, content: Content, mode: int = 0o666) -> Path:
    """Write a file under a temporary name next to its own, which its ending stays with.

    That decides the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path).with_suffix(path.suffix)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        _dump(content, temporary)
        _sync(temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _write_file(path: Path, content: Content) -> None:
    os.replace(_put_beside(path, content), path)
    _sync(path.parent)


def _write_folder(path: Path, files: Iterable[tuple[str, Content]]) -> None:
    """Write beside, then swap: a reader sees the old folder or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        for name, content in files:
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _dump(content, target)
            _sync(target)
        if path.exists():
            retired = temporary.with_suffix(".old")
            os.replace(path, retired)
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync(path.parent)


def sha256(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """The sha256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def publish(path: Path, published: Published) -> None:
    """Replace the files, readable by their owner alone, and the manifest that names them last;
    remove what it does not name.

    Nothing is replaced before all is written, so a disk that fills up leaves the old files and
    their manifest whole.
    """
    beside: dict[str, Path] = {}
    try:
        for name, content in published.files.items():
            beside[name] = _put_beside(path / name, content, mode=0o600)
        named = {
            name: {"sha256": sha256(beside[name]), "rows": len(content)}
            for name, content in published.files.items()
        }
        beside["manifest.json"] = _put_beside(
            path / "manifest.json", {**published.manifest, "files": named}, mode=0o600
        )
        for name, temporary in beside.items():
            os.replace(temporary, path / name)
    finally:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
    for folder in {(path / name).parent for name in beside}:
        _sync(folder)
    for stale in path.rglob("*"):
        if stale.is_file() and str(stale.relative_to(path)) not in beside:
            stale.unlink()


def write(path: Path, value: Any) -> None:
    """Write one output of a stage.

    A file by its ending, a folder from (name, content) pairs or a mapping of them.
    """
    if isinstance(value, Published):
        publish(path, value)
    elif isinstance(value, Mapping) and path.suffix == "":
        _write_folder(path, value.items())
    elif isinstance(value, Iterator):
        _write_folder(path, value)
    else:
        _write_file(path, value)
