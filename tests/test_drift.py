"""Drift before outcomes are known: expected AUC and base rate, and the stability of inputs."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.defection.drift import estimated, reference, stability
from models.defection.metrics import weighted_auc


@pytest.mark.parametrize(("centre", "spread"), [(-1.0, 1.0), (0.5, 2.0), (-3.0, 0.3)])
def test_true_risks_estimate_their_own_auc_and_base_rate(centre: float, spread: float) -> None:
    random = np.random.default_rng(1)
    risk = expit(random.normal(centre, spread, 40_000))
    defected = random.random(len(risk)) < risk
    expected = estimated(risk)
    realised = weighted_auc(risk, defected, np.ones(len(risk)))
    assert expected["auc"] == pytest.approx(realised, abs=0.015)
    assert expected["base_rate"] == pytest.approx(defected.mean(), abs=0.01)


def test_risks_that_are_all_alike_expect_no_separation() -> None:
    assert estimated(np.full(100, 0.3)) == {"auc": 0.5, "base_rate": 0.3}
    assert estimated(np.array([])) == {"auc": None, "base_rate": None}


def test_only_the_feature_that_moved_is_unstable() -> None:
    random = np.random.default_rng(2)

    def rows(shift: float, unknown: float) -> pd.DataFrame:
        frame = pd.DataFrame(random.normal(size=(5000, 3)), columns=["same", "moved", "missing"])
        frame["moved"] += shift
        frame.loc[random.random(5000) < unknown, "missing"] = np.nan
        return frame.assign(constant=1.0, never=np.nan)

    known = reference(rows(0.0, 0.1), ["same", "moved", "missing", "constant", "never"])
    still = stability(known, rows(0.0, 0.1))
    assert max(still.values()) < 0.02
    changed = stability(known, rows(1.0, 0.6))
    assert list(changed)[:2] in (["moved", "missing"], ["missing", "moved"])
    assert min(changed["moved"], changed["missing"]) > 0.25
    assert max(changed["same"], changed["constant"], changed["never"]) < 0.02
