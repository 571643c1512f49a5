"""The champion on this machine: data/champion/<shop>, kept up to date with the registry.

Scoring reads this folder, so it needs no server. The stage `track` and `corekeep model` write it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.defection.booster import schema_hash
from pipeline.registry.about import TRAIN_AGAIN, about_of
from pipeline.registry.bundle import files_of, scoring_in, with_sections, write_champion
from pipeline.registry.mlflow_server import fetched_version
from pipeline.runtime.errors import ModelError, Refused, TrackingError
from pipeline.runtime.params import load
from pipeline.runtime.progress import warn
from pipeline.runtime.runner import champion_folder
from pipeline.runtime.sections import Track
from pipeline.runtime.store import Folder


def _require_usable(bundle: Folder, root: Path, shop: str, columns: list[str] | None) -> None:
    """Raise ModelError for a bundle that cannot score here.

    `columns`: the features of today; None where they are not known.
    """
    params = load(root, shop)
    windows = with_sections(scoring_in(bundle, shop), params).windows
    of_today = columns is None or schema_hash(columns) == about_of(bundle)["schema_hash"]
    if not of_today and windows == params.windows:  # with its own, it has other features
        rule = "its features are no longer made"
        raise ModelError("E_MODEL_SCHEMA", "model.json features", rule, TRAIN_AGAIN)


def fetch_champion(root: Path, shop: str, params: Track, columns: list[str] | None = None) -> None:
    """Fetch the champion of a shop from the registry to this machine.

    Raises ModelError for a champion that cannot score, TrackingError when the server is away.
    """
    with TemporaryDirectory() as folder:
        name = f"{params.model_name}-{shop}"
        fetched, version = fetched_version(root, params, name, "@champion", folder)
        _require_usable(fetched, root, shop, columns)
        write_champion(root, shop, files_of(fetched), version)


def keep_champion(
    root: Path,
    shop: str,
    params: Track,
    bundle: dict[str, Any],
    run: dict[str, Any],
    columns: list[str],
) -> None:
    """Keep the champion after a run: its own bundle if it became champion, else the registry's.

    Where neither the registry nor this machine has a champion that can score, the list is made with
    the run's own model. `columns`: the features of today.
    """
    version = {key: run.get(key) for key in ("model_name", "model_version", "alias")}
    if run.get("alias") == "champion":
        write_champion(root, shop, bundle, version)
        return
    try:
        fetch_champion(root, shop, params, columns)
    except (ModelError, TrackingError) as error:
        try:
            _require_usable(Folder(champion_folder(root, shop)), root, shop, columns)
            why = "the champion on this machine makes the list"
        except Refused:
            write_champion(root, shop, bundle, version)
            why = "the model that was just trained makes the list"
        if isinstance(error, TrackingError) or run.get("model_name"):
            warn(f"no champion from the registry ({error.place}: {error.rule}): {why}")
