"""playbook.yaml: read, and checked so that every list has an action for every customer."""

import difflib
from pathlib import Path

import yaml
from pydantic import ValidationError

from models.decision.playbook import By, Play, Playbook, Words
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.progress import warn
from pipeline.runtime.yaml_file import place_of, read_yaml

NAME = "playbook.yaml"


def read_playbook(root: Path, characters: int | None = None) -> Playbook:
    """Return playbook.yaml. No action is longer than so many characters, if that is given.

    Raises ConfigError with file, line, what is wrong there and what to do.
    """
    path = root / NAME
    if not path.exists():
        fix = f"restore it with `git checkout {NAME}`"
        raise ConfigError("E_PLAYBOOK", NAME, "there is no such file", fix)
    content = read_yaml(path, root)
    try:
        return Playbook.model_validate(content, context=characters and {"characters": characters})
    except ValidationError as error:
        first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
        keys = [str(key) for key in first["loc"]]
        line = place_of(path, keys)[1]
        rule = first["msg"].removeprefix("Value error, ")
        rule, _, fix = rule.partition("; ")
        if first["type"] == "missing":
            rule, fix = f"`{keys[-1]}` is missing", "add it"
        elif first["type"] == "extra_forbidden":
            known = [name for part in (Playbook, Play, By, Words) for name in part.model_fields]
            near = difflib.get_close_matches(keys[-1], known, n=1)
            rule = f"there is no `{keys[-1]}` here"
            fix = f"did you mean {near[0]}?" if near else "remove the key"
        place = f"{NAME}:{line} {'.'.join(keys)}".strip()
        raise ConfigError("E_PLAYBOOK", place, rule, fix or "correct the entry") from None


def text_of(bundle: Path, root: Path) -> str:
    """Return the text of a bundle's playbook. What came after it is that of the project, and a
    warning names it.

    Raises ConfigError where the project's playbook is needed and cannot be used.
    """
    text = (bundle / NAME).read_bytes().decode(errors="replace")
    try:
        read_playbook(bundle)
        return text
    except ConfigError:
        read_playbook(root)
    present = read_yaml(root / NAME, root)
    try:
        own = read_yaml(bundle / NAME, bundle)
        completed = {key: own.get(key, present[key]) for key in present}
        Playbook.model_validate(completed)
    except (ConfigError, ValidationError):
        warn(f"the model's {NAME} is not one of this version: the project's is used")
        return (root / NAME).read_text(encoding="utf-8")
    odd = ", ".join(sorted(set(own) ^ set(present)))
    warn(f"the model's {NAME} differs in {odd}: what is missing there is the project's")
    return yaml.safe_dump(completed, allow_unicode=True, sort_keys=False)
