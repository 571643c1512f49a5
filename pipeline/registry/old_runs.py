"""Tracked runs in this folder that no version needs: what `corekeep prune` removes of MLflow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from pipeline.registry.mlflow_server import connect, server_errors, uri_of
from pipeline.runtime.sections import Track

ALL = 3  # ViewType.ALL of MLflow: deleted ones, too
DAY = 86_400_000  # in MLflow's milliseconds


def forget_old_runs(root: Path, params: Track, keep_days: int, dry_run: bool) -> list[Path]:
    """Delete the runs in this folder that registered no version and are older than so many days
    before the newest, and return the folders of their artifacts, which are to be removed.

    Also those of runs that were deleted. Runs on a server are the server's own.
    """
    uri = uri_of(params, root)
    if not uri.startswith("sqlite:") or not Path(uri.removeprefix("sqlite:///")).exists():
        return []
    client = connect(root, params).client
    with server_errors():
        experiments = [entry.experiment_id for entry in client.search_experiments(view_type=ALL)]
        runs = list(_paged(client.search_runs, experiment_ids=experiments, run_view_type=ALL))
        registered = {version.run_id for version in _paged(client.search_model_versions)}
        newest = max((run.info.start_time for run in runs), default=0)
        folders = []
        for run in runs:
            folder = Path(url2pathname(urlparse(run.info.artifact_uri).path)).parent
            is_own = folder.name == run.info.run_id and folder.is_relative_to(root.resolve())
            if run.info.run_id in registered or not is_own or not folder.is_dir():
                continue
            is_active = run.info.lifecycle_stage == "active"
            if is_active and newest - run.info.start_time <= keep_days * DAY:
                continue
            if is_active and not dry_run:
                client.delete_run(run.info.run_id)
            folders.append(folder)
        return sorted(folders)


def _paged(search: Any, **what: Any) -> Iterator[Any]:
    """Yield the results of a search of MLflow, all pages of it."""
    page = search(**what)
    yield from page
    while page.token:
        page = search(**what, page_token=page.token)
        yield from page
