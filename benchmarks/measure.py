"""The cost of one run of a system, in a process of its own.

`python -m benchmarks.measure SYSTEM SHOP OUT SNAPSHOTS`.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.columns import TWELVE
from benchmarks.data import shop
from pipeline.runtime.cost import peak, spent

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 200  # customers


@dataclass(frozen=True)
class Cost:
    """The cost of one run: CPU seconds, wall-clock seconds and peak memory.

    `start_s` are the CPU seconds before the run began.
    """

    cpu_s: float
    wall_s: float
    rss_gb: float
    start_s: float


def measured(system: str, data: Path, out: Path, snapshots: int) -> Cost:
    """Run a system in this process on the last so many snapshots.

    Imports and the loading of kernels count as start.
    """
    module = importlib.import_module(f"benchmarks.{system}")
    if hasattr(module, "prepare"):
        module.prepare(data)
    if hasattr(module, "warm"):
        module.warm(shop(data.parent, WARM_UP))
    start, began = spent(), time.perf_counter()
    module.run(data, out, TWELVE[-snapshots:])
    ended, wall = spent(), time.perf_counter() - began
    return Cost(ended - start, wall, peak(), start)


def cost(system: str, data: Path, out: Path, snapshots: int, kernels: Path | None = None) -> Cost:
    """Run a system in a process of its own, with `out` emptied before.

    `kernels` is the cache folder of compiled kernels, if not the usual one.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.measure",
        system,
        str(data.resolve()),
        str(out.resolve()),
        str(snapshots),
    ]
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": str(kernels)} if kernels else {})}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return Cost(**json.loads(ended.stdout.splitlines()[-1]))


if __name__ == "__main__":
    result = measured(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(asdict(result)))
