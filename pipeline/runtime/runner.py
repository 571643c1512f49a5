"""Run one stage of dvc.yaml.

Files and parameters are bound by name to the stage's function. What it returns is written whole.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runtime import lock, store
from pipeline.runtime.errors import ConfigError, StorageError
from pipeline.runtime.params import Params, load
from pipeline.runtime.publishing import Published, publish
from pipeline.runtime.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
DATA = ("data/", "reports/", "sources/")
NOT_PUBLISHED = "An experiment publishes nothing. Run `make repro` to publish.\n"


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml for one shop: the path of each of its arguments and results.

    `published`: the results that people read, `persist: true` in dvc.yaml.
    """

    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    published: frozenset[str] = frozenset()
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
        outs = spec.get("outs", []) + spec.get("metrics", []) + spec.get("plots", [])
        kept = [out for out in outs if isinstance(out, dict) and out[_path(out)].get("persist")]
        by_name[name] = Stage(
            name=name,
            inputs=paths(deps),
            outputs=paths(outs),
            published=frozenset(paths(kept)),
            frozen=spec.get("frozen", False),
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


def experiment() -> str:
    """Return the name of the DVC experiment that runs this stage, empty outside of one."""
    return os.environ.get("DVC_EXP_NAME", "")


def unpublished(root: Path, name: str) -> Path:
    """Return the file that exists if the last run of a stage published nothing."""
    return root / ".cache" / "unpublished" / name


def run_stage(name: str, root: Path = ROOT) -> None:
    """Run one stage of dvc.yaml for the shop chosen in params.yaml.

    Outputs are written whole or not at all. An experiment leaves what is published as it is.
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
        fix = f"one of: {', '.join(known)}"
        raise ConfigError("E_STAGE", f"dvc.yaml {name}", "there is no such stage", fix)
    stage, run = known[name], function(name)
    kept = stage.published if experiment() else frozenset()
    with locked(root, name):
        for output in kept:
            _keep(root / stage.outputs[output])
            store.write(unpublished(root, name), f"{experiment()}\n")
        written = set(kept)
        if written < set(stage.outputs) or not stage.outputs:
            returned = run(**bind(stage, run, params, root))
            for output, value in returned.items() if isinstance(returned, Mapping) else returned:
                if output in kept:
                    continue
                path = root / stage.outputs[output]
                if isinstance(value, Published):
                    publish(path, value, params.lists)
                else:
                    store.write(path, value)
                written.add(output)
        if missing := set(stage.outputs) - written:
            raise RuntimeError(f"stage {name} did not make {', '.join(sorted(missing))}")
        if not experiment():
            unpublished(root, name).unlink(missing_ok=True)


def _keep(path: Path) -> None:
    """Leave what is published. DVC wants something in its place if there is nothing yet."""
    if not path.exists() and path.suffix:
        store.write(path, NOT_PUBLISHED)
    elif not path.exists():
        path.mkdir(parents=True)
