"""A shop with two models whose results are tracked, and the folder they are tracked from."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import frozen
import pandas as pd
import pytest
import small_shop
from frozen import params

from pipeline.registry.mlflow_server import connect
from pipeline.runtime import store
from pipeline.runtime.params import Params
from pipeline.runtime.store import Folder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.track import track

MLFLOWS_OWN_WARNINGS = [
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
    pytest.mark.filterwarnings(
        "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
    ),
]
PARAMS = params()
CANARY = "canary-4711"  # the id of a customer
SPENT = 918273.25  # spent by this customer alone, within a year and ever


def base_rate(result: str) -> float:
    """A figure that differs from result to result."""
    return zlib.crc32(result.encode()) / 2**32


@dataclass(frozen=True)
class Made:
    """A shop with two models.

    The strong one is trained on all columns, the weak one without the weather, half of the signal.
    """

    folders: dict[str, Folder]
    strong: Folder
    weak: Folder
    evaluated: dict[str, Any]


def made_in(folder: Path) -> Made:
    frame, few = small_shop.rows(300, 2.0), PARAMS.train.model_copy(update={"max_rounds": 100})
    frame.loc[frame["customer_id"] == "c0007", ["spend", "net_spend_365d"]] = SPENT
    frame["customer_id"] = frame["customer_id"].replace("c0007", CANARY)
    models, folders = {}, {}
    for name, rows in (("weak", frame.drop(columns="weather")), ("strong", frame)):
        folders, files = small_shop.trained(folder, rows, few)
        models[name] = small_shop.model_folder(folder / name, files)
    quick = PARAMS.evaluate.model_copy(update={"bootstrap": 20})
    results = evaluate(
        **folders,
        model=models["strong"],
        calibration=small_shop.calibration(),
        shop="demo",
        params=quick,
        costs=PARAMS.costs,
        root=folder,
    )
    store.write(folder / "plots", results["plots"])
    return Made({**folders, "plots": Folder(folder / "plots")}, **models, evaluated=results)


@dataclass(frozen=True)
class Project:
    """A folder whose results are tracked at an address, in an experiment and a registered model of
    its own.
    """

    root: Path
    made: Made
    uri: str | None

    def params(self, **changes: Any) -> Params:
        own = {
            "uri": self.uri,
            "experiment": self.root.name,
            "model_name": self.root.name,
            "timeout_seconds": 20,
            **changes,
        }
        return PARAMS.model_copy(
            update={"shop": "demo", "track": PARAMS.track.model_copy(update=own)}
        )

    def track(
        self, result: str = "one", which: str = "strong", verdict: str = "model", **changes: Any
    ) -> dict[str, Any]:
        """Track a result, another one for another name; what reports/mlflow.json says."""
        params = self.params(**changes)
        figure = {"base_rate": base_rate(result)}
        track(
            model=getattr(self.made, which),
            **self.made.folders,
            metrics=self.made.evaluated["metrics"] | {"verdict": verdict} | figure,
            evaluation=self.made.evaluated["evaluation"] | {"verdict": verdict},
            model_card=self.made.evaluated["model_card"],
            hypotheses=[{"id": "F2", "verdict": "unknown"}],
            stage_counts=pd.DataFrame(
                {
                    "as_of": [small_shop.DATA_END],
                    "stage": ["core"],
                    "activity": ["active"],
                    "customers": [300],
                }
            ),
            calibration=small_shop.calibration(),
            shop="demo",
            params=params.track,
            train=params.train,
            evaluate=params.evaluate.model_copy(update={"bootstrap": 40}),
            costs=params.costs,
            root=self.root,
        )
        kept: dict[str, Any] = store.read(self.root / "reports" / "mlflow.json")
        return kept

    @property
    def client(self) -> Any:
        return connect(self.root, self.params().track).client

    @property
    def name(self) -> str:
        return f"{self.root.name}-demo"

    def runs(self) -> list[Any]:
        """Runs that are not deleted, oldest first."""
        experiment = self.client.get_experiment_by_name(self.root.name)
        return sorted(
            self.client.search_runs([experiment.experiment_id]), key=lambda run: run.info.start_time
        )


def project_at(folder: Path, made: Made, uri: str | None) -> Project:
    return Project(frozen.project(folder, "shops"), made, uri)
