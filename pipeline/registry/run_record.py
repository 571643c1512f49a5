"""The record of a tracked run: figures, hashes and files. Nothing in it describes a customer."""

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.runner import experiment
from pipeline.runtime.yaml_file import FastLoader

DATASETS = ("events", "features", "lifecycle", "labels")
DESCRIPTION = """\
**{grade}**

Shop `{shop}`, snapshot {snapshot}, horizon {horizon} days. {population} scored rows at the test
origins, {base_rate} of them churned.

* `model_card.md`: for whom the model is, how good it is, what it must not be used for
* `metrics.json`, `evaluation.json`: what is compared, and everything that was measured
* `plots/`, `stage_counts.csv`, `hypotheses.json`: reliability, customers by stage, estimates
* `scorers/`, `model/`: the boosters, if a version was registered
"""


class RunRecord(NamedTuple):
    """A run to be tracked.

    `run` is what MLflow keeps in its tables, `files` the content of each artifact by its path.
    """

    run: dict[str, Any]
    files: dict[str, Any]


def flat(tree: Any, name: str = "") -> dict[str, float]:
    """Return the numbers of a nested result by dotted name, without lists and nulls."""
    if isinstance(tree, dict):
        parts = (flat(inner, f"{name}.{key}" if name else key) for key, inner in tree.items())
        return {key: value for part in parts for key, value in part.items()}
    is_number = isinstance(tree, int | float) and not isinstance(tree, bool)
    return {name: float(tree)} if is_number else {}


def headline(metrics: dict[str, Any]) -> dict[str, float]:
    """Return at most 40 metrics of a run: the model, the benchmark, its differences in AUC.

    The artifacts hold all others.
    """
    bench = metrics["benchmark"] or {}
    deltas = {
        name: {"auc": delta["auc"][0]}
        for name, delta in (bench.get("delta") or {}).items()
        if delta
    }
    kept = {key: metrics[key] for key in ("population", "base_rate", "model")}
    return flat({**kept, "benchmark": {**bench, "delta": deltas}})


def _git(root: Path, *words: str) -> str:
    try:
        ended = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git is installed
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def dvc_outputs(root: Path) -> dict[str, str]:
    """Return DVC's hash of each output by its path, as dvc.lock has it. Empty without one."""
    lock = root / "dvc.lock"
    if not lock.exists():
        return {}
    locked = yaml.load(lock.read_text(encoding="utf-8"), FastLoader)  # noqa: S506
    outs = [out for stage in locked["stages"].values() for out in stage.get("outs", [])]
    return {out["path"]: out["md5"] for out in outs if "md5" in out}


def dvc_hashes(root: Path) -> dict[str, str]:
    """Return DVC's hash of each output by its path, while DVC runs the stages.

    At other times its lock may be of an older run.
    """
    return dvc_outputs(root) if "DVC_STAGE" in os.environ else {}


def datasets(root: Path, columns: list[str]) -> list[dict[str, Any]]:
    """Return name, path, DVC's hash and columns of the data a result was made from. No row."""
    made = dvc_hashes(root)
    hashes = {name: made.get(f"data/{name}", "") for name in DATASETS}
    schema = [{"name": column, "type": "double", "required": True} for column in columns]
    return [
        {
            "name": name,
            "digest": md5.removesuffix(".dir") or "unknown",
            "source": {"path": f"data/{name}", "md5": md5},
            "schema": schema if name == "features" else [],
        }
        for name, md5 in hashes.items()
    ]


def _tags(root: Path, tracked: dict[str, Any], description: str) -> dict[str, str]:
    """Return what ties a run to its code, its parameters and its data."""
    tags = {
        "shop": tracked["shop"],
        "verdict": tracked["verdict"],
        "mlflow.note.content": description,
        "git.commit": _git(root, "rev-parse", "HEAD"),
        "git.dirty": str(bool(_git(root, "status", "--porcelain", "--untracked-files=no"))).lower(),
        "data.events": dvc_hashes(root).get("data/events", ""),
        "params.sha256": store.text_sha256(store.to_json(load(root).model_dump())),
        "dvc.experiment": experiment(),
    }
    return {key: value for key, value in tags.items() if value}


def _auc(evaluation: dict[str, Any]) -> str:
    """Return AUC and CI of the selected scorer on the benchmark; of the model if none is."""
    bench = evaluation["benchmark"] or {"baselines": {}, "model": None}
    measured = bench["baselines"].get(evaluation["verdict"]) or bench["model"]
    if not measured or measured["auc"] is None or None in measured["auc_ci"]:
        return "unknown"
    low, high = measured["auc_ci"]
    return f"{measured['auc']:.3f} [{low:.3f}, {high:.3f}]"


def tracked_result(
    shop: str,
    metrics: dict[str, Any],
    sections: dict[str, BaseModel],
    about: dict[str, Any],
    model_id: str | None,
) -> dict[str, Any]:
    """Return the figures of a result, and what identifies its model and its scorer."""
    params = {
        f"{name}.{key}": value
        for name, section in sections.items()
        for key, value in section.model_dump(mode="json").items()
    }
    return {
        "shop": shop,
        "verdict": metrics["verdict"],
        "params": {**params, "horizon_days": metrics["horizon_days"]},
        "metrics": headline(metrics),
        "model_sha256": about["sha256"].get("model.txt"),
        "model_id": model_id,
    }


def run_record(
    root: Path,
    tracked: dict[str, Any],
    about: dict[str, Any],
    snapshot: str,
    bundle: dict[str, Any],
    files: dict[str, Any],
) -> RunRecord:
    """Return the record of a result: its figures (`tracked`), its `bundle`, its reports (`files`).

    An experiment registers no version. Its run differs from that of the same result published.
    """
    evaluation, shop = files["evaluation.json"], tracked["shop"]
    registers = about["trained"] and not experiment()
    version = {
        "shop": shop,
        "verdict": tracked["verdict"],
        "grade": evaluation["grade"],
        "auc": _auc(evaluation),
        "horizon_days": str(evaluation["horizon_days"]),
        "snapshot": snapshot,
        "trained_through": about.get("trained_through", ""),
        "model_id": tracked["model_id"] or "",
    }
    description = DESCRIPTION.format(
        grade=evaluation["grade"],
        shop=shop,
        snapshot=snapshot,
        horizon=evaluation["horizon_days"],
        population=evaluation["population"],
        base_rate=evaluation["base_rate"],
    )
    identity = {**tracked, "experiment": experiment()} if experiment() else tracked
    commit = _git(root, "rev-parse", "--short", "HEAD")
    run = {
        "result": store.text_sha256(store.to_json(identity)),
        "name": " ".join(filter(None, (shop, snapshot, commit))),
        "shop": shop,
        "params": tracked["params"],
        "metrics": tracked["metrics"],
        "tags": _tags(root, tracked, description),
        "datasets": datasets(root, about["features"]),
        "registers": registers,
        "reason": "an experiment registers no version" if experiment() else about["reason"],
        "version": {key: value for key, value in version.items() if value},
    }
    scorers = {f"scorers/{name}": content for name, content in bundle.items()}
    return RunRecord(run, {**files, **(scorers if registers else {})})
