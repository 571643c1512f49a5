"""Stage `track`: one MLflow run per result; nothing of a customer goes there."""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from models.settings import Boosting, Costs
from pipeline.engine.rows import joined
from pipeline.registry import spool
from pipeline.registry.challenge import Judgement, Version, against
from pipeline.registry.mlflow_server import send_all
from pipeline.registry.model_files import about_of
from pipeline.registry.run_record import flat, record
from pipeline.registry.versions import NOTHING
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError, TrackingError
from pipeline.runtime.params import Evaluate, Track
from pipeline.runtime.progress import say
from pipeline.runtime.store import Folder


def track(
    model: Folder,
    lists: Folder,
    retention_desk: str,
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
    """`tracked`: what the run says, the same for the same result. Beside it, outside DVC,
    reports/mlflow.json names the run.

    The list and the page are told by their hashes alone: they name customers.

    A server that is away stops nothing unless `required`: the run waits in mlspool and is sent with
    the next.
    """
    about = about_of(model)
    sections = {"train": train, "evaluate": evaluate, "costs": costs}
    learnt = {
        f"{name}.{key}": value
        for name, section in sections.items()
        for key, value in section.model_dump(mode="json").items()
    }
    tracked = {
        "shop": shop,
        "verdict": metrics["verdict"],
        "params": {**learnt, "horizon_days": metrics["horizon_days"]},
        "metrics": flat(
            {
                key: value
                for key, value in metrics.items()
                if key not in {"by_origin", "horizon_days"}
            }
        ),
        "model_sha256": about["sha256"].get("model.txt"),
        "manifest_sha256": store.sha256(lists.path / "manifest.json"),
        "page_sha256": store.text_sha256(retention_desk),
    }
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
    made = record(root, tracked, model, about, lists.read("manifest.json"), files)
    spool.put(root, made)

    @cache
    def asked() -> pd.DataFrame:
        rows = joined(features, lifecycle, calibration, labels, list(calibration["origins"]))
        return rows[rows["benchmark"]]

    def compare(champion: Version, newcomer: Version) -> Judgement:
        return against(champion, newcomer, asked(), calibration["horizon_days"], evaluate, costs)

    run: dict[str, Any] = {
        **NOTHING,
        "reason": f"tracking is away: the run waits in {spool.FOLDER}",
    }
    try:
        run = send_all(root, params, made.run, compare)
        say(
            f"tracked: {run['model_name'] or 'no model'} {run['model_version'] or ''} {run['alias'] or ''}: {run['reason']}"
        )
    except TrackingError as error:
        if params.required:
            raise
        say(
            f"not tracked: {error}; the result stands, and the run waits in {spool.FOLDER}: it is sent with the next"
        )
    except ModelError as error:
        run["reason"] = f"not tracked: {error}"
        raise
    finally:
        store.write(
            root / "reports" / "mlflow.json",
            {"run_id": run.pop("run_id"), "experiment": params.experiment, **run},
        )
    return {"tracked": tracked}
