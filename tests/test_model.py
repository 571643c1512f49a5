"""Training without leaks, and the refusal of models that cannot be trusted."""

import copy
import hashlib
import json
import os
import pickle
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params

from models.defection.baselines import BASELINES
from models.defection.booster import NOT_LIGHTGBM, ModelSpec, fit_booster, tree_sums
from models.defection.forms import SelectedForm
from pipeline.registry import model_files
from pipeline.registry.about import about_of
from pipeline.registry.forecasts import forecasts
from pipeline.registry.model_files import booster_of, scorer
from pipeline.registry.run_record import flat
from pipeline.runtime import store
from pipeline.runtime.errors import ModelError, StorageError
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import train

PARAMS = params()
FEATURES = list(
    small_shop.rows(1, 1.0).columns.drop(["customer_id", "snapshot", *small_shop.LABELS])
)


def trained(
    folder: Path, customers: int = 400, signal: float = 2.0
) -> tuple[dict[str, Folder], dict[str, Any]]:
    return small_shop.trained(folder, small_shop.rows(customers, signal), PARAMS.train)


def evaluated(folder: Path, customers: int = 400, signal: float = 2.0) -> dict[str, Any]:
    folders, files = trained(folder, customers, signal)
    model = small_shop.model_folder(folder, files)
    ids = [f"c{i:04d}" for i in range(customers)]
    regions = pd.DataFrame({"customer_id": ids[::2], "segment_region": "north"})
    store.write(folder / "events" / "segments.parquet", regions)
    return evaluate(
        **folders,
        events=Folder(folder / "events"),
        model=model,
        calibration=small_shop.calibration(),
        shop="small",
        params=PARAMS.evaluate,
        costs=PARAMS.costs,
        root=folder,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("shop")
    return folder, trained(folder)[1]


def test_the_same_rows_give_the_same_model_byte_for_byte(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folders = small_shop.write(tmp_path, small_shop.rows(400, 2.0))
    how = {"monotone_constraints": {}, "calibration": small_shop.calibration()}
    assert train(**folders, **how, shop="demo", params=PARAMS.train)["model"] == shop[1]


def test_the_booster_has_the_hyperparameters_of_params_yaml(
    shop: tuple[Path, dict[str, Any]],
) -> None:
    expected = PARAMS.train.model_dump(exclude=NOT_LIGHTGBM)
    expected["min_data_in_leaf"] = expected.pop("min_child_samples")
    recorded = dict(re.findall(r"(?m)^\[(\w+): (.*)\]$", shop[1]["model.txt"]))
    for name, value in expected.items():
        assert float(recorded[name]) == float(value), name


def test_there_is_a_model_for_each_origin_and_a_final_one(
    shop: tuple[Path, dict[str, Any]],
) -> None:
    texts = {name for name in shop[1] if name.endswith(".txt")}
    boosters = {name for name in texts if not name.startswith("forecasts/")}
    forms = shop[1]["model.json"]["chosen"]
    selected = [{key: forms[name][key] for key in SelectedForm._fields} for name in boosters]
    assert set(selected[0]["losses"]) == {"plain", "offset", "logistic_rfm"}
    assert all(each == selected[0] for each in selected)
    assert boosters == {"model.txt", *(f"origins/{origin}.txt" for origin in small_shop.ORIGINS)}
    assert set(shop[1]["model.json"]["sha256"]) == texts | {"baselines.json"}
    assert set(shop[1]["baselines.json"]) == boosters


@pytest.mark.parametrize(
    ("constraint", "obeyed", "directions"),
    [(0, True, {-1.0, 1.0}), (1, True, {1.0}), (-1, True, {-1.0}), (1, False, {-1.0, 1.0})],
    ids=["free", "up", "down", "switched off"],
)
def test_a_monotone_constraint_lets_a_feature_move_the_probability_one_way_only(
    constraint: int, obeyed: bool, directions: set[float]
) -> None:
    rows = small_shop.rows(200, 2.0)
    wavy = rows.assign(defected=np.sin(3 * rows["mood"]) > 0)
    params = PARAMS.train.model_copy(update={"monotone": obeyed})
    booster = fit_booster(
        wavy, ModelSpec(["mood", "weather"], params, {"mood": constraint}, 30), 50
    )
    log_odds = tree_sums(booster, np.column_stack([np.linspace(-3, 3, 200), np.zeros(200)]))
    assert {float(step) for step in np.sign(np.diff(log_odds))} - {0.0} == directions


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return evaluated(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def evaluation(outputs: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = outputs["evaluation"]
    return result


def test_the_model_wins_where_no_simple_baseline_can_represent_the_signal(
    evaluation: dict[str, Any],
) -> None:
    assert evaluation["verdict"] == "model"
    assert evaluation["benchmark"]["delta"]["logistic_rfm"]["auc"][1] > 0.1
    assert "the model wins" in evaluation["grade"]


def test_a_shop_too_small_to_train_on_has_no_signal_and_the_reason(tmp_path: Path) -> None:
    metrics = evaluated(tmp_path, customers=20)["metrics"]
    assert metrics["verdict"] == "no_signal"
    assert "20 customers" in metrics["grade"]
    assert metrics["model"] is None


def test_metrics_hold_a_screenful_of_the_evaluation_in_the_same_structure(
    outputs: dict[str, Any],
) -> None:
    numbers = flat(outputs["metrics"])
    assert 30 <= len(numbers) <= 75
    assert numbers.items() <= flat(outputs["evaluation"]).items()
    assert list(outputs["metrics"]["benchmark"]) == (
        "population base_rate model baselines delta by_origin".split()
    )


def test_each_segment_has_its_counts_base_rate_and_auc(evaluation: dict[str, Any]) -> None:
    entries = {entry["value"]: entry for entry in evaluation["by_segment"]["segment_region"]}
    north, unknown = entries["north"], entries[None]
    assert north["customers"] == 200
    assert north["population"] + unknown["population"] == evaluation["population"]
    for entry in (north, unknown):
        low, high = entry["auc_ci"]
        assert 0.5 < low <= entry["auc"] <= high


def test_the_evaluation_has_the_keys_its_readers_expect(evaluation: dict[str, Any]) -> None:
    assert (
        list(evaluation)
        == (
            "shop horizon_days origins population base_rate verdict grade model baselines delta "
            "by_stage by_origin returned_later risk_bands sensitivity grouped_cv newest benchmark "
            "own_model by_segment timing value returning tasks value_source stake seeds"
        ).split()
    )
    scorer_keys = (
        "auc auc_ci pr_auc brier brier_ci log_loss ece ece_floor precision_at_10 lift_at_10 "
        "value_weighted_auc empc empc_ci profit_at_10 profit_at_10_ci profit_at_10_by_risk "
        "profit_at_10_by_risk_ci"
    ).split()
    for measured in (
        evaluation["model"],
        evaluation["by_stage"]["core"]["model"],
        *evaluation["baselines"].values(),
        *evaluation["benchmark"]["baselines"].values(),
    ):
        assert list(measured) == scorer_keys
        assert None not in measured.values()
    names = ["recency", "logistic_rfm", "bg_nbd", "expert_windows", "random_forest_rfm"]
    assert list(evaluation["baselines"]) == list(evaluation["delta"]) == names
    assert list(evaluation["benchmark"]) == (
        "population base_rate model baselines delta by_origin".split()
    )
    assert [entry["origin"] for entry in evaluation["by_origin"]] == list(small_shop.ORIGINS)


def test_no_canary_row_is_a_customers(shop: tuple[Path, dict[str, Any]]) -> None:
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


def with_right_sha256(folder: Path, files: dict[str, Any], name: str, content: bytes) -> Folder:
    """A model on disk with another content of one file, whose sha256 is in its model.json."""
    about = files["model.json"] | {
        "sha256": files["model.json"]["sha256"] | {name: hashlib.sha256(content).hexdigest()}
    }
    return small_shop.model_folder(folder, {**files, name: content, "model.json": about})


def unsized(text: str) -> str:
    """Without the sizes of its trees LightGBM reads them one by one, however long they are."""
    return re.sub(r"(?m)^tree_sizes=.*\n", "", text)


def endless(text: str) -> str:
    """Each node of its first tree has twice as many paths as the one above: a walk never ends."""
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
    "endless": (endless, "LightGBM does not finish with it in 1 s"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_text_with_the_right_sha256_is_refused_and_only_ends_the_process_that_checks_it(
    what: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, rule = BROKEN[what]
    monkeypatch.setattr(model_files, "CHECK_SECONDS", 1 if what == "endless" else 60)
    model = with_right_sha256(tmp_path, shop[1], "model.txt", spoil(shop[1]["model.txt"]).encode())
    with pytest.raises(ModelError, match=f"E_MODEL_BROKEN model.txt — {rule}") as refused:
        scorer(model, "model", FEATURES, small_shop.DATA_END)
    assert refused.value.exit_code == 5


@pytest.mark.parametrize("name", ["model.txt", "baselines.json"])
def test_bytes_that_are_no_text_are_refused_even_with_the_right_sha256(
    name: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = with_right_sha256(tmp_path, shop[1], name, b"\xff\xfe")
    with pytest.raises(ModelError, match=f"E_MODEL_BROKEN {name}"):
        scorer(
            model, "recency" if name == "baselines.json" else "model", FEATURES, small_shop.DATA_END
        )


def test_a_baseline_that_is_a_booster_is_checked_as_well(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    baselines = copy.deepcopy(shop[1]["baselines.json"])
    whole = baselines["model.txt"]["expert_windows"]["text"]
    baselines["model.txt"]["expert_windows"]["text"] = whole[: len(whole) // 2]
    model = with_right_sha256(tmp_path, shop[1], "baselines.json", json.dumps(baselines).encode())
    with pytest.raises(ModelError, match="E_MODEL_BROKEN baselines.json"):
        scorer(model, "expert_windows", FEATURES, small_shop.DATA_END)


def test_a_check_that_somebody_stops_does_not_condemn_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, -signal.SIGKILL),
    )
    with pytest.raises(
        ModelError, match="E_MODEL_UNTRIED model.txt — its check was stopped: SIGKILL"
    ):
        model_files.check_booster("a text that was never checked before", "model.txt")


def test_a_sound_text_of_other_features_is_refused(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    other = shop[1]["model.txt"].replace(" mood weather ", " weather mood ", 1)
    assert other != shop[1]["model.txt"]
    with pytest.raises(ModelError, match="E_MODEL_SCHEMA model.txt feature_names"):
        scorer(
            with_right_sha256(tmp_path, shop[1], "model.txt", other.encode()),
            "model",
            FEATURES,
            small_shop.DATA_END,
        )


def altered(about: dict[str, Any], within: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what was done to which key, and model.json with that one change, at any depth."""
    for key, content in about.items():
        wrong = "wrong" if isinstance(content, list) else ["wrong"]
        yield "dropped", within + key, {name: about[name] for name in about if name != key}
        yield "mistyped", within + key, {**about, key: wrong}
        if isinstance(content, dict) and key != "params":  # of its own version, for the record
            yield "added to", within + key, {**about, key: {**content, "more": wrong}}
            for what, where, inner in altered(content, f"{within}{key}."):
                yield what, where, {**about, key: inner}


def test_each_key_of_model_json_that_is_dropped_added_or_mistyped_is_refused_or_not_needed(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model, rows = small_shop.model_folder(tmp_path, shop[1]), ("features", "lifecycle")
    folders = [Folder(shop[0] / name) for name in rows]
    measured = {name: {"selected": "model"} for name in ("timing", "value", "stake")}
    refused = 0
    for what, where, about in altered(shop[1]["model.json"]):
        (model.path / "model.json").write_text(json.dumps(about))
        try:
            about_of(model)
            assert what == "dropped", f"{where} {what}"
            if "origin" in where or "reference." in where or "losses" in where or "20" in where:
                continue  # the list needs none of them
            scorer(model, "model", FEATURES, small_shop.DATA_END)
            forecasts(*folders, model, measured, small_shop.DATA_END)
        except ModelError as error:
            assert where.split(".")[0] in str(error) or "model.txt" in where, where
            refused += 1
    assert refused > 200


def test_a_scorer_that_the_model_does_not_have_is_a_model_error(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    folders = [Folder(shop[0] / name) for name in ("features", "lifecycle")]
    for name in ("timing", "value", "stake"):
        measured = {name: {"selected": "crystal_ball"}}
        with pytest.raises(ModelError, match="crystal_ball"):
            forecasts(*folders, model, measured, small_shop.DATA_END)


MISWRITTEN = {
    "no canary": {"canary": None},
    "no canary rows": {"canary": {"rows": [], "scores": {}}},
    "canary rows of another width": {"canary": {"rows": [[1.0]], "scores": {"model": [0.5]}}},
    "no canary of this scorer": {"canary": {"rows": [[1.0] * 8], "scores": {}}},
    "no date": {"trained_through": "soon"},
    "no number": {"horizon_days": "soon"},
    "no horizon": {"horizon_days": 0},
    "no shop": {"shop": None},
    "no sha256": {"sha256": {"model.txt": "abc"}},
    "nothing chosen": {"chosen": {}},
    "a shift that is a word": {"chosen": {"model.txt": {"form": "plain", "shift": "a"}}},
    "no version": {"lightgbm": None},
    "features that are no list": {"features": "mood"},
}


@pytest.mark.parametrize("change", MISWRITTEN.values(), ids=MISWRITTEN.keys())
def test_a_model_json_that_is_not_as_it_was_written_is_refused_with_exit_code_5(
    change: dict[str, Any], shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    about = {**shop[1]["model.json"], **change}
    folder = small_shop.model_folder(tmp_path, {**shop[1], "model.json": about})
    with pytest.raises(ModelError, match=r"E_MODEL_\w+ model.json") as refused:
        scorer(folder, "model", FEATURES, small_shop.DATA_END)
    assert refused.value.exit_code == 5


@pytest.mark.parametrize("verdict", ["model", *BASELINES])
def test_a_scorer_that_scores_the_canary_rows_differently_is_refused(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    about = copy.deepcopy(shop[1]["model.json"])
    about["canary"]["scores"][verdict][0] += 1e-8
    with pytest.raises(
        ModelError,
        match=f"E_MODEL_CANARY {verdict} — known rows score differently by (9.[5-9]e-09|1e-08)",
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
def test_an_altered_baseline_is_refused(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    path = model.path / "baselines.json"
    path.write_text(path.read_text().replace('"columns": ', '"columns":  '))
    with pytest.raises(ModelError, match="E_MODEL_CHANGED baselines.json"):
        scorer(model, verdict, shop[1]["model.json"]["features"], small_shop.DATA_END)


def test_a_model_that_this_user_may_not_read_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    (tmp_path / "model.json").chmod(0)
    user = os.geteuid()
    if user == 0:  # root reads everything
        os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match="E_DISK .*model.json . this user may not read it"):
            about_of(Folder(tmp_path))
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("content", [None, "{", "[]", "null", "4", '{"trained": true}'])
def test_a_model_without_a_valid_model_json_is_refused(
    content: str | None, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    (model.path / "model.json").unlink()
    if content is not None:
        (model.path / "model.json").write_text(content)
    with pytest.raises(ModelError, match="E_MODEL_(MISSING|BROKEN) model.json"):
        scorer(model, "model", shop[1]["model.json"]["features"], small_shop.DATA_END)


@pytest.mark.parametrize("verdict", BASELINES)
def test_a_baseline_from_disk_scores_as_it_did_in_training(
    verdict: str, shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model, rows = small_shop.model_folder(tmp_path, shop[1]), small_shop.rows(50, 1.0)
    final = scorer(model, verdict, FEATURES, small_shop.DATA_END)
    fitted = BASELINES[verdict](**shop[1]["baselines.json"]["model.txt"][verdict])
    assert (final.predict(rows) == fitted.predict(rows)).all()
    assert set(final.explain(rows).columns) <= set(FEATURES)


def test_the_selected_baseline_scores_instead_of_the_model(
    shop: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    model = small_shop.model_folder(tmp_path, shop[1])
    rows = small_shop.rows(5, 1.0)
    selected = scorer(model, "recency", shop[1]["model.json"]["features"], small_shop.DATA_END)
    assert (
        selected.model_id
        != scorer(model, "model", shop[1]["model.json"]["features"], small_shop.DATA_END).model_id
    )
    ordered = rows.assign(risk=selected.predict(rows)).sort_values("recency_days")["risk"]
    assert ordered.is_monotonic_increasing or ordered.is_monotonic_decreasing
    assert list(selected.explain(rows).columns) == ["recency_days"]
