"""The model card: what the score is for, on whom and how well it was measured, what is misuse.

Its text is model_card.md; here is what the figures in it are, and how they are written.
"""

from typing import Any

import jinja2

from models.defection.risk_bands import publishable
from models.defection.value import PREDICTED
from models.settings import SMALLEST_CELL, Costs
from pipeline.runtime.resources import read_text

MOVED = 0.25  # the usual limit of the population stability index
ASSUMED = {
    "margin": "margin, share of net spend",
    "kept_share": "share of a year's spend that keeping a customer keeps",
    "save_rate": "chance that a contact keeps a customer who would have churned",
    "win_rates": "share by which a contact raises the odds of a purchase",
    "incentive": "incentive, share of the median value of a customer",
    "contact": "cost of a contact, share of the median value of a customer",
}
PROFITS = ("empc", "profit_at_10", "profit_at_10_by_risk")
EMPTY: dict[str, Any] = {"population": 0, "base_rate": None, "model": None}
EMPTY |= {"baselines": {}, "delta": {}, "by_origin": []}


def number(value: float | None, form: str = ".3f") -> str:
    """Return a figure, or `unknown`."""
    return "unknown" if value is None else format(value, form)


def interval(ends: list[float | None] | None, form: str = ".3f") -> str:
    """Return both ends, each of which may be unknown."""
    return " to ".join(number(end, form) for end in ends or [None, None])


def between(point: float | None, ends: list[float | None] | None, form: str) -> str:
    """Return a figure with its interval."""
    return f"{number(point, form)} ({interval(ends, form)})"


def best_baseline(task: dict[str, Any]) -> str | None:
    """Return the baseline of a task with the highest AUC; None where nothing was measured."""
    auc = {name: m["auc"] or 0 for name, m in (task["baselines"] or {}).items()}
    return max(auc, key=lambda name: auc[name], default=None) if task["model"] else None


def assumed(value: float | dict[str, float]) -> str:
    """Return an assumed figure, or the figure of each queue."""
    if isinstance(value, dict):
        rates = ((queue.replace("_", " "), rate) for queue, rate in value.items())
        return ", ".join(f"{queue} {rate:g}" for queue, rate in rates)
    return f"{value:g}"


def model_card(
    evaluation: dict[str, Any],
    bands: list[dict[str, Any]],
    calibration: dict[str, Any],
    about: dict[str, Any],
    costs: Costs,
) -> str:
    """Return Markdown with figures from the evaluation, the calibration, model.json and params."""
    bench, newest = evaluation["benchmark"] or EMPTY, evaluation["newest"]
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown, of figures alone
    )
    environment.filters |= {"number": number, "interval": interval, "between": between}
    shown = {
        **evaluation,
        "bench": bench,
        "bands": publishable(bands),
        "scorers": {"model": bench["model"], **bench["baselines"]},
        "moved": [name for name, psi in (newest or {"psi": {}})["psi"].items() if psi > MOVED],
        "costs": {text: assumed(getattr(costs, name)) for name, text in ASSUMED.items()},
    }
    return environment.from_string(read_text(__file__, "model_card.md")).render(
        shown,
        calibration=calibration,
        about=about,
        best_baseline=best_baseline,
        MOVED=MOVED,
        PROFITS=PROFITS,
        PREDICTED=PREDICTED,
        SMALLEST_CELL=SMALLEST_CELL,
    )
