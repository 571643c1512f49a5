"""Select the scorer: the model, a baseline, or none."""

from statistics import NormalDist
from typing import Any

from models.defection.baselines import is_simple

NO_SIGNAL = "no_signal"
OWN = "own_model"  # the project's own model among the scorers
Z = 1.96  # standard errors on either side of a 95 % interval


def _shows_signal(metrics: dict[str, Any], scorers: int) -> bool:
    """Return whether an AUC is above one half by more than the best by chance (Bonferroni)."""
    if metrics["auc"] is None or metrics["auc_ci"][0] is None:
        return False
    normal = NormalDist()
    wider = normal.inv_cdf(1 - 0.025 / scorers) / normal.inv_cdf(0.975)
    return bool(metrics["auc"] - wider * (metrics["auc"] - metrics["auc_ci"][0]) > 0.5)


def select_scorer(
    metrics: dict[str, dict[str, Any]],
    deltas: dict[str, dict[str, Any]],
    probabilities: bool = False,
) -> str:
    """Return `model`, a baseline, or `no_signal` where none shows any.

    The model has to beat each simple baseline by more than chance, and no baseline may beat the
    model. Otherwise the baseline that beats it scores. Where none does, the best simple baseline
    that it does not beat scores: an opaque model has to be better. With `probabilities` a better
    Brier score counts like a better AUC: where most rates are near zero, a good order may come with
    probabilities that are wrong by half.
    """
    signal = {key: m["auc"] for key, m in metrics.items() if _shows_signal(m, len(metrics))}
    better = {
        baseline: signal[baseline]
        for baseline, delta in deltas.items()
        if baseline in signal and delta["auc"][2] < 0
    }
    beaten = {
        baseline
        for baseline, delta in deltas.items()
        if delta["auc"][1] > 0 or (probabilities and delta["brier"][2] < 0)
    }
    if "model" in signal and not better and beaten >= set(filter(is_simple, deltas)):
        return "model"
    simple = {baseline: auc for baseline, auc in signal.items() if is_simple(baseline)}
    unbeaten = {baseline: auc for baseline, auc in simple.items() if baseline not in beaten}
    usable = better or unbeaten or simple
    return max(usable, key=lambda baseline: usable[baseline], default=NO_SIGNAL)


def select_forecast(
    figures: dict[str, float], delta: dict[str, list[float | None]], sign: int
) -> str:
    """Return `model`, or the best baseline if the model does not beat each by more than chance.

    `figures`: of each scorer; better where `sign` times it is higher. `delta`: [point, low, high]
    of the model's less that of each baseline.
    """
    for _, *ends in delta.values():
        if not all(end is not None and sign * end > 0 for end in ends):
            return max(delta, key=lambda name: sign * figures[name])
    return "model"


def grade(
    metrics: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]], selected: str
) -> str:
    """Return the model's result beside the best simple baseline, or beside the one used instead."""
    if selected == NO_SIGNAL:
        return "no signal: no scorer separates the outcomes better than chance"
    aucs = {key: m["auc"] for key, m in metrics.items() if is_simple(key) and m["auc"] is not None}
    rival = max(aucs, key=lambda key: aucs[key]) if selected == "model" else selected
    point, low, high = deltas[rival]["auc"]
    if selected == "model":
        rank = "the best simple baseline"
    elif low > 0:
        rank = "but another baseline without a signal may be as good"
    else:
        rank = "which beats it" if high < 0 else "no difference beyond chance"
    result = (
        "the model wins" if selected == "model" else f"the model does not win, {selected} is used"
    )
    if selected == "model" and low <= 0:  # it won by its probabilities
        rank = "no difference beyond chance"
        errors = deltas[rival]["brier"]
        result += ", by its Brier score ({:+.4f} [{:+.4f}, {:+.4f}])".format(*errors)
    figures = f"AUC {metrics['model']['auc']:.3f} against {metrics[rival]['auc']:.3f} of {rival}"
    return f"{result}: {figures}, {rank}: {point:+.3f} [{low:+.3f}, {high:+.3f}]"


def grade_own(
    metrics: dict[str, dict[str, Any]], deltas: dict[str, dict[str, Any]], name: str
) -> dict[str, Any]:
    """Return what the same rules select with the own model among the scorers, and why in words."""
    selected = select_scorer(metrics, deltas)
    point, low, high = deltas[OWN]["auc"]
    against = f"AUC {metrics[OWN]['auc']:.3f} against {metrics['model']['auc']:.3f} of the model"
    figures = f"{against}: {-point:+.3f} [{-high:+.3f}, {-low:+.3f}]"
    result = "it wins" if selected == OWN else f"it does not win, the rules select {selected}"
    return {"class": name, "verdict": selected, "grade": f"{result}: {figures}"}
