"""The champion on this machine: data/champion/<shop>, kept up to date with the registry.

Scoring reads this folder, so it needs no server. The stage `track` and `corekeep model` write it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.registry.bundle import files_of, scoring_in, with_sections, write_champion
from pipeline.registry.mlflow_server import fetched_version
from pipeline.runtime.errors import ModelError, Refused, TrackingError
from pipeline.runtime.params import Track, load
from pipeline.runtime.progress import warn
from pipeline.runtime.runner import champion_folder
from pipeline.runtime.store import Folder


def fetch_champion(root: Path, shop: str, params: Track) -> None:
    """Fetch the champion of a shop from the registry to this machine.

    Raises ModelError for a champion that cannot score, TrackingError when the server is away.
    """
    with TemporaryDirectory() as folder:
        name = f"{params.model_name}-{shop}"
        fetched, version = fetched_version(root, params, name, "@champion", folder)
        with_sections(scoring_in(fetched, shop), load(root, shop))
        write_champion(root, shop, files_of(fetched), version)


def keep_champion(
    root: Path, shop: str, params: Track, bundle: dict[str, Any], run: dict[str, Any]
) -> None:
    """Keep the champion after a run: its own bundle if it became champion, else the registry's.

    Where neither the registry nor this machine has a champion that can score, the list is made with
    the run's own model.
    """
    version = {key: run.get(key) for key in ("model_name", "model_version", "alias")}
    if run.get("alias") == "champion":
        write_champion(root, shop, bundle, version)
        return
    try:
        fetch_champion(root, shop, params)
    except (ModelError, TrackingError) as error:
        try:
            with_sections(scoring_in(Folder(champion_folder(root, shop)), shop), load(root, shop))
            why = "the champion on this machine makes the list"
        except Refused:
            write_champion(root, shop, bundle, version)
            why = "the model that was just trained makes the list"
        if isinstance(error, TrackingError) or run.get("model_name"):
            warn(f"no champion from the registry ({error.place}: {error.rule}): {why}")
