"""The cost of one piece of a stage's work, in a process of its own.

`python -m benchmarks.stage_work PIECE WARM_UP SHOP OUT`. WARM_UP and SHOP are folders like this
project's, with the data of their shop up to the metrics.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Cost
from models.defection.booster import ModelSpec, fit_booster, matrix, text_of
from models.defection.forms import select_form
from models.reasons.catalogue import REASONS
from pipeline.delivery.drivers import driver_columns, explained
from pipeline.delivery.explanations import explanations
from pipeline.engine.rows import feature_names, joined, purged, scored_features
from pipeline.registry.about import about_of
from pipeline.registry.model_files import booster_of, scorer
from pipeline.runtime import publishing, store
from pipeline.runtime.cost import peak, spent
from pipeline.runtime.params import Params, load
from pipeline.runtime.publishing import Published
from pipeline.runtime.runner import bind, function, stages
from pipeline.runtime.store import Folder

EXPLAINED = 100_000  # customers
SCORE_PARTS = "score_parts.json"


class Shop(NamedTuple):
    """A shop's folder, its parameters, and the files every piece of work needs."""

    root: Path
    params: Params
    calibration: dict[str, Any]

    def folder(self, name: str) -> Folder:
        """A folder of its data."""
        return Folder(self.root / "data" / name)


Run = Callable[[], object]
Piece = Callable[[Shop, Path], Run]  # prepares, unmeasured; what it returns is measured


def stage(name: str, **instead: Any) -> Piece:
    """Run a stage as the runner does: read its inputs, write its outputs.

    `instead` replaces arguments, as the calibration.
    """

    def prepared(shop: Shop, out: Path) -> Run:
        def run() -> None:
            spec, work = stages(shop.root, shop.params.shop)[name], function(name)
            arguments = bind(spec, work, shop.params, shop.root)
            returned = work(
                **{**arguments, **{key: change(arguments[key]) for key, change in instead.items()}}
            )
            for output, value in returned.items() if isinstance(returned, Mapping) else returned:
                if isinstance(value, Published):
                    publishing.publish(out / spec.outputs[output], value, shop.params.lists)
                else:
                    store.write(out / spec.outputs[output], value)

        return run

    return prepared


def newest_alone(calibration: dict[str, Any]) -> dict[str, Any]:
    """Return a calibration with the newest snapshot alone."""
    return {**calibration, "snapshots": calibration["snapshots"][-1:]}


def life_cycle(shop: Shop, out: Path) -> Run:
    """Compute stage, deadlines and reasons at the snapshots of the features.

    The statistics of the shop over time are left out.
    """
    spec, work = stages(shop.root, shop.params.shop)["assign"], function("assign")
    arguments = bind(spec, work, shop.params, shop.root)
    arguments["calibration"] = {**shop.calibration, "tracking": shop.calibration["snapshots"][-1:]}

    def run() -> None:
        output, parts = next(iter(work(**arguments)))
        store.write(out / spec.outputs[output], parts)

    return run


def scoring(shop: Shop, out: Path) -> Run:
    """Run the stage `score`; the seconds of its parts are written beside `out`."""
    from benchmarks.score_parts import measured_parts

    run = stage("score")(shop, out)

    def timed() -> None:
        with measured_parts() as seconds:
            run()
        parts = {name: round(value, 2) for name, value in seconds.items()}
        store.write(out.parent / SCORE_PARTS, parts)

    return timed


class FinalTraining(NamedTuple):
    """The training rows of the final model, its specification and its number of trees."""

    rows: pd.DataFrame
    spec: ModelSpec
    rounds: int

    def fitted(self, rounds: int) -> lgb.Booster:
        """Return the booster with so many trees."""
        return fit_booster(self.rows, self.spec, rounds)


def _final_training(shop: Shop) -> FinalTraining:
    snapshots, end = shop.calibration["final_training"], shop.calibration["data_end"]
    features, horizon = shop.folder("features"), shop.calibration["horizon_days"]
    rows = joined(
        features, shop.folder("lifecycle"), shop.calibration, shop.folder("labels"), snapshots
    )
    constraints = store.read(shop.root / "data" / "monotone_constraints.json")
    return FinalTraining(
        purged(rows, snapshots, end, horizon),
        ModelSpec(feature_names(features), shop.params.train, constraints, horizon),
        about_of(shop.folder("model"))["chosen"]["model.txt"]["rounds"],
    )


