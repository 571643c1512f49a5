"""Run all stages that are not up to date: choose the shop, let DVC decide, show a line per stage.

DVC is used as a library, not as a command. So its advice stays away, each stage can be timed, and
the exit code of a stage is known.
"""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from pipeline.runtime import store
from pipeline.runtime.dvc_files import Stopped, dvc_finishes, repair
from pipeline.runtime.errors import BusyError, ConfigError, StorageError
from pipeline.runtime.folders import prepare
from pipeline.runtime.params import load, require_shop, require_source
from pipeline.runtime.progress import VERBOSE
from pipeline.runtime.runner import champion_folder, stages, unregistered

PUBLISH = "publish"


def choose(shop: str, root: Path) -> None:
    """Write the line `shop:` of params.yaml, and nothing else of it."""
    require_shop(shop, f"--shop {shop}", root)
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    chosen = re.sub(r"(?m)^shop:.*$", f"shop: {shop}", text, count=1)
    if chosen != text:
        store.write(path, chosen)


Publish = Callable[[Path], bool]


def repro(shop: str | None, root: Path, publish: Publish | None, verbose: bool = False) -> int:
    """Bring every stage up to date and return the exit code of the one that failed, or 0.

    `simulate` runs for the demo only, frozen stages never. At the end `publish` brings list and
    page up to date and returns False if they were; None: both stay as they are. Raises ConfigError,
    BusyError or StorageError for what stops DVC itself, and what `publish` raises.
    """
    if shop is not None:
        require_shop(shop, f"--shop {shop}", root)
    params = load(root, shop)
    chosen = params.shop
    known = stages(root, chosen).values()
    if any(f"sources/{chosen}.sql" in stage.inputs.values() for stage in known):
        require_source(chosen, root)
    raw = root / "data" / "shops" / chosen
    if chosen != "demo" and not raw.is_dir():
        rule, fix = "the shop's raw files are missing", f"`corekeep fetch {chosen}`"
        place = f"data/shops/{chosen}"
        raise ConfigError("E_SHOP", place, rule, f"put them there, or {fix}")
    prepare(root, params.preflight, raw)
    if shop is not None:  # nothing can refuse the shop from here on
        choose(shop, root)
    own = root / "shops" / f"{chosen}.yaml"
    if not own.exists():  # a stage depends on it, so DVC wants the file
        store.write(own, f"# {chosen}: nothing differs from params.yaml.\n")
    if chosen != "demo":
        # the ground truth of a real shop is unknown
        (root / "data" / "truth" / chosen).mkdir(parents=True, exist_ok=True)
    (root / "data" / "returned" / chosen).mkdir(parents=True, exist_ok=True)
    names = [
        stage.name
        for stage in known
        if not stage.frozen and (chosen == "demo" or stage.name != "simulate")
    ]
    # The stages are started as `python`, which must be this one.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.update({"PATH": path, **({VERBOSE: "1"} if verbose else {})})
    last = [PUBLISH] if publish and any(stage.name == "score" for stage in known) else []
    with contextlib.chdir(root), _output(verbose) as out:
        steps = Steps([*names, *last], out)
        with _dvc_errors():
            repair(root)
            code = _reproduce(root, names, verbose, steps)
        if code == 0 and publish and last:
            steps.run(PUBLISH, partial(publish, root))
    return code


class Steps:
    """One line per step: its number, its name, how long it took."""

    def __init__(self, names: list[str], out: TextIO) -> None:
        self.total, self.width, self.out = len(names), max(map(len, names)), out
        self.done, self.line = 0, ""

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do a step and return its result. A false one means that nothing was to be done."""
        self.done += 1
        self.line = f"{self.done:>2} of {self.total}  {name:<{self.width}}"
        if self.out.isatty():
            print(f"{self.line}  ...", end="\r", file=self.out, flush=True)
        start = time.monotonic()
        result = work()
        took = f"{time.monotonic() - start:>4.0f} s" if result else "unchanged"
        print(f"{self.line}  {took}", file=self.out, flush=True)
        return result


@contextlib.contextmanager
def _output(verbose: bool) -> Iterator[TextIO]:
    """Yield the standard error, for progress. What the stages print goes there if `verbose`.

    The standard output is for the result.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w") as result, open(os.devnull, "wb") as nothing:
        os.dup2(2 if verbose else nothing.fileno(), 1)
        try:
            yield sys.stderr
        finally:
            sys.stdout.flush()
            os.dup2(result.fileno(), 1)


def _reproduce(root: Path, names: list[str], verbose: bool, steps: Steps) -> int:
    import logging

    from dvc.exceptions import ReproductionError
    from dvc.logger import set_loggers_level
    from dvc.repo import Repo, lock_repo
    from dvc.ui import ui

    def write_lock() -> None:
        if finished:
            finished[0].dvcfile.dump_stages(finished, update_pipeline=False)
            finished.clear()

    def step(stage: Any, **options: Any) -> Any:
        """Run one stage as `dvc repro` does. Return None if it was up to date."""
        if stage.name not in names:
            return None
        if stage.name == "track":
            write_lock()  # it reads there what the data's hashes are
            options["force"] |= no_champion

        def work() -> Any:
            if signals:
                raise Stopped
            return stage.reproduce(**options)

        made = steps.run(stage.name, work)
        if made:
            finished.append(made)
        return made

    # DVC needs .4 s to write dvc.lock, so it does not write it after each stage. After `kill -9`
    # the stages that are not in it come from DVC's cache.
    finished: list[Any] = []
    no_champion = unregistered(root).exists() or not champion_folder(root, load(root).shop).exists()
    # A folder without git, as a zip is, has stages and outputs all the same.
    in_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    config: dict[str, Any] = {"core": {"no_scm": not in_git}}
    if verbose:
        ui.enable()
    with (
        dvc_finishes() as signals,
        set_loggers_level(logging.INFO if verbose else logging.CRITICAL + 1),
        Repo(str(root), config=config) as repo,
        lock_repo(repo),
    ):
        try:
            repo.reproduce(repro_fn=step)  # with names, DVC reads its files anew for each
        except ReproductionError as error:
            exited = re.search(r"exited with (-?\d+)$", str(error.__cause__))
            if not exited and not signals:
                raise
            code = -signals[0] if signals or not exited else int(exited[1])
            code = code if code >= 0 else 128 - code  # ended by a signal
            print(f"{steps.line}  stopped: exit code {code}", file=sys.stderr)
            return code
        finally:
            write_lock()
    return 128 + signals[0] if signals else 0


@contextlib.contextmanager
def _dvc_errors() -> Iterator[None]:
    """Turn what stops DVC itself into one line and an exit code of ours."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        yield
    except (DvcException, OSError) as error:
        causes: list[BaseException] = [error]
        while causes[-1].__cause__:
            causes.append(causes[-1].__cause__)
        for cause in causes:
            if isinstance(cause, LockError):
                raise BusyError(
                    "E_BUSY", str(Path.cwd()), "another DVC run works here", "wait for it to end"
                ) from None
            if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
                place = str(cause.filename or Path.cwd())
                rule = os.strerror(cause.errno or 0)
                raise StorageError("E_DISK", place, rule, "free space or permissions") from None
        said = ": ".join(" ".join(str(cause).split()) for cause in causes)
        raise ConfigError("E_DVC", "dvc.yaml", said, "details: `make repro V=1`") from None
