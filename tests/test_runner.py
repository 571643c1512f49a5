"""The runner.

Files and parameters are bound by name, one run of a stage at a time, errors as one line and an exit
code.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import frozen
import numpy as np
import pytest
from frozen import ROOT, params

from pipeline.runtime import store
from pipeline.runtime.cost import measured
from pipeline.runtime.errors import BusyError, ConfigError, StorageError
from pipeline.runtime.params import Params
from pipeline.runtime.runner import Stage, argument, bind, locked, run_stage, stages
from pipeline.runtime.sections import Calibrate
from pipeline.runtime.yaml_file import read_yaml

HOLD = """
import sys
from pathlib import Path
from pipeline.runtime.runner import locked
with locked(Path(sys.argv[1]), "label"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs the stage `label` of a project."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def project(root: Path) -> Path:
    """A project of its own with this project's stages and parameters, a small demo chosen, and no
    data.
    """
    frozen.project(root, "dvc.yaml", "shops")
    store.write(root / "params.yaml", frozen.TEXT.replace("customers: 11000", "customers: 60"))
    return root


def test_a_second_run_of_a_stage_is_refused_with_exit_code_6_naming_the_first(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    with pytest.raises(BusyError) as raised:
        run_stage("label", project(tmp_path))
    assert raised.value.exit_code == 6
    assert raised.value.place == "stage label"
    assert raised.value.rule.startswith(f"process {held.pid} on ")


def test_another_stage_may_run_meanwhile(tmp_path: Path, held: subprocess.Popen[str]) -> None:
    with locked(tmp_path, "extract"):
        assert held.poll() is None


def test_a_lock_frees_itself_when_its_process_is_killed(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    held.kill()
    held.wait()
    with locked(tmp_path, "label"):
        holder = (tmp_path / ".cache" / "locks" / "label.lock").read_text(encoding="utf-8")
        assert holder.startswith(f"process {os.getpid()} on ")


def test_a_lock_is_free_again_after_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="failed"), locked(tmp_path, "label"):
        raise RuntimeError("failed")
    with locked(tmp_path, "label"):
        pass


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/events", "events"),
        ("data/calibration.json", "calibration"),
        ("reports/model_card.md", "model_card"),
        ("sources/demo.sql", "sources"),
        ("data/shops/demo", "shops"),
        ("data/truth/demo", "truth"),
    ],
)
def test_a_file_goes_by_its_own_name_and_one_named_after_the_shop_by_its_folders(
    path: str, name: str
) -> None:
    assert argument(path, "demo") == name


def test_stages_are_those_of_dvc_yaml_for_the_shop_chosen() -> None:
    ingest = stages(ROOT, "cdnow")["ingest"]
    assert ingest.inputs == {
        "shops": "data/shops/cdnow",
        "returned": "data/returned/cdnow",
        "sources": "sources/cdnow.sql",
    }
    assert ingest.outputs == {
        "events": "data/events",
        "quarantine": "data/quarantine",
        "ingest": "reports/ingest.json",
    }


def test_a_function_gets_its_own_section_others_by_name_the_shop_and_its_files(
    tmp_path: Path,
) -> None:
    store.write(tmp_path / "data" / "calibration.json", {"gaps": 3})
    stage = Stage("calibrate", {"calibration": "data/calibration.json"}, {})

    def calibrate(
        calibration: object, params: Calibrate, ipt: object, shop: str, root: Path
    ) -> None: ...

    base: Params = params()
    assert bind(stage, calibrate, base, tmp_path) == {
        "calibration": {"gaps": 3},
        "params": base.calibrate,
        "ipt": base.ipt,
        "shop": base.shop,
        "root": tmp_path,
    }


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        run_stage("label", project(tmp_path))
    assert raised.value.place == "data/events"
    assert raised.value.fix == "run `make repro`"


def test_a_stage_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        run_stage("lable", project(tmp_path))
    assert raised.value.exit_code == 2
    assert "label" in raised.value.fix


def test_a_broken_dvc_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    dvc_yaml = project(tmp_path) / "dvc.yaml"
    dvc_yaml.write_text("stages:\n- a\n  b: c\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        stages(tmp_path, "demo")
    assert refused.value.place == "dvc.yaml:3"


def test_what_a_stage_returns_is_written_where_dvc_yaml_says(tmp_path: Path) -> None:
    run_stage("simulate", project(tmp_path))
    written = {str(path.relative_to(tmp_path)) for path in (tmp_path / "data").glob("*/*/*")}
    assert {"data/shops/demo/orders.parquet", "data/truth/demo/customer.parquet"} <= written


def test_a_stage_that_does_not_make_what_dvc_yaml_promises_has_failed(tmp_path: Path) -> None:
    stages_text = (project(tmp_path) / "dvc.yaml").read_text(encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(
        stages_text.replace("data/truth/demo]", "data/truth/demo, data/more]"), encoding="utf-8"
    )
    with pytest.raises(RuntimeError, match="stage simulate did not make more"):
        run_stage("simulate", tmp_path)


def test_what_people_read_is_no_output_that_dvc_or_an_experiment_would_write(
    tmp_path: Path,
) -> None:
    project(tmp_path)
    by_name = stages(tmp_path, "demo")
    spec = read_yaml(tmp_path / "dvc.yaml", tmp_path)["stages"]
    publish = {
        name for name, stage in by_name.items() if {"lists", "retention_desk"} & {*stage.outputs}
    }
    assert publish == {"score", "report"}
    assert all(by_name[name].frozen and "outs" not in spec[name] for name in publish)


def test_a_disk_that_cannot_be_written_is_exit_code_7(tmp_path: Path) -> None:
    (project(tmp_path) / "data").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(StorageError) as raised:
        run_stage("simulate", tmp_path)
    assert raised.value.exit_code == 7


def test_a_step_costs_its_own_time_and_its_own_memory() -> None:
    costs: dict[str, dict[str, float]] = {}
    with measured(costs, "large"):
        np.ones(50_000_000).sum()
    with measured(costs, "small"):
        pass
    assert costs["large"]["cpu_s"] > costs["small"]["cpu_s"]
    if sys.platform == "linux":
        assert costs["large"]["peak_gb"] > costs["small"]["peak_gb"] + 0.3
