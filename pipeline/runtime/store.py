"""Files: results get to disk whole or not at all, and the next stage reads them."""

import errno
import hashlib
import itertools
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.runtime.progress import warn

# pandas.DataFrame, pyarrow.Table, dict, list, str or bytes: decided by the file's ending
Content = Any


@dataclass(frozen=True)
class Folder:
    """Files that another stage wrote, read by name when they are needed."""

    path: Path

    def names(self, pattern: str = "*") -> list[str]:
        """Return the names of the files that match, sorted."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.glob(pattern) if p.is_file())

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> Content:
        return read(self.path / name)


@dataclass(frozen=True)
class Published:
    """Files for readers outside. Each is replaced whole, and the manifest is written last."""

    files: Mapping[str, Content]
    manifest: Mapping[str, Any]


def read(path: Path) -> Content:
    """Return the content of a file, by its ending; a folder is returned unread."""
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
    """Return JSON of one form: two spaces, keys in the order given, never NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _dump(content: Content, path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == ".parquet":
        _dump_parquet(content, path)
    elif path.suffix == ".csv" and hasattr(content, "to_batches"):
        _dump_csv(content, path)
    elif path.suffix == ".csv" and not isinstance(content, str):
        content.to_csv(path, index=False, lineterminator="\n")
    elif path.suffix == ".json":
        path.write_text(to_json(content), encoding="utf-8", newline="\n")
    else:
        path.write_text(content, encoding="utf-8", newline="\n")


def _dump_parquet(content: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    is_arrow = isinstance(content, pa.Table)
    table = content if is_arrow else pa.Table.from_pandas(content, preserve_index=False)
    table = table.replace_schema_metadata(None)
    # a dictionary of floats only takes space
    words = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(table, path, compression="zstd", compression_level=1, use_dictionary=words)


def _dump_csv(table: Any, path: Path) -> None:
    """Write an Arrow table as pandas would, in a fifth of the time."""
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
    """Return a temporary name next to a path, after removing what killed runs left there."""
    for left in path.parent.glob(f".{path.name}.*-*.*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")


def _put_beside(path: Path, content: Content, mode: int = 0o666) -> Path:
    """Write a file under a temporary name with the same ending, which decides the format."""
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
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Return the sha256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _manifest(path: Path) -> dict[str, str]:
    """Return the sha256 of each file that the manifest in a folder names; none without one."""
    try:
        files = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["files"]
        return {name: file["sha256"] for name, file in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _set_aside(file: Path) -> None:
    """Give a published file that somebody has changed another name."""
    names = (file.with_stem(f"{file.stem}.changed-{n}") for n in itertools.count(1))
    kept = next(name for name in names if not name.exists())
    file.rename(kept)
    warn(f"{file.name} was changed after it was published: your copy is kept as {kept.name}")


def publish(path: Path, published: Published) -> None:
    """Replace the files, the manifest last, and remove files of the manifest before it.

    Only their owner can read them. Nothing is replaced before all is written, so a disk that fills
    up leaves the old files and their manifest whole. What people put there stays: other files are
    not touched, and a published file that was changed since is kept under another name.
    """
    earlier = _manifest(path)
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
        for name in earlier.keys() | named.keys():
            # A run that was killed may have left today's file beside the manifest of yesterday.
            ours = {earlier.get(name), named.get(name, {}).get("sha256")}
            if (path / name).is_file() and sha256(path / name) not in ours:
                _set_aside(path / name)
        for name, temporary in beside.items():
            os.replace(temporary, path / name)
    finally:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
    for name in earlier.keys() - named.keys():
        (path / name).unlink(missing_ok=True)
    for folder in {(path / name).parent for name in beside}:
        _sync(folder)


def write(path: Path, value: Any) -> None:
    """Write one output of a stage: a file by its ending, a folder from names and contents."""
    if isinstance(value, Published):
        publish(path, value)
    elif isinstance(value, Mapping) and path.suffix == "":
        _write_folder(path, value.items())
    elif isinstance(value, Iterator):
        _write_folder(path, value)
    else:
        _write_file(path, value)
