"""The model card: what the score is for, on whom it was measured, how well, and what it must not be used for."""

from typing import Any

from models.evaluation import wilson
from models.settings import SMALLEST_CELL

CARD = """# Model card: defection at {shop}

**Verdict: {verdict}.** {grade}

## Purpose
The probability that a customer who has bought at least twice makes no purchase within {horizon} days, to choose whom to care for or call.
A person decides; nothing is sent. Not for credit, insurance or employment decisions, nor for contracts, whose end is known.

## Population and data
* Scored: life-cycle stages early_repeat and core, and core defectors who are being won back; not lapsed: {population} rows,
  {rate} of them defected.
* Benchmark, on which the verdict is reached: at least two purchases, the last at most {recency} days ago: {bench_population} rows,
  {bench_rate} defected. Neither population contains the other, and their figures are not comparable.
* Test origins {origins}: they overlap, so intervals come from resampled customers. Each origin's model was taught only by snapshots
  whose {horizon} days were over by then.
* The shop's rhythm (usual gap {usual_gap} days) is learnt from events before {learnt}; training rows before that date know it
  a little early.
* Of the customers counted as defected, {returned} bought again in the following {twice} days: silence is not always goodbye.

## Results on the benchmark
| scorer | AUC | 95 % interval | Brier | calibration error (noise floor) | profit at capacity, by profit / by risk |
|---|---|---|---|---|---|
{scorers}

{stages}
## Risk bands
Observed rate of defection at the test origins, with 95 % interval.

| stage | band | customers | defected | rate |
|---|---|---|---|---|
{bands}

## Limits and misuse
* Costs and the effect of a contact are assumed, not measured; the hold-out share in the list is there to measure them.
* Early repeat buyers are close to noise in most shops: read their own row above.
* A score says who may leave, not who can be kept.
* Past profiles are no reason to serve anyone worse.
"""


def number(value: float | None, form: str = ".3f") -> str:
    """A figure, or `unknown`."""
    return "unknown" if value is None else format(value, form)


def _scorer(name: str, m: dict[str, Any] | None) -> str:
    if m is None or m["auc"] is None:
        return f"| {name} | not computed | | | | |"
    low, high = m["auc_ci"]
    floor = f"{number(m['ece'])} ({number(m['ece_floor'])})"
    profit = f"{number(m['profit_at_10'], '.2f')} / {number(m['profit_at_10_by_risk'], '.2f')}"
    return f"| {name} | {number(m['auc'])} | {number(low)} to {number(high)} | {number(m['brier'])} | {floor} | {profit} |"


def _bands(bands: list[dict[str, Any]]) -> str:
    lines = []
    for b in bands:
        if b["customers"] < SMALLEST_CELL:
            lines.append(f"| {b['stage']} | {b['band']} | fewer than {SMALLEST_CELL} | | |")
            continue
        low, high = wilson(b["defected"], b["customers"])
        rate = b["defected"] / b["customers"]
        lines.append(f"| {b['stage']} | {b['band']} | {b['customers']} | {b['defected']} | {rate:.2f} ({low:.2f} to {high:.2f}) |")
    return "\n".join(lines)


def _stages(metrics: dict[str, Any]) -> str:
    lines = ["| stage | rows | AUC of the model | 95 % interval |", "|---|---|---|---|"]
    for stage, found in (metrics["by_stage"] or {}).items():
        m = found["model"]
        span = " to ".join(number(end) for end in m["auc_ci"] or [None, None])
        lines.append(f"| {stage} | {found['population']} | {number(m['auc'])} | {span} |")
    return "\n".join(lines) + "\n"


def model_card(metrics: dict[str, Any], bands: list[dict[str, Any]], calibration: dict[str, Any]) -> str:
    """Markdown, from the metrics alone, so that the two never differ."""
    bench = metrics["benchmark"] or {"population": 0, "base_rate": None, "model": None, "peers": {}}
    scorers = {"model": bench["model"], **bench["peers"]}
    return CARD.format(
        shop=metrics["shop"],
        verdict=metrics["verdict"],
        grade=metrics["grade"],
        horizon=metrics["horizon_days"],
        twice=2 * metrics["horizon_days"],
        population=metrics["population"],
        rate=number(metrics["base_rate"]),
        recency=calibration["benchmark_recency_days"],
        bench_population=bench["population"],
        bench_rate=number(bench["base_rate"]),
        origins=", ".join(metrics["origins"]) or "none",
        usual_gap=f"{calibration['usual_gap']:.1f}",
        learnt=calibration["learnt_before"],
        returned=number(metrics["returned_later"], ".0%"),
        scorers="\n".join(_scorer(name, m) for name, m in scorers.items()),
        stages=_stages(metrics),
        bands=_bands(bands),
    )
