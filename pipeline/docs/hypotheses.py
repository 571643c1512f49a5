"""`reports/recovered.md`: the tested hypotheses as a table for people."""

from typing import Any

import pandas as pd

from models.hypotheses.contrasts import UNKNOWN
from models.settings import SMALLEST_CELL
from pipeline.docs.markdown import table
from pipeline.engine.visits import SILENCE
from pipeline.runtime.resources import read_text

SHARES = 10  # figures above are amounts, not shares
WITH_TRUTH = """The ground truth is the same figure over the same rows, from their true chances.
Recovered: the hypothesis holds with 95 %, and the ground truth is as near as in 99.9 % of cases."""
WITHOUT_TRUTH = """Recovered: the hypothesis holds with 95 %. There is no ground truth.
The control group is drawn at random; every other difference is an association."""


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= SHARES else f"{value:+.3f}"


def _row(part: dict[str, Any]) -> str:
    names = ("estimate", "low", "high", "truth")
    estimate, low, high, truth = (_figure(part[name]) for name in names)
    return f"| | {part['what']} | {estimate} [{low}, {high}] | {truth} | {part['verdict']} |"


def hypotheses_table(hypotheses: list[dict[str, Any]], horizon: int, known: bool) -> str:
    """Return the results as Markdown: one line per contrast, under its hypothesis.

    `known`: whether there is a ground truth.
    """
    text, explanation = read_text(__file__, "recovered.md"), WITH_TRUTH if known else WITHOUT_TRUTH
    head = text.format(horizon=horizon, silence=SILENCE * horizon, explanation=explanation)
    lines = [head.rstrip("\n")]
    for one in hypotheses:
        lines.append(f"| **{one['id']}** | **{one['statement']}** | | | **{one['verdict']}** |")
        lines += [f"| | {one['note']} | | | |"] if one["verdict"] == UNKNOWN else []
        lines += [_row(part) for part in one["parts"]]
    return "\n".join(lines) + "\n"


def stated_table(rows: pd.DataFrame) -> str:
    """Return stated reasons against those of the evidence as Markdown; empty without any answer."""
    if rows["answers"].isna().all():
        return ""
    names = list(rows["evidence_reason"].unique())
    counts = rows.pivot(index="stated_reason", columns="evidence_reason", values="answers")
    texts = counts.astype("string").fillna("")
    lines = [(name, *texts.loc[name, names]) for name in rows["stated_reason"].unique()]
    head = read_text(__file__, "stated.md").format(least=SMALLEST_CELL).rstrip()
    return f"\n{head}\n\n{table(', '.join(['stated', *names]), lines)}\n"
