"""Files: results get to disk whole or not at all, and the next stage reads them."""

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
    """Files that another stage wrote, read by name when they are needed."""

    path: Path

    def names(self, pattern: str = "*") -> list[str]:
        """Return the names of the files that match, sorted."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.glob(pattern) if p.is_file())

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> Content:
        return read(self.path / name)


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
    # zstd makes numbers and days as small without a dictionary, in less time
    words = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    texts = [f.name for f in table.schema if pa.types.is_string(f.type)]
    # ranges of ids and days let readers skip rows; those of words and numbers only take time
    ranged = texts + [f.name for f in table.schema if pa.types.is_date(f.type)]
    how = {"use_dictionary": words + texts, "write_statistics": ranged}
    pq.write_table(table, path, compression="zstd", compression_level=1, **how)


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


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a folder, survive a loss of power."""
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


def create(path: Path, content: Content, mode: int = 0o666) -> None:
    """Write a file that does not exist yet, to the disk itself."""
    path.parent.mkdir(mode=0o777 if mode & 0o077 else 0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    _dump(content, path)
    sync(path)


def rows_in(path: Path) -> int | None:
    """Return the rows of a parquet file, read again from the disk; None for other files."""
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _write_file(path: Path, content: Content) -> None:
    """Write under a temporary name with the same ending, which decides the format; then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path).with_suffix(path.suffix)
    try:
        create(temporary, content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


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
            sync(target)
        if path.exists():
            retired = temporary.with_suffix(".old")
            os.replace(path, retired)
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync(path.parent)


def sha256(path: Path) -> str:
    """Return the file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """Return the sha256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, value: Any) -> None:
    """Write one output of a stage: a file by its ending, a folder from names and contents."""
    if isinstance(value, Mapping) and path.suffix == "":
        _write_folder(path, value.items())
    elif isinstance(value, Iterator):
        _write_folder(path, value)
    else:
        _write_file(path, value)
