"""What a tracked run says of one result.

Figures, hashes and files. Nothing in it names or describes a customer.
"""

import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from models.defection.booster import without_feature_ranges
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder

DATASETS = ("events", "features", "lifecycle", "labels")


class Record(NamedTuple):
    """A run to be tracked.

    `run` is what MLflow keeps in its tables, `files` the content of each artifact by its path.
    """

    run: dict[str, Any]
    files: dict[str, Any]


def flat(tree: Any, name: str = "") -> dict[str, float]:
    """Numbers of a nested result by dotted name; lists and nulls are left to the artifact."""
    if isinstance(tree, dict):
        return {
            k: v
            for key, inner in tree.items()
            for k, v in flat(inner, f"{name}.{key}" if name else key).items()
        }
    return (
        {name: float(tree)} if isinstance(tree, (int, float)) and not isinstance(tree, bool) else {}
    )


def _git(root: Path, *words: str) -> str:
    found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def hashes(root: Path) -> dict[str, str]:
    """DVC's hash of each output by its path, while DVC runs the stages.

    At other times its lock may tell of an older run.
    """
    lock = root / "dvc.lock"
    if "DVC_STAGE" not in os.environ or not lock.exists():
        return {}
    stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"].values()
    return {
        out["path"]: out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out
    }


def datasets(root: Path, columns: list[str]) -> list[dict[str, Any]]:
    """What the result was made from, by name, place and DVC's hash.

    The columns of the features. No row of it.
    """
    known = hashes(root)
    found = []
    for name in DATASETS:
        md5 = known.get(f"data/{name}", "")
        schema = (
            [{"name": column, "type": "double", "required": True} for column in columns]
            if name == "features"
            else []
        )
        digest = md5.removesuffix(".dir") or "unknown"
        found.append(
            {
                "name": name,
                "digest": digest,
                "source": {"path": f"data/{name}", "md5": md5},
                "schema": schema,
            }
        )
    return found


def _tags(root: Path, tracked: dict[str, Any]) -> dict[str, str]:
    """What ties a run to its code, its parameters and its data."""
    found = {
        "shop": tracked["shop"],
        "verdict": tracked["verdict"],
        "git.commit": _git(root, "rev-parse", "HEAD"),
        "git.dirty": str(bool(_git(root, "status", "--porcelain", "--untracked-files=no"))).lower(),
        "data.events": hashes(root).get("data/events", ""),
        "params.sha256": store.text_sha256(store.to_json(load(root).model_dump())),
        "manifest.sha256": tracked["manifest_sha256"],
        "page.sha256": tracked["page_sha256"],
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {key: value for key, value in found.items() if value}


def _auc(metrics: dict[str, Any]) -> str:
    """AUC and interval, on the benchmark, of the scorer that the verdict names, of the model
    without one.
    """
    bench = metrics["benchmark"]
    found = (bench["baselines"].get(metrics["verdict"]) or bench["model"]) if bench else None
    if not found or found["auc"] is None or None in found["auc_ci"]:
        return "unknown"
    low, high = found["auc_ci"]
    return f"{found['auc']:.3f} [{low:.3f}, {high:.3f}]"


def _scorers(model: Folder, about: dict[str, Any]) -> dict[str, Any]:
    """Everything needed to ask this version again at other origins, but nothing of a customer's.

    No canary rows either.
    """
    texts = {
        name: without_feature_ranges((model.path / name).read_bytes().decode("utf-8"))
        for name in about["sha256"]
    }
    told = {key: value for key, value in about.items() if key != "canary"}
    told["sha256"] = {name: store.text_sha256(text) for name, text in texts.items()}
    return {
        "scorers/model.json": told,
        **{f"scorers/{name}": text.encode() for name, text in texts.items()},
    }


def record(
    root: Path,
    tracked: dict[str, Any],
    model: Folder,
    about: dict[str, Any],
    manifest: dict[str, Any],
    files: dict[str, Any],
) -> Record:
    """The run of a result, from what it says (`tracked`), its model, the list's manifest and the
    reports that go with it.
    """
    metrics = files["evaluation.json"]
    version = {
        "shop": tracked["shop"],
        "verdict": tracked["verdict"],
        "grade": metrics["grade"],
        "auc": _auc(metrics),
        "horizon_days": str(metrics["horizon_days"]),
        "snapshot": manifest["snapshot"],
        "trained_through": about.get("trained_through", ""),
        "model_id": manifest["model_id"] or "",
    }
    run = {
        "result": store.text_sha256(store.to_json(tracked)),
        "name": f"{tracked['shop']} {manifest['snapshot']}",
        "shop": tracked["shop"],
        "params": tracked["params"],
        "metrics": tracked["metrics"],
        "tags": _tags(root, tracked),
        "datasets": datasets(root, about["features"]),
        "trained": about["trained"],
        "reason": about["reason"],
        "version": {key: value for key, value in version.items() if value},
    }
    return Record(run, {**files, **(_scorers(model, about) if about["trained"] else {})})
