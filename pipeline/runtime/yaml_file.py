"""YAML as people mean it.

No key twice, no word or number that turns into another, and where each key stands.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.runtime.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice and reads plain words as YAML 1.2 and DVC do.

    `no` is a word, 012 is not octal.
    """

    yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in known
            if tag not in {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:int"}
        ]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            place = f"{key.start_mark.name}:{key.start_mark.line + 1}"
            raise ConfigError("E_PARAM", place, "a key that is not a word", "write `key: value`")
    keys = [loader.construct_object(key) for key, _ in node.value]
    for position, key in enumerate(keys):
        if key in keys[:position]:
            mark = node.value[position][0].start_mark
            raise ConfigError(
                "E_PARAM",
                f"{mark.name}:{mark.line + 1} {key}",
                "key given twice",
                "keep one of them",
            )
    return {
        key: loader.construct_object(value, deep=True)
        for key, (_, value) in zip(keys, node.value, strict=True)
    }


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """One YAML file as a mapping; an empty file is an empty mapping."""
    name = str(path.relative_to(root))
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        loader.name = name
        value = loader.get_single_data()
    except FileNotFoundError:
        raise ConfigError(
            "E_PARAM", name, "there is no such file", "check the name of the shop"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            "E_PARAM", name, f"not UTF-8 text from byte {error.start} on", "save it as UTF-8"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        raise ConfigError(
            "E_PARAM",
            place,
            f"not plain YAML: {getattr(error, 'problem', error)}",
            "correct the line",
        ) from None
    if value is not None and not isinstance(value, dict):
        raise ConfigError(
            "E_PARAM", name, "not a list of keys and values", "write `key: value` lines"
        )
    return value or {}


def place_of(path: Path, keys: list[str]) -> tuple[int, int]:
    """How many of the nested keys the file has, and the line of the deepest of them."""
    node: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    depth, line = 0, 1
    for key in keys:
        found = next(
            (
                pair
                for pair in getattr(node, "value", [])
                if isinstance(pair, tuple) and pair[0].value == key
            ),
            None,
        )
        if found is None:
            break
        depth, line, node = depth + 1, found[0].start_mark.line + 1, found[1]
    return depth, line


def reasons(path: Path, sections: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The comment beside each key of these sections; a key without one is left out."""
    text = path.read_text(encoding="utf-8")
    lines, found = text.splitlines(), dict[str, dict[str, str]]()
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for section, body in root.value:
        if section.value in sections:
            beside = {
                key.value: lines[value.end_mark.line][value.end_mark.column :]
                for key, value in body.value
            }
            found[section.value] = {
                key: rest.partition("#")[2].strip() for key, rest in beside.items() if "#" in rest
            }
    return found
