"""Random stops: a run that is stopped again and again ends with the same bytes as one that is not.

    python -m benchmarks.random_stops --seeds 5 --stops 4

Each seed copies the project, runs a small demo shop there and sends TERM or KILL at random moments.
Then it runs to the end. List, model and page must have the bytes of a run without a stop.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numba
from numba.core.caching import UserProvidedCacheLocator

import features.kernel  # noqa: F401 - it says where compiled kernels lie
from pipeline.runtime.runner import ROOT
from pipeline.runtime.store import sha256

SMALL = {"customers": "600", "days": "720", "max_rounds": "20", "bootstrap": "20"}
COMPARED = ("data/lists", "data/model", "data/desk", "dvc.lock")
# what runs have made, and what is no part of the project
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", ".cache", ".*_cache", "data", "reports", "cache", "tmp"),
    *("mlflow.db*", "mlartifacts", "mlspool", "mlruns"),
)
BUSY = 6  # the exit code while a stage of the killed run still ends


def small_project(target: Path) -> Path:
    """Copy the project without its results, with a small demo shop."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
    lines = (target / "params.yaml").read_text(encoding="utf-8").splitlines()
    wanted = dict(SMALL)
    for at, line in enumerate(lines):
        key = line.strip().partition(":")[0]
        if key in wanted:
            lines[at] = f"{line.partition(':')[0]}: {wanted.pop(key)}"
    (target / "params.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def share_kernels(source: Path, target: Path) -> None:
    """Give a clone the kernels that were compiled from the same sources in another folder.

    Compiling them again would prove nothing more. Numba finds them by folder and by file time.
    """
    for name in ("features", "models"):
        shutil.copytree(source / name, target / name, dirs_exist_ok=True)
    copy_kernels(source, target)


def copy_kernels(source: Path, target: Path) -> None:
    """Copy the kernels that the target, with the same sources and file times, has not compiled."""
    compiled = Path(".cache", "numba", Path(numba.config.CACHE_DIR).name)
    folders = {
        p.parent.relative_to(ROOT) for n in ("features", "models") for p in (ROOT / n).rglob("*.py")
    }
    for folder in folders:
        there, here = (
            root
            / compiled
            / UserProvidedCacheLocator.get_suitable_cache_subpath(str(root / folder / "any.py"))
            for root in (source, target)
        )
        # whoever imports a kernel makes the folder, and a rename may replace an empty one
        if there.is_dir() and not any(here.glob("*")):
            copied = here.with_name(f"{here.name}.{os.getpid()}")
            shutil.copytree(there, copied)
            try:
                copied.rename(here)
            except OSError:  # by now another process has compiled some
                shutil.rmtree(copied)


def digests(folder: Path, names: Sequence[str] = COMPARED) -> dict[str, str]:
    """Return the sha256 of each file of a run that must be the same, by its path."""
    files = [p for name in names for p in ((folder / name), *(folder / name).rglob("*"))]
    return {str(p.relative_to(folder)): sha256(p) for p in sorted(files) if p.is_file()}


def stop_at_random(
    command: Sequence[str], folder: Path, chance: random.Random, longest: float
) -> int:
    """Start a command and stop it after a random time; return its exit code."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        try:
            return run.wait(timeout=chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            run.send_signal(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            return run.wait()


def to_the_end(command: Sequence[str], folder: Path) -> None:
    """Run a command to its end; wait while a stage of a killed run still ends."""
    for _ in range(30):
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if ended.returncode != BUSY:
            break
        time.sleep(1)
    if ended.returncode:
        raise SystemExit(f"exit code {ended.returncode} after stops: {ended.stderr[-2000:]}")


def campaign(seeds: int, stops: int) -> int:
    """Run the campaign; return how many seeds ended with other bytes."""
    command, wrong = [sys.executable, "-m", "pipeline", "repro"], 0
    with TemporaryDirectory() as folder:
        for name in ("compiled", "plain"):  # the first may have to compile the kernels
            plain = small_project(Path(folder) / name)
            share_kernels(ROOT, plain)
            began = time.monotonic()
            to_the_end(command, plain)
            copy_kernels(plain, ROOT)
        took, expected = time.monotonic() - began, digests(plain)
        for seed in range(seeds):
            chance = random.Random(seed)
            stopped = small_project(Path(folder) / str(seed))
            share_kernels(ROOT, stopped)
            longest = 2 * took / stops  # each run goes on where the one before was stopped
            codes = [stop_at_random(command, stopped, chance, longest) for _ in range(stops)]
            to_the_end(command, stopped)
            own = digests(stopped)
            odd = sorted(n for n in own.keys() | expected.keys() if own.get(n) != expected.get(n))
            wrong += bool(odd)
            print(
                f"seed {seed}: exit codes {codes}, {'differs: ' + odd[0] if odd else 'same bytes'}"
            )
            shutil.rmtree(stopped)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--stops", type=int, default=4)
    given = parser.parse_args()
    sys.exit(bool(campaign(given.seeds, given.stops)))