def training(shop: Shop, out: Path) -> Run:
    """The final model from its rows."""
    final = _final_training(shop)
    return lambda: store.write(out / "model.txt", text_of(final.fitted(final.rounds)))


def training_bare(shop: Shop, out: Path) -> Run:
    """The same trees by LightGBM alone, with the same parameters on ready arrays."""
    final = _final_training(shop)
    features, label = (
        matrix(final.rows, final.spec.columns),
        final.rows["defected"].to_numpy(np.float64),
    )
    given = final.fitted(1).params
    given.pop("num_iterations", None)
    return lambda: store.write(
        out / "model.txt", text_of(lgb.train(given, lgb.Dataset(features, label), final.rounds))
    )


def rounds(shop: Shop, out: Path) -> Run:
    """The selection of form and number of trees for the final model."""
    final = _final_training(shop)
    return lambda: select_form(final.rows, final.spec)


def risk(shop: Shop, out: Path) -> Run:
    """Read the features, give all customers their risk as the stage does, write ids and risks."""
    features, lifecycle = shop.folder("features"), shop.folder("lifecycle")
    snapshot = shop.calibration["data_end"]

    def run() -> None:
        chosen = scorer(shop.folder("model"), "model", feature_names(features), snapshot)
        numbers = scored_features(features, lifecycle, snapshot, rows="true")
        risks = {"customer_id": numbers.index, "risk": chosen.predict(numbers).round(6)}
        store.write(out / "risk.parquet", pa.table(risks))

    return run


def risk_bare(shop: Shop, out: Path) -> Run:
    """Read the features, predict all customers by the booster, write ids and risks."""
    model, columns = shop.folder("model"), feature_names(shop.folder("features"))
    booster = booster_of(model, about_of(model), "model.txt")

    def run() -> None:
        table = pq.read_table(shop.root / "data" / "features")
        features = np.column_stack([table[column].to_numpy() for column in columns])
        risk = booster.predict(features, num_threads=1)
        store.write(
            out / "risk.parquet", pa.table({"customer_id": table["customer_id"], "risk": risk})
        )

    return run


def explaining(shop: Shop, out: Path) -> Run:
    """The drivers of a hundred thousand scored customers, as the list explains them."""
    features, snapshot = shop.folder("features"), shop.calibration["data_end"]
    chosen = scorer(shop.folder("model"), "model", feature_names(features), snapshot)
    numbers = scored_features(features, shop.folder("lifecycle"), snapshot).head(EXPLAINED)
    facts, which = pa.chunked_array([["{}"] * len(numbers)]), np.arange(len(numbers))
    params = shop.params.score.model_copy(update={"explain": EXPLAINED})
    known = {
        "customer_id": pa.array(numbers.index, pa.string()),
        "stage": pa.array(np.where(which % 2, "core", "early_repeat")),
        **{f"evidence_{reason}": which % 100 / 100 for reason in REASONS},
    }
    people, columns = pa.table(known), driver_columns(shop.params.windows)
    least = shop.params.reasons.defecting

    def run() -> None:
        of = explained(people, which, numbers, chosen)
        table = explanations(people, facts, of, columns, params, least)
        store.write(out / "explanations.parquet", table)

    return run


PIECES: dict[str, Piece] = {
    "features": stage("extract"),
    "features_newest": stage("extract", calibration=newest_alone),
    "life_cycle": life_cycle,
    "life_cycle_over_time": stage("assign"),
    "training": training,
    "training_bare": training_bare,
    "rounds": rounds,
    "scoring": scoring,
    "risk": risk,
    "risk_bare": risk_bare,
    "explanations": explaining,
}


def shop_in(root: Path) -> Shop:
    """The shop chosen in a folder's parameters."""
    return Shop(root, load(root), store.read(root / "data" / "calibration.json"))


def measured(piece: str, warm_up: Path, root: Path, out: Path) -> Cost:
    """Return the cost of the work for a shop, after the same work for the warm-up shop.

    The warm-up loads libraries and compiles kernels.
    """
    PIECES[piece](shop_in(warm_up), out / "warm-up")()
    run = PIECES[piece](shop_in(root), out)
    start, began = spent(), time.perf_counter()
    run()
    ended, wall = spent(), time.perf_counter() - began
    return Cost(ended - start, wall, peak(), start)


if __name__ == "__main__":
    print(json.dumps(asdict(measured(sys.argv[1], *map(Path, sys.argv[2:5])))))
