"""The season: how far last year's correction recurs, and that no rate makes it infinite."""

import numpy as np
import pandas as pd
import pytest
from frozen import params
from scipy.special import expit, logit

from features.records import Flags, Floats
from models.defection.baselines import LogisticRFM, Recency
from models.defection.booster import ModelSpec
from models.defection.cross_validation import cross_fit, grouped_cv
from models.defection.forms import BASE, SelectedForm, fit_form, with_season
from models.defection.season import NO_SEASON, Line, correction, learn_season, recurring
from models.defection.training import fit_model

SD = 0.5
PRIOR = 0.1


def drawn(log_odds: Floats, shift: Floats | float, seed: int) -> Flags:
    """Outcomes of customers whose log-odds moved by the shift."""
    return np.random.default_rng(seed).random(len(log_odds)) < expit(log_odds + shift)


@pytest.mark.parametrize(("shift", "slope"), [(0.4, 0.0), (0.0, -0.5), (-0.6, 0.3)])
def test_the_correction_is_what_the_odds_of_a_snapshot_differ_by(
    shift: float, slope: float
) -> None:
    log_odds = np.random.default_rng(1).normal(-1, 1, 9000)
    defected = drawn(log_odds, shift + slope * log_odds, 2)
    assert correction(log_odds, defected, SD) == pytest.approx((shift, slope), abs=0.1)


@pytest.mark.parametrize("share", [0, 1, 40, 99, 100])
@pytest.mark.parametrize("log_odds", [-30.0, -4.6, 2.2, 30.0])
def test_the_correction_is_finite_at_any_risk_and_rate(log_odds: float, share: int) -> None:
    line = correction(np.full(100, log_odds), np.arange(100) < share, SD)
    assert np.isfinite(line).all()
    moved, missing = line.shift + line.slope * log_odds, share / 100 - expit(log_odds)
    assert moved * missing >= 0
    assert abs(moved) < abs(log_odds) + 10
    assert (np.abs(line) < 6 * SD).all()


def test_few_customers_prove_less() -> None:
    random = np.random.default_rng(4).normal(size=9000)
    lines = [correction(random[:n], np.arange(n) < 0.7 * n, SD).shift for n in (4, 40, 9000)]
    assert lines == sorted(lines)
    assert lines[0] < 0.4 * lines[2]
    assert lines[2] == pytest.approx(logit(0.7), abs=0.05)


LINE = Line(0.4, 0.2)
NONE, OPPOSITE = LINE.part(0), LINE.part(-1)
LOG_ODDS = np.linspace(-3, 1, 50)


def part_of(pairs: list[tuple[Line, Line]]) -> float:
    return recurring([(before, then, LOG_ODDS) for before, then in pairs], PRIOR)


@pytest.mark.parametrize(
    ("pairs", "part"),
    [
        ([], 0.5),
        ([(NONE, NONE)] * 9, 0.5),
        ([(LINE, LINE), (OPPOSITE, OPPOSITE)] * 20, 1.0),
        ([(Line(9.4, 0.2), LINE), (Line(8.6, -0.2), OPPOSITE)] * 20, 1.0),
        ([(LINE, NONE), (OPPOSITE, NONE)] * 20, 0.0),
        ([(LINE, OPPOSITE), (OPPOSITE, LINE)] * 9, 0.0),
        ([(Line(0.2, 0.0), Line(9.0, 0.0)), (NONE, NONE)] * 9, 1.0),
        ([(LINE, LINE)], 0.5),
    ],
    ids=[
        "no year",
        "no season",
        "recurs",
        "recurs on another level",
        "does not recur",
        "opposite",
        "explodes",
        "one snapshot is its own level",
    ],
)
def test_the_part_that_recurs_is_learnt_and_bounded(
    pairs: list[tuple[Line, Line]], part: float
) -> None:
    assert part_of(pairs) == pytest.approx(part, abs=0.02)


def test_small_corrections_hardly_move_the_assumption_of_one_half() -> None:
    small = Line(0.1, 0.0)
    assert part_of([(small, small), (NONE, NONE)]) == pytest.approx(0.5, abs=0.05)


def snapshot(day: str, shift: float, seed: int) -> pd.DataFrame:
    """Customers whose risk depends on recency and the shift of the day."""
    random = np.random.default_rng(seed)
    recency = random.integers(1, 60, 2000).astype(float)
    defected = drawn(np.log1p(recency) - 3.5, shift, seed + 100)
    return pd.DataFrame({"snapshot": day, "recency_days": recency, "defected": defected})


