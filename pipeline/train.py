"""Stage `train`: one model per test origin, taught only by what was known then, and the final one; the peers beside each."""

from typing import Any

import pandas as pd

from features.catalogue import DECLARED
from features.columns import spread
from features.settings import Windows
from models.defection import canary_rows, canary_scores, choose_rounds, fit, schema_hash, text
from models.peers import PEERS, teach
from models.settings import Boosting
from pipeline.errors import ConfigError
from pipeline.progress import progress
from pipeline.rows import buyers, feature_names, joined
from pipeline.store import Folder, text_sha256, to_json


def purged(rows: pd.DataFrame, teachers: list[str], origin: str, horizon: int) -> pd.DataFrame:
    """The rows that may teach a model asked at `origin`: those whose horizon was over by then. Others are refused, not dropped."""
    last = pd.Timestamp(max(teachers)) + pd.Timedelta(days=horizon)
    if last > pd.Timestamp(origin):
        raise ConfigError(
            "E_LEAK",
            f"snapshot {max(teachers)}",
            f"its outcome was not known at the origin {origin}",
            "train on snapshots a horizon earlier",
        )
    return rows[rows["benchmark"] & rows["snapshot"].isin(teachers)]


def directed(columns: list[str], windows: Windows) -> dict[str, int]:
    """The way each of the columns may move the probability, by its meaning."""
    return {column.name: column.direction for column in spread(DECLARED, windows) if column.direction and column.name in columns}


def rounds_for(taught: pd.DataFrame, columns: list[str], horizon: int, params: Boosting, directions: dict[str, int]) -> int:
    """The number of trees, chosen on the newest snapshot after teaching by those a horizon older; half the most where there are none."""
    newest = pd.Timestamp(taught["snapshot"].max())
    older = taught[pd.to_datetime(taught["snapshot"]) + pd.Timedelta(days=horizon) <= newest]
    if older["defected"].nunique() < 2:
        return params.max_rounds // 2
    return choose_rounds(older, taught[taught["snapshot"] == taught["snapshot"].max()], columns, params, directions)


def train(
    features: Folder, lifecycle: Folder, labels: Folder, calibration: dict[str, Any], windows: Windows, params: Boosting
) -> dict[str, dict[str, Any]]:
    """`model`: the final booster as text, one per origin, the peers as taught, and model.json that vouches for them.

    A shop with too little to learn from gets a model.json with the reason and no booster.
    """
    columns, horizon = feature_names(features), calibration["horizon_days"]
    directions = directed(columns, windows) if params.monotone else {}
    asked = {**calibration["origins"], calibration["data_end"]: calibration["final_training"]}
    rows = joined(features, lifecycle, calibration, labels, sorted({t for teachers in asked.values() for t in teachers}))
    files: dict[str, Any] = {}
    peers: dict[str, Any] = {}
    about: dict[str, Any] = {"trained": False, "reason": None, "features": columns, "schema_hash": schema_hash(columns)}
    about |= {"horizon_days": horizon, "params": params.model_dump(), "rounds": {}, "sha256": {}}
    for origin, teachers in progress(asked.items(), len(asked), "train"):
        taught = purged(rows, teachers, origin, horizon) if teachers else rows[:0]
        if taught["defected"].nunique() < 2 or taught["customer_id"].nunique() < 2 * params.min_child_samples:
            reason = f"origin {origin}: {taught['customer_id'].nunique()} customers on {len(teachers)} snapshots, one outcome or too few"
            return {"model": {"model.json": {**about, "reason": reason}}}
        rounds = rounds_for(taught, columns, horizon, params, directions)
        defected = taught["defected"].to_numpy(bool)
        booster = fit(taught, columns, defected, params, rounds, directions)
        name = "model.txt" if origin == calibration["data_end"] else f"origins/{origin}.txt"
        files[name] = text(booster)
        about["sha256"][name] = text_sha256(files[name])
        about["rounds"][name] = rounds
        bought = buyers(features, max(teachers))
        peers[name] = {peer: teach(peer, taught, defected, horizon, bought) for peer in PEERS}
    about["sha256"]["peers.json"] = text_sha256(to_json(peers))
    canary = canary_rows(taught, columns)
    about |= {"trained": True, "trained_through": max(teachers), "training_rows": len(taught)}
    about |= {"canary": {"rows": canary, "scores": canary_scores(booster, canary)}}
    return {"model": {**files, "peers.json": peers, "model.json": about}}
