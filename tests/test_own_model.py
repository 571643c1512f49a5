"""A project's own model is compared like a baseline, and makes no list."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import small_shop
from frozen import ROOT, params

from models.defection.selection import OWN
from pipeline.runtime.errors import ConfigError, QualityError
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate

PARAMS = params()
SHIPPED = (ROOT / "my_models.py").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "how-to" / "own-model.md").read_text(encoding="utf-8")
Trained = tuple[dict[str, Folder], Folder]
KNOWS_THE_SHOP = """
import numpy as np

class Mine:
    def fit(self, X, y):
        assert list(X.index) == list(range(len(y))) and set(y) == {0, 1}
        assert not {"customer_id", "snapshot", "defected"} & set(X)
    def predict(self, X):
        return 1 / (1 + np.exp(0.3 - 2 * np.sign(X["mood"] * X["weather"])))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("own")
    quick = PARAMS.train.model_copy(update={"max_rounds": 50, "num_leaves": 2})
    folders, files = small_shop.trained(folder, small_shop.rows(200, 2.0), quick, "small")
    return folders, small_shop.model_folder(folder, files)


def evaluated(trained: Trained, root: Path, text: str, name: str | None) -> dict[str, Any]:
    """What `evaluate` returns with this my_models.py."""
    (root / "my_models.py").write_text(text, encoding="utf-8")
    folders, model = trained
    own = f"my_models.{name}" if name else None
    return evaluate(
        **folders,
        model=model,
        calibration=small_shop.calibration(),
        shop="small",
        params=PARAMS.evaluate.model_copy(update={"bootstrap": 50, "own_model": own}),
        costs=PARAMS.costs,
        root=root,
    )


def test_an_own_model_that_knows_more_wins_by_the_rules_of_the_baselines_and_makes_no_list(
    trained: Trained, tmp_path: Path
) -> None:
    without = evaluated(trained, tmp_path, KNOWS_THE_SHOP, None)["evaluation"]
    results = evaluated(trained, tmp_path, KNOWS_THE_SHOP, "Mine")
    evaluation = results["evaluation"]
    own, bench = evaluation[OWN], evaluation["benchmark"]
    assert (own["class"], own["verdict"]) == ("my_models.Mine", OWN)
    point, low, high = bench["delta"][OWN]["auc"]
    assert high < 0
    assert own["grade"].endswith(f"{-point:+.3f} [{-high:+.3f}, {-low:+.3f}]")
    assert [evaluation[key] for key in ("verdict", "grade")] == [
        without[key] for key in ("verdict", "grade")
    ]
    assert OWN not in without["baselines"]
    assert set(bench["baselines"]) == set(bench["delta"]) == {*without["baselines"], OWN}
    assert results["metrics"]["benchmark"]["baselines"][OWN]["auc"] > 0.8
    assert own["grade"] in results["model_card"]
    assert OWN in set(results["plots"]["gains.csv"]["scorer"])


def test_the_class_of_the_guide_is_the_one_at_hand_and_finds_what_the_shop_hides(
    trained: Trained, tmp_path: Path
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert SHIPPED.endswith(example)
    assert len([line for line in SHIPPED.splitlines() if line.strip()]) <= 14
    evaluation = evaluated(trained, tmp_path, SHIPPED, "MyModel")["evaluation"]
    baselines = evaluation["benchmark"]["baselines"]
    assert baselines[OWN]["auc"] > baselines["logistic_rfm"]["auc"] + 0.1
    (shown,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert set(json.loads(shown)) == set(evaluation[OWN])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Other: pass\n", r"my_models\.py — it has no class Mine"),
        ("import no_such_package\n", r"my_models\.py:1 — ModuleNotFoundError: No module"),
        ("class Mine:\n  def fit(self, X, y)\n", r"my_models\.py:2 — SyntaxError"),
        (
            "class Mine:\n  def fit(self, X, y):\n    X['new'] / 0\n",
            r"my_models\.py:3 — KeyError: 'new'",
        ),
        (
            "class Mine:\n  def fit(self, X, y): pass\n"
            "  def predict(self, X): return X.iloc[:, 0]\n",
            r"Mine\.predict — \d+ of \d+ values are no probability",
        ),
        (
            "class Mine:\n  def fit(self, X, y): pass\n  def predict(self, X):\n    return [0.5]\n",
            r"Mine\.predict — it returns \(1,\) for \d+ rows",
        ),
    ],
)
def test_an_own_model_that_does_not_work_is_one_line_with_file_line_and_remedy(
    trained: Trained, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^E_OWN_MODEL .*{message}"):
        evaluated(trained, tmp_path, text, "Mine")


def test_an_own_model_that_reads_the_outcome_from_disk_is_a_leak(
    trained: Trained, tmp_path: Path
) -> None:
    folders = {name: str(trained[0][name].path) for name in ("features", "labels")}
    text = f"""
import pandas as pd

class Mine:
    def fit(self, X, y):
        keys = ["customer_id", "snapshot"]
        both = [pd.read_parquet(path).set_index(keys) for path in {list(folders.values())!r}]
        rows = both[0].join(both[1]).astype({{"mood": float, "weather": float}})
        self.known = rows.set_index(["mood", "weather"])["defected"]
    def predict(self, X):
        return self.known.reindex(pd.MultiIndex.from_frame(X[["mood", "weather"]])).astype(float)
"""
    with pytest.raises(QualityError, match=r"E_LEAK my_models\.py"):
        evaluated(trained, tmp_path, text, "Mine")
