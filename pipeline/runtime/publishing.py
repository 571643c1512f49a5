"""Lists for readers outside: a folder per snapshot, and one link that is switched.

    <snapshot>/         written whole under a temporary name, never changed again
    <snapshot>.2/       another list of the same snapshot: another model or other parameters
    latest              a link to the folder in force: the only thing that is switched
    manifest.json ...   links through `latest`, for readers who know one path

A reader who resolves `latest` once sees one list, whole. People's files are never lost: only a file
that a manifest names and that still has its sha256 is ever removed.
"""

import datetime as dt
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runtime import store
from pipeline.runtime.errors import StorageError
from pipeline.runtime.lock import locked
from pipeline.runtime.progress import warn
from pipeline.runtime.sections import Lists
from pipeline.runtime.store import Content, sha256

LATEST, MANIFEST, LOCK = "latest", "manifest.json", ".publishing.lock"
NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.(\d+))?")  # of a folder: snapshot, version


@dataclass(frozen=True)
class Published:
    """Files for readers outside, and what their manifest says beside their names."""

    files: Mapping[str, Content]
    manifest: Mapping[str, Any]


def in_force(path: Path) -> Path:
    """Return the folder of the list in force, resolved: it does not change while it is read."""
    latest = path / LATEST
    return latest.resolve() if latest.exists() else path


def folders(path: Path) -> list[Path]:
    """Return the published folders that are kept, by snapshot and version, oldest first."""
    names = [(match, p) for p in path.glob("*-*-*") if (match := NAME.fullmatch(p.name))]
    by_age = sorted((match[1], int(match[2] or 1), p) for match, p in names)
    return [p for *_, p in by_age if (p / MANIFEST).is_file()]


def named(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file that the manifest in a folder names; none without one."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {name: file["sha256"] for name, file in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def filled_in(path: Path) -> list[Path]:
    """Return the published files that somebody has changed since: they may hold people's work."""
    changed = []
    for folder in folders(path):
        published = (folder / MANIFEST).stat().st_mtime_ns  # the last that was written
        for name, meant in named(folder).items():
            file = folder / name
            # hashing every list of a year each night would take minutes
            if file.is_file() and file.stat().st_mtime_ns > published and sha256(file) != meant:
                changed.append(file)
    return changed


def publish(path: Path, published: Published, keep: Lists) -> Path:
    """Publish files as the list in force, and return its folder. Only their owner can read them.

    A run that fails or is killed leaves the list in force whole. The same list again changes no
    byte. Raises BusyError while another process publishes here.
    """
    snapshot = str(published.manifest["snapshot"])
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path / LOCK, str(path)):
        _remove_leftovers(path)
        try:
            _adopt(path)
            new = path / f".{snapshot}.{os.getpid()}.tmp"
            _write(new, published)
            folder = _place(path, new, snapshot)
            _put_link(path / LATEST, Path(folder.name))
            _link_names(path, {Path(name).parts[0] for name in (*published.files, MANIFEST)})
            store.sync(path)
        finally:
            _remove_leftovers(path)
        retire(path, folder, keep)
    return folder


def _remove_leftovers(path: Path) -> None:
    """Remove temporary names: under the lock no other process writes to them."""
    for left in path.glob(".*.tmp"):
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def _write(new: Path, published: Published) -> None:
    """Write all files to a new folder, the manifest last, and read each again."""
    new.mkdir(mode=0o700)
    files = {}
    for name, content in published.files.items():
        store.create(new / name, content, mode=0o600)
        files[name] = {"sha256": sha256(new / name), "rows": len(content)}
        if (rows := store.rows_in(new / name)) not in (None, len(content)):
            rule = f"{rows} rows are on the disk, {len(content)} were written"
            raise StorageError("E_DISK", str(new / name), rule, "check the disk")
    store.create(new / MANIFEST, {**published.manifest, "files": files}, mode=0o600)
    for folder in {(new / name).parent for name in (*files, MANIFEST)}:
        store.sync(folder)


def is_whole(folder: Path) -> bool:
    """Return whether each file that the manifest names is there, unchanged."""
    files = named(folder).items()
    return all((folder / n).is_file() and sha256(folder / n) == meant for n, meant in files)


