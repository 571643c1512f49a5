"""The model card: what the score is for, on whom and how well it was measured, what is misuse."""

from collections.abc import Iterable, Iterator
from typing import Any

from models.defection.metrics import wilson
from models.defection.value import PREDICTED
from models.settings import SMALLEST_CELL, Costs
from pipeline.runtime.resources import read_text

CROSS_VALIDATED = """
Cross-validation on the {rows} training rows of the final model, {customers} customers in {folds}
folds with no customer in common, gives an AUC of {auc:.3f}. It is optimistic in time: training and
test rows are of the same snapshots. Rely on the test origins instead. The difference of {less:+.3f}
has several causes: the future makes the test origins harder, longer histories and more training
customers make them easier.
"""
NEWEST = """
At {snapshot}, the newest snapshot, the scores expect an AUC of {auc} and a churned share of {rate}.
Features whose distribution moved much since training (PSI above {limit}): {moved}.
"""
NOT_FORECAST = "Not measured: there is too little data."
TIMING = """
Buyers who bought again within {days} days of {origin}: {population}. The interval held for
{coverage_80:.1%} of them (aim: 80 %); the middle one is {median_width_days:.0f} days wide.
Used for the list: {selected}.

| scorer | mean error, days | the model's minus this (95 % CI) | median error, days |
|---|---|---|---|
"""
VALUE = """
All {population} buyers known at {origin}, and their net spend in the {days} days after, scaled
to 365 days. Total: predicted over realised spend. Used for the list: {selected}.

| scorer | rank correlation | the model's minus this (95 % CI) | spend of top tenth / mean | total |
|---|---|---|---|---|
"""
TASKS = """
| queue | rows | bought | AUC of the model | 95 % CI | best baseline | 95 % CI | used |
|---|---|---|---|---|---|---|---|
"""
SEEDS = """
The shop is small, so the seed of the training matters. Means of the model over {count} seeds, with
their range: {means}.
"""
STAKE = """
Calls at the test origins, ranked by expected profit with the model's risk; spend of the called over
the mean of all. Used for the list: {selected}.

| source of value | spend at stake | minus the last year's (95 % CI) | realised spend | churned |
|---|---|---|---|---|
"""
RETURNING = """

Customers without a risk (queues `win_back` and `second_purchase`) may have spent nothing in a year,
and spend again if they come back. {population} of them did, within the horizon after {origin}.
Used for their list: {selected}.

| source of the value | predicted over realised | deviance | the prediction's minus this (95 % CI) |
|---|---|---|---|
"""
MOVED = 0.25  # the usual limit of the population stability index
NO_COMPLAINTS = """
  This shop records no complaints: satisfaction is unknown, and no feature describes it."""
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
NOT_COMPUTED = ("not computed", "", "", "")


def number(value: float | None, form: str = ".3f") -> str:
    """Return a figure, or `unknown`."""
    return "unknown" if value is None else format(value, form)


def _table(rows: Iterable[Iterable[object]]) -> str:
    """Return the rows of a Markdown table."""
    return "\n".join(
        "|".join(["", *(f" {cell}".rstrip() + " " for cell in row), ""]) for row in rows
    )


def _interval(ends: list[float | None] | None, form: str = ".3f") -> str:
    return " to ".join(number(end, form) for end in ends or [None, None])


def _auc(m: dict[str, Any]) -> tuple[str, str]:
    return number(m["auc"]), _interval(m["auc_ci"])


def _between(point: float | None, ends: list[float | None], form: str) -> str:
    return f"{number(point, form)} ({_interval(ends, form)})"


def _scorer(m: dict[str, Any] | None) -> tuple[str, ...]:
    if m is None or m["auc"] is None:
        return NOT_COMPUTED
    return *_auc(m), number(m["brier"]), f"{number(m['ece'])} ({number(m['ece_floor'])})"


