"""Training, its honesty, and what is done with a model that cannot be trusted."""

import copy
import hashlib
import json
import pickle
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_shop
from frozen import params

from models.defection.baselines import BASELINES, predict
from models.defection.booster import fit, probabilities
from pipeline.registry import model_files as model_file
from pipeline.registry.model_files import booster_of, scorer
from pipeline.registry.run_record import flat
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import purged, train

PARAMS = params()
FEATURES = list(small_shop.rows(1, 1.0).columns.drop(["customer_id", "snapshot", "defected"]))


def trained(
    folder: Path, customers: int = 400, signal: float = 2.0
) -> tuple[dict[str, Folder], dict[str, Any]]:
    folders = small_shop.write(folder, small_shop.rows(customers, signal))
    files = train(
        **folders,
        monotone_constraints={},
        calibration=small_shop.calibration(),
        params=PARAMS.train,
    )["model"]
    return folders, files


def judged(folder: Path, customers: int = 400, signal: float = 2.0) -> dict[str, Any]:
    folders, files = trained(folder, customers, signal)
    model = small_shop.model_folder(folder, files)
    return evaluate(
        **folders,
        model=model,
        calibration=small_shop.calibration(),
        shop="small",
        params=PARAMS.evaluate,
        costs=PARAMS.costs,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, trained(folder)[1]


def test_the_same_rows_give_the_same_model_byte_for_byte(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    assert trained(tmp_path)[1] == shop[1]


def test_the_trees_have_the_shape_that_params_yaml_gives_them(
    shop: tuple[Path, dict[str, Any]],
) -> None:
    shape = PARAMS.train.model_dump(
        exclude={"forms", "max_rounds", "round_step", "season_weight", "monotone"}
    )
    shape["min_data_in_leaf"] = shape.pop("min_child_samples")
    told = dict(re.findall(r"(?m)^\[(\w+): (.*)\]$", shop[1]["model.txt"]))
    assert {name: float(told[name]) for name in shape} == {
        name: float(value) for name, value in shape.items()
    }


def test_there_is_a_model_for_each_origin_and_a_final_one(
    shop: tuple[Path, dict[str, Any]],
) -> None:
    boosters = {name for name in shop[1] if name.endswith(".txt")}
    assert {
        name: set(chosen["losses"]) for name, chosen in shop[1]["model.json"]["chosen"].items()
    } == dict.fromkeys(boosters, {"plain", "offset", "logistic_rfm"})
    assert boosters == {"model.txt", *(f"origins/{origin}.txt" for origin in small_shop.ORIGINS)}
    assert set(shop[1]["model.json"]["sha256"]) == boosters | {"baselines.json"}
    assert set(shop[1]["baselines.json"]) == boosters


def test_teaching_by_an_outcome_that_was_not_known_yet_is_refused() -> None:
    with pytest.raises(ConfigError, match="E_LEAK snapshot 2025-06-02") as refused:
        purged(small_shop.rows(10, 1.0), ["2025-05-01", "2025-06-02"], "2025-07-01", 30)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("monotone", "ways"), [(0, {-1.0, 1.0}), (1, {1.0}), (-1, {-1.0})], ids=["free", "up", "down"]
)
def test_a_feature_with_a_direction_moves_the_probability_that_way_only(
    monotone: int, ways: set[float]
) -> None:
    taught = small_shop.rows(200, 2.0)
    wavy = np.sin(3 * taught["mood"]) > 0
    booster = fit(
        taught, ["mood", "weather"], wavy.to_numpy(bool), PARAMS.train, 50, {"mood": monotone}
    )
    told = probabilities(booster, np.column_stack([np.linspace(-3, 3, 200), np.zeros(200)]))
    assert {float(way) for way in np.sign(np.diff(told))} - {0.0} <= ways
    assert monotone or len(set(np.sign(np.diff(told))) - {0.0}) == 2


@pytest.fixture(scope="module")
def judgement(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return judged(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def metrics(judgement: dict[str, Any]) -> dict[str, Any]:
    evaluation: dict[str, Any] = judgement["evaluation"]
    return evaluation


def test_what_no_simple_rule_can_see_makes_the_model_win(metrics: dict[str, Any]) -> None:
    assert metrics["verdict"] == "model"
    assert metrics["benchmark"]["delta"]["logistic_rfm"]["auc"][1] > 0.1
    assert "the model wins" in metrics["grade"]


def test_a_shop_too_small_to_learn_from_is_a_result_with_its_reason(tmp_path: Path) -> None:
    found = judged(tmp_path, customers=20)
    assert found["metrics"]["verdict"] == "no_signal"
    assert "20 customers" in found["metrics"]["grade"]
    assert found["metrics"]["model"] is None


def test_metrics_hold_a_screenful_of_the_evaluation_in_the_same_structure(
    judgement: dict[str, Any],
) -> None:
    numbers = flat(judgement["metrics"])
    assert 30 <= len(numbers) <= 60
    assert numbers.items() <= flat(judgement["evaluation"]).items()
    assert list(judgement["metrics"]["benchmark"]) == (
        "population base_rate model baselines delta".split()
    )


def test_metrics_have_the_keys_their_readers_expect(metrics: dict[str, Any]) -> None:
    found = metrics
    assert (
        list(found)
        == (
            "shop horizon_days origins population base_rate verdict grade model baselines delta by_stage by_origin returned_later "
            "risk_bands sensitivity grouped_cv benchmark"
        ).split()
    )
    scorer_keys = (
        "auc auc_ci pr_auc brier brier_ci log_loss ece ece_floor precision_at_10 lift_at_10 value_weighted_auc empc empc_ci "
        "profit_at_10 profit_at_10_ci profit_at_10_by_risk profit_at_10_by_risk_ci"
    ).split()
    for measured in (
        found["model"],
        found["by_stage"]["core"]["model"],
        *found["baselines"].values(),
        *found["benchmark"]["baselines"].values(),
    ):
        assert list(measured) == scorer_keys
        assert None not in measured.values()
    assert (
        list(found["baselines"])
        == list(found["delta"])
        == ["recency", "logistic_rfm", "bg_nbd", "expert_windows", "random_forest_rfm"]
    )
    assert list(found["benchmark"]) == [
        "population",
        "base_rate",
        "model",
        "baselines",
        "delta",
        "by_origin",
    ]
    assert [entry["origin"] for entry in found["by_origin"]] == list(small_shop.ORIGINS)


def test_the_canary_rows_are_nobodys(shop: tuple[Path, dict[str, Any]]) -> None:
    frame = small_shop.rows(400, 2.0)
    columns = shop[1]["model.json"]["features"]
    known = {tuple(row) for row in frame[columns].to_numpy().tolist()}
    assert not known & {tuple(row) for row in shop[1]["model.json"]["canary"]["rows"]}


def _spoil(text: str, what: str) -> str | None:
    return {
        "missing": None,
        "empty": "",
        "truncated": text[: len(text) // 2],
        "a digit changed": text.replace("leaf_value=0", "leaf_value=1", 1).replace(
            "leaf_value=-0", "leaf_value=-1", 1
        ),
        "CRLF": text.replace("\n", "\r\n"),
        "NUL": text[:100] + "\0" + text[101:],
        "a pickle": pickle.dumps(text, protocol=0).decode(),
    }[what]


@pytest.mark.parametrize(
    "what", ["missing", "empty", "truncated", "a digit changed", "CRLF", "NUL", "a pickle"]
)
def test_an_altered_model_is_refused_before_it_is_loaded(
    what: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    files = dict(shop[1])
    spoilt = _spoil(files.pop("model.txt"), what)
    model = small_shop.model_folder(tmp_path, files)
    if spoilt is not None:
        (model.path / "model.txt").write_bytes(spoilt.encode())
    with pytest.raises(ModelError, match="model.txt") as refused:
        booster_of(model, files["model.json"], "model.txt")
    assert refused.value.exit_code == 5


def vouched_for(folder: Path, files: dict[str, Any], name: str, content: bytes) -> Folder:
    """A model on disk with another content of one file, for which its model.json vouches."""
    about = files["model.json"] | {
        "sha256": files["model.json"]["sha256"] | {name: hashlib.sha256(content).hexdigest()}
    }
    return small_shop.model_folder(folder, {**files, name: content, "model.json": about})


def unsized(text: str) -> str:
    """Without the sizes of its trees LightGBM reads them one by one, however long they are."""
    return re.sub(r"(?m)^tree_sizes=.*\n", "", text)


def endless(text: str) -> str:
    """Whoever walks through its first tree comes to each node by twice as many ways as to the one
    above, and never to an end.
    """
    nodes = 60
    numbers = {
        "split_feature": 0,
        "split_gain": 1,
        "threshold": 0.5,
        "decision_type": 2,
        "internal_value": 0,
        "internal_count": 9,
    }
    numbers |= {"internal_weight": 9}
    lines = [f"{name}={' '.join([str(number)] * nodes)}" for name, number in numbers.items()]
    lines += [
        f"{side}_child={' '.join(map(str, range(1, nodes)))} -1" for side in ("left", "right")
    ]
    lines += [
        f"leaf_{name}={' '.join(['1'] * (nodes + 1))}" for name in ("value", "weight", "count")
    ]
    tree = "\n".join(
        [
            "Tree=0",
            f"num_leaves={nodes + 1}",
            "num_cat=0",
            *lines,
            "is_linear=0",
            "shrinkage=1\n\n\n",
        ]
    )
    head, rest = unsized(text).split("Tree=0\n")
    return head + tree + rest[rest.index("Tree=1\n") :]


BROKEN: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "LightGBM cannot work with it"),
    # it reads beyond the end, whatever is there
    "truncated": (lambda text: text[: len(text) // 2], "LightGBM"),
    "a line lost": (
        lambda text: text.replace("num_leaves=7\n", "", 1),
        "LightGBM crashes on it: SIG",
    ),
    "CRLF": (lambda text: text.replace("\n", "\r\n"), "LightGBM crashes on it: SIG"),
    "NUL": (lambda text: text.replace("Tree=5", "Tree\0005", 1), "LightGBM crashes on it: SIG"),
    "a circle": (
        lambda text: text.replace("left_child=1", "left_child=0", 1),
        "LightGBM crashes on it: SIG",
    ),
    "no number": (
        lambda text: re.sub(r"leaf_value=\S+", "leaf_value=nan", unsized(text), count=1),
        "LightGBM cannot work with it",
    ),
    "endless": (endless, "LightGBM does not come to an end with it in 1 s"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_text_that_its_account_vouches_for_is_refused_and_ends_no_process_but_the_one_that_tries_it(
    what: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, rule = BROKEN[what]
    monkeypatch.setattr(model_file, "TRIAL_SECONDS", 1 if what == "endless" else 60)
    model = vouched_for(tmp_path, shop[1], "model.txt", spoil(shop[1]["model.txt"]).encode())
    with pytest.raises(ModelError, match=f"E_MODEL_BROKEN model.txt — {rule}") as refused:
        scorer(model, "model", FEATURES, small_shop.DATA_END)
    assert refused.value.exit_code == 5


@pytest.mark.parametrize("name", ["model.txt", "baselines.json"])
def test_bytes_that_are_no_text_are_refused_though_its_account_vouches_for_them(
    name: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = vouched_for(tmp_path, shop[1], name, b"\xff\xfe")
    with pytest.raises(ModelError, match=f"E_MODEL_BROKEN {name}"):
        scorer(
            model, "recency" if name == "baselines.json" else "model", FEATURES, small_shop.DATA_END
        )


def test_a_peer_that_is_a_booster_is_tried_out_as_well(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    baselines = copy.deepcopy(shop[1]["baselines.json"])
    whole = baselines["model.txt"]["expert_windows"]["text"]
    baselines["model.txt"]["expert_windows"]["text"] = whole[: len(whole) // 2]
    model = vouched_for(tmp_path, shop[1], "baselines.json", json.dumps(baselines).encode())
    with pytest.raises(ModelError, match="E_MODEL_BROKEN baselines.json"):
        scorer(model, "expert_windows", FEATURES, small_shop.DATA_END)


def test_a_trial_that_somebody_stops_says_nothing_of_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, -signal.SIGKILL),
    )
    with pytest.raises(
        ModelError, match="E_MODEL_UNTRIED model.txt — its trial was stopped: SIGKILL"
    ):
        model_file.try_out("a text that nobody has tried yet", "model.txt")


def test_a_sound_text_of_other_features_is_refused(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    other = shop[1]["model.txt"].replace(" mood weather ", " weather mood ", 1)
    assert other != shop[1]["model.txt"]
    with pytest.raises(ModelError, match="E_MODEL_SCHEMA model.txt feature_names"):
        scorer(
            vouched_for(tmp_path, shop[1], "model.txt", other.encode()),
            "model",
            FEATURES,
            small_shop.DATA_END,
        )


@pytest.mark.parametrize("verdict", ["model", *BASELINES])
@pytest.mark.parametrize("canary", [None, {"rows": []}])
def test_a_scorer_that_cannot_be_checked_is_refused(
    canary: dict[str, Any] | None, verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    about = {**shop[1]["model.json"], "canary": canary}
    with pytest.raises(ModelError, match="E_MODEL_CANARY model.json"):
        scorer(
            small_shop.model_folder(tmp_path, {**shop[1], "model.json": about}),
            verdict,
            FEATURES,
            small_shop.DATA_END,
        )


@pytest.mark.parametrize("verdict", ["model", *BASELINES])
def test_a_scorer_by_which_known_rows_score_otherwise_is_refused(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    about = copy.deepcopy(shop[1]["model.json"])
    about["canary"]["scores"][verdict][0] += 1e-8
    with pytest.raises(
        ModelError, match=f"E_MODEL_CANARY {verdict} — known rows score differently by 1e-08"
    ):
        scorer(
            small_shop.model_folder(tmp_path, {**shop[1], "model.json": about}),
            verdict,
            FEATURES,
            small_shop.DATA_END,
        )


def test_another_models_file_in_its_place_is_refused(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    swapped = {**shop[1], "model.txt": shop[1]["origins/2025-07-01.txt"]}
    with pytest.raises(ModelError, match="E_MODEL_CHANGED"):
        booster_of(small_shop.model_folder(tmp_path, swapped), shop[1]["model.json"], "model.txt")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"columns": FEATURES[::-1]}, "E_MODEL_SCHEMA"),
        ({"columns": FEATURES[1:]}, "E_MODEL_SCHEMA"),
        ({"snapshot": "2025-08-31"}, "E_MODEL_FUTURE"),
        ({"lightgbm": "99.0.0"}, "E_MODEL_VERSION"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    change: dict[str, Any], code: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    about = {
        **shop[1]["model.json"],
        "lightgbm": change.get("lightgbm", shop[1]["model.json"]["lightgbm"]),
    }
    model = small_shop.model_folder(tmp_path, {**shop[1], "model.json": about})
    with pytest.raises(ModelError, match=code):
        scorer(
            model,
            "model",
            change.get("columns", about["features"]),
            change.get("snapshot", small_shop.DATA_END),
        )


@pytest.mark.parametrize("verdict", BASELINES)
def test_a_peer_whose_numbers_were_altered_is_refused(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    path = model.path / "baselines.json"
    path.write_text(path.read_text().replace('"columns": ', '"columns":  '))
    with pytest.raises(ModelError, match="E_MODEL_CHANGED baselines.json"):
        scorer(model, verdict, shop[1]["model.json"]["features"], small_shop.DATA_END)


@pytest.mark.parametrize("content", [None, "{", "[]", "null", "4", '{"trained": true}'])
def test_a_model_without_its_account_is_refused(
    content: str | None, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    (model.path / "model.json").unlink()
    if content is not None:
        (model.path / "model.json").write_text(content)
    with pytest.raises(ModelError, match="E_MODEL_(MISSING|BROKEN) model.json"):
        scorer(model, "model", shop[1]["model.json"]["features"], small_shop.DATA_END)


@pytest.mark.parametrize("verdict", BASELINES)
def test_a_peer_read_again_scores_as_it_did_when_it_was_taught(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model, rows = small_shop.model_folder(tmp_path, shop[1]), small_shop.rows(50, 1.0)
    chosen = scorer(model, verdict, FEATURES, small_shop.DATA_END)
    assert (
        chosen.predict(rows) == predict(shop[1]["baselines.json"]["model.txt"][verdict], rows)
    ).all()
    assert set(chosen.explain(rows).columns) <= set(FEATURES)


def test_where_the_model_does_not_win_the_peer_scores(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    rows = small_shop.rows(5, 1.0)
    chosen = scorer(model, "recency", shop[1]["model.json"]["features"], small_shop.DATA_END)
    assert (
        chosen.model_id
        != scorer(model, "model", shop[1]["model.json"]["features"], small_shop.DATA_END).model_id
    )
    ordered = rows.assign(risk=chosen.predict(rows)).sort_values("recency_days")["risk"]
    assert ordered.is_monotonic_increasing or ordered.is_monotonic_decreasing
    assert list(chosen.explain(rows).columns) == ["recency_days"]