@pytest.mark.parametrize("recurs", [True, False])
def test_the_season_is_learnt_from_snapshots_with_a_year_behind_them(recurs: bool) -> None:
    shifts = [0.6, -0.6] * 4
    then = shifts if recurs else [0.6, 0.6, -0.6, -0.6] * 2
    years = [
        (snapshot(f"before {n}", a, 2 * n), snapshot(f"then {n}", b, 2 * n + 1))
        for n, (a, b) in enumerate(zip(shifts, then, strict=True))
    ]
    training = pd.concat([snapshot("warm", 0.5, 50), snapshot("cold", -0.5, 51)])
    base = Recency.fit(training)
    season = learn_season(
        base.log_odds, training, years, snapshot("a year ago", 0.5, 52), PRIOR, SD
    )
    assert season.weight == pytest.approx(1.0 if recurs else 0.0, abs=0.15)
    starts = season.starts(training, base.log_odds(training))
    warm, cold = (starts[training["snapshot"] == day].mean() for day in ("warm", "cold"))
    assert (warm, cold) == pytest.approx((0.5, -0.5), abs=0.15)
    assert season.now.shift == pytest.approx(0.5 if recurs else 0.0, abs=0.2)


def test_a_shop_without_a_year_of_history_has_no_season() -> None:
    rows = snapshot("then", 0.0, 1)
    season = learn_season(Recency.fit(rows).log_odds, rows, [], rows[:0], PRIOR, SD)
    assert season == NO_SEASON
    assert not season.starts(rows, np.ones(len(rows))).any()


def test_years_without_rows_are_no_evidence() -> None:
    rows = snapshot("then", 0.0, 1)
    years = [(rows[:0], rows), (rows, rows[:0])]
    assert learn_season(Recency.fit(rows).log_odds, rows, years, rows, PRIOR, SD).weight == 0.5


def test_what_the_model_adds_counts_less_in_the_season_in_which_it_says_less() -> None:
    random = np.random.default_rng(6)

    def at(year: int, month: int) -> pd.DataFrame:
        """Customers whose mood says much in odd months and little in even ones."""
        rows = snapshot(f"{year}-{month:02}-01", 0.0, month).assign(purchases=2.0, spend=5.0)
        rows["customer_id"] = np.arange(len(rows))
        rows["mood"] = random.normal(size=len(rows))
        risk = (1.2 if month % 2 else 0.2) * rows["mood"].to_numpy() - 0.5
        return rows.assign(defected=drawn(risk, 0.0, 13 * year + month))

    years = [(at(2024, month), at(2025, month)) for month in range(1, 7)]
    training, weak = pd.concat([then for _, then in years]), at(2025, 8)
    base = LogisticRFM.fit(training)
    spec = ModelSpec(["mood"], params().train.model_copy(update={"max_rounds": 40}), {}, 30)
    trained = fit_model(training, {BASE: base}, years, weak, spec)
    assert trained.model.scale < 0.6
    said, came = trained.model.predict(weak), weak["defected"].mean()
    assert said.mean() == pytest.approx(came, abs=0.05)
    low, high = (weak["defected"][part].mean() for part in (said < came, said >= came))
    assert np.ptp(said) < 3 * (high - low)


def test_no_season_turns_the_order_of_customers_round() -> None:
    rows = snapshot("then", 0.0, 1).assign(purchases=2.0, spend=5.0)
    base = LogisticRFM.fit(rows)
    spec = ModelSpec(["recency_days"], params().train, {}, 30)
    model = with_season(fit_form("offset", rows, base, 20, spec), Line(0.1, 0.2), Line(0.3, -9.0))
    assert model.predict(rows) == pytest.approx(np.full(len(rows), expit(0.3)))


def test_halves_with_one_outcome_only_are_not_cross_fitted() -> None:
    rows = snapshot("then", 0.0, 1).assign(purchases=2.0, spend=5.0, defected=False)
    rows["customer_id"] = np.arange(len(rows))
    spec = ModelSpec(["recency_days"], params().train, {}, 30)
    selected = SelectedForm("plain", 5, {}, 0.0)
    base = LogisticRFM.fit(rows.assign(defected=np.arange(len(rows)) % 2 > 0))
    assert cross_fit(rows, selected, base, spec, NO_SEASON) is None
    assert grouped_cv(rows, None, base, NO_SEASON)["auc"] is None


def test_where_the_season_does_not_recur_the_model_scores_without_one() -> None:
    def at(day: str, shift: float, seed: int) -> pd.DataFrame:
        rows = snapshot(day, shift, seed).assign(purchases=2.0, spend=5.0)
        return rows.assign(customer_id=np.arange(len(rows)))

    shifts = [0.8, -0.8] * 2
    years = [
        (at(f"2024-{n + 1:02}-01", shift, n), at(f"2025-{n + 1:02}-01", -shift, n + 50))
        for n, shift in enumerate(shifts)
    ]
    training = pd.concat([then for _, then in years])
    base = LogisticRFM.fit(training)
    spec = ModelSpec(["recency_days"], params().train.model_copy(update={"max_rounds": 20}), {}, 30)
    trained = fit_model(training, {BASE: base}, years, at("2024-08-01", 0.8, 9), spec)
    assert (trained.season.weight, trained.model.scale) == (0, 1)
