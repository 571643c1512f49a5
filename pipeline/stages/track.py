"""Stage `track`: one MLflow run per result; nothing of a customer goes there."""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from models.settings import Boosting, Costs
from pipeline.engine.rows import feature_names, joined
from pipeline.registry import spool
from pipeline.registry.about import about_of
from pipeline.registry.bundle import bundle_of
from pipeline.registry.challenge import Judgement, ModelVersion, compare_versions
from pipeline.registry.champion import keep_champion
from pipeline.registry.mlflow_server import send_waiting
from pipeline.registry.model_files import model_id_of
from pipeline.registry.run_record import run_record, tracked_result
from pipeline.registry.versions import UNREGISTERED
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError, TrackingError
from pipeline.runtime.progress import say, warn
from pipeline.runtime.runner import experiment, unregistered
from pipeline.runtime.sections import Evaluate, Track
from pipeline.runtime.store import Folder


def track(
    model: Folder,
    metrics: dict[str, Any],
    evaluation: dict[str, Any],
    model_card: str,
    stage_counts: pd.DataFrame,
    plots: Folder,
    hypotheses: list[dict[str, Any]],
    features: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    shop: str,
    params: Track,
    train: Boosting,
    evaluate: Evaluate,
    costs: Costs,
    root: Path,
) -> dict[str, dict[str, Any]]:
    """Return `tracked`, the figures of the run, the same for the same result.

    Beside it, outside DVC, reports/mlflow.json names the run, and data/champion/<shop> holds the
    bundle of the shop's champion, which makes the list. A server that is away stops nothing unless
    `required`: the run waits in mlspool and is sent with the next. An experiment registers no
    version.
    """
    about = about_of(model)
    sections = {"train": train, "evaluate": evaluate, "costs": costs}
    model_id = model_id_of(model, about, metrics["verdict"]) if about["trained"] else None
    tracked = tracked_result(shop, metrics, sections, about, model_id)
    bundle = bundle_of(root, model, evaluation, calibration)
    files = {
        "metrics.json": metrics,
        "evaluation.json": evaluation,
        "hypotheses.json": hypotheses,
        "model_card.md": model_card,
        "stage_counts.csv": stage_counts.to_csv(index=False),
    }
    files |= {
        f"plots/{name}": (plots.path / name).read_text(encoding="utf-8") for name in plots.names()
    }
    record = run_record(root, tracked, about, calibration["data_end"], bundle, files)
    spool.add(root, record)
    if experiment():
        store.write(unregistered(root), "")

    @cache
    def benchmark() -> pd.DataFrame:
        rows = joined(features, lifecycle, calibration, labels, list(calibration["origins"]))
        return rows[rows["benchmark"]]

    def compare(champion: ModelVersion, newcomer: ModelVersion) -> Judgement:
        horizon = calibration["horizon_days"]
        return compare_versions(champion, newcomer, benchmark(), horizon, evaluate)

    waits = f"the run waits in {spool.FOLDER}"
    run: dict[str, Any] = {**UNREGISTERED, "reason": f"tracking is away: {waits}"}
    try:
        run = send_waiting(root, params, record.run, compare)
        version = f"{run['model_name'] or 'no model'} {run['model_version'] or ''}"
        say(f"tracked: {version} {run['alias'] or ''}: {run['reason']}")
    except TrackingError as error:
        if params.required:
            raise
        warn(f"not tracked: {error}; the result stands, and {waits}: it is sent with the next")
    except ModelError as error:
        run["reason"] = f"not tracked: {error}"
        raise
    finally:
        kept = {"run_id": run.pop("run_id"), "experiment": params.experiment, **run}
        store.write(root / "reports" / "mlflow.json", kept)
    if not experiment():
        unregistered(root).unlink(missing_ok=True)
        keep_champion(root, shop, params, bundle, run, feature_names(features))
    return {"tracked": tracked}
