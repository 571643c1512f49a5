"""Past lists against what happened: effects only with a control group, and save rates learnt."""

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frozen import params

from benchmarks.treatment_effects import seed_of, trial
from models.decision.outcomes import (
    SaveRate,
    effect_in,
    effect_of,
    observed_save_rate,
    rates_for,
    save_rates,
    shrunk,
    stability_index,
)
from models.defection.profit import expected_profit
from pipeline.delivery.outcomes import effects, learnt, report_of, summary, trials

PARAMS = params()
NUMBER = itertools.count()  # of customers: each has an own row
HILLSTROM = Path(os.environ.get("COREKEEP_SHARED_DATA", "/none")) / "hillstrom.csv"


def listed(called: int, control: int, churn: float, saved: float, **columns: Any) -> pd.DataFrame:
    """So many called and withheld; the share that churns is exact in both groups."""
    groups = [(True, called, churn * (1 - saved)), (False, control, churn)]
    frame = pd.concat(
        pd.DataFrame({"called": is_called, "defected": np.arange(n) < round(n * share)})
        for is_called, n, share in groups
    )
    frame["customer_id"] = [f"C{next(NUMBER)}" for _ in range(len(frame))]
    return frame.assign(**{"stage": "core", "reason": "none", "queue": "core_care", **columns})


@pytest.mark.skipif(not HILLSTROM.exists(), reason="COREKEEP_SHARED_DATA has no hillstrom.csv")
def test_the_randomised_email_experiment_gives_its_published_effects() -> None:
    rows = pd.read_csv(HILLSTROM)
    called = (rows["segment"] != "No E-Mail").to_numpy()
    visit = effect_of(rows["visit"].to_numpy(), called, 20)
    spend = effect_of(rows["spend"].to_numpy(), called, 20)
    assert visit and spend
    assert [round(100 * x, 2) for x in visit[4:7]] == pytest.approx([6.09, 5.54, 6.63], abs=0.011)
    assert [round(x, 2) for x in spend[4:7]] == pytest.approx([0.60, 0.38, 0.82], abs=0.011)


@pytest.mark.skipif(not HILLSTROM.exists(), reason="COREKEEP_SHARED_DATA has no hillstrom.csv")
def test_the_emails_nearly_doubled_the_odds_of_a_purchase_more_for_those_away_for_long() -> None:
    rows = pd.read_csv(HILLSTROM).assign(called=lambda all: all["segment"] != "No E-Mail")

    def ratio(some: pd.DataFrame) -> float:
        control, called = some.groupby("called")["conversion"].mean()
        return float(called / (1 - called) / (control / (1 - control)))

    assert ratio(rows) == pytest.approx(1.87, abs=0.01)
    assert ratio(rows[rows["recency"] <= 4]) == pytest.approx(1.63, abs=0.02)
    assert ratio(rows[rows["recency"] > 7]) == pytest.approx(2.7, abs=0.03)


def test_rows_of_one_customer_are_one_unit_in_the_interval() -> None:
    once = listed(200, 200, 0.5, 0.2)
    thrice = pd.concat([once] * 3)
    alone, copied = effect_in(once, 20), effect_in(thrice, 20)
    assert alone and copied
    assert copied.effect == pytest.approx(alone.effect)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.01)
    rates = [observed_save_rate(effect).sd for effect in (alone, copied)]
    assert rates[1] == pytest.approx(rates[0], rel=0.02)


def test_without_a_control_group_no_effect_is_stated() -> None:
    rows = listed(500, 0, 0.5, 0.3)
    assert [entry["effect"] for entry in effects(rows, 20)] == [None, None, None]
    assert learnt(rows, 0.3, PARAMS.outcomes) == {"label": "assumed", "overall": 0.3, "cells": []}
    assert save_rates(rows, SaveRate(0.3, 0.15), 0.1, 20) == (None, {})
    report = {"lists": [], "effects": effects(rows, 20)}
    assert "no effect of calls can be stated" in summary(report)[-1]


