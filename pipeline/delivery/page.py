"""List and page of this folder, both of the champion: what `make repro` publishes at its end."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from pipeline.delivery import nightly
from pipeline.delivery.published import REPORTS
from pipeline.registry.bundle import SCORING, bundle_of, scoring_in, with_decisions, write_champion
from pipeline.registry.run_record import dvc_outputs
from pipeline.runtime import publishing, store
from pipeline.runtime.errors import ModelError
from pipeline.runtime.params import Params, load
from pipeline.runtime.playbook import NAME as PLAYBOOK
from pipeline.runtime.progress import warn
from pipeline.runtime.runner import champion_folder, disk_errors, execute, stages
from pipeline.runtime.store import Folder, sha256, text_sha256

CODE = ("*.py", "*.sql", "*.yaml", "*.html", "*.css", "*.js")
STATE = "published.json"  # in .cache: what the list and the page that lie here were made of
PAGE = "data/desk/retention_desk.html"
# the codes of a champion that is sound but not of this version, and of one that is not whole
OUTDATED = ("E_MODEL_BROKEN", "E_MODEL_MISSING", "E_MODEL_SCHEMA", "E_MODEL_VERSION")
TRAINED = {  # what the stages made just now
    "model": "data/model",
    "evaluation": "reports/evaluation.json",
    "calibration": "data/calibration.json",
}
PAGES_REPORTS = ("stage_counts.csv", "net_flow.csv", "ingest.json")


def follow(root: Path, params: Params, model: Folder) -> None:
    """Let reports and page of this folder be those of the list in force."""
    lists = root / "data" / "lists"
    with disk_errors("the reports"):
        (root / REPORTS).mkdir(exist_ok=True)
        for file in sorted((publishing.in_force(lists) / REPORTS).glob("*")):
            publishing.switch(root / REPORTS / file.name, Path("../data/lists", REPORTS, file.name))
    write_page(root, params, model)


def write_page(root: Path, params: Params, model: Folder) -> bool:
    """Write the page of the list in force. Return False where `make repro` has made no reports."""
    reports = {Path(name).stem: root / "reports" / name for name in PAGES_REPORTS}
    if not all(path.exists() for path in reports.values()) or not model.has("evaluation.json"):
        return False
    lists = publishing.in_force(root / "data" / "lists")
    known = stages(root, params.shop)["report"]
    with TemporaryDirectory() as folder, disk_errors("the page"):
        counts = Path(folder) / "stage_counts.csv"
        store.write(counts, counted(store.read(reports["stage_counts"]), lists))
        inputs = {**reports, "stage_counts": counts, "lists": lists}
        inputs["evaluation"] = model.path / "evaluation.json"
        execute(replace(known, inputs={name: str(at) for name, at in inputs.items()}), params, root)
    return True


def counted(counts: pd.DataFrame, lists: Path) -> Any:
    """Return the counts by stage until the list's day, the list's own among them."""
    scored = store.read(lists / "scored.parquet").select(["as_of", "stage", "activity"])
    day = store.read(lists / "manifest.json")["snapshot"]
    before: pd.DataFrame = counts[counts["as_of"] < day]
    if day in set(counts["as_of"]):
        return pd.concat([before, counts[counts["as_of"] == day]])
    keys = ["as_of", "stage", "activity"]
    own = scored.to_pandas().groupby(keys[1:]).size().reset_index(name="customers")
    return pd.concat([before, own.assign(as_of=day)[[*keys, "customers"]]])


def _state(root: Path, params: Params, model: Folder) -> str:
    """Return a hash of all that list and page are made of, code included."""
    folders = ("features", "models", "pipeline", "shops")
    code = sorted(p for name in folders for kind in CODE for p in (root / name).rglob(kind))
    made: dict[str, Any] = {
        "code": [sha256(path) for path in code],
        "params": params.model_dump(mode="json"),
        "model": [sha256(model.path / name) for name in model.names("**/*")],
        "data": dvc_outputs(root),
    }
    return text_sha256(store.to_json(made))


def publish_champion(root: Path) -> bool:
    """Make list and page with the champion. Return False if they are made of the same already.

    The decisions of params.yaml hold for the champion too, and are kept with it. A champion that
    this code cannot apply gives way to the model that was just trained, as on a first run.
    """
    params = load(root)
    try:
        return _publish(root, params)
    except ModelError as error:
        if error.code not in OUTDATED:
            raise
        trained = {name: root / path for name, path in TRAINED.items()}
        if not all(path.exists() for path in trained.values()):
            raise
        bundle = bundle_of(root, *(store.read(path) for path in trained.values()))
        write_champion(
            root, params.shop, bundle, dict.fromkeys(("model_name", "model_version", "alias"))
        )
        why = "the model that was just trained makes the list; `corekeep model promote` keeps it"
        warn(f"this version cannot use the champion ({error.place}: {error.rule}): {why}")
        return _publish(root, params)


def _publish(root: Path, params: Params) -> bool:
    model = Folder(champion_folder(root, params.shop))
    scoring = with_decisions(scoring_in(model, params.shop), params)
    if scoring != model.read(SCORING):
        store.write(model.path / SCORING, scoring)
    store.write(model.path / PLAYBOOK, (root / PLAYBOOK).read_bytes())
    state, kept = _state(root, params, model), root / ".cache" / STATE
    lists, page = root / "data" / "lists", root / PAGE
    if kept.exists() and store.read(kept) == _published(lists, page, state):
        return False
    nightly.score(nightly.job(root, model, params, lists))
    follow(root, params, model)
    store.write(kept, _published(lists, page, state))
    return True


def _published(lists: Path, page: Path, state: str) -> dict[str, Any]:
    """Return what lies here, and what it was made of."""
    files = {"list": publishing.in_force(lists) / publishing.MANIFEST, "page": page}
    is_whole = publishing.is_whole(publishing.in_force(lists))
    hashes = {name: sha256(path) if path.is_file() else "" for name, path in files.items()}
    return {"made_of": state, "whole": is_whole, **hashes}
