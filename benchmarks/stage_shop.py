"""Folders like this project's with a demo shop of another size, in which stages are measured."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import ROOT
from pipeline.runtime import store
from pipeline.runtime.runner import stages

UP_TO = "evaluate"
IDS = ("customer_id", "order_id", "complaint_id", "return_id")  # each copy has its own
# stages run as `python`, which must be this interpreter
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
}


def run(root: Path, *command: str) -> None:
    """Run a command in a folder, its output hidden unless it fails."""
    ended = subprocess.run(
        command, cwd=root, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")


def python(root: Path, *words: str) -> None:
    """Run a module of a folder."""
    run(root, sys.executable, "-m", *words)


def project(target: Path, customers: int | None = None, days: int | None = None) -> Path:
    """Make a clone of this project with its uncommitted changes, without data.

    `customers` and `days` change the size of its demo shop.
    """
    run(ROOT, "git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(target))
    listed = subprocess.run(
        ["git", "ls-files", "--modified", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, target / name)
        else:
            (target / name).unlink()
    text = (target / "params.yaml").read_text(encoding="utf-8")
    for key, value in (("customers", customers), ("days", days)):
        if value is not None:
            text = re.sub(rf"(?m)^( +{key}:) \d+", rf"\1 {value}", text, count=1)
    (target / "params.yaml").write_text(text, encoding="utf-8")
    return target


def reproduced(root: Path) -> list[str]:
    """Return the stages that `dvc repro` runs for the demo: all that are not frozen."""
    return [name for name, stage in stages(root, "demo").items() if not stage.frozen]


def shop(target: Path, customers: int, days: int | None = None) -> Path:
    """Make a demo shop of so many customers and run all stages up to the metrics."""
    project(target, customers, days)
    for name in reproduced(target):
        python(target, "pipeline", "stage", name)
        if name == UP_TO:
            break
    return target


def _renamed(table: pa.Table, copy: int, names: Sequence[str] = ("customer_id",)) -> pa.Table:
    for name in names:
        # in front: copies of one customer side by side would be scored sooner than strangers
        ids = pc.binary_join_element_wise(f"{copy:03d}-", table[name].cast(pa.string()), "")
        table = table.set_column(table.schema.get_field_index(name), name, ids)
    return table


def crowded_inputs(source: Path, target: Path, customers: int) -> Path:
    """Copy the input tables of a shop under new ids until they name so many customers."""
    target.mkdir(parents=True)
    copies = -(-customers // len(pq.read_table(source / "customers.parquet")))
    for path in sorted(source.glob("*.parquet")):
        table = pq.read_table(path)
        ids = [name for name in table.column_names if name in IDS]
        with pq.ParquetWriter(target / path.name, table.schema, compression="zstd") as writer:
            for copy in range(copies if "customer_id" in ids else 1):
                writer.write_table(_renamed(table, copy, ids))
    return target


def crowd(source: Path, target: Path, customers: int) -> Path:
    """Make a shop of at least so many customers at the newest snapshot: copies under new ids.

    It has what the stage `score` reads. Each copy is a partition of its own.
    """
    for name in ("shops", "reports", "data"):
        shutil.copytree(
            source / name,
            target / name,
            ignore=shutil.ignore_patterns("features", "lifecycle", "customers"),
        )
    for name in ("params.yaml", "playbook.yaml", "dvc.yaml"):
        shutil.copy(source / name, target / name)
    end = json.loads((source / "data" / "calibration.json").read_text(encoding="utf-8"))["data_end"]
    tables = {}
    for name in ("features", "lifecycle", "events/customers"):
        table = pq.read_table(source / "data" / name)
        tables[name] = (
            table
            if "snapshot" not in table.column_names
            else table.filter(pc.equal(table["snapshot"].cast(pa.string()), end))
        )
    for copy in range(-(-customers // len(tables["lifecycle"]))):
        for name, table in tables.items():
            store.write(target / "data" / name / f"part-{copy:03d}.parquet", _renamed(table, copy))
    return target
