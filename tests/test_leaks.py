"""The traps of modelling: how much better a leak looks, and what stops it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import small_shop
from frozen import params
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from models.defection.baselines import LogisticRFM
from models.defection.bg_nbd import Parameters, fit, no_purchase
from models.defection.booster import ModelSpec
from models.defection.cross_validation import cross_fit, grouped_cv
from models.defection.forms import SelectedForm
from models.defection.leakage import date_columns, leaks, outcome_columns
from models.defection.metrics import calibration_error, calibration_floor, weighted_auc
from models.defection.season import NO_SEASON
from pipeline.engine.rows import joined, purged
from pipeline.registry.about import about_of
from pipeline.registry.model_files import scorer
from pipeline.runtime.errors import ConfigError, QualityError
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate

PARAMS = params()
HORIZON, ORIGIN = 60, 600
SNAPSHOTS = [ORIGIN - HORIZON - 20 * j for j in range(7)]
BUYERS = Parameters(0.8, 25.0, 0.8, 4.0)
COLUMNS = ["recency_days", "purchases", "spend", "tenure_days", "gap_mean"]


@pytest.fixture(scope="module")
def histories() -> list[npt.NDArray[np.float64]]:
    """Days of purchase of 1,500 customers, each from some day of the shop's first year on, as
    BG/NBD says.
    """
    random = np.random.default_rng(4)
    days = []
    for _ in range(1500):
        rate, chance = random.gamma(BUYERS.r, 1 / BUYERS.alpha), random.beta(BUYERS.a, BUYERS.b)
        at = [random.uniform(0, 365)]
        while at[-1] < ORIGIN + HORIZON and (len(at) == 1 or random.random() > chance):
            at.append(at[-1] + random.exponential(1 / rate))
        days.append(np.floor(at))
    return days


def observed(
    histories: list[npt.NDArray[np.float64]],
    snapshots: list[int],
    purchases: int = 2,
    recent: int = 2 * HORIZON,
) -> pd.DataFrame:
    """One row per customer and snapshot with so many purchases, the last so recent.

    Customer, snapshot, features, defected.
    """
    rows = []
    for customer, at in enumerate(histories):
        for snapshot in snapshots:
            past = np.unique(at[at < snapshot])
            if len(past) < purchases or snapshot - past[-1] > recent:
                continue
            retained = ((at >= snapshot) & (at < snapshot + HORIZON)).any()
            gap = (past[-1] - past[0]) / max(len(past) - 1, 1)
            spend = (past * 7919 % 97 + 3).sum()  # a sum of odd baskets: nearly a customer's name
            rows.append(
                (
                    customer,
                    snapshot,
                    snapshot - past[-1],
                    len(past),
                    spend,
                    snapshot - past[0],
                    gap,
                    not retained,
                )
            )
    return pd.DataFrame(rows, columns=["customer", "snapshot", *COLUMNS, "defected"])


def auc(scores: npt.NDArray[np.float64], rows: pd.DataFrame) -> float:
    return weighted_auc(scores, rows["defected"].to_numpy(bool), np.ones(len(rows)))


def auc_learnt(training: pd.DataFrame, test: pd.DataFrame) -> float:
    """AUC of a learner that memorises well."""
    forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0).fit(
        training[COLUMNS], training["defected"]
    )
    return auc(forest.predict_proba(test[COLUMNS])[:, 1], test)


@pytest.fixture(scope="module")
def honest(histories: list[npt.NDArray[np.float64]]) -> float:
    """AUC of the same learner, trained on what was known at the origin."""
    return auc_learnt(observed(histories, SNAPSHOTS), observed(histories, [ORIGIN]))


def test_labels_that_reach_over_the_origin_make_a_model_look_better_and_are_refused(
    histories, honest: float
) -> None:  # type: ignore[no-untyped-def]
    late = [ORIGIN - 10, *(ORIGIN - 20 - 20 * j for j in range(6))]
    assert auc_learnt(observed(histories, late), observed(histories, [ORIGIN])) > honest + 0.02
    with pytest.raises(ConfigError, match="E_LEAK snapshot 2025-06-02"):
        purged(small_shop.rows(10, 1.0), ["2025-05-01", "2025-06-02"], "2025-07-01", 30)


def test_a_random_split_of_pooled_snapshots_makes_a_model_look_better_than_a_split_by_customer(
    histories, honest: float
) -> None:  # type: ignore[no-untyped-def]
    pooled = observed(histories, [*SNAPSHOTS, ORIGIN])
    random = np.random.default_rng(1)
    by_row = random.random(len(pooled)) < 0.7
    by_customer = random.random(len(histories))[pooled["customer"]] < 0.7
    by_chance = auc_learnt(pooled[by_row], pooled[~by_row])
    assert by_chance > honest + 0.03
    assert by_chance > auc_learnt(pooled[by_customer], pooled[~by_customer]) + 0.03


def cross_validated(rows: pd.DataFrame) -> float | None:
    # the best split thresholds memorise customers sooner
    quick = PARAMS.train.model_copy(update={"extra_trees": False})
    spec = ModelSpec(["mood", "weather"], quick, {}, small_shop.HORIZON)
    selected, base = SelectedForm("plain", 50, {}, 0.0), LogisticRFM.fit(rows)
    result = grouped_cv(rows, cross_fit(rows, selected, base, spec, NO_SEASON), base, NO_SEASON)
    sizes = result["folds"], result["customers"], result["rows"]
    assert sizes == (2, rows["customer_id"].nunique(), len(rows))
    auc: float | None = result["auc"]
    return auc


def test_memorising_a_customer_is_worth_nothing_where_no_customer_is_in_two_folds() -> None:
    rows, random = small_shop.rows(300, 0.0), np.random.default_rng(5)
    who = pd.factorize(rows["customer_id"])[0]
    named = rows.assign(mood=random.normal(size=300)[who], defected=(random.random(300) < 0.4)[who])
    assert cross_validated(named) == pytest.approx(0.5, abs=0.07)
    by_row = cross_validated(named.assign(customer_id=np.arange(len(named))))
    assert by_row is not None
    assert by_row > 0.65


def test_the_auc_is_unknown_where_one_customer_has_all_rows_of_an_outcome() -> None:
    rows = small_shop.rows(30, 0.0)
    assert cross_validated(rows.assign(defected=rows["customer_id"] == "c0003")) is None


def test_no_customers_snapshot_is_in_both_training_and_test_rows() -> None:
    rows = small_shop.rows(20, 1.0)
    rows = rows.assign(benchmark=True, snapshot=rows["snapshot"].astype(str))
    for origin, snapshots in small_shop.ORIGINS.items():
        training = purged(rows, snapshots, origin, small_shop.HORIZON)
        gap = pd.Timestamp(origin) - pd.to_datetime(training["snapshot"])
        assert len(training) == 20 * len(snapshots)
        assert (gap >= pd.Timedelta(days=small_shop.HORIZON)).all()


def test_one_time_buyers_make_a_score_look_better_and_are_not_among_the_rows(
    histories, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    everyone, repeaters = (
        observed(histories, [ORIGIN], purchases=1, recent=ORIGIN),
        observed(histories, [ORIGIN]),
    )
    of_all, of_repeaters = (
        auc((rows["recency_days"] / rows["purchases"]).to_numpy(), rows)
        for rows in (everyone, repeaters)
    )
    assert of_all > of_repeaters + 0.05
    frame = small_shop.rows(20, 1.0)
    frame.loc[frame["customer_id"] < "c0005", "purchases"] = 1
    folders, calendar = small_shop.write(tmp_path, frame), small_shop.calibration()
    rows = joined(
        folders["features"],
        folders["lifecycle"],
        calendar,
        folders["labels"],
        calendar["snapshots"],
    )
    assert rows["customer_id"].min() == "c0005"


def test_the_chance_to_be_alive_is_a_worse_score_than_the_chance_to_buy(histories) -> None:  # type: ignore[no-untyped-def]
    buyers, rows = (
        observed(histories, [ORIGIN], purchases=1, recent=ORIGIN),
        observed(histories, [ORIGIN]),
    )
    fitted = fit(*known(buyers))
    alive = {len(part): 1 - no_purchase(fitted, *known(part), 1e30) for part in (buyers, rows)}
    assert (
        auc(1 - alive[len(rows)], rows)
        < auc(no_purchase(fitted, *known(rows), HORIZON), rows) - 0.02
    )
    assert alive[len(buyers)][buyers["purchases"] == 1] == pytest.approx(1, abs=1e-6)


def known(rows: pd.DataFrame) -> tuple[npt.NDArray[np.float64], ...]:
    tenure = rows["tenure_days"].to_numpy(float)
    return (
        rows["purchases"].to_numpy(float) - 1,
        tenure - rows["recency_days"].to_numpy(float),
        tenure,
    )


def test_reweighted_classes_keep_the_order_and_ruin_the_probabilities() -> None:
    random = np.random.default_rng(3)
    recency = random.normal(size=(4000, 1))
    defected = random.random(4000) < 1 / (1 + np.exp(2.2 - recency[:, 0]))  # one in eight churns
    plain, balanced = (
        LogisticRegression(class_weight=weights).fit(recency, defected).predict_proba(recency)[:, 1]
        for weights in (None, "balanced")
    )
    assert (np.argsort(plain) == np.argsort(balanced)).all()
    assert calibration_error(plain, defected) < 2 * calibration_floor(plain, 1)
    assert calibration_error(balanced, defected) > 10 * calibration_floor(balanced, 1)


def trained(folder: Path, frame: pd.DataFrame) -> Folder:
    few = PARAMS.train.model_copy(update={"max_rounds": 20, "round_step": 10})
    return small_shop.model_folder(folder, small_shop.trained(folder, frame, few)[1])


def evaluated(folder: Path, frame: pd.DataFrame, model: Folder) -> dict[str, Any]:
    """What `evaluate` returns for the model in a small shop with these rows."""
    quick = PARAMS.evaluate.model_copy(update={"bootstrap": 50})
    folders, calendar = small_shop.write(folder, frame), small_shop.calibration()
    return evaluate(
        **folders,
        model=model,
        calibration=calendar,
        shop="small",
        params=quick,
        costs=PARAMS.costs,
        root=folder,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return trained(tmp_path_factory.mktemp("trained"), small_shop.rows(150, 2.0))


def test_a_label_that_recency_can_compute_stops_the_run_and_the_message_names_recency(
    model: Folder, tmp_path: Path
) -> None:
    frame = small_shop.rows(150, 2.0)
    with pytest.raises(
        QualityError, match=r"E_LEAK data/features recency_days .* AUC 1\.000"
    ) as refused:
        evaluated(tmp_path, frame.assign(defected=frame["recency_days"] > 30), model)
    assert refused.value.exit_code == 4


def test_a_shop_where_nobody_churns_has_no_signal_and_the_reason(
    model: Folder, tmp_path: Path
) -> None:
    frame = small_shop.rows(150, 2.0)
    frame.loc[frame["snapshot"].astype(str).isin(small_shop.ORIGINS), "defected"] = False
    evaluation = evaluated(tmp_path, frame, model)["evaluation"]
    assert (evaluation["verdict"], evaluation["grade"]) == (
        "no_signal",
        "no signal: 300 benchmark rows at the test origins, 0 of the rarer outcome",
    )


def test_a_feature_that_is_the_date_is_not_trained_on_and_no_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = small_shop.rows(150, 2.0)
    dated = rows.assign(known_days=pd.to_datetime(rows["snapshot"]).map(pd.Timestamp.toordinal))
    features = [*dated.columns.drop(["customer_id", "snapshot", *small_shop.LABELS])]
    assert date_columns(dated, features) == ["known_days"]
    model = trained(tmp_path, dated)
    assert "known_days" in capsys.readouterr().err
    assert "known_days" not in about_of(model)["features"]
    assert evaluated(tmp_path, dated, model)["evaluation"]["population"] == 300
    assert scorer(model, "model", features, small_shop.DATA_END).predict(dated).std() > 0


def test_a_model_that_knows_what_no_feature_alone_contains_stops_the_run(
    model: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = small_shop.rows(50, 2.0)
    [leak] = leaks(rows.assign(model=np.where(rows["defected"], 0.9, 0.1)), ["mood", "weather"])
    assert leak.column == "model"
    assert "AUC 1.000" in leak.rule
    monkeypatch.setattr("pipeline.stages.evaluate.leaks", lambda *_: [leak])
    with pytest.raises(QualityError, match=r"E_LEAK data/model .* AUC 1\.000"):
        evaluated(tmp_path, small_shop.rows(150, 2.0), model)


@pytest.mark.parametrize("permuted", [False, True], ids=["coin flips", "permuted labels"])
def test_where_labels_are_random_no_scorer_beats_chance(permuted: bool, tmp_path: Path) -> None:
    frame = small_shop.rows(400, 2.0 if permuted else 0.0)
    if permuted:
        shuffle = np.random.default_rng(6).permutation
        frame["defected"] = frame.groupby("snapshot")["defected"].transform(
            lambda flags: shuffle(flags.to_numpy())
        )
    outputs = evaluated(tmp_path, frame, trained(tmp_path, frame))
    measured = outputs["evaluation"]["benchmark"]
    assert outputs["metrics"]["verdict"] == "no_signal"
    assert "no signal" in outputs["model_card"]
    for each in (measured["model"], *measured["baselines"].values()):
        assert each["auc"] == pytest.approx(0.5, abs=0.05)
        assert each["auc_ci"][0] < 0.5 < each["auc_ci"][1]


def outcomes(rows: int) -> npt.NDArray[np.bool_]:
    return np.arange(rows) % 3 == 0


@pytest.mark.parametrize(
    ("column", "named"),
    [
        (np.where(outcomes(90), 5.0, 1.0), True),
        (np.where(outcomes(90), 1.0, 5.0), True),
        (np.where(outcomes(90), np.nan, 5.0), True),
        (np.where(np.arange(90) < 84, outcomes(90), ~outcomes(90)).astype(float), False),
        (np.full(90, np.nan), False),
    ],
    ids=[
        "higher for churned",
        "lower for churned",
        "unknown for churned",
        "for most of them",
        "unknown",
    ],
)
def test_a_column_that_contains_the_outcome_is_named_in_either_direction(
    column: npt.NDArray[np.float64], named: bool
) -> None:
    aucs = outcome_columns(pd.DataFrame({"column": column}), ["column"], outcomes(90))
    assert ("column" in aucs) is named


def test_a_column_that_separates_only_a_few_churned_rows_is_not_named() -> None:
    churned = np.arange(90) < 9
    rows = pd.DataFrame({"column": churned.astype(float)})
    assert outcome_columns(rows, ["column"], churned) == {}


def test_a_column_is_a_date_only_if_it_changes_between_snapshots_and_not_within() -> None:
    rows = pd.DataFrame(
        {
            "snapshot": [1, 1, 2, 2],
            "clock": [7.0, 7, 8, 8],
            "constant": 0.0,
            "own": [1.0, 2, 1, 2],
            "unknown": np.nan,
        }
    )
    assert date_columns(rows, ["clock", "constant", "own", "unknown"]) == ["clock"]
