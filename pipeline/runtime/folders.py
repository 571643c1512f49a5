"""The folders that a run writes: closed to other users, writable, with space left.

All this is checked before any work. DVC makes files that others may read, as when it checks out
results, so the folders around them are closed.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryFile

from pipeline.runtime.errors import StorageError
from pipeline.runtime.sections import Preflight

WRITTEN = ("data", "reports", ".cache")
OTHERS = (".dvc/cache", ".dvc/tmp", "mlartifacts", "mlspool")  # closed if they are there
GB = 10**9


def close(root: Path) -> None:
    """Make the folders that a run writes, and close all that may name customers to other users."""
    for name in WRITTEN:
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (root / name for name in (*WRITTEN, *OTHERS)):
        if path.is_dir() and path.stat().st_mode & 0o077:
            path.chmod(0o700)


def prepare(root: Path, limits: Preflight, raw: Path) -> None:
    """Close the folders of a run. Raises StorageError if one cannot be written or the disk is full.

    The space needed grows with the raw files.
    """
    try:
        close(root)
        for path in (root, *(root / name for name in (*WRITTEN, *OTHERS))):
            if path.is_dir():
                with TemporaryFile(dir=path):
                    pass
    except OSError as error:
        place, rule = str(error.filename or root), f"no run can write here: {error.strerror}"
        raise StorageError("E_DISK", place, rule, "free space or permissions") from None
    size = sum(p.stat().st_size for p in raw.rglob("*") if p.is_file()) if raw.is_dir() else 0
    needed = limits.free_gb * GB + limits.free_times_raw * size
    free = shutil.disk_usage(root).free
    if free < needed:
        rule = f"{free / GB:.1f} GB are free, a run may need {needed / GB:.1f}"
        raise StorageError("E_SPACE", str(root), rule, "free space, or change section preflight")
