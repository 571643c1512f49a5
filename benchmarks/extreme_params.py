"""Extreme parameters: each value of params.yaml set to the ends of what loads, on a tiny shop.

    python -m benchmarks.extreme_params --seconds 600 [section ...]

The stages that read the section, and those after them, run in this process. Each must end with a
result or with an error that names the parameter or the data: never with a traceback.
"""

import argparse
import contextlib
import copy
import json
import os
import select
import shutil
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.runtime.errors import Refused
from pipeline.runtime.params import Params
from pipeline.runtime.publishing import publish
from pipeline.runtime.runner import ROOT, disk_errors, execute, stages
from pipeline.runtime.yaml_file import merged, misread, read_yaml

# the bounds that params.yaml knows, and sizes between them
SIZES = (0, 1e-9, 0.01, 0.5, 0.99, 1, 2, 3, 10, 24, 64, 100, 256, 1000, 3600, 3650, 10_000, 36_500,
         4096, 100_000, 10**9, 1e12, 1e15)  # fmt: skip
NUMBERS = sorted({*SIZES, *(-size for size in SIZES)})
OTHERS: dict[type, tuple[Any, ...]] = {
    bool: (True, False),
    list: ([], [1], [1, 3650]),
    dict: ({},),
    str: ("", "x"),
}
SMALL: dict[str, Any] = {
    "simulate": {"customers": 250, "presets": {"monthly": {"days": 720}}},
    "train": {"max_rounds": 20, "round_step": 10, "min_child_samples": 10}
    | {"forecast_rounds": 5, "timing_rounds": 5},
    "evaluate": {"bootstrap": 20},
    "ingest": {"quarantine_limit": {"default": 1}},
}
STAGES = "simulate ingest calibrate extract assign label train evaluate score".split()
SLOW = 60  # seconds after which a run is given up, on a busy machine too
RUNS, SLOWLY, TRACEBACK = "runs", "takes long", "TRACEBACK"


def leaves(content: dict[str, Any], keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys of each value, and of each mapping that is not a section."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*keys, key))
        if keys or not isinstance(value, dict):
            yield (*keys, key)


def changed(content: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return the content with one value changed."""
    new = copy.deepcopy(content)
    section = new
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    return new


def loaded(content: dict[str, Any]) -> Params | None:
    """Return the parameters; None where they are refused."""
    try:
        params = Params.model_validate(content)
    except ValidationError:
        return None
    return None if any(misread(content, params)) else params


def extremes(content: dict[str, Any], keys: tuple[str, ...]) -> list[tuple[Any, Params]]:
    """Return the odd values of one key that load, of numbers the lowest and the highest."""
    value: Any = content
    for key in keys:
        value = value[key]
    of_kind: list[Any] = [
        odd for kind, odds in OTHERS.items() if isinstance(value, kind) for odd in odds
    ]
    of_kind += [None, "auto"]
    fit = [
        (odd, p) for odd in of_kind if odd != value and (p := loaded(changed(content, keys, odd)))
    ]
    for numbers in (NUMBERS, [int(n) for n in NUMBERS if n == int(n)]):
        sizes = [
            (n, p) for n in numbers if n is not value and (p := loaded(changed(content, keys, n)))
        ]
        if sizes:
            return [*fit, *sizes[:1], *sizes[-1:]]
    return fit


def tiny_shop(root: Path, given: Path = ROOT / "params.yaml") -> dict[str, Any]:
    """Run all stages of a tiny demo shop in a folder; return the content of its params.yaml."""
    for name in ("sources", "shops"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("dvc.yaml", "playbook.yaml", "my_models.py"):
        shutil.copy(ROOT / name, root)
    content = merged(read_yaml(given, ROOT), SMALL)
    (root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    (root / "data" / "returned" / "demo").mkdir(parents=True)
    run(root, Params.model_validate(content), STAGES)
    return content


def run(root: Path, params: Params, names: list[str]) -> None:
    """Run stages in this process."""
    known = stages(root, "demo")
    for name in names:
        with disk_errors(f"stage {name}"):
            for output, value in execute(known[name], params, root).items():
                publish(root / known[name].outputs[output], value, params.lists)


def readers(section: str) -> list[str]:
    """Return the first stage that reads a section, and all after it."""
    known = read_yaml(ROOT / "dvc.yaml", ROOT)["stages"]
    reading = [name for name in STAGES if section in known[name]["params"]]
    reading += ["score"] * (section in ("lists", "privacy"))
    return STAGES[STAGES.index(reading[0]) :] if reading else []


def outcome(base: Path, params: Params, names: list[str]) -> str:
    """Run stages on a copy of the tiny shop; return how it ended."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "shop"
        shutil.copytree(base, root, copy_function=os.link, symlinks=True)
        try:
            with silence(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run(root, params, names)
        except Refused as refused:
            return str(refused).splitlines()[0]
        except Exception:
            return f"{TRACEBACK} {traceback.format_exc()}"
    return RUNS


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Show nothing of what the stages say."""
    with (
        Path(os.devnull).open("w") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        yield


def trials(content: dict[str, Any], sections: list[str]) -> list[tuple[str, Params, list[str]]]:
    """Return each odd value as text, the parameters with it, and the stages to run."""
    return [
        (f"{'.'.join(keys)}: {value!r}", params, names)
        for keys in leaves(content)
        if (names := readers(keys[0])) and (not sections or keys[0] in sections)
        for value, params in extremes(content, keys)
    ]


def work(base: Path, sections: list[str], first: int) -> None:
    """Print how each trial from the first on ends, one line of JSON each."""
    content = read_yaml(base / "params.yaml", base)
    for _, params, names in trials(content, sections)[first:]:
        print(json.dumps(outcome(base, params, names)), flush=True)


def endings(base: Path, sections: list[str], count: int) -> Generator[str]:
    """Yield how each trial ends. One that takes long is killed: no signal stops a kernel."""
    number = 0
    while number < count:
        command = [sys.executable, "-m", "benchmarks.extreme_params", *sections]
        command += ["--work", str(base), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as worker:
            assert worker.stdout
            try:
                while number < count:
                    number += 1
                    if not select.select([worker.stdout], [], [], SLOW)[0]:
                        yield SLOWLY
                        break
                    line = worker.stdout.readline()
                    yield json.loads(line) if line else f"{TRACEBACK} the process ended"
                    if not line:
                        break
            finally:
                worker.kill()


def main() -> int:
    """Run the campaign; return the number of tracebacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--work", nargs=2, metavar=("FOLDER", "FIRST"), help=argparse.SUPPRESS)
    parser.add_argument("sections", nargs="*")
    given = parser.parse_args()
    if given.work:
        work(Path(given.work[0]), given.sections, int(given.work[1]))
        return 0
    end, counts = time.monotonic() + given.seconds, Counter[str]()
    with TemporaryDirectory() as folder:
        with silence():
            content = tiny_shop(Path(folder))
        tried = trials(content, given.sections)
        ends = endings(Path(folder), given.sections, len(tried))
        for (name, _, _), how in zip(tried, ends, strict=True):
            kind = next((k for k in (RUNS, SLOWLY, TRACEBACK) if how.startswith(k)), "refused")
            counts[kind] += 1
            if kind != RUNS:
                print(f"{name}: {how}", flush=True)
            if time.monotonic() > end:
                print("time is up")
                ends.close()
                break
    print(f"{sum(counts.values())} of {len(tried)} tried: {dict(counts)}")
    return counts[TRACEBACK]


if __name__ == "__main__":
    sys.exit(bool(main()))
