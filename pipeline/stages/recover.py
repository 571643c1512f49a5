"""Stage `recover`: hypotheses about customers, tested on the shop's past and its ground truth."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from features.columns import recorded
from features.settings import IptRules, Sla
from models.hypotheses.catalogue import HYPOTHESES, result_of
from models.hypotheses.contrasts import RECOVERED
from models.reasons.settings import ReasonRules
from pipeline.delivery.stated_reasons import stated_reasons
from pipeline.demo.hindsight import observations
from pipeline.demo.oracle import has_ground_truth
from pipeline.demo.reason_recall import reason_recall
from pipeline.docs.hypotheses import hypotheses_table, stated_table
from pipeline.engine.calendar import shop_of
from pipeline.engine.evidence import market_of
from pipeline.runtime.demo_section import Simulate
from pipeline.runtime.playbook import read_playbook
from pipeline.runtime.progress import say
from pipeline.runtime.store import Folder


def recover(
    truth: Folder,
    events: Folder,
    lifecycle: Folder,
    labels: Folder,
    calibration: dict[str, Any],
    trends: pa.Table,
    ipt: IptRules,
    sla: Sla,
    closed: list[str],
    reasons: ReasonRules,
    simulate: Simulate,
    root: Path,
) -> dict[str, Any]:
    """Return `hypotheses`, one entry per hypothesis, and `recovered`, the same as a table.

    `reasons`: how well evidence names the true reasons to leave; empty without a ground truth.
    `stated_reasons`: what customers said, against what the evidence said.

    Estimates use only what the shop saw. The folder of the ground truth is empty for every shop but
    the demo.
    """
    delivered = recorded(events.read("meta.json")["tables"])
    rows = observations(truth, events, lifecycle, labels, calibration, sla, simulate)
    hypotheses = [result_of(hypothesis, rows, delivered) for hypothesis in HYPOTHESES]
    held = sum(one["verdict"] == RECOVERED for one in hypotheses)
    say(f"hypotheses: {held} of {len(hypotheses)} recovered")
    table = hypotheses_table(hypotheses, calibration["horizon_days"], has_ground_truth(truth))
    recall: dict[str, Any] = {}
    if has_ground_truth(truth):
        recall = reason_recall(truth, lifecycle, reasons)
        say(f"reasons: named for {recall['macro_recall']:.0%} of the core customers who left")
    shop = shop_of(calibration, ipt, sla, closed)
    market = market_of(events, calibration, trends, reasons, shop)
    answers = stated_reasons(events, market, read_playbook(root).reason_words)
    return {
        "hypotheses": hypotheses,
        "recovered": table + stated_table(answers),
        "reasons": recall,
        "stated_reasons": answers,
    }
