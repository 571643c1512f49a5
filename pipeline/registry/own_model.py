"""A project's own model: a class with `fit` and `predict`, compared like a baseline.

It is trained anew in each evaluation and kept nowhere, so no file on disk can run code. For the
same reason it makes no list: docs/how-to/own-model.md says how a model that wins gets there.
"""

import importlib.util
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from features.records import Floats
from models.defection.selection import OWN
from pipeline.engine.rows import purged
from pipeline.runtime.errors import ConfigError

FILE = "my_models.py"  # `evaluate` depends on this file alone: DVC sees a change of it


def _error(place: str, rule: str, fix: str) -> ConfigError:
    return ConfigError("E_OWN_MODEL", place, rule, fix)


def _stopped(path: Path, error: Exception) -> ConfigError:
    """Return the error with the last line of the project's own file that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    place = f"{FILE}:{lines[-1]}" if lines else FILE
    first = (str(error).splitlines() or [""])[0]
    return _error(place, f"{type(error).__name__}: {first}", f"correct {FILE}")


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise _error(FILE, "the file is missing", "write it, or empty evaluate.own_model")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _risk(model: Any, values: pd.DataFrame, place: str) -> Floats:
    """Return the probability of defection, one per row, by `predict_proba` where there is one."""
    by_class = hasattr(model, "predict_proba")
    risk = np.asarray(model.predict_proba(values) if by_class else model.predict(values), float)
    if by_class and risk.shape == (len(values), 2):
        risk = risk[:, 1]
    if risk.shape != (len(values),):
        rule = f"it returns {risk.shape} for {len(values)} rows"
        raise _error(place, rule, "return one probability per row")
    odd = int((~((risk >= 0) & (risk <= 1))).sum())
    if odd:
        rule = f"{odd} of {len(risk)} values are no probability between 0 and 1"
        raise _error(place, rule, "return the probability that the customer churns")
    return risk


def own_predictions(
    name: str,
    rows: pd.DataFrame,
    past: pd.DataFrame,
    origins: dict[str, list[str]],
    features: list[str],
    horizon: int,
    root: Path,
) -> Floats:
    """Return the own model's probability of defection for `rows`, trained anew at each origin.

    It is trained on the rows of `past` that the model beside it was trained on. It receives
    features alone: no id and no date. Raises ConfigError for whatever stops it.
    """
    path, kind, risk = root / FILE, name.removeprefix("my_models."), np.empty(len(rows))
    try:
        module = _module(path)
        if not hasattr(module, kind):
            raise _error(FILE, f"it has no class {kind}", f"one that evaluate.{OWN} names")
        for origin, snapshots in origins.items():
            training = purged(past, snapshots, origin, horizon)
            model = getattr(module, kind)()
            values = training[features].astype(float).reset_index(drop=True)
            with threadpool_limits(1):  # threads that wait busily slow a shared machine down
                model.fit(values, training["defected"].to_numpy(int))
            at = (rows["snapshot"] == origin).to_numpy()
            values = rows.loc[at, features].astype(float).reset_index(drop=True)
            risk[at] = _risk(model, values, f"{FILE} {kind}.predict")
    except ConfigError:
        raise
    except Exception as error:  # code of the project: whatever it raises is a line, no traceback
        raise _stopped(path, error) from None
    return risk
