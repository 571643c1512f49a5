"""`corekeep model list | promote | rollback`: the versions of a shop's model, and its champion."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.registry.champion import fetch_champion
from pipeline.registry.mlflow_server import connect, server_errors
from pipeline.registry.versions import Registry
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.runtime.params import load
from pipeline.runtime.publishing import in_force
from pipeline.runtime.runner import locked

LONGEST_REASON = 500


def model_in_use(root: Path) -> tuple[str, str | None] | None:
    """Return shop and model id of the list that is published here; None without a list."""
    path = in_force(root / "data" / "lists") / "manifest.json"
    if not path.exists():
        return None
    manifest = store.read(path)
    return manifest["shop"], manifest["model_id"]


def history(tags: Mapping[str, str], alias: str) -> list[str]:
    """Return why a version has its alias: the comparison, then each move of `champion`."""
    lines = [f"when it was made: {tags.get('why', 'unknown')}"]
    if tags.get("champion.at") and (alias == "champion" or "champion.until" in tags):
        before = f"before it version {tags['champion.from']}: {tags['champion.reason']}"
        lines.append(f"champion since {tags['champion.at']}, {before}")
    if alias != "champion" and "champion.until" in tags:
        lines.append(f"champion until {tags['champion.until']}, then {tags['champion.left']}")
    return lines


def lines(
    version: Any, aliases: dict[str, str], in_use: tuple[str, str | None] | None
) -> list[str]:
    """Return what is shown of a version: its origin, its AUC, its alias and why."""
    # a version that others registered has none of the tags
    tags, number = defaultdict(lambda: "unknown", version.tags), str(version.version)
    alias = ", ".join(sorted(name for name, holder in aliases.items() if holder == number))
    made = dt.datetime.fromtimestamp(version.creation_timestamp / 1000, dt.UTC)
    listed = "; the list here is made with it" if in_use == (tags["shop"], tags["model_id"]) else ""
    return [
        f"{version.name} version {number}{f', {alias}' if alias else ''}{listed}",
        f"  shop {tags['shop']}, as of {tags['snapshot']}, registered {made:%Y-%m-%d %H:%M UTC}",
        f"  AUC {tags['auc']} of {tags['verdict']}, {tags['horizon_days']} days, "
        f"trained through {tags['trained_through']}",
        *(f"  {line}" for line in history(tags, alias)),
    ]


def listing(root: Path) -> str:
    """Return every version of every shop's model, in words."""
    registry = connect(root, load(root).track)
    with server_errors():
        versions = registry.versions()
        aliases = {name: registry.aliases(name) for name in {v.name for v in versions}}
    in_use = model_in_use(root)
    shown = [line for v in versions for line in lines(v, aliases[v.name], in_use)]
    return "\n".join(shown) or "no version of the model is registered yet: run `make repro`"


def on_one_line(reason: str) -> str:
    """Return the reason on one line. Raises ConfigError for none, or for one that is too long."""
    line = " ".join(reason.split())
    if not 0 < len(line) <= LONGEST_REASON:
        fix = f"give a reason of 1 to {LONGEST_REASON} characters that names nobody"
        raise ConfigError("E_REASON", "--reason", f"{len(line)} characters", fix)
    return line


@contextmanager
def locked_registry(root: Path) -> Iterator[tuple[Registry, str, list[str], str | None]]:
    """Yield registry, name, versions and champion of the chosen shop's model.

    Meanwhile nothing else moves an alias.
    """
    params = load(root)
    with locked(root, "track"):
        registry = connect(root, params.track)
        name = registry.name(params.shop)
        with server_errors():
            known = registry.numbers(name)
            yield registry, name, known, registry.aliases(name).get("champion") if known else None


def with_champion(root: Path) -> str:
    """Fetch the champion to this machine; return who makes the next list, in words."""
    params = load(root)
    try:
        fetch_champion(root, params.shop, params.track)
    except ModelError as error:
        return f"It cannot make the list: {error}"
    return "It makes the next list: run `make repro` or `corekeep score`"


def promote(version: str, reason: str, root: Path) -> str:
    """Make a version of the chosen shop's model champion, and return what was done.

    Raises ConfigError for a version that does not exist or is champion already.
    """
    line = on_one_line(reason)
    with locked_registry(root) as (registry, name, known, champion):
        place = f"{name} {version}"
        if not known:
            rule = "this shop has no registered version"
            raise ConfigError("E_VERSION", place, rule, "run `make repro`")
        if version not in known:
            raise ConfigError("E_VERSION", place, "no such version", f"one of: {', '.join(known)}")
        if version == champion:
            rule = "it is champion already"
            raise ConfigError("E_VERSION", place, rule, "see `corekeep model list`")
        registry.set_champion(name, version, line)
        made = with_champion(root)
    return f"{name}: champion is version {version}, was {champion or 'none'}. {made}"


def rollback(reason: str, root: Path) -> str:
    """Give the alias back to the former champion, and return what was done.

    Raises ConfigError if there is none.
    """
    line = on_one_line(reason)
    with locked_registry(root) as (registry, name, known, champion):
        former = [n for n in registry.former_champions(name) if n in known] if known else []
        while former and former[-1] == champion:
            former.pop()
        if not former:
            fix = "`corekeep model promote VERSION --reason ...`"
            raise ConfigError("E_VERSION", name, "no earlier champion is known", fix)
        version = former.pop()
        registry.set_champion(name, version, line, former)
        made = with_champion(root)
    return f"{name}: champion is version {version} again, was {champion or 'none'}. {made}"
