"""Runs one stage.

Reads the files dvc.yaml names, binds them and the parameters to a pure function, writes what it
returns.
"""

import fcntl
import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.runtime import store
from pipeline.runtime.errors import BusyError, ConfigError, StorageError
from pipeline.runtime.params import Params, load

ROOT = Path(__file__).resolve().parents[2]
DATA = ("data/", "reports/", "sources/")


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml for one shop: where each of its arguments and results lies."""

    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]


def _paths(entries: list[Any]) -> list[str]:
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def argument(path: str, shop: str) -> str:
    """The name a file goes by.

    Its own without ending; one named after the shop goes by its folder's.
    """
    name = Path(path).name.split(".")[0]
    return Path(path).parent.name if name == shop else name


def stages(root: Path, shop: str) -> dict[str, Stage]:
    """All stages of dvc.yaml, in its order."""
    text = (root / "dvc.yaml").read_text(encoding="utf-8").replace("${shop}", shop)
    found = {}
    for name, spec in yaml.safe_load(text)["stages"].items():
        data = [p for p in _paths(spec.get("deps", [])) if p.startswith(DATA)]
        outs = _paths(spec.get("outs", []) + spec.get("metrics", []) + spec.get("plots", []))
        found[name] = Stage(
            name=name,
            inputs={argument(p, shop): p for p in data},
            outputs={argument(p, shop): p for p in outs},
        )
    return found


def function(name: str) -> Callable[..., Any]:
    """The function of a stage: `pipeline/stages/<stage>.py`, the function of that name in it."""
    found: Callable[..., Any] = getattr(importlib.import_module(f"pipeline.stages.{name}"), name)
    return found


def bind(stage: Stage, run: Callable[..., Any], params: Params, root: Path) -> dict[str, Any]:
    """Arguments by name.

    Sections of the parameters, `params` for the stage's own, `shop`, and the files it depends on.
    """
    arguments: dict[str, Any] = {}
    for name in inspect.signature(run).parameters:
        if name in stage.inputs:
            path = root / stage.inputs[name]
            if not path.exists():
                raise ConfigError(
                    "E_STAGE",
                    stage.inputs[name],
                    f"stage {stage.name} needs it and it is not there",
                    "run `make repro`",
                )
            arguments[name] = store.read(path)
        elif name == "params":
            arguments[name] = getattr(params, stage.name)
        elif name == "root":
            arguments[name] = root
        else:
            arguments[name] = getattr(params, name)
    return arguments


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Only one run of a stage at a time.

    The lock frees itself when the process ends, however it ends.
    """
    folder = root / ".cache" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise BusyError(
                "E_BUSY",
                f"stage {name}",
                f"process {file.read().strip() or 'unknown'} is running it",
                "wait for it to end",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def run_stage(name: str, root: Path = ROOT) -> None:
    """Run one stage of dvc.yaml for the shop chosen in params.yaml.

    Its outputs are written whole or not at all.
    """
    try:
        _run(name, root)
    except OSError as error:
        place = str(error.filename or f"stage {name}")
        raise StorageError(
            "E_DISK", place, os.strerror(error.errno or 0), "free space or permissions"
        ) from None


def _run(name: str, root: Path) -> None:
    params = load(root)
    known = stages(root, params.shop)
    if name not in known:
        raise ConfigError(
            "E_STAGE", f"dvc.yaml {name}", "there is no such stage", f"one of: {', '.join(known)}"
        )
    stage, run = known[name], function(name)
    with locked(root, name):
        returned = run(**bind(stage, run, params, root))
        written = set()
        for output, value in returned.items() if isinstance(returned, Mapping) else returned:
            store.write(root / stage.outputs[output], value)
            written.add(output)
        if missing := set(stage.outputs) - written:
            raise RuntimeError(f"stage {name} did not make {', '.join(sorted(missing))}")
