"""What features are worth: boosting alone, with them and without them, on the benchmark population.

    python -m benchmarks.without gap_cv
    python -m benchmarks.without variety

A name is a column, a column of all its windows (`spend_in`) or a family; a family's name means the
family, even where a column has the same. Both models are trained on the same rows and evaluated at
the same origins. A third has all columns and another seed: it shows the chance in a training.
"""

import difflib
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
import typer
from scipy.special import expit

from features.catalogue import FAMILIES
from features.columns import expand
from features.settings import Windows
from models.defection.booster import ModelSpec, fit_booster, matrix, tree_sums
from models.defection.evaluation import compare
from models.defection.forms import select_form
from pipeline.engine.rows import feature_names, joined, purged
from pipeline.registry.about import about_of
from pipeline.runtime import store
from pipeline.runtime.errors import ConfigError, ModelError, Refused
from pipeline.runtime.params import Params, load
from pipeline.runtime.store import Folder

ROOT = Path(__file__).resolve().parents[1]
WITH, WITHOUT, AGAIN = "with", "without", "with, other seed"


class Worth(NamedTuple):
    """Rows evaluated, metrics of the models, differences of the first to the others.

    A difference is [point, low, high].
    """

    rows: int
    metrics: dict[str, dict[str, Any]]
    deltas: dict[str, dict[str, Any]]


def columns_named(names: list[str], windows: Windows, present: list[str]) -> list[str]:
    """Return the columns in data/features that the names stand for.

    Raises ConfigError for a name that stands for none.
    """
    known = {column: [column] for column in present}
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
        if not set(known[name]) & set(present):
            rule = "data/features does not have it: the shop does not record it, or it is new"
            raise ConfigError("E_COLUMN", name, rule, "run `make repro`")
    named = {column for name in names for column in known[name]}
    return [column for column in present if column in named]


def predictions(
    rows: pd.DataFrame, origins: dict[str, list[str]], specs: dict[str, ModelSpec]
) -> pd.DataFrame:
    """Return the benchmark rows at the origins, with a probability from each model."""
    parts = []
    for origin, snapshots in origins.items():
        at = rows[rows["benchmark"] & (rows["snapshot"] == origin)].assign(origin=origin)
        for name, spec in specs.items():
            training = purged(rows, snapshots, origin, spec.horizon_days)
            rounds = select_form(training, spec).rounds
            booster = fit_booster(training, spec, rounds)
            at[name] = expit(tree_sums(booster, matrix(at, spec.columns)))
        parts.append(at)
    return pd.concat(parts, ignore_index=True)


def worth(left_out: list[str], data: Path, params: Params) -> Worth:
    """Compare the model with all columns, without some of them, and with another seed."""
    features, lifecycle, labels = (
        Folder(data / name) for name in ("features", "lifecycle", "labels")
    )
    calibration = store.read(data / "calibration.json")
    constraints = store.read(data / "monotone_constraints.json")
    columns = feature_names(features)
    # a regression to start from would know columns that are left out
    alone = params.train.model_copy(update={"forms": ("plain",)})
    full = ModelSpec(columns, alone, constraints, calibration["horizon_days"])
    other_seed = alone.model_copy(update={"seed": alone.seed + 1})
    specs = {
        WITH: full,
        WITHOUT: full._replace(columns=[name for name in columns if name not in left_out]),
        AGAIN: full._replace(params=other_seed),
    }
    rows = joined(features, lifecycle, calibration, labels, calibration["snapshots"])
    population = predictions(rows, calibration["origins"], specs)
    population["customer"] = pd.factorize(population["customer_id"])[0]
    how = params.evaluate
    results = compare(population, list(specs), None, how.capacity, how.bootstrap, how.seed)
    return Worth(len(population), *results)


def without(
    names: Annotated[
        list[str], typer.Argument(help="Columns or families to leave out.", show_default=False)
    ],
) -> None:
    """Print AUC and Brier score with and without these columns, and the differences (95 % CI)."""
    params, data = load(ROOT), ROOT / "data"
    about = about_of(Folder(data / "model"))
    if not about["trained"]:
        rule = f"there is no model to compare: {about['reason']}"
        raise ModelError("E_MODEL_MISSING", "model.json", rule, "choose another shop")
    left_out = columns_named(names, params.windows, feature_names(Folder(data / "features")))
    result = worth(left_out, data, params)
    print(f"{params.shop}, {result.rows:,} rows; left out: {', '.join(left_out)}")
    for model, metrics in result.metrics.items():
        print(f"{model:24} auc {metrics['auc']:.4f}   brier {metrics['brier']:.4f}")
    for model, delta in result.deltas.items():
        figures = "   ".join(
            "{} {:+.4f} [{:+.4f}, {:+.4f}]".format(metric, *delta[metric])
            for metric in ("auc", "brier")
        )
        print(f"{f'{WITH} - {model}':24} {figures}")


if __name__ == "__main__":
    try:
        typer.run(without)
    except Refused as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
