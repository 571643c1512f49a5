"""The morning page of a made-up list, and what a browser would see in it."""

import base64
import datetime as dt
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from frozen import params

from features.settings import Windows
from models.decision.queues import QUEUES
from pipeline.delivery.schema import arrow_schema, with_segments
from pipeline.runtime.publishing import Published, publish
from pipeline.runtime.sections import Lists, Report
from pipeline.runtime.store import Folder, to_json
from pipeline.stages.report import report

WINDOWS = Windows((30, 180), (30,))
COSTS = params().costs.model_copy(update={"save_rate": 0.25})
DAY = dt.date(2026, 1, 1)
RISK = {
    "risk": 0.5,
    "chance": None,
    "risk_band": "medium",
    "value_at_risk": 10.25,
    "expected_profit": 2.5,
    "model_id": "abc",
}
UNSCORED: dict[str, Any] = dict.fromkeys(RISK)
RESULT = {"auc": 0.7, "auc_ci": [0.65, 0.75]}
WORSE = {"auc": 0.6, "auc_ci": [0.55, 0.65]}
INGEST: dict[str, Any] = {
    "rows_in": 9,
    "accepted": 9,
    "quarantined": {},
    "exact_duplicates": 0,
    "out_of_window": 0,
    "erased": 0,
}


class Seen(HTMLParser):
    """The elements of a page in their order, its texts, the places it points to, the content of its
    scripts.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.points_to: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.points_to += [
            value or ""
            for name, value in attrs
            if name in {"src", "href", "action", "data", "srcset", "poster"}
        ]
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        self.texts.append(data.strip())


def customer(
    name: str, rank: int, queue: str = "core_care", contact: str = "call", **other: Any
) -> dict[str, Any]:
    row = {
        "as_of": DAY, "customer_id": name, "queue": queue, "stage": "core", "activity": "late",
        "stage_since": DAY, **RISK, "rank": rank, "rank_in_stage": rank, "value_365d": 100.0,
        "contact": contact, "why": "Core since then.", "why_stage": "Core.", "action": "Call.",
        "last_purchase_on": DAY, "late_on": DAY, "lapses_on": DAY,
    }  # fmt: skip
    return {**row, **other}


def explained(name: str, drivers: list[tuple[str, float | None, float]]) -> list[dict[str, Any]]:
    head = {"customer_id": name, "driver": None, "value": None, "contribution": None, "position": 0}
    rows = [
        {**head, "driver": d, "value": v, "contribution": c, "position": i}
        for i, (d, v, c) in enumerate(drivers, 1)
    ]
    facts = {
        "stage": "core",
        "purchases": 36,
        "days_since_last_purchase": 63,
        "expected_ipt_days": 26,
    }
    return [{**head, "facts": to_json(facts)}, *rows]


def published(
    path: Path,
    rows: list[dict[str, Any]],
    drivers: list[tuple[str, float | None, float]],
    verdict: str = "model",
    currency: str | None = "EUR",
) -> Folder:
    segments = [name for name in rows[0] if name.startswith("segment_")] if rows else []
    explanations = [row for r in rows for row in explained(r["customer_id"], drivers)]
    columns = {
        "customer_id": str,
        "driver": object,
        "value": float,
        "contribution": float,
        "facts": object,
    }
    files = {
        "scored.parquet": pa.Table.from_pylist(rows, arrow_schema(with_segments(segments))),
        "explanations.parquet": pd.DataFrame(explanations).astype(columns),
        **{f"{name}.csv": pd.DataFrame({"customer_id": []}) for name in ("call", *QUEUES)},
    }
    manifest = {
        "shop": "demo", "snapshot": "2026-01-01", "currency": currency,
        "value_unit": currency or "pieces", "horizon_days": 48, "verdict": verdict, "grade": "",
        "model_id": "abc", "params_hash": "f" * 64, "customers": len(rows),
        "profiling_objections": 0,
    }  # fmt: skip
    publish(path, Published(files, manifest), Lists(keep_days=9, keep_versions=9))
    return Folder(path)


def measured(verdict: str = "model") -> dict[str, Any]:
    results = {
        "population": 1234,
        "model": RESULT,
        "baselines": {
            "recency": WORSE,
            "logistic_rfm": {**WORSE, "auc": 0.61},
            "random_forest_rfm": {**WORSE, "auc": 0.69},
            "bg_nbd": None,
        },
    }
    return {"shop": "demo", "verdict": verdict, "grade": "", **results, "benchmark": results}


def counted(*days: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            row
            for day, late, lapsed in days
            for row in ((day, "core", "late", late), (day, "first_time", "lapsed", lapsed))
        ],
        columns=["as_of", "stage", "activity", "customers"],
    )


def flowed(leak: bool) -> pd.DataFrame:
    row = {
        "as_of": "2026-01-01",
        "new": 3,
        "won_back": 1,
        "lapsed": 9,
        "net_customers": -5,
        "net_revenue": -50.0,
        "leak": leak,
    }
    return pd.DataFrame([row])


def page_of(
    path: Path,
    rows: list[dict[str, Any]],
    *,
    drivers: list[tuple[str, float | None, float]] | None = None,
    metrics: dict[str, Any] | None = None,
    leak: bool = False,
    ingest: dict[str, Any] = INGEST,
    limit: int = 100,
    currency: str | None = "EUR",
) -> str:
    metrics = metrics or measured()
    lists = published(path, rows, drivers or [], metrics["verdict"], currency)
    counts = counted(("2025-12-01", 5, 3), ("2026-01-01", 7, 4))
    return report(
        lists,
        metrics,
        counts,
        flowed(leak),
        {"tables": {"orders": ingest}},
        "demo",
        COSTS,
        WINDOWS,
        Report(rows=limit),
    )["retention_desk"]


def ids(page: str, name: str) -> list[str]:
    panel = page.split(f'class="panel" id="{name}"')[1].split("</section>", maxsplit=1)[0]
    return re.findall(r'<td class="id"><b>(.*?)</b>', panel)


def unpacked(page: str) -> dict[str, list[list[str]]]:
    """The columns of cells of each queue, as the script unpacks them."""
    text = re.findall(r'<template id="packed"[^>]*>([A-Za-z0-9+/=]+)</template>', page)[0]
    queues: dict[str, list[list[str]]] = json.loads(gzip.decompress(base64.b64decode(text)))
    return queues


def searchable(page: str, name: str) -> list[str]:
    columns = unpacked(page)[name]
    return columns[1] if columns else []
