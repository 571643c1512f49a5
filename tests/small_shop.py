"""A small simulated shop: features, life cycle and labels as `train` reads them."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from models.reasons.catalogue import CATALOGUE
from models.settings import Boosting
from pipeline.runtime import store
from pipeline.runtime.store import Folder
from pipeline.stages.train import train

HORIZON = 30
ORIGINS = {
    "2025-07-01": "2025-03-18 2025-04-02 2025-04-17 2025-05-02 2025-05-17 2025-06-01".split(),
    "2025-08-01": "2025-04-18 2025-05-03 2025-05-18 2025-06-02 2025-06-17 2025-07-02".split(),
}
DATA_END = "2025-09-01"
LABELS = ["defected", "next_days", "spend_next", "spend_within"]
# no outcome is known longer than a horizon here: `next_days` and `spend_next` are drawn
FORECASTS = {
    "timing": {
        "days": 60,
        "origin": "2025-07-02",
        "training": ["2025-04-02", "2025-05-02"],
        "final": ["2025-05-02", "2025-06-02", "2025-07-02"],
    },
    "value": {
        "days": 90,
        "origin": "2025-06-02",
        "training": ["2025-03-18"],
        "final": ["2025-05-02", "2025-06-02"],
        "origins": {"2025-07-01": ["2025-03-18"], "2025-08-01": ["2025-03-18", "2025-05-02"]},
    },
}
FINAL = ["2025-06-18", "2025-07-03", "2025-07-18", "2025-08-02"]


def calibration() -> dict[str, Any]:
    """The calendar of the shop, as `calibrate` writes it."""
    snapshots = sorted({DATA_END, *FINAL, *ORIGINS, *(t for ts in ORIGINS.values() for t in ts)})
    return {
        "expected_ipt": 20.0,
        "log_sd": 0.8,
        "long_runs": {"": 5},
        "learnt_before": "2025-07-01",
        "horizon_days": HORIZON,
        "step_days": 15,
        "benchmark_recency_days": 60,
        "sample_customers": 100_000,
        "first_event": "2024-01-01",
        "data_end": DATA_END,
        "origins": ORIGINS,
        "season": {},
        "value_days": 90,
        "forecasts": FORECASTS,
        "final_training": FINAL,
        "snapshots": snapshots,
    }


def rows(customers: int, signal: float, seed: int = 1) -> pd.DataFrame:
    """One row per customer and snapshot.

    The log-odds of defection are `signal` times a product that no function of RFM represents.
    """
    random = np.random.default_rng(seed)
    snapshots = calibration()["snapshots"]
    size = customers * len(snapshots)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:04d}" for i in range(customers)], len(snapshots)),
            "snapshot": pd.to_datetime(np.tile(snapshots, customers)).date,
            "recency_days": random.integers(1, 60, size).astype(np.float32),
            "purchases": random.integers(2, 30, size).astype(np.float32),
            "spend": random.integers(20, 900, size).astype(np.float32),
            "net_spend_365d": random.integers(20, 900, size).astype(np.float32),
            "mood": random.normal(size=size).astype(np.float32),
            "weather": random.normal(size=size).astype(np.float32),
        }
    )
    frame["tenure_days"] = frame["recency_days"] + 20 * (frame["purchases"] - 1)
    frame["expected_next_days"] = 20 - frame["recency_days"]
    frame["basket_mean"] = frame["spend"] / frame["purchases"]
    frame["purchases_in_90d"] = np.minimum(frame["purchases"], 4)
    frame["spend_in_90d"] = frame["spend"] / 2
    logit = signal * np.sign(frame["mood"] * frame["weather"]) - 0.3
    frame["defected"] = random.random(size) < 1 / (1 + np.exp(-logit))
    bought = frame["purchases"] / frame["tenure_days"]  # per day
    wait = random.exponential(1 / bought)
    frame["next_days"] = np.where(wait < 2 * HORIZON, np.floor(wait), np.nan)
    orders = random.poisson(90 * bought)
    frame["spend_next"] = orders * frame["basket_mean"] * random.gamma(4, 0.25, size)
    frame["spend_within"] = np.where(frame["defected"], 0, frame["spend_next"] / 3)
    return frame


def number_of(frame: pd.DataFrame) -> "pd.Series[int]":
    """The number in each customer's id."""
    return frame["customer_id"].str.extract(r"(\d+)$", expand=False).astype(int)


