"""Registered versions of each shop's model, and which of them is champion, on any server."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.registry.about import about_of
from pipeline.registry.challenge import Judgement, ModelVersion, not_compared
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder

# Compares a champion and a newcomer at the same origins.
Compare = Callable[[ModelVersion, ModelVersion], Judgement]

MOST_KEPT = 50  # former champions that rollback knows
UNREGISTERED = {"run_id": None, "model_name": None, "model_version": None, "alias": None}


class Registry:
    """Registered models, one for each shop, through an MLflow client."""

    def __init__(self, client: Any, model_name: str) -> None:
        self.client = client
        self.model_name = model_name

    def name(self, shop: str) -> str:
        """Return the name of a shop's registered model. Each shop has a champion of its own."""
        return f"{self.model_name}-{shop}"

    def aliases(self, name: str) -> dict[str, str]:
        """Return the number of a version by its alias."""
        aliases = self.client.get_registered_model(name).aliases
        return {alias: str(version) for alias, version in aliases.items()}

    def versions(self) -> list[Any]:
        """Return all versions of all shops' models, by name and number."""
        versions = self.client.search_model_versions(
            f"name LIKE '{self.model_name}-%'", max_results=10_000
        )
        return sorted(versions, key=lambda version: (version.name, int(version.version)))

    def numbers(self, name: str) -> list[str]:
        """Return the numbers of a model's versions, in order. None if it is not registered."""
        return [str(version.version) for version in self.versions() if version.name == name]

    def versions_of(self, run_id: str) -> list[Any]:
        """Return the version that a run registered, if it did."""
        return list(self.client.search_model_versions(f"run_id = '{run_id}'"))

    def has_champion(self, run_id: str) -> bool:
        """Return whether the run's version is champion."""
        return any(
            self.aliases(version.name).get("champion") == str(version.version)
            for version in self.versions_of(run_id)
        )

    def judgement(
        self, name: str, newcomer: ModelVersion, grade: str, compare: Compare | None
    ) -> Judgement:
        """Return the alias of a new version.

        Only a version that can be compared on rows of its shop may replace a champion.
        """
        if newcomer.verdict == "no_signal":
            return Judgement("challenger", f"nobody is scored by it: {grade}")
        number = self.aliases(name).get("champion")
        if number is None:
            return Judgement("champion", "first champion of the shop")
        if compare is None:
            return not_compared("it was sent while another shop, with other rows, was chosen")
        champion = self.client.get_model_version(name, number)
        with TemporaryDirectory() as folder:
            files = self.scorers(champion.run_id, folder)
            try:
                verdict = champion.tags.get("verdict", "model")
                judged = compare(ModelVersion(files, about_of(files), verdict), newcomer)
            except ModelError as error:
                judged = not_compared(f"{error.place}: {error.rule}")
        return Judgement(judged.alias, f"{judged.reason} (champion: version {number})")

    def scorers(self, run_id: str, folder: str) -> Folder:
        """Return the scorers that were kept of a version. The folder is empty if they are gone."""
        try:
            if self.client.list_artifacts(run_id, "scorers"):
                return Folder(Path(self.client.download_artifacts(run_id, "scorers", folder)))
        except Exception as error:  # of MLflow, which is not imported here
            if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
                raise
        return Folder(Path(folder))

    def set_alias(self, name: str, version: str, judgement: Judgement) -> None:
        """Give a new version its alias, and record why."""
        self.client.set_model_version_tag(name, version, "why", judgement.reason)
        if judgement.alias == "champion":
            self.set_champion(name, version, judgement.reason)
        else:
            self.client.set_registered_model_alias(name, "challenger", version)

    def set_champion(
        self, name: str, version: str, reason: str, former: list[str] | None = None
    ) -> None:
        """Move the alias `champion`, and record from where, when and why.

        `former`: the champions until then; default: those known, and the present one.
        """
        aliases = self.aliases(name)
        leaves = aliases.get("champion")
        if former is None:
            former = [*self.former_champions(name), *([leaves] if leaves else [])]
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        tags = {"reason": reason, "from": leaves or "none", "to": version, "at": now}
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, f"champion.{key}", value)
        if leaves:
            left = f"to version {version}: {reason}"
            self.client.set_model_version_tag(name, leaves, "champion.until", now)
            self.client.set_model_version_tag(name, leaves, "champion.left", left)
        self.client.set_registered_model_tag(
            name, "champions.before", " ".join(former[-MOST_KEPT:])
        )
        self.client.set_registered_model_alias(name, "champion", version)
        if aliases.get("challenger") == version:
            self.client.delete_registered_model_alias(name, "challenger")

    def former_champions(self, name: str) -> list[str]:
        """Return the versions that were champion before the present one, oldest first."""
        numbers: str = self.client.get_registered_model(name).tags.get("champions.before", "")
        return numbers.split()

    def result_of(self, run_id: str, reason: str) -> dict[str, Any]:
        """Return run_id, model_name, model_version, alias and the reason for the alias.

        Without a registered version they are null, and the reason is the one given.
        """
        versions = self.versions_of(run_id)
        if not versions:
            return {**UNREGISTERED, "run_id": run_id, "reason": reason}
        name, number = versions[0].name, str(versions[0].version)
        holders = sorted(self.aliases(name).items())
        return {
            "run_id": run_id,
            "model_name": name,
            "model_version": number,
            "alias": next((alias for alias, holder in holders if holder == number), None),
            "reason": versions[0].tags["why"],
        }
