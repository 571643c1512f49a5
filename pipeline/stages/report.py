"""Stage `report`: the morning page of the retention team."""

from typing import Any

import pandas as pd

from features.catalogue import FEATURES
from features.columns import expand
from features.settings import Windows
from models.reasons.catalogue import EVIDENCE_FEATURES
from models.settings import Costs
from pipeline.delivery.published import published_table
from pipeline.desk.page import retention_desk
from pipeline.runtime.errors import InputError
from pipeline.runtime.publishing import in_force
from pipeline.runtime.sections import Report
from pipeline.runtime.store import Folder


def report(
    lists: Folder,
    evaluation: dict[str, Any],
    stage_counts: pd.DataFrame,
    net_flow: pd.DataFrame,
    ingest: dict[str, Any],
    shop: str,
    costs: Costs,
    windows: Windows,
    params: Report,
) -> dict[str, str]:
    """`retention_desk`: the page, made only from files of `lists` that the manifest names.

    Raises InputError for lists whose content is not what the manifest names, or that belong to
    another shop or scorer than the evaluation.
    """
    lists = Folder(in_force(lists.path))
    manifest = lists.read("manifest.json")
    if (manifest["shop"], manifest["verdict"]) != (shop, evaluation["verdict"]):
        rule = "lists and evaluation come from different runs"
        raise InputError("E_LIST", "data/lists/manifest.json", rule, "run `make repro`")
    page = retention_desk(
        manifest,
        published_table(lists, "scored.parquet", manifest),
        published_table(lists, "explanations.parquet", manifest),
        evaluation,
        stage_counts,
        net_flow,
        {column.name: column for column in expand((*FEATURES, *EVIDENCE_FEATURES), windows)},
        params.rows,
        ingest=ingest,
        costs=costs,
    )
    return {"retention_desk": page}
