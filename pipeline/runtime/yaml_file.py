"""YAML as people mean it: no key twice, no word or number that turns into another.

Errors name the file, the line and the nearest known key.
"""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.runtime.errors import ConfigError

MOVED = {  # parameters of earlier versions, and where they are now
    "score.owners": "it is in playbook.yaml now: remove the key",
    "score.actions": "it is in playbook.yaml now: remove the key",
}


LARGEST = {int: 10**9, float: 1e15}  # days, rows and money that are larger are typing errors


# Ten times as fast, but it crashes on 50,000 nested lists: `read_yaml` refuses such a file first.
FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Misread(NamedTuple):
    """The keys of a value that is not what was written, and why."""

    keys: tuple[str, ...]
    rule: str


class _Loader(yaml.SafeLoader):
    """Safe YAML in which plain words are read as in YAML 1.2: `no` is a word, 012 is not octal."""

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
    content: dict[Any, Any] = {}
    for key_node, value in node.value:
        place = f"{key_node.start_mark.name}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError("E_PARAM", place, "a key that is not a word", "write `key: value`")
        key = loader.construct_object(key_node)
        if key in content:
            raise ConfigError("E_PARAM", f"{place} {key}", "key given twice", "keep one of them")
        content[key] = loader.construct_object(value, deep=True)
    return content


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """Return one YAML file as a mapping; an empty file is an empty mapping."""
    name = str(path.relative_to(root))

    def refused(rule: str, fix: str, line: str = "") -> ConfigError:
        return ConfigError("E_PARAM", name + line, rule, fix)

    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        loader.name = name
        value = loader.get_single_data()
    except FileNotFoundError:
        raise refused("there is no such file", "check the name of the shop") from None
    except UnicodeDecodeError as error:
        rule = f"not UTF-8 text from byte {error.start} on"
        raise refused(rule, "save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        rule = f"not plain YAML: {getattr(error, 'problem', error)}"
        raise refused(rule, "correct the line", f":{mark.line + 1}" if mark else "") from None
    except RecursionError:
        raise refused("nested too deep", "write sections, keys and values") from None
    except ValueError as error:  # of a number or a date
        rule = f"not plain YAML: {str(error).partition(';')[0]}"
        raise refused(rule, "correct the value, or quote it") from None
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", "check the file") from None
    if value is not None and not isinstance(value, dict):
        raise refused("not a list of keys and values", "write `key: value` lines")
    return value or {}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `over`, nested mappings key by key."""
    both = {
        key: merged(base[key], value)
        if isinstance(base.get(key), dict) and isinstance(value, dict)
        else value
        for key, value in over.items()
    }
    return base | both


def misread(written: Any, value: Any, keys: tuple[str, ...] = ()) -> Iterator[Misread]:
    """Yield the keys whose value is not what was written, or no size that makes sense."""
    if isinstance(written, dict):
        for key, inner in written.items():
            read = value[key] if isinstance(value, dict) else getattr(value, key)
            yield from misread(inner, read, (*keys, key))
    elif isinstance(written, list):
        for position, inner in enumerate(written):
            yield from misread(inner, value[position], (*keys, str(position)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(written, bool):
            yield Misread(keys, "a number is needed, not true or false")
        elif isinstance(written, str) and re.match(r"[-+]?0[0-9_]", written):
            yield Misread(keys, "a number with a zero in front may mean another one")
        elif not abs(value) <= LARGEST[type(value)]:
            yield Misread(keys, f"larger than {LARGEST[type(value)]:,.0f} in size")


def place_of(path: Path, keys: list[str]) -> tuple[int, int]:
    """Return how many of the nested keys the file has, and the line of the deepest of them."""
    node: Any = yaml.compose(path.read_text(encoding="utf-8"), Loader=FastLoader)
    depth, line = 0, 1
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        if isinstance(node, yaml.SequenceNode) and key.isdigit():
            pairs = [(entry, entry) for entry in node.value[int(key) :]]
        pair = next((p for p in pairs if p[0].value == key or p[0] is p[1]), None)
        if pair is None:
            break
        depth, line, node = depth + 1, pair[0].start_mark.line + 1, pair[1]
    return depth, line


def refusal(
    root: Path, files: list[Path], model: type[BaseModel], error: ValidationError
) -> ConfigError:
    """Return the error for the first of the parameters that the model refuses."""
    # A mistyped key is unknown under its own name and missing under the right one. The first says
    # more.
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"]]
    place = _file_and_line(root, files, keys)
    rule, fix = first["msg"].removeprefix("Value error, "), "correct the value"
    if first["type"] == "missing":
        rule, fix = "the parameter is missing", "add the key"
    if first["type"] == "extra_forbidden":
        section: Any = model.model_fields
        if len(keys) > 1:
            section = getattr(section[keys[0]].annotation, "__annotations__", {})
        near = difflib.get_close_matches(keys[-1], list(section), n=1)
        rule = "there is no such parameter"
        fix = f"did you mean {near[0]}?" if near else "remove the key"
    fix = MOVED.get(".".join(keys), fix)
    unions = ("literal[", "constrained-", "function-", "int", "float", "str")
    dotted = ".".join(key for key in keys if not key.startswith(unions)) or "params"
    return ConfigError("E_PARAM", f"{place} {dotted}", rule, fix)


def _file_and_line(root: Path, files: list[Path], keys: list[str]) -> str:
    """Return the file that has most of the keys; of two, the shop's own, whose value counts."""
    path = max(reversed(files), key=lambda file: place_of(file, keys[:2])[0])
    return f"{path.relative_to(root)}:{place_of(path, keys[:2])[1]}"


def check_meaning(root: Path, files: list[Path], written: dict[str, Any], value: BaseModel) -> None:
    """Raise ConfigError for the first value that was read as another than the one written."""
    for odd in misread(written, value):
        place = f"{_file_and_line(root, files, list(odd.keys))} {'.'.join(odd.keys)}"
        raise ConfigError("E_PARAM", place, odd.rule, "correct the value")


def reasons(path: Path, sections: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return the comment beside each key of these sections; a key without one is left out."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    comments: dict[str, dict[str, str]] = {}
    for section, body in root.value:
        if section.value in sections:
            ends = {key.value: value.end_mark for key, value in body.value}
            rests = {key: lines[end.line][end.column :] for key, end in ends.items()}
            comments[section.value] = {
                key: rest.partition("#")[2].strip() for key, rest in rests.items() if "#" in rest
            }
    return comments
