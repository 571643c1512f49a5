"""The MLflow server: how it is reached, and how runs and models are sent to it.

The only file that imports mlflow.
"""

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.registry import spool
from pipeline.registry.about import about_of
from pipeline.registry.challenge import ModelVersion
from pipeline.registry.model_files import booster_of
from pipeline.registry.reachable import require_answer
from pipeline.registry.spool import WaitingRun
from pipeline.registry.versions import Compare, Registry
from pipeline.runtime.errors import ConfigError, ModelError, TrackingError
from pipeline.runtime.progress import VERBOSE, warn
from pipeline.runtime.sections import Track
from pipeline.runtime.store import Folder

# Errors after which a model may be loaded on another day: they say nothing of the model itself.
LATER = ("E_MODEL_UNTRIED", "E_MODEL_VERSION")
# Number of timeouts after which no further run is begun: a server may answer each just in time.
PATIENCE = 20
SERVER = re.compile(r"sqlite:///.+|https?://\S+")


@contextmanager
def server_errors() -> Iterator[None]:
    """Turn what a server or its client raises into a TrackingError that shows its kind alone.

    Its text may hold the URI, and with it a password.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        kind = getattr(error, "error_code", None) or type(error).__name__
        rule = f"the tracking server fails: {kind}"
        fix = "start the server, or correct the URI"
        raise TrackingError("E_TRACKING", "track.uri", rule, fix) from None


def uri_of(params: Track, root: Path) -> str:
    """Return where runs are kept: by params.yaml, by the environment, or a file of this folder.

    Raises ConfigError for anything but an HTTP server and a sqlite file. A database is reached
    through a server only: MLflow itself tries one that is away for minutes.
    """
    uri = params.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri and not SERVER.fullmatch(uri):
        rule = "neither an HTTP server nor a sqlite file"
        fix = "http://host:port, or sqlite:///path"
        raise ConfigError("E_PARAM", "MLFLOW_TRACKING_URI", rule, fix)
    file = str(root / "mlflow.db")
    if {"%", "?"} & {*file}:  # marks of a URI: SQLAlchemy would look for another folder
        file = os.path.relpath(file)
    return uri or f"sqlite:///{file}"


def connect(root: Path, params: Track) -> Registry:
    """Return the registry of this folder's tracking server.

    A server that does not answer within `timeout_seconds` is given up; later calls have one retry.
    """
    uri = uri_of(params, root)
    require_answer(uri, params.timeout_seconds)
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",  # it may hold a password
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="1",
        MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER="false",  # a server may ask for an hour
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(params.timeout_seconds),
        MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT=str(params.timeout_seconds),
    )
    if VERBOSE not in os.environ:
        logging.disable(logging.INFO)  # of MLflow and of alembic, which makes its database
    import mlflow

    if "%" in mlflow.__file__:
        _escape_percent()
    with server_errors():
        return Registry(mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri), params.model_name)


def _escape_percent() -> None:
    """Let alembic take the path of MLflow's own scripts, where MLflow does not escape a `%`."""
    from alembic.config import Config

    original = Config.set_main_option

    def escaped(self: Config, name: str, value: str) -> None:
        is_path = name == "script_location"
        original(self, name, re.sub("%+", "%%", value) if is_path else value)

    if original.__name__ != "escaped":
        Config.set_main_option = escaped  # type: ignore[method-assign]


def experiment_id(client: Any, root: Path, params: Track) -> str:
    """Return the id of the MLflow experiment, which is created if it is missing.

    Beside a sqlite file the artifacts lie in this folder.
    """
    existing = client.get_experiment_by_name(params.experiment)
    if existing:
        return str(existing.experiment_id)
    local = uri_of(params, root).startswith("sqlite:")
    location = (root / "mlartifacts").as_uri() if local else None
    return str(client.create_experiment(params.experiment, artifact_location=location))


def send_run(
    registry: Registry, experiment: str, waits: WaitingRun, compare: Compare | None
) -> dict[str, Any]:
    """Track a run once, however often it is sent, and return what became of it.

    A run that was broken off is deleted and sent again.
    """
    client, run = registry.client, waits.run
    for earlier in client.search_runs([experiment], f"tags.result = '{run['result']}'"):
        run_id = earlier.info.run_id
        if earlier.info.status == "FINISHED" or registry.has_champion(run_id):
            client.set_terminated(run_id)
            return registry.result_of(run_id, run["reason"])
        for version in registry.versions_of(run_id):
            client.delete_model_version(version.name, version.version)
        client.delete_run(run_id)
    tags = {**run["tags"], "result": run["result"]}
    info = client.create_run(experiment, run["made_at"], tags, run["name"]).info
    _log(client, info.run_id, waits)
    if run["registers"]:
        scorers = Folder(waits.artifacts.path / "scorers")
        try:
            newcomer = ModelVersion(scorers, about_of(scorers), run["version"]["verdict"])
            name, version = _register(registry, info, run, newcomer)
        except ModelError:
            client.set_terminated(info.run_id, "FAILED")
            raise
        judgement = registry.judgement(name, newcomer, run["version"]["grade"], compare)
        registry.set_alias(name, version, judgement)
    client.set_terminated(info.run_id)
    return registry.result_of(info.run_id, run["reason"])


