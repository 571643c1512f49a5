"""Versions of each shop's model, and which of them is champion.

What is kept where, whatever server keeps it.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.registry.challenge import Judgement, Version
from pipeline.registry.model_files import about_of
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder

Compare = Callable[[Version, Version], Judgement]
"""Asks a champion and a newcomer at the same origins."""

MOST_KEPT = 50  # champions before the present one, of which rollback knows
NOTHING = {"run_id": None, "model_name": None, "model_version": None, "alias": None}
ELSEWHERE = Judgement(
    "challenger",
    "not compared: it was sent while another shop was chosen, whose rows tell nothing of it",
)


class Registry:
    """Registered models, one for each shop, through an MLflow client."""

    def __init__(self, client: Any, model_name: str) -> None:
        self.client = client
        self.model_name = model_name

    def name(self, shop: str) -> str:
        """The registered model of a shop: each has a champion of its own."""
        return f"{self.model_name}-{shop}"

    def aliases(self, name: str) -> dict[str, str]:
        """Version by alias."""
        return {
            alias: str(version)
            for alias, version in self.client.get_registered_model(name).aliases.items()
        }

    def versions(self) -> list[Any]:
        """All versions of all shops' models, by name and number."""
        found = self.client.search_model_versions(
            f"name LIKE '{self.model_name}-%'", max_results=10_000
        )
        return sorted(found, key=lambda version: (version.name, int(version.version)))

    def numbers(self, name: str) -> list[str]:
        """Numbers of a model's versions, in order; none for a model that is not registered."""
        return [str(version.version) for version in self.versions() if version.name == name]

    def versions_of(self, run_id: str) -> list[Any]:
        """The version that a run registered, if it did."""
        return list(self.client.search_model_versions(f"run_id = '{run_id}'"))

    def has_champion(self, run_id: str) -> bool:
        """Whether the run's version is champion."""
        return any(
            self.aliases(version.name).get("champion") == str(version.version)
            for version in self.versions_of(run_id)
        )

    def judged(
        self, name: str, newcomer: Version, grade: str, compare: Compare | None
    ) -> Judgement:
        """The alias of a new version.

        Only one that can be compared on rows of its shop may take the place of a champion.
        """
        if newcomer.verdict == "no_signal":
            return Judgement("challenger", f"nobody is scored by it: {grade}")
        number = self.aliases(name).get("champion")
        if number is None:
            return Judgement("champion", "first champion of the shop")
        if compare is None:
            return ELSEWHERE
        champion = self.client.get_model_version(name, number)
        with TemporaryDirectory() as folder:
            files = self._scorers(champion.run_id, folder)
            try:
                found = compare(
                    Version(files, about_of(files), champion.tags.get("verdict", "model")), newcomer
                )
            except ModelError as error:
                found = Judgement("challenger", f"not compared: {error.place}: {error.rule}")
        return Judgement(found.alias, f"{found.reason} (champion: version {number})")

    def _scorers(self, run_id: str, folder: str) -> Folder:
        """What was kept of a version so that it can be asked again.

        An empty folder where it is gone.
        """
        try:
            if self.client.list_artifacts(run_id, "scorers"):
                return Folder(Path(self.client.download_artifacts(run_id, "scorers", folder)))
        except Exception as error:  # of MLflow, which is not imported here
            if getattr(error, "error_code", None) != "RESOURCE_DOES_NOT_EXIST":
                raise
        return Folder(Path(folder))

    def place(self, name: str, version: str, judged: Judgement) -> None:
        """Give a new version its alias, and say why."""
        self.client.set_model_version_tag(name, version, "why", judged.reason)
        if judged.alias == "champion":
            self.crown(name, version, judged.reason)
        else:
            self.client.set_registered_model_alias(name, "challenger", version)

    def crown(self, name: str, version: str, reason: str, before: list[str] | None = None) -> None:
        """Move the alias `champion`, and note from where, when and why.

        `before`: the champions until then; those known unless told.
        """
        aliases = self.aliases(name)
        leaves = aliases.get("champion")
        if before is None:
            before = [*self.before(name), *([leaves] if leaves else [])]
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        noted = {
            "champion.reason": reason,
            "champion.from": leaves or "none",
            "champion.to": version,
            "champion.at": now,
        }
        for key, value in noted.items():
            self.client.set_model_version_tag(name, version, key, value)
        if leaves:
            self.client.set_model_version_tag(name, leaves, "champion.until", now)
            self.client.set_model_version_tag(
                name, leaves, "champion.left", f"to version {version}: {reason}"
            )
        self.client.set_registered_model_tag(
            name, "champions.before", " ".join(before[-MOST_KEPT:])
        )
        self.client.set_registered_model_alias(name, "champion", version)
        if aliases.get("challenger") == version:
            self.client.delete_registered_model_alias(name, "challenger")

    def before(self, name: str) -> list[str]:
        """Versions that were champion before the present one, oldest first."""
        found: str = self.client.get_registered_model(name).tags.get("champions.before", "")
        return found.split()

    def told(self, run_id: str, run: dict[str, Any]) -> dict[str, Any]:
        """What became of a run.

        Run_id, model_name, model_version, alias (null where no model is registered), the reason for
        the alias.
        """
        found = self.versions_of(run_id)
        if not found:
            return {**NOTHING, "run_id": run_id, "reason": run["reason"]}
        name, number = found[0].name, str(found[0].version)
        alias = next(
            (alias for alias, version in sorted(self.aliases(name).items()) if version == number),
            None,
        )
        return {
            "run_id": run_id,
            "model_name": name,
            "model_version": number,
            "alias": alias,
            "reason": found[0].tags["why"],
        }
