"""A small shop's figures are means over several seeds."""

from typing import Any

import pytest
import small_shop
from frozen import params

from pipeline.stages.evaluate import evaluate
from pipeline.stages.train import train

PARAMS = params()
FEW = PARAMS.train.model_copy(update={"max_rounds": 100, "forms": ("plain",)})


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """The evaluation of 800 benchmark rows, by `seeds_below`."""
    folder = tmp_path_factory.mktemp("seeds")
    folders = small_shop.write(folder, small_shop.rows(400, 2.0))
    given = {**folders, "shop": "small", "calibration": small_shop.calibration()}
    files = train(**given, monotone_constraints={}, params=FEW)["model"]
    model = small_shop.model_folder(folder, files)
    given |= {"model": model, "costs": PARAMS.costs, "root": folder}
    return {
        below: evaluate(
            **given,
            params=PARAMS.evaluate.model_copy(
                update={"seeds": 3, "seeds_below": below, "bootstrap": 20}
            ),
        )
        for below in (800, 801)
    }


def test_figures_of_few_rows_are_means_over_seeds_with_their_range(
    outputs: dict[int, dict[str, Any]],
) -> None:
    evaluation = outputs[801]["evaluation"]
    seeds = evaluation["seeds"]
    assert seeds["of"] == [FEW.seed, FEW.seed + 1, FEW.seed + 2]
    for figure in ("auc", "brier", "ece"):
        one, by = evaluation["benchmark"]["model"][figure], seeds[figure]
        assert by["min"] <= one <= by["max"]
        assert by["min"] < by["mean"] < by["max"]
    assert outputs[801]["metrics"]["seeds"] == seeds
    assert f"{seeds['auc']['mean']:.3f}" in outputs[801]["model_card"]


def test_enough_rows_need_no_other_seeds(outputs: dict[int, dict[str, Any]]) -> None:
    assert outputs[800]["evaluation"]["seeds"] is None
