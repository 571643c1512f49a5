"""The tasks of the other queues: second purchase, return and conversion."""

from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params

from models.decision.queues import QUEUES, queue_of
from models.defection.baselines import LastContact
from models.defection.booster import ModelSpec
from models.defection.profit import winning_profit, won_by_contact
from models.defection.selection import select_scorer
from models.defection.tasks import TASKS
from pipeline.engine.rows import Population, joined
from pipeline.registry.about import about_of
from pipeline.registry.model_files import model_of
from pipeline.registry.tasks import Tasks, chances, measure_tasks, train_tasks
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError
from pipeline.runtime.store import Folder, text_sha256, to_json
from pipeline.stages.train import train

PARAMS = params()
QUICK = PARAMS.evaluate.model_copy(update={"bootstrap": 60})
SMALL = PARAMS.train.model_copy(update={"task_rounds": 40, "round_step": 20})
CALENDAR = small_shop.calibration()
STATES = {  # stage and activity of the customers of each task, by the number in their id
    0: ("first_time", "active"),
    1: ("core", "lapsed"),
    2: ("prospect", "open"),
    3: ("core", "active"),  # of the defection model
}
FIRST = min(small_shop.ORIGINS)


def frame_of(customers: int = 600, signal: float = 1.5, seed: int = 5) -> pd.DataFrame:
    """A quarter each of first-time buyers, lapsed customers, prospects and core customers.

    The log-odds of defection are `signal` times the mood, which no baseline knows.
    """
    frame = small_shop.rows(customers, 0.0)
    random, quarter = np.random.default_rng(seed), small_shop.number_of(frame) % 4
    chance = 1 / (1 + np.exp(0.3 - signal * frame["mood"]))
    frame["defected"] = random.random(len(frame)) < chance
    frame["purchases"] = np.select([quarter == 0, quarter == 2], [1, 0], frame["purchases"])
    frame["purchases"] = frame["purchases"].astype(np.float32)
    frame["known_days"] = frame["tenure_days"] = frame["recency_days"] + 100
    frame["touches"] = random.integers(0, 4, len(frame)).astype(np.float32)
    since = random.integers(1, 90, len(frame)).astype(np.float32)
    frame["days_since_touch"] = np.where(frame["touches"] > 0, since, np.nan)
    return frame


def folders_of(folder: Path, frame: pd.DataFrame) -> dict[str, Folder]:
    folders = small_shop.write(folder, frame)
    path = folder / "lifecycle" / "part-000.parquet"
    lifecycle = pd.read_parquet(path)
    states = [STATES[number % 4] for number in small_shop.number_of(lifecycle)]
    lifecycle[["stage", "activity"]] = states
    store.write(path, lifecycle.assign(scored=lifecycle["activity"] == "active"))
    return folders


def spec_of(frame: pd.DataFrame) -> ModelSpec:
    columns = frame.columns.drop(["customer_id", "snapshot", *small_shop.LABELS])
    return ModelSpec(list(columns), SMALL, {}, small_shop.HORIZON)


def trained(folder: Path, frame: pd.DataFrame) -> Tasks:
    return train_tasks(**folders_of(folder, frame), calibration=CALENDAR, spec=spec_of(frame))


def measured(folder: Path, frame: pd.DataFrame, tasks: Tasks) -> dict[str, Any]:
    """What `evaluate` writes of the tasks in a shop with these rows."""
    folders = folders_of(folder, frame)
    hashes = {name: text_sha256(text) for name, text in tasks.files.items()}
    about = {
        "features": spec_of(frame).columns,
        "chosen": tasks.chosen,
        "tasks": tasks.reasons,
        "lightgbm": "4",
        "sha256": {**hashes, "baselines.json": text_sha256(to_json(tasks.baselines))},
    }
    model = small_shop.model_folder(folder, {**tasks.files, "baselines.json": tasks.baselines})
    how = {"calibration": CALENDAR, "params": QUICK}
    return measure_tasks(**folders, model=model, about=about, **how)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tasks, dict[str, Any]]:
    folder, frame = tmp_path_factory.mktemp("tasks"), frame_of()
    tasks = trained(folder, frame)
    return tasks, measured(folder, frame, tasks)


def test_each_task_is_about_the_customers_of_its_queue_and_no_others() -> None:
    states = list(
        product(
            ("prospect", "first_time", "early_repeat", "core", "core_defector"),
            ("active", "late", "lapsed", "open", "stale"),
            ("defecting", "won_back", None),
        )
    )
    l = pd.DataFrame(states, columns=["stage", "activity", "status"])  # noqa: E741
    prospects = l["stage"] == "prospect"
    l = l[prospects == l["activity"].isin(["open", "stale"])]  # noqa: E741
    queues = [queue_of(*row) for row in l.itertuples(index=False)]
    for task in TASKS:
        chosen = duckdb.sql(f"select ({task.population}) from l").fetchnumpy()
        assert next(iter(chosen.values())).tolist() == [queue == task.queue for queue in queues]
    assert {"core_care", "early_care", "save_now", *(t.queue for t in TASKS)} == set(QUEUES)