def _log(client: Any, run_id: str, waits: WaitingRun) -> None:
    """Log metrics, parameters, data sets (names and hashes, no rows) and files of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    run = waits.run
    metrics = [Metric(key, value, run["made_at"], 0) for key, value in run["metrics"].items()]
    client.log_batch(run_id, metrics, [Param(key, str(v)) for key, v in run["params"].items()])
    inputs = [
        DatasetInput(
            Dataset(
                data["name"],
                data["digest"],
                "dvc",
                json.dumps(data["source"]),
                json.dumps({"mlflow_colspec": data["schema"]}),
            ),
            [InputTag("mlflow.data.context", "training")],
        )
        for data in run["datasets"]
    ]
    client.log_inputs(run_id, inputs)
    client.log_artifacts(run_id, str(waits.artifacts.path))


def _register(
    registry: Registry, info: Any, run: dict[str, Any], newcomer: ModelVersion
) -> tuple[str, str]:
    """Register the final booster, as LightGBM's text with a signature; return name and number."""
    from mlflow.exceptions import MlflowException
    from mlflow.lightgbm import save_model
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = Schema([ColSpec("double", feature) for feature in newcomer.about["features"]])
    packages = [f"{package}=={installed(package)}" for package in ("lightgbm", "numpy")]
    with TemporaryDirectory() as folder:
        save_model(
            booster_of(newcomer.model, newcomer.about, "model.txt"),
            f"{folder}/model",
            signature=ModelSignature(inputs=columns, outputs=Schema([ColSpec("double")])),
            pip_requirements=packages,
        )
        registry.client.log_artifacts(info.run_id, f"{folder}/model", "model")
    name = registry.name(run["shop"])
    try:
        registry.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        registry.client.create_registered_model(name)
    made = registry.client.create_model_version(
        name, f"{info.artifact_uri}/model", info.run_id, run["version"]
    )
    return name, str(made.version)


def send_waiting(
    root: Path, params: Track, own: dict[str, Any], compare: Compare
) -> dict[str, Any]:
    """Send the runs that wait, in their order, and return what became of `own`, the newest.

    Runs of its shop are compared with the champion. Raises TrackingError when the server is away:
    what was not sent goes on waiting, unless its model is broken.
    """
    registry = connect(root, params)
    result: dict[str, Any] = {}
    end = time.monotonic() + PATIENCE * params.timeout_seconds
    with server_errors():
        experiment = experiment_id(registry.client, root, params)
        for waits in spool.waiting_runs(root):
            is_own = waits.run["result"] == own["result"]
            of_shop = waits.run["shop"] == own["shop"]
            try:
                sent = send_run(registry, experiment, waits, compare if of_shop else None)
                result = sent if is_own else result
            except ModelError as error:
                place = f"{spool.FOLDER}/{waits.path.name}"
                if is_own:
                    raise
                if error.code in LATER:
                    warn(f"{place} goes on waiting: {error}")
                    continue
                warn(f"{place} is removed, its model not registered: {error}")
            spool.remove(waits.path)
            if not is_own and time.monotonic() > end:
                rule = "the tracking server is too slow for all the runs that wait"
                raise TrackingError("E_TRACKING", "track.uri", rule, "the next run sends the rest")
    return result


def fetched_version(
    root: Path, params: Track, name: str, version: str, folder: str
) -> tuple[Folder, dict[str, Any]]:
    """Return the bundle of a version, downloaded to a folder, and name, version, alias.

    `version`: a number, or an alias after `@`. Raises ModelError if there is no such version,
    TrackingError when the server is away.
    """
    registry = connect(root, params)
    with server_errors():
        numbers = registry.numbers(name)
        known = registry.aliases(name) if numbers else {}
        number = known.get(version[1:], "") if version.startswith("@") else version
        if number not in numbers:
            fix = "see `corekeep model list`"
            raise ModelError("E_MODEL_MISSING", f"{name} {version}", "no such version", fix)
        run_id = registry.client.get_model_version(name, number).run_id
        alias = next((alias for alias, holder in known.items() if holder == number), None)
        about = {"model_name": name, "model_version": number, "alias": alias}
        return registry.scorers(run_id, folder), about


def track_search(shop: str, trials: list[dict[str, Any]], params: Track, root: Path) -> None:
    """Track a search as one run with a child per trial: hyperparameters, form, trees, log loss."""
    try:
        client = connect(root, params).client
        with server_errors():
            experiment = experiment_id(client, root, params)
            search = client.create_run(experiment, tags={"shop": shop}, run_name="tune").info.run_id
            client.log_metric(search, "log_loss", min(trial["log_loss"] for trial in trials))
            for trial in trials:
                tags = {"mlflow.parentRunId": search, "shop": shop}
                child = client.create_run(experiment, tags=tags).info.run_id
                for name, value in {**trial["hyperparameters"], "form": trial["form"]}.items():
                    client.log_param(child, name, value)
                for name in ("log_loss", "rounds"):
                    client.log_metric(child, name, trial[name])
                client.set_terminated(child)
            client.set_terminated(search)
    except TrackingError as error:
        if params.required:
            raise
        warn(f"not tracked: {error}; the trials are in reports/tuning.json")
