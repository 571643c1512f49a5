"""`reports/recovered.md`: the tested hypotheses as a table for people."""

from typing import Any

from models.hypotheses.contrasts import UNKNOWN
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