def test_a_row_is_a_member_of_the_queue_at_a_snapshot_and_its_outcome_the_label(
    tmp_path: Path,
) -> None:
    frame = frame_of(60)
    folders, labels = folders_of(tmp_path, frame), dict[tuple[str, str], bool]()
    for row in frame.itertuples():
        labels[row.customer_id, str(row.snapshot)] = bool(row.defected)
    days = sorted(small_shop.ORIGINS)
    for place, task in enumerate(TASKS):
        rows = joined(
            **folders,
            calibration=CALENDAR,
            snapshots=days,
            population=Population(task.purchases, task.population),
        )
        seen = {(r.customer_id, r.snapshot): bool(r.defected) for r in rows.itertuples()}
        members = [f"c{number:04d}" for number in range(60) if number % 4 == place]
        assert seen == {(m, day): labels[m, day] for m in members for day in days}


def test_a_task_with_a_signal_is_measured_like_the_evaluation_and_the_outcome_is_a_purchase(
    shop: tuple[Tasks, dict[str, Any]],
) -> None:
    frame = frame_of()
    at = frame[frame["snapshot"].astype(str).isin(small_shop.ORIGINS)]
    for place, task in enumerate(TASKS):
        result = shop[1][task.name]
        own = at[small_shop.number_of(at) % 4 == place]
        assert result["verdict"] == "model"
        assert result["population"] == len(own)
        assert result["base_rate"] == pytest.approx(1 - own["defected"].mean(), abs=1e-5)
        simple = max(m["auc"] for m in result["baselines"].values())
        assert result["model"]["auc"] > 0.7
        assert simple < 0.6
        assert list(result["baselines"]) == list(result["delta"]) == list(task.baselines)
        assert [entry["origin"] for entry in result["by_origin"]] == list(small_shop.ORIGINS)
        assert list(result["by_activity"]) == [STATES[place][1]]


def test_the_boosters_lie_in_folders_of_their_own_and_each_has_its_baselines(
    shop: tuple[Tasks, dict[str, Any]],
) -> None:
    files = [
        f"tasks/{task.name}/{name}.txt"
        for task in TASKS
        for name in (*(f"origins/{origin}" for origin in small_shop.ORIGINS), "model")
    ]
    tasks = shop[0]
    assert list(tasks.files) == list(tasks.baselines) == list(tasks.chosen) == files
    assert tasks.reasons == {task.name: None for task in TASKS}
    assert {chosen["form"] for chosen in tasks.chosen.values()} == {"plain"}


def test_coin_flips_give_no_signal_and_the_rate_of_all(tmp_path: Path) -> None:
    frame = frame_of(600, signal=0.0, seed=6)
    for result in measured(tmp_path, frame, trained(tmp_path, frame)).values():
        assert result["verdict"] == "no_signal"
        assert result["base_rate"] == pytest.approx(0.57, abs=0.06)
        low, high = result["model"]["auc_ci"]
        assert low < 0.5 < high


def test_outcomes_that_were_not_known_at_an_origin_do_not_change_its_models(
    shop: tuple[Tasks, dict[str, Any]], tmp_path: Path
) -> None:
    frame, random = frame_of(), np.random.default_rng(9)
    unknown = pd.to_datetime(frame["snapshot"]) > pd.Timestamp(FIRST) - pd.Timedelta(days=30)
    frame.loc[unknown, "defected"] = random.permutation(frame.loc[unknown, "defected"])
    shuffled = trained(tmp_path, frame)
    for task in TASKS:
        first, last = (f"tasks/{task.name}/origins/{day}.txt" for day in sorted(small_shop.ORIGINS))
        assert shuffled.files[first] == shop[0].files[first]
        assert shuffled.baselines[first] == shop[0].baselines[first]
        assert shuffled.files[last] != shop[0].files[last]


def test_a_shop_without_contacts_has_no_conversion_task_and_says_why(tmp_path: Path) -> None:
    frame = frame_of(30).drop(columns=["touches", "days_since_touch"])
    result = measured(tmp_path, frame, trained(tmp_path, frame))["conversion"]
    assert result["verdict"] == "no_signal"
    assert result["grade"].endswith("the shop does not record days_since_touch, touches")
    assert result["model"] is None
    assert result["base_rate"] == pytest.approx(0.57, abs=0.2)


def test_a_value_that_is_not_known_counts_as_the_mean() -> None:
    rows = pd.DataFrame({"days_since_touch": [1.0, 5, 30, 90] * 50})
    rows["defected"] = np.tile([False, False, True, True, True, False, True, True], 25)
    fitted = LastContact.fit(rows)
    mean = np.expm1(np.log1p(rows["days_since_touch"]).mean())
    other = pd.DataFrame({"days_since_touch": [np.nan, mean]})
    unknown, average = fitted.predict(other)
    assert unknown == pytest.approx(average)
    assert not fitted.contributions(other)[0].any()
    nobody = rows.assign(days_since_touch=np.nan)
    assert LastContact.fit(nobody).predict(nobody) == pytest.approx(0.625, abs=0.01)


