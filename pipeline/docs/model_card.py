"""The model card.

What the score is for, on whom it was measured, how well, and what it must not be used for.
"""

from typing import Any

from models.defection.metrics import wilson
from models.settings import SMALLEST_CELL, Costs

CARD = """# Model card: defection at {shop}

**Verdict: {verdict}:** {grade}

Made with every run by the stage `evaluate`; its figures are those of `reports/evaluation.json`.

## Purpose
The probability that a customer who has bought at least twice makes no purchase within {horizon} days, to choose whom to care for or call.
A person decides; nothing is sent.

## Population
* Scored: life-cycle stages early_repeat and core, and core defectors who are being won back; not lapsed: {population} rows,
  {rate} of them defected.
* Benchmark, on which the verdict is reached: at least two purchases, the last at most {recency} days ago: {bench_population} rows,
  {bench_rate} defected. Neither population contains the other, and their figures are not comparable.
* Not scored: prospects, first-time buyers, those who have lapsed, and who objects to profiling: of him there is no feature either.
* Of the customers counted as defected, {returned} bought again in the following {twice} days: silence is not always goodbye.

## Data
* {features} features of each customer's own past, from orders, returns, complaints and contacts as far as the shop records them; none of
  the name, address, age, sex, origin, religion or health, which the input has no column for.{absent}
* {taught}
* Test origins: {origins}. They overlap, so intervals come from resampled customers. Each origin's model was taught only by snapshots
  whose {horizon} days were over by then.
* The shop's rhythm, M (usual gap, {expected_ipt} days) and S (its spread, {log_sd}), is learnt once from events before {learnt}. Rows that
  teach from before that day know the M and S of a slightly later shop: the one thing in them that they could not have known.

## Results on the benchmark
| scorer | AUC | 95 % interval | Brier | calibration error (noise floor) |
|---|---|---|---|---|
{scorers}

By test origin, the model:

{by_origin}
{grouped}
## Profit on the benchmark
With 95 % intervals. EMPC: the most that a campaign can be expected to win per customer, where a customer is worth 200 (Verbraken 2013).
Profit: of calling as many as capacity allows, by risk or by expected profit, and then only where that is positive; in percent of the
median value per customer, at costs that are assumed (below).

| scorer | EMPC | profit, called by expected profit | profit, called by risk |
|---|---|---|---|
{profits}

What the model has over each peer, on the same customers:

| peer | AUC | EMPC | profit, called by expected profit | profit, called by risk |
|---|---|---|---|---|
{leads}

## Results by stage
The model on the scored customers of each stage.

{stages}

## Risk bands
Observed rate of defection at the test origins, with 95 % interval, of the scorer that the list uses.

| stage | band | customers | defected | rate |
|---|---|---|---|---|
{bands}

## Costs: assumed
None of these is measured; the hold-out share of the list is there to measure the effect of a contact. Profit, and whom it is worth calling,
stand and fall with them.

| assumed | value |
|---|---|
{costs}

## Limits
* A score says who may leave, not who can be kept, and not why.
* Early repeat buyers are close to noise in most shops: read their own row above.
* Who is scored but not in the benchmark, silent for more than {recency} days and not lapsed by his own rhythm, taught nothing: his risk is
  told from what is known of others, and in the demo too low.
* Probabilities are of a season like those that taught them. A new price list, a new rival or a moved shop is in no row.
* A small shop's intervals are wide: where the verdict names a simple rule, or no signal, the model is not used.

## Misuse
* Not for credit, insurance, employment or any decision with legal effect, nor for contracts, whose end is known.
* Not a reason to serve anyone worse, to withhold a repair, or to raise a price for those who are likely to stay.
* Not a measure of the people who serve customers.
* A share of leavers among those called is no effect of calling: only the hold-outs tell that.

## Ethics
* An objection to profiling is obeyed before any number is made; who may not be contacted is scored and never called.
* Whether some groups of people are listed more often than others is not measured: nothing is known of groups.
* Early attention can be felt as watching: say no more to a customer than what he would expect the shop to remember.
"""

GROUPED = """
Cross-validated on the {rows} rows of {customers} customers that taught the final model, in {folds} folds with no customer in common, AUC is
{auc:.3f}. Teaching and asked rows are of the same snapshots there: it is optimistic in time, and not the figure to believe. From the test
origins it differs by {less:+.3f}: days to come make those harder, longer histories and that all customers taught make them easier.
"""

ASSUMED = {
    "margin": "margin, share of net spend",
    "kept_share": "share of a year's spend that keeping a customer keeps",
    "save_rate": "chance that a contact keeps a customer who would have left",
    "incentive": "incentive, share of the median value of a customer",
    "contact": "cost of a contact, share of the median value of a customer",
}

PROFITS = ("empc", "profit_at_10", "profit_at_10_by_risk")


def number(value: float | None, form: str = ".3f") -> str:
    """A figure, or `unknown`."""
    return "unknown" if value is None else format(value, form)


