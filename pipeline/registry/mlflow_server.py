"""The MLflow server.

How it is reached, and how runs and models are sent to it. The only file that imports mlflow.
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
from pipeline.registry.challenge import Version
from pipeline.registry.model_files import about_of, booster_of
from pipeline.registry.spool import Waiting
from pipeline.registry.versions import Compare, Registry
from pipeline.runtime.errors import ConfigError, ModelError, TrackingError
from pipeline.runtime.params import Track
from pipeline.runtime.progress import VERBOSE, say
from pipeline.runtime.store import Folder

# says nothing of the model itself: it may be loaded on another day
LATER = ("E_MODEL_UNTRIED", "E_MODEL_VERSION")
# timeouts after which no further run is begun: a server may answer each request just in time
PATIENCE = 20
SERVER = re.compile(r"sqlite:///.+|https?://\S+")


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what a server or its client raises into a TrackingError that says its kind alone.

    Its text may hold the URI.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        kind = getattr(error, "error_code", None) or type(error).__name__
        fix = "start the server, or correct the URI"
        raise TrackingError(
            "E_TRACKING", "track.uri", f"the tracking server does not do its part: {kind}", fix
        ) from None


def uri_of(params: Track, root: Path) -> str:
    """Where runs are kept: as params.yaml says, or the environment, or a file of this folder.
    Raises ConfigError for anything else.

    A database is reached through a server only: MLflow itself tries one that is away for minutes.
    """
    uri = params.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"sqlite:///{root / 'mlflow.db'}"
    if not SERVER.fullmatch(uri):
        raise ConfigError(
            "E_PARAM",
            "MLFLOW_TRACKING_URI",
            "neither an HTTP server nor a sqlite file",
            "http://host:port, or sqlite:///path",
        )
    return uri


def opened(root: Path, params: Track) -> Registry:
    """The registry of this folder's tracking server, which is given up after one retry and
    `timeout_seconds` each.
    """
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

    uri = uri_of(params, root)
    with reaching():
        return Registry(mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri), params.model_name)


def experiment_of(client: Any, root: Path, params: Track) -> str:
    """The id of the experiment, made where it is not there.

    Beside a sqlite file its artifacts lie in this folder, wherever one stands.
    """
    found = client.get_experiment_by_name(params.experiment)
    if found:
        return str(found.experiment_id)
    local = uri_of(params, root).startswith("sqlite:")
    return str(
        client.create_experiment(
            params.experiment, artifact_location=(root / "mlartifacts").as_uri() if local else None
        )
    )


def send(
    registry: Registry, experiment: str, waits: Waiting, compare: Compare | None
) -> dict[str, Any]:
    """Track a run once, however often it is sent.

    One that was broken off is deleted and sent again. What became of it.
    """
    client, told = registry.client, waits.run
    for run in client.search_runs([experiment], f"tags.result = '{told['result']}'"):
        if run.info.status == "FINISHED" or registry.has_champion(run.info.run_id):
            client.set_terminated(run.info.run_id)
            return registry.told(run.info.run_id, told)
        for version in registry.versions_of(run.info.run_id):
            client.delete_model_version(version.name, version.version)
        client.delete_run(run.info.run_id)
    info = client.create_run(
        experiment, told["made_at"], {**told["tags"], "result": told["result"]}, told["name"]
    ).info
    log(client, info.run_id, waits)
    if told["trained"]:
        scorers = Folder(waits.artifacts.path / "scorers")
        try:
            newcomer = Version(scorers, about_of(scorers), told["version"]["verdict"])
            name, version = registered(registry, info, told, newcomer)
        except ModelError:
            client.set_terminated(info.run_id, "FAILED")
            raise
        registry.place(
            name, version, registry.judged(name, newcomer, told["version"]["grade"], compare)
        )
    client.set_terminated(info.run_id)
    return registry.told(info.run_id, told)


def log(client: Any, run_id: str, waits: Waiting) -> None:
    """Figures, parameters, what it was made from (names and hashes, no rows) and the files of a
    run.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

    figures = [
        Metric(key, value, waits.run["made_at"], 0) for key, value in waits.run["metrics"].items()
    ]
    client.log_batch(
        run_id, figures, [Param(key, str(value)) for key, value in waits.run["params"].items()]
    )
    inputs = [
        DatasetInput(
            Dataset(
                d["name"],
                d["digest"],
                "dvc",
                json.dumps(d["source"]),
                json.dumps({"mlflow_colspec": d["schema"]}),
            ),
            [InputTag("mlflow.data.context", "training")],
        )
        for d in waits.run["datasets"]
    ]
    client.log_inputs(run_id, inputs)
    client.log_artifacts(run_id, str(waits.artifacts.path))


