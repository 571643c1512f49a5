"""Champion against challenger, on the same rows, which neither was trained through.

No champion falls by chance.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_shop
from frozen import params

from pipeline.registry.challenge import ModelVersion, compare_versions
from pipeline.runtime.store import Folder

PARAMS = params()
FEW = PARAMS.train.model_copy(update={"max_rounds": 100})
EVALUATE = PARAMS.evaluate.model_copy(update={"bootstrap": 60})
ORIGINS = list(small_shop.ORIGINS)
FINAL = "model.txt"


def trained(folder: Path, frame: pd.DataFrame, verdict: str = "model") -> ModelVersion:
    _, files = small_shop.trained(folder, frame, FEW)
    return ModelVersion(small_shop.model_folder(folder, files), files["model.json"], verdict)


ROWS = small_shop.rows(400, 2.0)


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return trained(tmp_path_factory.mktemp("strong"), ROWS)


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """Trained on the same rows without the weather, half of what decides."""
    return trained(tmp_path_factory.mktemp("weak"), ROWS.drop(columns="weather"))


def rows_at_origins() -> pd.DataFrame:
    """The rows at the test origins."""
    rows = ROWS.assign(snapshot=ROWS["snapshot"].astype(str))
    return rows[rows["snapshot"].isin(ORIGINS)]


def judged(
    champion: ModelVersion, newcomer: ModelVersion, rows: pd.DataFrame | None = None
) -> tuple[str, str]:
    judgement = compare_versions(
        champion,
        newcomer,
        rows_at_origins() if rows is None else rows,
        small_shop.HORIZON,
        EVALUATE,
    )
    return judgement.alias, judgement.reason


def test_a_newcomer_that_is_better_beyond_chance_becomes_champion_with_its_figures(
    strong: ModelVersion, weak: ModelVersion
) -> None:
    alias, reason = judged(weak, strong)
    assert alias == "champion"
    assert reason.startswith("better: AUC 0.")
    assert reason.endswith(f"on 800 rows at {', '.join(ORIGINS)}")


@pytest.mark.parametrize("newcomer", ["weak", "strong"])
def test_a_newcomer_that_is_worse_or_the_same_is_a_challenger(
    newcomer: str, strong: ModelVersion, weak: ModelVersion
) -> None:
    alias, reason = judged(strong, weak if newcomer == "weak" else strong)
    assert (alias, reason[:25]) == ("challenger", "not better beyond chance:")


@pytest.mark.parametrize("which", ["champion", "newcomer"])
def test_a_version_whose_features_are_no_longer_made_is_not_compared(
    which: str, strong: ModelVersion, weak: ModelVersion
) -> None:
    judgement = judged(
        *((strong, weak) if which == "champion" else (weak, strong)),
        rows_at_origins().drop(columns="weather"),
    )
    assert judgement == (
        "challenger",
        f"not compared: 1 features of the {which} are no longer made, first weather",
    )


@pytest.mark.parametrize(
    ("through", "booster_for"),
    [
        (
            "2025-08-02",
            {
                "2025-06-30": None,
                "2025-07-01": "origins/2025-07-01.txt",
                "2025-08-31": "origins/2025-08-01.txt",
                "2025-09-01": FINAL,
            },
        ),
        (
            "2025-07-01",
            {
                "2025-07-30": "origins/2025-07-01.txt",
                "2025-07-31": FINAL,
                "2025-08-01": "origins/2025-08-01.txt",
            },
        ),
    ],
)
def test_a_version_scores_with_its_newest_booster_whose_outcomes_were_known(
    through: str, booster_for: dict[str, str | None], strong: ModelVersion
) -> None:
    version = ModelVersion(strong.model, strong.about | {"trained_through": through}, "model")
    assert {origin: version.booster_for(origin) for origin in booster_for} == booster_for


def test_origins_that_either_was_trained_through_are_left_out(strong: ModelVersion) -> None:
    young = {
        name: sha
        for name, sha in strong.about["sha256"].items()
        if name != "origins/2025-07-01.txt"
    }
    champion = ModelVersion(strong.model, strong.about | {"sha256": young}, "model")
    _, reason = judged(champion, strong)
    assert reason.endswith("on 400 rows at 2025-08-01")
    none = ModelVersion(strong.model, strong.about | {"sha256": {FINAL: ""}}, "model")
    assert judged(none, strong) == (
        "challenger",
        "not compared: 0 rows at origins neither was trained through, or one outcome only",
    )


def test_each_version_is_compared_by_its_selected_scorer(strong: ModelVersion) -> None:
    plain = ModelVersion(strong.model, strong.about, "recency")
    rows = rows_at_origins()[rows_at_origins()["snapshot"] == ORIGINS[0]].sort_values(
        "recency_days"
    )
    assert abs(int(np.sign(np.diff(plain.scores(ORIGINS[0], rows))).sum())) > 40
    assert judged(plain, strong)[0] == "champion"
    assert judged(strong, plain)[0] == "challenger"


def test_a_version_for_another_horizon_is_compared_at_this_one_and_the_reason_says_so(
    strong: ModelVersion, weak: ModelVersion
) -> None:
    other = {
        name: ModelVersion(one.model, one.about | {"horizon_days": 28}, "model")
        for name, one in (("strong", strong), ("weak", weak))
    }
    alias, reason = judged(other["weak"], strong)
    assert alias == "champion"
    assert reason.endswith(f"{ORIGINS[-1]}, the champion being made for 28 days, not 30")
    assert judged(weak, other["strong"])[1].endswith(
        f"{ORIGINS[-1]}, the newcomer being made for 28 days, not 30"
    )


@pytest.mark.parametrize("change", [None, "tree"])
def test_a_champion_whose_files_were_altered_is_not_compared(
    change: str | None, strong: ModelVersion, weak: ModelVersion, tmp_path: Path
) -> None:
    files: dict[str, Any] = {
        name: (weak.model.path / name).read_text() for name in weak.about["sha256"]
    }
    files |= {f"origins/{ORIGINS[0]}.txt": change} if change else {}
    if not change:
        del files[f"origins/{ORIGINS[0]}.txt"]
    broken = ModelVersion(
        Folder(small_shop.model_folder(tmp_path, files | {"baselines.json": {}}).path),
        weak.about,
        "model",
    )
    alias, reason = judged(broken, strong)
    assert alias == "challenger"
    assert reason.startswith(f"not compared: origins/{ORIGINS[0]}.txt")


def test_customers_are_resampled_with_all_their_rows(
    strong: ModelVersion, weak: ModelVersion
) -> None:
    # Copies of the same rows are no more customers, and make nothing surer.
    assert (
        judged(weak, strong, pd.concat([rows_at_origins()] * 4))[1].replace(
            "on 3200 rows", "on 800 rows"
        )
        == judged(weak, strong)[1]
    )
