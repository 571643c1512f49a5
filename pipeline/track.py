"""Stage `track`: one MLflow run per result. The only file that imports mlflow; nothing of a customer goes there."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from models.settings import Boosting
from pipeline import store
from pipeline.errors import TrackingError
from pipeline.model_file import about_of, booster_of
from pipeline.params import Track, load
from pipeline.progress import say
from pipeline.store import Folder


def flat(tree: Any, name: str = "") -> dict[str, float]:
    """Numbers of a nested result by dotted name; lists and nulls are left to the artifact."""
    if isinstance(tree, dict):
        return {k: v for key, inner in tree.items() for k, v in flat(inner, f"{name}.{key}" if name else key).items()}
    return {name: float(tree)} if isinstance(tree, (int, float)) and not isinstance(tree, bool) else {}


def _git(root: Path, *words: str) -> str:
    found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def tags(root: Path, shop: str, tracked: dict[str, Any]) -> dict[str, str]:
    """What ties a run to its code, its parameters and its data."""
    lock = root / "dvc.lock"
    outs = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].get("ingest", {}).get("outs", []) if lock.exists() else []
    events = next((out.get("md5", "") for out in outs if out["path"] == "data/events"), "")
    found = {
        "shop": shop,
        "verdict": tracked["verdict"],
        "git.commit": _git(root, "rev-parse", "HEAD"),
        "git.dirty": str(bool(_git(root, "status", "--porcelain", "--untracked-files=no"))).lower(),
        "data.events": events,
        "params.sha256": store.text_sha256(store.to_json(load(root).model_dump())),
        "manifest.sha256": tracked["manifest_sha256"],
        "page.sha256": tracked["page_sha256"],
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {key: value for key, value in found.items() if value}


def experiment_of(root: Path, params: Track) -> str:
    """Say which server is meant; the id of the experiment there, made where it is new."""
    import mlflow

    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
        MLFLOW_HTTP_REQUEST_TIMEOUT=str(params.timeout_seconds),
    )
    mlflow.set_tracking_uri(params.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(params.experiment)
    local = mlflow.get_tracking_uri().startswith("sqlite:")
    place = (root / "mlartifacts").as_uri() if local else None
    return str(experiment.experiment_id if experiment else client.create_experiment(params.experiment, artifact_location=place))


def track_search(shop: str, trials: list[dict[str, Any]], params: Track, root: Path) -> None:
    """One run for a search and in it one for each trial: its shape and form, its number of trees and log loss."""
    import mlflow

    try:
        experiment_id = experiment_of(root, params)
        with mlflow.start_run(experiment_id=experiment_id, run_name="tune", tags={"shop": shop}):
            mlflow.log_metric("log_loss", min(trial["log_loss"] for trial in trials))
            for trial in trials:
                with mlflow.start_run(experiment_id=experiment_id, nested=True):
                    mlflow.log_params({**trial["shape"], "form": trial["form"]})
                    mlflow.log_metrics({name: trial[name] for name in ("log_loss", "rounds")})
    except Exception as error:  # whatever a server or its client may raise
        if params.required:
            raise TrackingError(
                "E_TRACKING", "params.yaml track.uri", type(error).__name__, "start the server or set required: false"
            ) from error
        say(f"not tracked: {type(error).__name__}; the trials are in reports/tuning.json")


def log_run(
    root: Path, tracked: dict[str, Any], about: dict[str, Any], booster: Any, artifacts: dict[str, Any], params: Track
) -> dict[str, Any]:
    """Write the run; run_id, experiment, model_name, model_version, alias (null where no model is registered)."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    client, experiment_id = mlflow.MlflowClient(), experiment_of(root, params)
    version, alias = None, None
    with mlflow.start_run(experiment_id=experiment_id, tags=tags(root, tracked["shop"], tracked)) as run:
        mlflow.log_params(tracked["params"])
        mlflow.log_metrics(tracked["metrics"])
        for name, content in artifacts.items():
            if isinstance(content, str):
                mlflow.log_text(content, name)
            else:
                mlflow.log_dict(content, name)
        if booster is not None:
            inputs = Schema([ColSpec("double", feature) for feature in about["features"]])
            logged = mlflow.lightgbm.log_model(
                booster,
                name="model",
                signature=ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double")])),
                pip_requirements=["lightgbm", "numpy"],
                registered_model_name=params.model_name,
            )
            version = str(logged.registered_model_version)
            named = client.get_registered_model(params.model_name).aliases
            alias = "challenger" if "champion" in named else "champion"
            client.set_registered_model_alias(params.model_name, alias, version)
    return {
        "run_id": run.info.run_id,
        "experiment": params.experiment,
        "model_name": params.model_name if version else None,
        "model_version": version,
        "alias": alias,
    }


def track(
    model: Folder,
    lists: Folder,
    retention_desk: str,
    metrics: dict[str, Any],
    model_card: str,
    stage_counts: pd.DataFrame,
    plots: Folder,
    shop: str,
    params: Track,
    train: Boosting,
    root: Path,
) -> dict[str, dict[str, Any]]:
    """`tracked`: what the run says, the same for the same result. Beside it, outside DVC, reports/mlflow.json names the run.

    The list and the page are told by their hashes alone: they name customers.

    A server that is away stops nothing unless `required`: the run is then missing and the line says so.
    """
    about = about_of(model)
    learnt = {**{f"train.{key}": value for key, value in train.model_dump().items()}, "horizon_days": metrics["horizon_days"]}
    tracked = {
        "shop": shop,
        "verdict": metrics["verdict"],
        "params": learnt,
        "metrics": flat({key: value for key, value in metrics.items() if key not in {"by_origin", "horizon_days"}}),
        "model_sha256": about["sha256"].get("model.txt"),
        "manifest_sha256": store.sha256(lists.path / "manifest.json"),
        "page_sha256": store.text_sha256(retention_desk),
    }
    artifacts = {"metrics.json": metrics, "model_card.md": model_card, "stage_counts.csv": stage_counts.to_csv(index=False)}
    artifacts |= {f"plots/{name}": (plots.path / name).read_text(encoding="utf-8") for name in plots.names()}
    booster = booster_of(model, about, "model.txt") if about["trained"] else None
    try:
        run = log_run(root, tracked, about, booster, artifacts, params)
    except Exception as error:  # whatever a server or its client may raise
        if params.required:
            raise TrackingError(
                "E_TRACKING", "params.yaml track.uri", type(error).__name__, "start the server or set required: false"
            ) from error
        say(f"not tracked: {type(error).__name__}; the result stands, run `dvc repro --force --single-item track` when the server is back")
        run = {"run_id": None, "experiment": params.experiment, "model_name": None, "model_version": None, "alias": None}
    store.write(root / "reports" / "mlflow.json", run)
    return {"tracked": tracked}