def _scorer(name: str, m: dict[str, Any] | None) -> str:
    if m is None or m["auc"] is None:
        return f"| {name} | not computed | | | |"
    return f"| {name} | {number(m['auc'])} | {_span(m)} | {number(m['brier'])} | {number(m['ece'])} ({number(m['ece_floor'])}) |"


def _between(point: float | None, ends: list[float | None], form: str) -> str:
    """A figure with its interval."""
    low, high = (number(end, form) for end in ends)
    return f"{number(point, form)} ({low} to {high})"


def _profits(name: str, m: dict[str, Any] | None) -> str:
    if m is None or m["auc"] is None:
        return f"| {name} | not computed | | |"
    return f"| {name} | {' | '.join(_between(m[figure], m[f'{figure}_ci'], '.2f') for figure in PROFITS)} |"


def _lead(baseline: str, delta: dict[str, Any] | None) -> str:
    if delta is None:
        return f"| {baseline} | not computed | | | |"
    figures = {"auc": "+.3f", **dict.fromkeys(PROFITS, "+.2f")}
    return f"| {baseline} | {' | '.join(_between(delta[name][0], delta[name][1:], form) for name, form in figures.items())} |"


def _grouped(found: dict[str, Any] | None, bench: dict[str, Any]) -> str:
    if found is None or found["auc"] is None or bench["model"]["auc"] is None:
        return ""
    return GROUPED.format(**found, less=found["auc"] - bench["model"]["auc"])


def _bands(bands: list[dict[str, Any]]) -> str:
    lines = []
    for b in bands:
        if b["customers"] < SMALLEST_CELL:
            lines.append(f"| {b['stage']} | {b['band']} | fewer than {SMALLEST_CELL} | | |")
            continue
        low, high = wilson(b["defected"], b["customers"])
        rate = b["defected"] / b["customers"]
        lines.append(
            f"| {b['stage']} | {b['band']} | {b['customers']} | {b['defected']} | {rate:.2f} ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def _span(m: dict[str, Any]) -> str:
    return " to ".join(number(end) for end in m["auc_ci"] or [None, None])


def _stages(metrics: dict[str, Any]) -> str:
    lines = [
        "| stage | rows | defected | AUC | 95 % interval | Brier | calibration error |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage, found in (metrics["by_stage"] or {}).items():
        m = found["model"]
        figures = (
            number(found["base_rate"]),
            number(m["auc"]),
            _span(m),
            number(m["brier"]),
            number(m["ece"]),
        )
        lines.append(f"| {stage} | {found['population']} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _by_origin(origins: list[dict[str, Any]]) -> str:
    lines = ["| origin | rows | defected | AUC | 95 % interval |", "|---|---|---|---|---|"]
    for found in origins:
        m = found["model"]
        lines.append(
            f"| {found['origin']} | {found['population']} | {number(found['base_rate'])} | {number(m['auc'])} | {_span(m)} |"
        )
    return "\n".join(lines)


def _taught(about: dict[str, Any]) -> str:
    if not about["trained"]:
        return "No model was taught: there is too little to learn from."
    return f"The final model was taught by {about['training_rows']} rows of customers at snapshots up to {about['trained_through']}."


def model_card(
    metrics: dict[str, Any],
    bands: list[dict[str, Any]],
    calibration: dict[str, Any],
    about: dict[str, Any],
    costs: Costs,
) -> str:
    """Markdown, from the metrics, the calibration, what model.json says and the costs, so that they
    never differ.
    """
    bench = metrics["benchmark"] or {
        "population": 0,
        "base_rate": None,
        "model": None,
        "baselines": {},
        "delta": {},
        "by_origin": [],
    }
    scorers = {"model": bench["model"], **bench["baselines"]}
    recorded = "complaints" in about["features"]
    return CARD.format(
        shop=metrics["shop"],
        verdict=metrics["verdict"],
        grade=metrics["grade"].removeprefix("no signal: "),
        horizon=metrics["horizon_days"],
        twice=2 * metrics["horizon_days"],
        population=metrics["population"],
        rate=number(metrics["base_rate"]),
        recency=calibration["benchmark_recency_days"],
        bench_population=bench["population"],
        bench_rate=number(bench["base_rate"]),
        origins=", ".join(metrics["origins"]) or "none",
        expected_ipt=f"{calibration['expected_ipt']:.1f}",
        log_sd=f"{calibration['log_sd']:.2f}",
        learnt=calibration["learnt_before"],
        returned=number(metrics["returned_later"], ".0%"),
        features=len(about["features"]),
        absent=""
        if recorded
        else "\n  This shop records no complaints: satisfaction is unknown, and no feature speaks of it.",
        taught=_taught(about),
        scorers="\n".join(_scorer(name, m) for name, m in scorers.items()),
        by_origin=_by_origin(bench["by_origin"]),
        grouped=_grouped(metrics["grouped_cv"], bench),
        profits="\n".join(_profits(name, m) for name, m in scorers.items()),
        leads="\n".join(_lead(baseline, delta) for baseline, delta in bench["delta"].items()),
        stages=_stages(metrics),
        bands=_bands(bands),
        costs="\n".join(
            f"| {words} | {getattr(costs, name):g} |" for name, words in ASSUMED.items()
        ),
    )