def test_better_probabilities_count_like_a_better_order_only_where_they_are_wanted() -> None:
    metrics = {
        "model": {"auc": 0.8, "auc_ci": [0.75, 0.85]},
        "bg_nbd": {"auc": 0.8, "auc_ci": [0.75, 0.85]},
    }
    deltas = {"bg_nbd": {"auc": [0.0, -0.01, 0.01], "brier": [-0.004, -0.006, -0.002]}}
    assert select_scorer(metrics, deltas) == "bg_nbd"
    assert select_scorer(metrics, deltas, probabilities=True) == "model"


SIGNALS = {
    "second_purchase": {"verdict": "model", "base_rate": 0.5},
    "return": {"verdict": "logistic_rfm", "base_rate": 0.5},
    "conversion": {"verdict": "no_signal", "base_rate": 0.42},
}


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Folder]:
    """The folders of a shop and of a model as `train` writes it."""
    folder, frame = tmp_path_factory.mktemp("final"), frame_of()
    folders = folders_of(folder, frame)
    few = SMALL.model_copy(update={"max_rounds": 20})
    how = {"monotone_constraints": {}, "calibration": CALENDAR, "shop": "demo", "params": few}
    files = train(**folders, **how)["model"]
    del folders["labels"]
    return {**folders, "model": small_shop.model_folder(folder, files)}


def chances_of(folders: dict[str, Folder], metrics: dict[str, Any]) -> "pd.Series[float]":
    how = {"metrics": metrics, "snapshot": small_shop.DATA_END, "engine": PARAMS.engine}
    return chances(**folders, **how)


def test_a_chance_is_the_probability_of_a_purchase_by_the_selected_scorer_or_the_rate_of_all(
    final: dict[str, Folder],
) -> None:
    chance = chances_of(final, {"tasks": SIGNALS})
    number = chance.index.str.removeprefix("c").astype(int)
    assert sorted(chance.index) == [f"c{i:04d}" for i in range(600) if i % 4 != 3]
    rows = frame_of()
    rows = rows[rows["snapshot"].astype(str) == small_shop.DATA_END].set_index("customer_id")
    model = model_of(final["model"], about_of(final["model"]), "tasks/second_purchase/model.txt")
    first = chance[number % 4 == 0]
    assert first.to_numpy() == pytest.approx(1 - model.predict(rows.loc[first.index]), abs=1e-6)
    assert first.corr(rows.loc[first.index, "mood"]) < -0.8, "good mood: more defect, fewer buy"
    assert chance[number % 4 == 1].nunique() > 20
    assert set(chance[number % 4 == 2]) == {0.42}


def test_a_model_of_an_earlier_version_without_tasks_gives_no_chance(
    final: dict[str, Folder],
) -> None:
    assert len(chances_of(final, {"verdict": "model"})) == 0
    unmeasured = {"conversion": {"verdict": "no_signal", "base_rate": None}}
    assert chances_of(final, {"tasks": unmeasured}).isna().all()


@pytest.mark.parametrize("name", ["tasks/second_purchase/model.txt", "baselines.json"])
def test_an_altered_scorer_of_a_task_is_refused(
    final: dict[str, Folder], tmp_path: Path, name: str
) -> None:
    files = {
        each: (final["model"].path / each).read_bytes() for each in final["model"].names("**/*")
    }
    files[name] = files[name].replace(b"0.1", b"0.2", 1)
    altered = {**final, "model": small_shop.model_folder(tmp_path, files)}
    with pytest.raises(ModelError, match="sha256"):
        chances_of(altered, {"tasks": SIGNALS})


def test_a_scorer_that_a_task_does_not_have_is_refused(final: dict[str, Folder]) -> None:
    with pytest.raises(ModelError, match=r"`tasks/return/model.txt.last_contact` is missing"):
        chances_of(final, {"tasks": {"return": {"verdict": "last_contact", "base_rate": 0.5}}})


def test_a_contact_adds_most_purchases_where_the_chance_is_middling_and_none_at_the_ends() -> None:
    chance = np.linspace(0, 1, 11)
    won = won_by_contact(chance, 0.3)
    odds = (chance + won)[1:-1] / (1 - chance - won)[1:-1]
    assert odds == pytest.approx(1.3 * chance[1:-1] / (1 - chance[1:-1]))
    assert won[[0, -1]] == pytest.approx([0, 0])
    assert 3 <= won.argmax() <= 6


def test_the_profit_of_a_contact_counts_the_incentive_of_those_who_buy_anyway() -> None:
    costs = PARAMS.costs.model_copy(update={"incentive": 0.1})
    value = np.array([0.0, 50.0, 50.0])  # the incentive is 5
    profit = winning_profit(np.array([0.5, 0.5, 0.0]), value, costs, 1.0, 2.0)
    won = 2 / 3 - 1 / 2
    assert profit == pytest.approx([-2 - 5 * 2 / 3, 50 * won - 5 * 2 / 3 - 2, -2])
