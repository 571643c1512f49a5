"""The champion on this machine: data/champion/<shop>, kept up to date with the registry.

Scoring reads this folder unless another model is named, so it needs no server. The stage `track`
and `corekeep model` write it.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.defection.booster import schema_hash
from pipeline.registry.about import TRAIN_AGAIN, about_of
from pipeline.registry.bundle import files_of, scoring_in, with_sections, write_champion
from pipeline.registry.mlflow_server import fetched_version
from pipeline.runtime.errors import ModelError, Refused, TrackingError
from pipeline.runtime.params import Params, load
from pipeline.runtime.progress import warn
from pipeline.runtime.runner import champion_folder
from pipeline.runtime.sections import Track
from pipeline.runtime.store import Folder

REGISTERED = re.compile(r"models:/([^/@]+)(?:/(\d+)|(@[\w-]+))")


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


def _fetched(root: Path, params: Params, match: re.Match[str], folder: str) -> Folder:
    """Return the bundle of a registered version. A champion that is known here needs no server."""
    name, number, alias = match.groups()
    try:
        return fetched_version(root, params.track, name, number or alias, folder)[0]
    except TrackingError as error:
        kept = champion_folder(root, params.shop)
        own = (f"{params.track.model_name}-{params.shop}", "@champion")
        if (name, alias) != own or not kept.is_dir():
            raise
        warn(f"{error.place}: {error.rule}; the champion kept on this machine is used")
        return Folder(kept)


@contextlib.contextmanager
def model_at(root: Path, params: Params, model: str | None) -> Iterator[Folder]:
    """Yield the bundle that `--model` names: a folder or a registered version; None: the champion.

    Raises ModelError if there is none.
    """
    with TemporaryDirectory() as folder:
        if model and (match := REGISTERED.fullmatch(model)):
            yield _fetched(root, params, match, folder)
            return
        path = Path(model) if model else champion_folder(root, params.shop)
        if not path.is_dir():
            rule = "there is no model folder"
            fix = "run `make repro`, or name a model with --model"
            raise ModelError("E_MODEL_MISSING", str(path), rule, fix)
        yield Folder(path)