def _profits(m: dict[str, Any] | None) -> tuple[str, ...]:
    if m is None or m["auc"] is None:
        return NOT_COMPUTED[:3]
    return tuple(_between(m[figure], m[f"{figure}_ci"], ".2f") for figure in PROFITS)


def _delta(delta: dict[str, Any] | None) -> tuple[str, ...]:
    if delta is None:
        return NOT_COMPUTED
    figures = {"auc": "+.3f", **dict.fromkeys(PROFITS, "+.2f")}
    return tuple(_between(delta[key][0], delta[key][1:], form) for key, form in figures.items())


def _stage(entry: dict[str, Any]) -> tuple[str, ...]:
    m = entry["model"]
    return number(entry["base_rate"]), *_auc(m), number(m["brier"]), number(m["ece"])


def _band(band: dict[str, Any]) -> tuple[str, ...]:
    customers, defected = band["customers"], band["defected"]
    if customers < SMALLEST_CELL:
        return f"fewer than {SMALLEST_CELL}", "", ""
    rate = _between(defected / customers, [*wilson(defected, customers)], ".2f")
    return str(customers), str(defected), rate


def _cross_validated(result: dict[str, Any] | None, model: dict[str, Any] | None) -> str:
    if not result or not model or result["auc"] is None or model["auc"] is None:
        return ""
    return CROSS_VALIDATED.format(**result, less=result["auc"] - model["auc"])


def _newest(newest: dict[str, Any] | None) -> str:
    if not newest:
        return ""
    expected = newest["estimated"]
    moved = ", ".join(f"`{name}` {psi:.2f}" for name, psi in newest["psi"].items() if psi > MOVED)
    return NEWEST.format(
        snapshot=newest["snapshot"],
        auc=number(expected["auc"]),
        rate=number(expected["base_rate"]),
        moved=moved or "none",
        limit=MOVED,
    )


def _own(own: dict[str, Any] | None) -> str:
    return f"\n\n**Own model {own['class']}:** {own['grade']}" if own else ""


def _forecast(
    measured: dict[str, Any], first: str, others: list[str], form: str
) -> Iterator[tuple[str, ...]]:
    """Yield the first figure of each scorer, the model's less it, and the others."""
    for name, m in {"model": measured, **measured["baselines"]}.items():
        delta = measured["delta"].get(name, {}).get(first)
        less = _between(delta[0], delta[1:], f"+{form}") if delta else ""
        yield name, f"{m[first]:{form}}", less, *(f"{m[key]:{form}}" for key in others)


def _timing(measured: dict[str, Any] | None) -> str:
    if not measured:
        return NOT_FORECAST
    first, *others = "mean_abs_error_days", "median_abs_error_days"
    rows = _forecast(measured, first, others, ".1f")
    return TIMING.format(**measured) + _table(rows)


def _value(measured: dict[str, Any] | None) -> str:
    if not measured:
        return NOT_FORECAST
    rows = _forecast(measured, "spearman", ["realised_at_10", "total"], ".3f")
    return VALUE.format(**measured) + _table(rows)


def _seeds(seeds: dict[str, Any] | None) -> str:
    if not seeds:
        return ""
    named = {"auc": "AUC", "brier": "Brier score", "ece": "calibration error"}
    means = ", ".join(
        f"{name} {seeds[key]['mean']:.3f} ({seeds[key]['min']:.3f} to {seeds[key]['max']:.3f})"
        for key, name in named.items()
    )
    return SEEDS.format(count=len(seeds["of"]), means=means)


def _stake(measured: dict[str, Any] | None) -> str:
    if not measured:
        return "The spend of the last year: nothing else could be trained at the test origins."
    sources = {"model": measured, **measured["baselines"]}
    deltas = {name: _between(d[0], d[1:], "+.3f") for name, d in measured["delta"].items()}
    rows = (
        (
            *(name, number(m["stake_at_10"]), deltas.get(name, "")),
            *(number(m["realised_at_10"]), number(m["churned_at_10"], ".0%")),
        )
        for name, m in sources.items()
    )
    return STAKE.format(**measured) + _table(rows)