def test_the_save_rate_moves_from_the_assumption_to_the_data_as_customers_come() -> None:
    rates = []
    for size in (40, 400, 4000, 40000):
        overall, _ = save_rates(listed(size, size, 0.5, 0.1), SaveRate(0.3, 0.15), 0.1, 20)
        assert overall
        rates.append(overall.rate)
    assert rates == sorted(rates, reverse=True)
    assert 0.2 < rates[0] < 0.3
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_a_stage_and_reason_with_few_customers_stays_near_the_rate_of_all() -> None:
    rows = pd.concat([listed(4000, 4000, 0.5, 0.1), listed(40, 40, 0.5, 0.6, reason="boredom"),
                      listed(10, 10, 0.5, 1.0, reason="competitor")])  # fmt: skip
    overall, cells = save_rates(rows, SaveRate(0.3, 0.15), 0.1, 20)
    assert overall
    assert set(cells) == {("core", "none"), ("core", "boredom")}
    assert overall.rate < cells["core", "boredom"].rate < 0.45
    written = {"overall": 0.2, "cells": [{"stage": "core", "reason": "boredom", "rate": 0.4}]}
    frame = pd.DataFrame(
        {"stage": ["core", "core", "early_repeat"], "reason": ["boredom", None, "x"]}
    )
    assert rates_for(frame, written, 0.3).tolist() == [0.4, 0.2, 0.2]
    assert rates_for(frame, None, 0.3).tolist() == [0.3] * 3


def test_the_standard_deviation_of_a_save_rate_is_that_of_repeated_trials() -> None:
    random = np.random.default_rng(3)
    observed = []
    for _ in range(400):
        called = np.arange(900) < 600
        churned = random.random(900) < np.where(called, 0.35, 0.5)
        effect = effect_of(churned, called, 20)
        assert effect
        observed.append(observed_save_rate(effect))
    spread = np.std([rate for rate, _ in observed])
    assert np.mean([sd for _, sd in observed]) == pytest.approx(spread, rel=0.1)
    assert np.mean([rate for rate, _ in observed]) == pytest.approx(0.3, abs=0.01)
    assert shrunk(SaveRate(0.1, 0.1), SaveRate(0.3, 0.1)).rate == pytest.approx(0.2)


def test_a_customer_counts_once_a_horizon_in_the_group_of_the_first_list() -> None:
    rows = pd.DataFrame(
        [("a", 0, "call"), ("a", 5, "hold_out"), ("a", 31, "hold_out"), ("b", 3, "hold_out"),
         ("b", 4, "call"), ("c", 1, "none")],
        columns=["customer_id", "day", "contact"],
    ).assign(risk=0.5)  # fmt: skip
    kept = trials(rows, 30)
    assert kept[["customer_id", "day", "called"]].to_numpy().tolist() == [
        ["a", 0, True],
        ["a", 31, False],
        ["b", 3, False],
    ]


def test_an_alarm_is_raised_where_contacts_harm_and_only_there() -> None:
    ids = [f"c{i}" for i in range(1200)]
    rows = listed(600, 600, 0.3, -0.5).assign(customer_id=ids, day=0, risk=np.nan)
    rows["contact"] = np.where(rows["called"], "call", "hold_out")
    harmful = report_of(rows, 30, "demo", PARAMS)
    assert harmful["alarms"] == ["all all", "queue core_care", "reason none"]
    assert not any("c1" in line for line in summary(harmful))
    rows["defected"] = ~rows["called"] & rows["defected"]
    assert report_of(rows, 30, "demo", PARAMS)["alarms"] == []


def test_drift_is_none_between_equal_lists_and_much_between_unlike_ones() -> None:
    scores = np.random.default_rng(1).beta(2, 5, 4000)
    assert stability_index(scores[:2000], scores[2000:]) < 0.02
    assert stability_index(scores, scores**0.3) > 0.25


def test_a_measured_save_rate_changes_whom_it_pays_to_call() -> None:
    risk, value = np.array([0.5, 0.5]), np.array([100.0, 100.0])
    profit = expected_profit(risk, value, PARAMS.costs, np.array([0.05, 0.6]))
    assert profit[0] < 0 < profit[1]


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_the_interval_covers_the_effect_planted_in_a_simulated_shop(factor: float) -> None:
    """A slice: `python -m benchmarks.treatment_effects` tries twenty seeds."""
    result = trial(seed_of(1), factor, customers=4000)
    assert result["low"] <= result["truth"] <= result["high"]
    assert (factor == 1.0) == (result["truth"] == 0)
