"""Run one stage of dvc.yaml.

Files and parameters are bound by name to the stage's function. What it returns is written whole.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.runtime import lock, store
from pipeline.runtime.errors import BusyError, ConfigError, StorageError
from pipeline.runtime.folders import close
from pipeline.runtime.params import Params, load
from pipeline.runtime.publishing import Published, publish
from pipeline.runtime.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
DATA = ("data/", "reports/", "sources/")
HOLDER = "COREKEEP_PIPELINE"  # in the environment: process and project of the lock


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml for one shop: the path of each of its arguments and results.

    `frozen`: DVC does not run it, and the results are under `meta`, where DVC does not look: what
    people read is made with the champion, whatever was trained last.
    """

    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    frozen: bool = False


def _path(entry: str | dict[str, Any]) -> str:
    return next(iter(entry)) if isinstance(entry, dict) else entry


def argument(path: str, shop: str) -> str:
    """Return the name of a file among the arguments: its own without the ending.

    A file named after the shop goes by the name of its folder.
    """
    name = Path(path).name.split(".")[0]
    return Path(path).parent.name if name == shop else name


def stages(root: Path, shop: str) -> dict[str, Stage]:
    """Return all stages of dvc.yaml, in its order. Raises ConfigError for broken YAML."""

    def paths(entries: list[Any]) -> dict[str, str]:
        of_shop = [_path(entry).replace("${shop}", shop) for entry in entries]
        return {argument(path, shop): path for path in of_shop}

    by_name = {}
    for name, spec in read_yaml(root / "dvc.yaml", root).get("stages", {}).items():
        deps = [dep for dep in spec.get("deps", []) if _path(dep).startswith(DATA)]
        outs = [out for kind in ("outs", "metrics", "plots") for out in spec.get(kind, [])]
        outs += spec.get("meta", {}).get("outs", [])
        by_name[name] = Stage(
            name=name, inputs=paths(deps), outputs=paths(outs), frozen=spec.get("frozen", False)
        )
    return by_name


def function(name: str) -> Callable[..., Any]:
    """Return the function of a stage: the one of that name in `pipeline/stages/<stage>.py`."""
    run: Callable[..., Any] = getattr(importlib.import_module(f"pipeline.stages.{name}"), name)
    return run


def bind(stage: Stage, run: Callable[..., Any], params: Params, root: Path) -> dict[str, Any]:
    """Return the arguments of a stage's function by name.

    Files the stage depends on, `params` for its own section, other sections, `shop` and `root`.
    """
    arguments: dict[str, Any] = {}
    for name in inspect.signature(run).parameters:
        if name in stage.inputs:
            path = root / stage.inputs[name]
            if name == "returned":  # nothing has come back yet
                path.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                rule = f"stage {stage.name} needs this file and it is missing"
                raise ConfigError("E_STAGE", stage.inputs[name], rule, "run `make repro`")
            arguments[name] = store.read(path)
        elif name == "root":
            arguments[name] = root
        else:
            arguments[name] = getattr(params, stage.name if name == "params" else name)
    return arguments


def locked(root: Path, name: str) -> AbstractContextManager[None]:
    """Allow one run of a stage at a time."""
    return lock.locked(root / ".cache" / "locks" / f"{name}.lock", f"stage {name}")


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def whole_pipeline(root: Path) -> Iterator[None]:
    """Allow one command at a time that runs stages or removes their results.

    The stages that this command starts are let in. One that begins when the command has been
    killed is refused: it would write beside the next run.
    """
    holder, _, project = os.environ.get(HOLDER, "").partition(" ")
    if project == str(root):
        if not _is_alive(int(holder)):
            rule = "the run that started this stage has ended"
            raise BusyError("E_BUSY", "the pipeline", rule, "start it again")
        yield
        return
    with lock.locked(root / ".cache" / "locks" / "pipeline.lock", "the pipeline"):
        os.environ[HOLDER] = f"{os.getpid()} {root}"
        try:
            yield
        finally:
            del os.environ[HOLDER]


def experiment() -> str:
    """Return the name of the DVC experiment that runs this stage, empty outside of one."""
    return os.environ.get("DVC_EXP_NAME", "")


def unregistered(root: Path) -> Path:
    """Return the file that exists if the last run of `track` was an experiment's."""
    return root / ".cache" / "unregistered"


def champion_folder(root: Path, shop: str) -> Path:
    """Return where the bundle of a shop's champion lies on this machine."""
    return root / "data" / "champion" / shop


def require_made(root: Path, *names: str) -> None:
    """Raise ConfigError for the first of these results that no run has made yet."""
    for name in names:
        if not (root / name).exists():
            raise ConfigError("E_STAGE", name, "no run has made it yet", "run `make repro`")


def run_stage(name: str, root: Path = ROOT) -> None:
    """Run one stage of dvc.yaml for the shop chosen in params.yaml.

    Outputs are written whole or not at all.
    """
    params = load(root)
    known = stages(root, params.shop)
    if name not in known:
        fix = f"one of: {', '.join(known)}"
        raise ConfigError("E_STAGE", f"dvc.yaml {name}", "there is no such stage", fix)
    with disk_errors(f"stage {name}"), whole_pipeline(root), locked(root, name):
        close(root)
        for output, value in execute(known[name], params, root).items():
            publish(root / known[name].outputs[output], value, params.lists)


@contextmanager
def disk_errors(work: str) -> Iterator[None]:
    """Turn an error of disk or memory into a StorageError that names the file, else the work."""
    try:
        yield
    except (duckdb.OutOfMemoryException, MemoryError):
        rule, fix = "memory is used up", "give it more memory, or lower engine.lines_per_partition"
        raise StorageError("E_MEMORY", work, rule, fix) from None
    except OSError as error:
        place, rule = str(error.filename or work), os.strerror(error.errno or 0)
        raise StorageError("E_DISK", place, rule, "free space or permissions") from None


def execute(stage: Stage, params: Params, root: Path) -> dict[str, Any]:
    """Run a stage and write what it returns; return what it published, which is not written here.

    Paths of the stage that are not absolute lie below `root`.
    """
    run = function(stage.name)
    returned = run(**bind(stage, run, params, root))
    written, published = set(), {}
    for output, value in returned.items() if isinstance(returned, Mapping) else returned:
        if isinstance(value, Published):
            published[output] = value
        else:
            store.write(root / stage.outputs[output], value)
        written.add(output)
    if missing := set(stage.outputs) - written:
        raise RuntimeError(f"stage {stage.name} did not make {', '.join(sorted(missing))}")
    return published