def _returning(measured: dict[str, Any] | None) -> str:
    if not measured:
        return ""
    sources = {PREDICTED: measured, **measured["baselines"]}
    deltas = {name: d["deviance"] for name, d in measured["delta"].items()}
    rows = (
        (
            name,
            *(number(m[key], ".2f") for key in ("total", "deviance")),
            _between(d[0], d[1:], "+.2f") if (d := deltas.get(name)) else "",
        )
        for name, m in sources.items()
    )
    return RETURNING.format(**measured) + _table(rows)


def _task(task: dict[str, Any]) -> tuple[str, ...]:
    """Return rows, rate, the model's AUC, that of the best baseline, and the scorer in use."""
    head = str(task["population"]), number(task["base_rate"])
    if not task["model"]:
        return *head, *NOT_COMPUTED, task["grade"]
    auc = {name: m["auc"] or 0 for name, m in task["baselines"].items()}
    best = max(auc, key=lambda name: auc[name])
    value, ends = _auc(task["baselines"][best])
    return *head, *_auc(task["model"]), f"{best} {value}", ends, task["verdict"]


def _tasks(tasks: dict[str, dict[str, Any]]) -> str:
    return TASKS + _table((name, *_task(task)) for name, task in tasks.items())


def _cost(value: float | dict[str, float]) -> str:
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
    bench = evaluation["benchmark"] or EMPTY
    scorers = {"model": bench["model"], **bench["baselines"]}
    trained = "No model was trained: there is too little data."
    if about["trained"]:
        rows, newest = about["training_rows"], about["trained_through"]
        trained = f"The final model was trained on {rows} rows of snapshots up to {newest}."
    by_origin = (
        (
            at["origin"],
            at["population"],
            number(at["base_rate"]),
            *_auc(at["model"]),
            *map(number, at["estimated"].values()),
        )
        for at in bench["by_origin"]
    )
    stages = (evaluation["by_stage"] or {}).items()
    return read_text(__file__, "model_card.md").format(
        **{key: evaluation[key] for key in ("shop", "verdict", "horizon_days", "population")},
        grade=evaluation["grade"].removeprefix("no signal: "),
        own=_own(evaluation["own_model"]),
        twice=2 * evaluation["horizon_days"],
        rate=number(evaluation["base_rate"]),
        recency=calibration["benchmark_recency_days"],
        bench_population=bench["population"],
        bench_rate=number(bench["base_rate"]),
        origins=", ".join(evaluation["origins"]) or "none",
        expected_ipt=f"{calibration['expected_ipt']:.1f}",
        log_sd=f"{calibration['log_sd']:.2f}",
        learnt=calibration["learnt_before"],
        returned=number(evaluation["returned_later"], ".0%"),
        features=len(about["features"]),
        absent="" if "complaints" in about["features"] else NO_COMPLAINTS,
        trained=trained,
        scorers=_table((name, *_scorer(m)) for name, m in scorers.items()),
        by_origin=_table(by_origin),
        newest=_newest(evaluation["newest"]),
        cross_validated=_cross_validated(evaluation["grouped_cv"], bench["model"]),
        profits=_table((name, *_profits(m)) for name, m in scorers.items()),
        deltas=_table((name, *_delta(delta)) for name, delta in bench["delta"].items()),
        stages=_table((stage, entry["population"], *_stage(entry)) for stage, entry in stages),
        bands=_table((band["stage"], band["band"], *_band(band)) for band in bands),
        timing=_timing(evaluation["timing"]),
        value=_value(evaluation["value"]),
        tasks=_tasks(evaluation["tasks"]),
        seeds=_seeds(evaluation["seeds"]),
        stake=_stake(evaluation["stake"]) + _returning(evaluation["returning"]),
        costs=_table((text, _cost(getattr(costs, name))) for name, text in ASSUMED.items()),
    )
