"""The whole pipeline in one command.

Choose the shop, let DVC bring everything up to date, say what came out.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from pipeline.delivery.summary import summary
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import load
from pipeline.runtime.progress import say


def choose(shop: str, root: Path) -> None:
    """Write the line `shop:` of params.yaml, and nothing else of it."""
    if not (root / "shops" / f"{shop}.yaml").is_file():
        known = ", ".join(sorted(p.stem for p in (root / "shops").glob("*.yaml")))
        raise ConfigError(
            "E_SHOP", f"shops/{shop}.yaml", "there is no such shop", f"one of: {known}"
        )
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    chosen = re.sub(r"(?m)^shop:.*$", f"shop: {shop}", text, count=1)
    if chosen != text:
        store.write(path, chosen)


def repro(shop: str | None, root: Path) -> int:
    """Run `dvc repro track`.

    Its exit code. A shop that is not given stays the one of params.yaml.
    """
    if shop is not None:
        choose(shop, root)
    chosen = load(root).shop
    if chosen != "demo" and not (root / "data" / "shops" / chosen).is_dir():
        raise ConfigError(
            "E_SHOP",
            f"data/shops/{chosen}",
            "the shop's raw files are not there",
            f"put them there, or `corekeep fetch {chosen}`",
        )
    if chosen != "demo":
        # of a real shop no truth is known
        (root / "data" / "truth" / chosen).mkdir(parents=True, exist_ok=True)
    # The stages are started as `python`, which must be this one.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "track"],
        cwd=root,
        env={**os.environ, "PATH": path},
        check=False,
    ).returncode
    if code == 0:
        say(summary(root))
    return code
