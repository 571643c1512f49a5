"""`corekeep prune`: remove what no run needs any more, after showing it.

Objects of DVC's cache that the results here do not use; published lists, exports and tracked runs
without a registered version that are older than `lists` allows; temporary files of runs that were
killed. A list that people filled in stays.
"""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.registry.old_runs import forget_old_runs
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import load
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import NAME, in_force, retire, too_old
from pipeline.runtime.sections import Lists

TEMPORARY = (".*.tmp", ".*.old", ".work-*")
FOLDERS = ("data", "data/lists", "reports", ".cache")  # where runs write temporary files


class Pruned(NamedTuple):
    """Unused objects of the cache, and the other paths to remove, from the project's folder."""

    objects: int
    paths: list[str]


def prune(root: Path, dry_run: bool = True) -> Pruned:
    """Remove what no run needs; with `dry_run` only list it. Call it while no run is at work."""
    params = load(root)
    keep = params.lists
    lists = root / "data" / "lists"
    old_lists = list(too_old(lists, in_force(lists), keep))
    others = [*_old_exports(root / "data" / "exports", keep), *_leftovers(root)]
    others += forget_old_runs(root, params.track, keep.keep_days, dry_run)
    names = [str(path.relative_to(root)) for path in (*old_lists, *others)]
    objects = _unused_objects(root, dry_run)
    if not dry_run:
        if old_lists:
            retire(lists, in_force(lists), keep)
        for path in others:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Pruned(objects, names)


def _old_exports(exports: Path, keep: Lists) -> Iterator[Path]:
    """Yield the export folders older than `keep_days` before the newest of their target."""
    for target in sorted(exports.glob("*")):
        days = {p: p.name for p in target.glob("*-*-*") if NAME.fullmatch(p.name)}
        for path, day in sorted(days.items()):
            age = dt.date.fromisoformat(max(days.values())[:10]) - dt.date.fromisoformat(day[:10])
            if age.days > keep.keep_days:
                yield path


def _leftovers(root: Path) -> Iterator[Path]:
    """Yield the temporary files that killed runs left."""
    for name in FOLDERS:
        left = {p for pattern in TEMPORARY for p in (root / name).glob(pattern)}
        yield from sorted(left)


def _unused_objects(root: Path, dry_run: bool) -> int:
    """Count, and unless `dry_run` remove, the objects of the cache that no result here uses."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.gc import gc

    if not (root / ".dvc").is_dir():
        return 0
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    with Repo(str(root), config={"core": {"no_scm": not in_git}}) as repo, repo.lock:
        try:
            used = {oid for ids in repo.used_objs().values() for oid in ids}
        except DvcException:  # which objects are in use is not known
            rule, fix = "the cache lacks results of dvc.lock", "run `make repro` first"
            raise ConfigError("E_DVC", ".dvc/cache", rule, fix) from None
        caches = {id(cache): cache for _, cache in repo.cache.by_scheme() if cache}
        return sum(gc(cache, used, dry=dry_run) or 0 for cache in caches.values())


def report(pruned: Pruned, dry_run: bool) -> None:
    """Say what was removed, or would be."""
    verb = "would be removed" if dry_run else "removed"
    for path in pruned.paths:
        say(f"{verb}: {path}")
    say(f"{pruned.objects} unused objects of DVC's cache {verb}")
    if dry_run:
        say("nothing was changed: add --yes to remove them")
