"""`corekeep model list | promote | rollback`.

Which versions of a shop's model there are, and which of them is champion.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.registry.mlflow_server import opened, reaching
from pipeline.registry.versions import Registry
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.runtime.params import load
from pipeline.runtime.runner import locked

LONGEST_REASON = 500


def model_in_use(root: Path) -> tuple[str, str | None] | None:
    """Shop and model id of the list that is published here; None without a list."""
    path = root / "data" / "lists" / "manifest.json"
    if not path.exists():
        return None
    manifest = store.read(path)
    return manifest["shop"], manifest["model_id"]


def story(told: Mapping[str, str], alias: str) -> list[str]:
    """Why a version has its alias, or has it no longer.

    What the comparison said, and each move of `champion` since.
    """
    found = [f"when it was made: {told.get('why', 'unknown')}"]
    if told.get("champion.at") and (alias == "champion" or "champion.until" in told):
        found.append(
            f"champion since {told['champion.at']}, before it version {told['champion.from']}: {told['champion.reason']}"
        )
    if alias != "champion" and "champion.until" in told:
        found.append(f"champion until {told['champion.until']}, then {told['champion.left']}")
    return found


def lines(
    version: Any, aliases: dict[str, str], in_use: tuple[str, str | None] | None
) -> list[str]:
    """What is shown of a version: what it is, how good it was measured to be, why."""
    # a stranger's version tells nothing
    told, number = defaultdict(lambda: "unknown", version.tags), str(version.version)
    alias = ", ".join(sorted(name for name, holder in aliases.items() if holder == number))
    made = dt.datetime.fromtimestamp(version.creation_timestamp / 1000, dt.UTC).strftime(
        "%Y-%m-%d %H:%M UTC"
    )
    listed = "; the list here is made with it" if in_use == (told["shop"], told["model_id"]) else ""
    return [
        f"{version.name} version {number}{f', {alias}' if alias else ''}{listed}",
        f"  shop {told['shop']}, as of {told['snapshot']}, registered {made}",
        f"  AUC {told['auc']} of {told['verdict']}, {told['horizon_days']} days, trained through {told['trained_through']}",
        *(f"  {words}" for words in story(told, alias)),
    ]


def listing(root: Path) -> str:
    """Every version of every shop's model, in words."""
    registry = opened(root, load(root).track)
    with reaching():
        found = registry.versions()
        aliases = {name: registry.aliases(name) for name in {version.name for version in found}}
    in_use = model_in_use(root)
    told = [line for version in found for line in lines(version, aliases[version.name], in_use)]
    return "\n".join(told) or "no version of the model is registered yet: run `make repro`"


def given(reason: str) -> str:
    """The reason on one line. Raises ConfigError for none, or for a story."""
    told = " ".join(reason.split())
    if not told or len(told) > LONGEST_REASON:
        raise ConfigError(
            "E_REASON",
            "--reason",
            f"{len(told)} characters",
            f"say why in 1 to {LONGEST_REASON} characters, naming nobody",
        )
    return told


@contextmanager
def governed(root: Path) -> Iterator[tuple[Registry, str, list[str], str | None]]:
    """The registry while nothing else moves an alias in it.

    Name, versions and champion of the chosen shop's model.
    """
    params = load(root)
    with locked(root, "track"):
        registry = opened(root, params.track)
        name = registry.name(params.shop)
        with reaching():
            known = registry.numbers(name)
            yield registry, name, known, registry.aliases(name).get("champion") if known else None


def promote(version: str, reason: str, root: Path) -> str:
    """Make a version of the chosen shop's model champion.

    What was done, in words. Raises ConfigError for one that is not there.
    """
    told = given(reason)
    with governed(root) as (registry, name, known, champion):
        if version not in known:
            rule = "no such version" if known else "this shop has no registered version"
            raise ConfigError(
                "E_VERSION",
                f"{name} {version}",
                rule,
                f"one of: {', '.join(known)}" if known else "run `make repro`",
            )
        if version == champion:
            raise ConfigError(
                "E_VERSION",
                f"{name} {version}",
                "it is champion already",
                "see `corekeep model list`",
            )
        registry.crown(name, version, told)
    return f"{name}: champion is version {version}, was {champion or 'none'}"


def rollback(reason: str, root: Path) -> str:
    """Give the alias back to the champion before the present one.

    What was done, in words. Raises ConfigError where there is none.
    """
    told = given(reason)
    with governed(root) as (registry, name, known, champion):
        before = [number for number in registry.before(name) if number in known] if known else []
        while before and before[-1] == champion:
            before.pop()
        if not before:
            raise ConfigError(
                "E_VERSION",
                name,
                "no earlier champion is known",
                "`corekeep model promote VERSION --reason ...`",
            )
        version = before.pop()
        registry.crown(name, version, told, before)
    return f"{name}: champion is version {version} again, was {champion or 'none'}"