def _place(path: Path, new: Path, snapshot: str) -> Path:
    """Return the folder of these files: an equal one that is there, else the new one, renamed."""
    content = (new / MANIFEST).read_bytes()
    for n in itertools.count(1):
        folder = path / (snapshot if n == 1 else f"{snapshot}.{n}")
        if not folder.exists():
            os.rename(new, folder)
            store.sync(path)
            return folder
        manifest = folder / MANIFEST
        if manifest.is_file() and manifest.read_bytes() == content and is_whole(folder):
            return folder
    raise AssertionError


def switch(link: Path, target: Path) -> None:
    """Make a link, or let it lead to another target in one step. A file there is replaced."""
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.symlink_to(target)
    os.replace(temporary, link)


def _put_link(link: Path, target: Path) -> None:
    """Make or switch a link. What somebody put in its place is kept."""
    if link.exists() and not link.is_symlink():
        _set_aside(link)
    switch(link, target)


def _link_names(path: Path, names: Iterable[str]) -> None:
    """Let each name lead through `latest`, and no other."""
    wanted = {path / name: Path(LATEST) / name for name in sorted(names)}
    for link, target in wanted.items():
        _put_link(link, target)
    for link in path.iterdir():
        ours = link.is_symlink() and link.readlink() == Path(LATEST) / link.name
        if ours and link not in wanted:
            link.unlink()


def _set_aside(file: Path) -> None:
    """Give another name to what somebody saved in place of a published file."""
    names = (file.with_stem(f"{file.stem}.changed-{n}") for n in itertools.count(1))
    kept = next(name for name in names if not name.exists())
    file.rename(kept)
    warn(f"{file.name} was changed after it was published: your copy is kept as {kept.name}")


def _adopt(path: Path) -> None:
    """Give a folder to a list that lies in `path` itself, where earlier versions wrote it."""
    manifest = path / MANIFEST
    if manifest.is_symlink() or not manifest.is_file():
        return
    files = named(path).items()
    ours = [n for n, meant in files if (path / n).is_file() and sha256(path / n) == meant]
    snapshot = json.loads(manifest.read_text(encoding="utf-8")).get("snapshot", "")
    if not NAME.fullmatch(str(snapshot)):
        return
    new = path / f".{snapshot}.{os.getpid()}.tmp"
    new.mkdir(mode=0o700)
    for name in (*ours, MANIFEST):
        (new / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.link((path / name).resolve(), new / name)
    folder = _place(path, new, snapshot)
    _put_link(path / LATEST, Path(folder.name))
    for name in (n for n in (*ours, MANIFEST) if "/" not in n):
        switch(path / name, Path(LATEST) / name)


def too_old(path: Path, in_force: Path, keep: Lists) -> Iterator[Path]:
    """Yield the folders that are kept no longer. Age is that of snapshots, not of the clock."""
    newest_first = list(reversed(folders(path)))
    days = {p: dt.date.fromisoformat(p.name[:10]) for p in newest_first}
    oldest = max(days.values(), default=dt.date.max) - dt.timedelta(days=keep.keep_days)
    for snapshot, versions in itertools.groupby(newest_first, key=lambda p: days[p]):
        for n, folder in enumerate(versions):
            if folder != in_force and (snapshot < oldest or n >= keep.keep_versions):
                yield folder


def retire(path: Path, in_force: Path, keep: Lists) -> None:
    """Remove old lists, but no file that somebody changed or put there."""
    for folder in too_old(path, in_force, keep):
        files = {folder / name: meant for name, meant in named(folder).items()}
        for file, meant in files.items():
            if file.is_file() and sha256(file) == meant:
                file.unlink()
        if not any(file.exists() for file in files):
            (folder / MANIFEST).unlink()
        for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            if not any(inner.iterdir()):
                inner.rmdir()
        if not any(folder.iterdir()):
            folder.rmdir()
    if changed := filled_in(path):
        warn(
            f"{len(changed)} published lists were filled in and are kept, the last one "
            f"{changed[-1].relative_to(path)}: the next run reads them"
        )
