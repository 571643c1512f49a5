"""What features are worth: boosting alone, as in params.yaml, with them and without them, on the
chosen shop's benchmark population.

    python -m benchmarks.without gap_cv
    python -m benchmarks.without variety

A name is a column, a column of all its windows (`spend_in`) or a family; a family's name means the
family, even where a column has the same. Both models are taught by the same rows and asked at the
same origins. A third has all columns and another seed: how far it is from the first is what the
luck of a training makes.
"""

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import typer

from features.catalogue import FAMILIES
from features.columns import expand
from features.settings import Windows
from models.defection.booster import fit, matrix, probabilities
from models.defection.evaluation import compare
from models.defection.profit import value_of
from models.settings import Boosting
from pipeline.engine.rows import feature_names, joined
from pipeline.registry.model_files import about_of
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError, ModelError, Refused
from pipeline.runtime.params import Params, load
from pipeline.runtime.store import Folder
from pipeline.stages.train import choice_for, purged

ROOT = Path(__file__).resolve().parents[1]
WITH, WITHOUT, AGAIN = "with", "without", "with, other seed"


class Worth(NamedTuple):
    """Rows examined.

    Metrics of the models; the differences of the first to the others, each [point, low, high].
    """

    rows: int
    measured: dict[str, dict[str, Any]]
    deltas: dict[str, dict[str, Any]]


def meant(names: list[str], windows: Windows, there: list[str]) -> list[str]:
    """Those of the columns in data/features that the names stand for.

    Raises ConfigError for a name that stands for none.
    """
    known = {column: [column] for column in there}
    for family in FAMILIES:
        known |= {
            column.name: [c.name for c in expand([column], windows)] for column in family.features
        }
    known |= {
        family.name: [c.name for c in expand(family.features, windows)] for family in FAMILIES
    }
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean {near[0]}?" if near else "see docs/features.md"
            raise ConfigError("E_COLUMN", name, "no column or family has this name", fix)
        if not set(known[name]) & set(there):
            raise ConfigError(
                "E_COLUMN",
                name,
                "data/features has none of it: the shop does not record it, or it is new",
                "run `make repro`",
            )
    found = {column for name in names for column in known[name]}
    return [column for column in there if column in found]


def asked(
    rows: pd.DataFrame,
    origins: dict[str, list[str]],
    horizon: int,
    models: dict[str, tuple[list[str], Boosting]],
    monotone_constraints: dict[str, int],
) -> pd.DataFrame:
    """The benchmark rows at the origins, with a probability from each model.

    Its columns and its parameters.
    """
    parts = []
    for origin, teachers in origins.items():
        taught = purged(rows, teachers, origin, horizon)
        at = rows[rows["benchmark"] & (rows["snapshot"] == origin)].assign(origin=origin)
        for name, (columns, params) in models.items():
            rounds = choice_for(
                taught, taught[:0], columns, horizon, params, monotone_constraints
            ).rounds
            booster = fit(
                taught,
                columns,
                taught["defected"].to_numpy(bool),
                params,
                rounds,
                monotone_constraints,
            )
            at[name] = probabilities(booster, matrix(at, columns))
        parts.append(at)
    return pd.concat(parts, ignore_index=True)


def worth(left_out: list[str], data: Path, params: Params) -> Worth:
    """The model with all columns of data/features, without some of them, and with all and another
    seed, as the shop in `data` has it.
    """
    features, lifecycle, labels = (
        Folder(data / name) for name in ("features", "lifecycle", "labels")
    )
    calibration = store.read(data / "calibration.json")
    columns = feature_names(features)
    fewer = [column for column in columns if column not in left_out]
    # what it might start from would know columns that are left out
    alone = params.train.model_copy(update={"forms": ("plain",)})
    other = alone.model_copy(update={"seed": alone.seed + 1})
    models = {WITH: (columns, alone), WITHOUT: (fewer, alone), AGAIN: (columns, other)}
    rows = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    monotone_constraints = (
        store.read(data / "monotone_constraints.json") if params.train.monotone else {}
    )
    found = asked(
        rows, calibration["origins"], calibration["horizon_days"], models, monotone_constraints
    )
    found["customer"] = pd.factorize(found["customer_id"])[0]
    found["value"] = value_of(found["net_spend_365d"].to_numpy(np.float64), params.costs)
    how = params.evaluate
    return Worth(
        len(found),
        *compare(found, list(models), params.costs, how.capacity, how.bootstrap, how.seed),
    )


def without(
    names: Annotated[
        list[str], typer.Argument(help="Columns or families to leave out.", show_default=False)
    ],
) -> None:
    """Print AUC and Brier score with and without these columns, and the differences with 95 %
    intervals.
    """
    params, data = load(ROOT), ROOT / "data"
    about = about_of(Folder(data / "model"))
    if not about["trained"]:
        raise ModelError(
            "E_MODEL_MISSING",
            "model.json",
            f"nothing can be compared: {about['reason']}",
            "choose another shop",
        )
    left_out = meant(names, params.windows, feature_names(Folder(data / "features")))
    found = worth(left_out, data, params)
    print(f"{params.shop}, {found.rows:,} rows; left out: {', '.join(left_out)}")
    for model, metrics in found.measured.items():
        print(f"{model:24} auc {metrics['auc']:.4f}   brier {metrics['brier']:.4f}")
    for model, delta in found.deltas.items():
        said = "   ".join(
            "{} {:+.4f} [{:+.4f}, {:+.4f}]".format(metric, *delta[metric])
            for metric in ("auc", "brier")
        )
        print(f"{f'{WITH} - {model}':24} {said}")


if __name__ == "__main__":
    try:
        typer.run(without)
    except Refused as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
