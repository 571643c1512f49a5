"""The figures of reports/evaluation.json that runs are compared by: reports/metrics.json."""

from typing import Any

HEAD = ("shop", "horizon_days", "population", "base_rate", "verdict", "grade", "value_source")
COMPARED = ("auc", "brier", "empc")
OF_TASK = ("auc", "auc_ci", "brier")
COMPARED_OF_MODEL = (*COMPARED, "ece", "profit_at_10")
FORECASTS = {
    "timing": ("coverage_80", "median_abs_error_days", "mean_abs_error_days"),
    "value": ("spearman", "realised_at_10"),
    "returning": ("total", "deviance"),
    "stake": ("stake_at_10", "realised_at_10"),
}


def _short(measured: dict[str, Any] | None, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the figures of a forecast, of its baselines, and the differences; None without any."""
    if measured is None:
        return None
    baselines = {
        name: {key: figures[key] for key in keys if key in figures}
        for name, figures in measured["baselines"].items()
    }
    head = {key: measured[key] for key in ("selected", *keys)}
    return head | {"baselines": baselines, "delta": measured["delta"]}


def _of_task(task: dict[str, Any]) -> dict[str, Any]:
    """Return the AUC of a task's scorers with their intervals, in the same structure."""
    figures = {key: task[key] for key in HEAD if key in task}
    if task["model"] is None:
        return figures | dict.fromkeys(("model", "baselines", "delta"))
    return figures | {
        "model": {key: task["model"][key] for key in OF_TASK},
        "baselines": {
            name: {key: m[key] for key in OF_TASK} for name, m in task["baselines"].items()
        },
        "delta": {name: delta and {"auc": delta["auc"]} for name, delta in task["delta"].items()},
    }


def _of_origin(at: dict[str, Any]) -> dict[str, Any]:
    """Return what came true at an origin, and what was expected."""
    head = {key: at[key] for key in ("origin", "population", "base_rate")}
    return head | {"model": {"auc": at["model"]["auc"]}, "estimated": at["estimated"]}


def _of_population(measured: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one population: of its scorers, their differences and its origins."""
    baselines, deltas = measured["baselines"].items(), measured["delta"].items()
    return {
        "model": {key: measured["model"][key] for key in COMPARED_OF_MODEL},
        "baselines": {name: {key: m[key] for key in COMPARED} for name, m in baselines},
        "delta": {name: delta and {"auc": delta["auc"]} for name, delta in deltas},
        "by_origin": [_of_origin(at) for at in measured["by_origin"]],
    }


def compared(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an evaluation that runs are compared by, in the same structure."""
    figures = {key: evaluation[key] for key in HEAD}
    figures |= {name: _short(evaluation[name], keys) for name, keys in FORECASTS.items()}
    figures["tasks"] = {name: _of_task(task) for name, task in evaluation["tasks"].items()}
    figures["seeds"] = evaluation["seeds"]
    if evaluation["model"] is None:
        return figures | dict.fromkeys(("model", "baselines", "delta", "benchmark"))
    benchmark = evaluation["benchmark"]
    return {
        **figures,
        **_of_population(evaluation),
        "newest": {"estimated": evaluation["newest"]["estimated"]},
        "benchmark": {
            **{key: benchmark[key] for key in ("population", "base_rate")},
            **_of_population(benchmark),
        },
    }
