"""Published lists that people changed where they lie, copied to where returned lists are read."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.runtime import store
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import MANIFEST, filled_in, named
from pipeline.runtime.store import sha256


def _worked_on(lists: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield shop, name and path of each list that was filled in, or saved beside.

    The name is that of its copy: it holds the snapshot.
    """
    changed = [path for path in filled_in(lists) if path.suffix == ".csv"]
    own = named(lists)  # earlier versions published here
    files = [path for path in sorted(lists.glob("*.csv")) if not path.is_symlink()]
    beside = [path for path in files if sha256(path) != own.get(path.name)]
    for path in changed + beside:
        manifest = path.with_name(MANIFEST)
        if manifest.is_file():
            folder = "" if path.parent == lists else f"{path.parent.name}-"
            yield str(store.read(manifest)["shop"]), f"{folder}{path.name}", path


def collect(root: Path) -> list[Path]:
    """Copy published lists that were filled in, or saved beside; return the copies.

    They go to data/returned/<shop>/, under their snapshot and name. A copy of the same name is
    replaced.
    """
    copies = []
    for shop, name, path in _worked_on(root / "data" / "lists"):
        copy = root / "data" / "returned" / shop / name
        content = path.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            store.write(copy, content)
            copies.append(copy)
    if copies:
        say(f"{len(copies)} published lists were filled in: copied to data/returned")
    return copies


def gather(returned: Path, lists: Path, shop: str, target: Path) -> Path:
    """Copy all that came back of a shop to a new folder, and return it.

    `returned`: the shop's folder of returned files, if there is one. `lists`: its published lists.
    Both may be read-only, or belong to another machine.
    """
    target.mkdir()
    if returned.is_dir():
        shutil.copytree(returned, target, dirs_exist_ok=True)
    for name, path in ((name, path) for own, name, path in _worked_on(lists) if own == shop):
        shutil.copy(path, target / name)
    return target
