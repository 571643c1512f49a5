"""Published lists that people changed where they lie, copied to where returned lists are read."""

from pathlib import Path

from pipeline.runtime import store
from pipeline.runtime.progress import say
from pipeline.runtime.publishing import MANIFEST, filled_in


def collect(root: Path) -> list[Path]:
    """Copy published lists that were filled in, or saved beside; return the copies.

    They go to data/returned/<shop>/, under their snapshot and name. A copy of the same name is
    replaced.
    """
    lists = root / "data" / "lists"
    changed = [path for path in filled_in(lists) if path.suffix == ".csv"]
    beside = [path for path in sorted(lists.glob("*.csv")) if not path.is_symlink()]
    copies = []
    for path in changed + beside:
        manifest = path.with_name(MANIFEST)
        if not manifest.is_file():
            continue
        folder = "" if path.parent == lists else f"{path.parent.name}-"
        shop = str(store.read(manifest)["shop"])
        copy = root / "data" / "returned" / shop / f"{folder}{path.name}"
        content = path.read_bytes()
        if not copy.exists() or copy.read_bytes() != content:
            store.write(copy, content)
            copies.append(copy)
    if copies:
        say(f"{len(copies)} published lists were filled in: copied to data/returned")
    return copies