def reasons(frame: pd.DataFrame) -> dict[str, Any]:
    """Evidence and its facts: of every fifth customer an unrepaired complaint, of others a rival.

    No product is known, so boredom is not recorded.
    """
    number = number_of(frame)
    there = {"unrepaired": number % 5 == 0, "competitor": number % 10 < 2}
    values = {"day": frame["snapshot"], "number": 9, "ratio": 0.6, "id": "K1", "category": "tea"}
    columns: dict[str, Any] = {}
    for reason in CATALOGUE:
        where = there.get(reason.name, number < 0)
        level = np.where(where, 0.8 if reason.name == "unrepaired" else 0.55, 0)
        columns[f"evidence_{reason.name}"] = level if reason.name != "boredom" else np.nan
        for name, kind in reason.facts.items():
            value = kind[0] if isinstance(kind, tuple) else values.get(str(kind), "S1")
            facts = pd.Series(value, frame.index).where(where, None)
            dtype = {"number": "Int64", "ratio": "Float32", "day": "object"}.get(
                str(kind), "string"
            )
            columns[f"{reason.name}_{name}"] = facts.astype(dtype)
    return columns


def write(folder: Path, frame: pd.DataFrame) -> dict[str, Folder]:
    """The folders features, lifecycle and labels."""
    keys = ["customer_id", "snapshot"]
    dates = {
        name: frame["snapshot"]
        for name in ("since", "first_on", "last_purchase_on", "core_since", "late_on", "lapses_on")
    }
    lifecycle = frame[keys].assign(
        stage=np.where(frame["purchases"] > 8, "core", "early_repeat"),
        activity="active",
        status=None,
        scored=True,
        **dates,
    )
    lifecycle = lifecycle.assign(
        purchases=frame["purchases"].astype(int), ipt_days=20.0, ipt_log_sd=0.8, open_past_sla=0
    )
    entry = {
        "entry_purchases": 4,
        "entry_days": 90,
        "entry_ipt_days": 20.0,
        "entry_log_sd": 0.8,
        "purchases_back": 0,
    }
    failures = dict.fromkeys(("complaints", "defects", "grave_open", "past_sla"), 0)
    lifecycle = lifecycle.assign(
        **entry,
        **failures,
        reactivated=False,
        partial_defection=False,
        recent_failures=np.where(number_of(frame) % 15 == 0, 2, 0),
        complaint_opened_on=None,
        complaint_due_on=None,
        delivered_on=None,
        visits_level=1.0,
        spend_level=1.0,
        satisfaction=1.0,
        confidence="normal",
    )
    lifecycle = lifecycle.assign(
        lacks=np.where(lifecycle["stage"] == "early_repeat", "days", None), defects_on=None
    )
    bought = {
        **dict.fromkeys(("net_spend_365d", "yearly_spend"), frame["net_spend_365d"].astype(float)),
        "purchases_365d": lifecycle["purchases"],
        "net_per_purchase": frame["basket_mean"].astype(float),
    }
    lifecycle = lifecycle.assign(**bought).astype({"status": "string"})
    lifecycle = lifecycle.assign(**reasons(frame))
    mature = frame[frame["snapshot"].astype(str) != DATA_END]
    returned = pd.array([None] * len(mature), dtype="boolean")
    tables = {
        "features": frame.drop(columns=LABELS),
        "lifecycle": lifecycle,
        "labels": mature[[*keys, *LABELS]].assign(returned=returned),
    }
    for name, table in tables.items():
        store.write(folder / name / "part-000.parquet", table)
    return {name: Folder(folder / name) for name in tables}


_TRAINED: dict[tuple[bytes, str], dict[str, Any]] = {}


def trained(
    folder: Path, frame: pd.DataFrame, params: Boosting, shop: str = "demo"
) -> tuple[dict[str, Folder], dict[str, Any]]:
    """Write the folders, and return them with the files of the model that `train` returns.

    A process trains once on the same rows with the same parameters.
    """
    folders = write(folder, frame)
    rows = pd.util.hash_pandas_object(frame).to_numpy().tobytes()
    key = rows, f"{shop} {list(frame)} {params}"
    if key not in _TRAINED:
        how = {"shop": shop, "monotone_constraints": {}, "calibration": calibration()}
        _TRAINED[key] = train(**folders, **how, params=params)["model"]
    return folders, _TRAINED[key]


def model_folder(folder: Path, files: dict[str, Any]) -> Folder:
    """What `train` returns, on disk."""
    store.write(folder / "model", files)
    return Folder(folder / "model")


def category_falls(first: str, second: str) -> pa.Table:
    """data/category_falls.parquet: the first customer has two rows, the second one."""
    size, day = 3, dt.date(2025, 5, 3)
    columns = {
        "customer_id": [first, first, second],
        "category": ["stationery", "paper", "tea"],
        "rate_before": [10.0, 4.0, 20.0],
        "rate_now": [0.0, 1.0, 5.0],
        "rate_expected": [10.0, 4.0, 20.0],
        "purchases_before": [9] * size,
        "purchases_now": [0, 2, 3],
        "usual_days": [20.0] * size,
        "last_bought_on": [day] * size,
        "since": [day] * size,
        "value_365d": [100.0] * size,
        "trend": [0.0] * size,
        "fall": [1.0, 0.75, 0.75],
        "evidence": [0.9, 0.8, 0.9],
        "listed": [True] * size,
        "steady": ["tea", "tea", None],
    }
    return pa.table(columns)
