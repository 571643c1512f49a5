"""Texts, SQL and tables that lie beside the module that uses them."""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.runtime.yaml_file import FastLoader


def read_text(module: str, name: str) -> str:
    """Return a text file that lies beside a module; `module` is its `__file__`."""
    return Path(module).with_name(name).read_text(encoding="utf-8")


def read_queries(module: str, name: str) -> dict[str, str]:
    """Return the queries of an SQL file by name: each begins with a line `-- query: <name>`."""
    parts = re.split(r"^-- query: (\w+)\n", read_text(module, name), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def read_yaml_table(module: str, name: str) -> Any:
    """Return the content of a YAML file that lies beside a module."""
    return yaml.load(read_text(module, name), FastLoader)  # noqa: S506
