"""A shop's results as pandas frames."""

import json
import re
from pathlib import Path

import pytest
import small_shop
from frozen import ROOT, params, project
from morning_page import customer, published
from sklearn.metrics import roc_auc_score

import corekeep
from benchmarks.notebook import PATH, executed
from models.defection.evaluation import RESAMPLED
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError
from pipeline.stages.evaluate import evaluate

PARAMS = params()
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the results of a small shop."""
    folder = project(tmp_path_factory.mktemp("project"), "shops")
    calendar = small_shop.calibration()
    quick = PARAMS.train.model_copy(update={"max_rounds": 50})
    folders, files = small_shop.trained(folder / "data", small_shop.rows(150, 2.0), quick)
    model = small_shop.model_folder(folder / "data", files)
    results = evaluate(
        **folders,
        model=model,
        calibration=calendar,
        shop="demo",
        params=PARAMS.evaluate,
        costs=PARAMS.costs,
        root=folder,
    )
    store.write(folder / "data" / "calibration.json", calendar)
    store.write(folder / "reports" / "evaluation.json", results["evaluation"])
    published(folder / "data" / "lists", [customer(f"C{n}", n, risk=n / 9) for n in range(9)], [])
    return folder


def test_one_line_gives_features_labels_life_cycle_and_scores_by_the_same_keys(root: Path) -> None:
    (block,) = re.findall(r"```python\n(import corekeep\n.*?)```", README, re.DOTALL)
    names = re.search(r"pandas frames: (.*)", block)
    assert names is not None
    shop = corekeep.load(root=root)
    assert all(len(getattr(shop, name)) for name in names[1].replace(".", "").split())
    keys = ["customer_id", "snapshot"]
    assert [shop.features.index.names, shop.labels.index.names] == [keys, keys]
    assert shop.lifecycle.index.equals(shop.features.index)
    past = shop.features.join(shop.labels, how="inner")
    assert len(past) == len(shop.labels)
    assert past["defected"].dtype == bool
    assert list(shop.scores.index) == [f"C{n}" for n in range(9)]


def test_the_tested_risks_are_those_of_the_evaluation(root: Path) -> None:
    bench = store.read(root / "reports" / "evaluation.json")["benchmark"]
    tested = corekeep.load("demo", root).tested
    assert len(tested) == bench["population"]
    for name, measured in {"model": bench["model"], **bench["baselines"]}.items():
        auc = roc_auc_score(tested["defected"].astype(bool), tested[name])
        assert auc == pytest.approx(measured["auc"], abs=1e-5), name


def test_the_difference_of_two_runs_is_that_of_the_evaluation_with_its_interval(root: Path) -> None:
    bench = store.read(root / "reports" / "evaluation.json")["benchmark"]
    tested = corekeep.load(root=root).tested
    before = tested.assign(model=tested["logistic_rfm"])
    assert (
        corekeep.difference(before, tested, root).T.to_dict("list")
        == bench["delta"]["logistic_rfm"]
    )
    assert not corekeep.difference(tested, tested, root).to_numpy().any()


def test_runs_with_other_customers_or_outcomes_are_not_compared(root: Path) -> None:
    tested = corekeep.load(root=root).tested
    for other in (tested.iloc[1:], tested.assign(defected=~tested["defected"].astype(bool))):
        with pytest.raises(ValueError, match="other customers, origins or outcomes"):
            corekeep.difference(tested, other, root)


def test_results_of_another_shop_are_refused_with_the_command_that_makes_them(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"results of demo, not of cdnow — .*SHOP=cdnow"):
        corekeep.load("cdnow", root)


def test_the_quick_cells_of_the_notebook_run_and_every_cell_was_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = json.loads(PATH.read_text(encoding="utf-8"))
    monkeypatch.setattr(corekeep.load, "__defaults__", (None, root))
    monkeypatch.setattr(corekeep, "ROOT", root)
    outputs = [
        "".join(cell["outputs"][0]["text"])
        for cell in executed(notebook, slow=False)["cells"]
        if cell["cell_type"] == "code" and "slow" not in cell["metadata"].get("tags", [])
    ]
    assert outputs[0].startswith("demo (")
    assert "early_repeat" in outputs[2]
    assert "logistic_rfm" in outputs[3]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    numbers = [cell["execution_count"] for cell in cells]
    assert numbers == list(range(1, len(cells) + 1)), "run `python -m benchmarks.notebook`"
    shown = "".join(cells[-2]["outputs"][0]["text"])
    assert shown.startswith("True\n")  # the new feature is there, then the differences
    assert all(metric in shown for metric in RESAMPLED)
    assert PATH.stat().st_size < 20_000
    guide = (ROOT / "docs" / "how-to" / "adding-a-feature.md").read_text(encoding="utf-8")
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    (family,) = (source for source in sources if "family.write_text" in source)
    assert family.split("'''")[1] in guide