def registered(
    registry: Registry, info: Any, told: dict[str, Any], newcomer: Version
) -> tuple[str, str]:
    """The final booster as a new version of the shop's model, in LightGBM's text and with a
    signature: name and number.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.lightgbm import save_model
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = Schema([ColSpec("double", feature) for feature in newcomer.about["features"]])
    with TemporaryDirectory() as folder:
        save_model(
            booster_of(newcomer.model, newcomer.about, "model.txt"),
            f"{folder}/model",
            signature=ModelSignature(inputs=columns, outputs=Schema([ColSpec("double")])),
            pip_requirements=[
                f"{package}=={installed(package)}" for package in ("lightgbm", "numpy")
            ],
        )
        registry.client.log_artifacts(info.run_id, f"{folder}/model", "model")
    name = registry.name(told["shop"])
    try:
        registry.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        registry.client.create_registered_model(name)
    made = registry.client.create_model_version(
        name, f"{info.artifact_uri}/model", info.run_id, told["version"]
    )
    return name, str(made.version)


def send_all(root: Path, params: Track, made: dict[str, Any], compare: Compare) -> dict[str, Any]:
    """Send the runs that wait, in their order; what became of the one `made` now. Those of its shop
    are compared with the champion.

    Raises TrackingError when the server is away; what was not sent goes on waiting. One whose model
    is broken does not.
    """
    registry = opened(root, params)
    became: dict[str, Any] = {}
    end = time.monotonic() + PATIENCE * params.timeout_seconds
    with reaching():
        experiment = experiment_of(registry.client, root, params)
        for waits in spool.waiting(root):
            own = waits.run["result"] == made["result"]
            try:
                sent = send(
                    registry,
                    experiment,
                    waits,
                    compare if waits.run["shop"] == made["shop"] else None,
                )
                became = sent if own else became
            except ModelError as error:
                if own:
                    raise
                if error.code in LATER:
                    say(f"{spool.FOLDER}/{waits.path.name} goes on waiting: {error}")
                    continue
                say(
                    f"{spool.FOLDER}/{waits.path.name} is removed, its model not registered: {error}"
                )
            spool.remove(waits.path)
            if not own and time.monotonic() > end:
                raise TrackingError(
                    "E_TRACKING",
                    "track.uri",
                    "the tracking server is too slow for all that waits",
                    "let the next run go on",
                )
    return became


def track_search(shop: str, trials: list[dict[str, Any]], params: Track, root: Path) -> None:
    """One run for a search and in it one for each trial.

    Its shape and form, its number of trees and log loss.
    """
    try:
        client = opened(root, params).client
        with reaching():
            experiment = experiment_of(client, root, params)
            search = client.create_run(experiment, tags={"shop": shop}, run_name="tune").info.run_id
            client.log_metric(search, "log_loss", min(trial["log_loss"] for trial in trials))
            for trial in trials:
                child = client.create_run(
                    experiment, tags={"mlflow.parentRunId": search, "shop": shop}
                ).info.run_id
                for name, value in {**trial["hyperparameters"], "form": trial["form"]}.items():
                    client.log_param(child, name, value)
                for name in ("log_loss", "rounds"):
                    client.log_metric(child, name, trial[name])
                client.set_terminated(child)
            client.set_terminated(search)
    except TrackingError as error:
        if params.required:
            raise
        say(f"not tracked: {error}; the trials are in reports/tuning.json")
