"""Import files of CRMs by their documented rules, and the list in a real PostgreSQL."""

import csv
import datetime as dt
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tracking_server
from frozen import ROOT, project

from pipeline.delivery.export import _files, export, import_lines, target_of
from pipeline.delivery.postgresql import TABLE, sink
from pipeline.delivery.schema import SCORED, arrow_schema
from pipeline.runtime.errors import ConfigError, StorageError
from pipeline.runtime.publishing import Published, in_force, publish
from pipeline.runtime.sections import Lists

TARGETS = sorted(path.stem for path in (ROOT / "exports").glob("*.yaml"))
ODD = ["'+4917012345", "=x", "007", "+1", "a@example.com", 'Zoë, "A"\nline', "90071992547409931"]
KEEP = Lists(keep_days=400, keep_versions=3)


def rows(ids: list[str], day: str = "2026-01-01", risk: float = 0.5) -> pa.Table:
    """A list; the last customer is in the control group, the one before must not be contacted."""
    frame = pd.DataFrame({"customer_id": [*ids, "spared", "withheld"]})
    frame["contact"] = ["call"] * len(ids) + ["do_not_contact", "hold_out"]
    frame = frame.assign(
        as_of=dt.date.fromisoformat(day), queue="core_care", stage="core", risk=risk
    )
    schema = arrow_schema(SCORED)
    columns = {
        f.name: pa.array(frame[f.name], f.type) if f.name in frame else pa.nulls(len(frame), f.type)
        for f in schema
    }
    return pa.table(columns, schema)


def listed(folder: Path, table: pa.Table, day: str = "2026-01-01") -> Path:
    if not (folder / "params.yaml").exists():
        project(folder, "shops", "exports")
    about = {"snapshot": day, "shop": "demo"}
    publish(folder / "data" / "lists", Published({"scored.parquet": table}, about), KEEP)
    return folder


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_has_one_identifier_and_ids_stand_verbatim_or_their_row_is_refused(
    tmp_path: Path, target: str
) -> None:
    done = export(target, listed(tmp_path, rows(ODD)))
    rules = target_of(target, tmp_path)
    [file] = done.files
    head, *body = cells(file)
    assert head == [rules.identifier.header, *rules.columns]
    taken = ["a@example.com"] if target == "klaviyo" else ODD
    assert [row[0] for row in body] == taken
    assert done.refused == len(ODD) - len(taken)
    assert (done.rows, {len(row) for row in body}) == (len(taken), {len(head)})
    assert dt.date.fromisoformat(rules.checked_on) and rules.documented.startswith("https://")


def test_no_file_is_above_the_documented_limits_and_no_row_is_lost() -> None:
    for name in TARGETS:
        rules = target_of(name, ROOT)
        assert len(rules.columns) + 1 <= (rules.max_columns or 10**9)
        limits = {"max_rows": min(rules.max_rows or 10**9, 50_000), "max_bytes": 300_000}
        lines = [f"{i},{'x' * (i % 50)}\r\n" for i in range(60_000)]
        texts = list(_files("h\r\n", lines, rules.model_copy(update=limits)))
        assert "".join(text.removeprefix("h\r\n") for text in texts) == "".join(lines)
        assert max(len(text.encode()) for text in texts) <= limits["max_bytes"]
        assert max(text.count("\r\n") for text in texts) <= limits["max_rows"]
    salesforce = target_of("salesforce", ROOT)
    parts = list(_files("h\r\n", ["x\r\n"] * 120_000, salesforce))
    assert [part.count("\r\n") for part in parts] == [50_000, 50_000, 20_003]


def test_an_unchanged_second_day_writes_no_row_and_a_changed_one_its_changes(
    tmp_path: Path,
) -> None:
    folder = listed(tmp_path, rows(["a", "b"]))
    assert export("braze", folder, changed_only=True).rows == 2
    listed(folder, rows(["a", "b"], "2026-01-02"), "2026-01-02")
    assert export("braze", folder, changed_only=True)[:3] == (0, 0, [])
    listed(folder, rows(["a", "b", "c"], "2026-01-03"), "2026-01-03")
    done = export("braze", folder, changed_only=True)
    assert [row[0] for row in cells(done.files[0])[1:]] == ["c"]
    assert export("braze", folder).rows == 3


@pytest.mark.parametrize("changed_only", [True, False])
def test_a_customer_who_drops_out_is_withdrawn_once(changed_only: bool, tmp_path: Path) -> None:
    folder = listed(tmp_path, rows(["a", "b", "spared2"]))
    assert export("braze", folder, changed_only).rows == 3
    kept = rows(["a", "b"], "2026-01-02").to_pandas()  # one objects, the other is withheld
    kept.loc[kept["customer_id"] == "b", "contact"] = "hold_out"
    table = pa.Table.from_pandas(kept, arrow_schema(SCORED), preserve_index=False)
    listed(folder, table, "2026-01-02")
    head, *lines = cells(export("braze", folder, changed_only).files[0])
    withdrawn = [dict(zip(head, line, strict=True)) for line in lines if line[0] != "a"]
    assert [row["external_id"] for row in withdrawn] == ["b", "spared2"]
    assert all(row["corekeep_contact"] == "none" for row in withdrawn)
    assert not any(row["corekeep_queue"] or row["corekeep_risk"] for row in withdrawn)
    assert len(lines) == (2 if changed_only else 3)
    assert export("braze", folder, changed_only).rows == (0 if changed_only else 1)


def test_an_unknown_target_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use one of: braze, hubspot, klaviyo, salesforce"):
        export("pigeon", listed(tmp_path, rows(["a"])))


def test_many_rows_need_little_more_memory_than_their_text() -> None:
    table = rows([f"c{i}" for i in range(20_000)])
    tracemalloc.start()
    lines, _ = import_lines(table, target_of("braze", ROOT))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(lines) == len(table)
    assert peak / len(table) < 2_000  # bytes a row: two gigabytes for a million


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with tracking_server.postgresql() as uri:
        yield uri.replace("postgresql+psycopg", "postgresql")


def stored(uri: str) -> list[tuple[str, str, float]]:
    import psycopg

    with psycopg.connect(uri) as connection:
        sql = f"select as_of::text, customer_id, risk from {TABLE} order by 1, 2"
        return connection.execute(sql).fetchall()  # type: ignore[arg-type]


def put(root: Path, uri: str) -> int:
    """Put the list in force of a folder into PostgreSQL."""
    return sink(in_force(root / "data" / "lists"), uri)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.delivery import postgresql
whole = postgresql._tuples
def half(rows):
    for n, row in enumerate(whole(rows)):
        if n == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield row
postgresql._tuples = half
postgresql.sink(Path(sys.argv[1]), sys.argv[2])
"""


def test_postgresql_holds_the_rows_of_the_parquet_after_two_runs_and_a_killed_one(
    tmp_path: Path, server: str
) -> None:
    folder = listed(tmp_path, rows(ODD))
    first = [("2026-01-01", name, 0.5) for name in sorted([*ODD, "spared", "withheld"])]
    assert put(folder, server) == put(folder, server) == len(first)
    assert sorted(stored(server)) == sorted(first)
    listed(folder, rows(ODD, risk=0.7))
    command = [sys.executable, "-c", KILLED, str(in_force(folder / "data" / "lists")), server]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == -9
    assert sorted(stored(server)) == sorted(first)
    put(folder, server)
    listed(folder, rows(["a"], "2026-01-02"), "2026-01-02")
    put(folder, server)
    parquet = pq.read_table(folder / "data" / "lists" / "latest" / "scored.parquet")
    newest = [(n, r) for day, n, r in stored(server) if day == "2026-01-02"]
    assert sorted(newest) == sorted(
        zip(parquet["customer_id"].to_pylist(), parquet["risk"].to_pylist(), strict=True)
    )
    assert {risk for day, _, risk in stored(server) if day == "2026-01-01"} == {np.float64(0.7)}


def test_no_password_reaches_an_error_of_the_sink(tmp_path: Path) -> None:
    folder, port = listed(tmp_path, rows(["a"])), tracking_server.free_port()
    with pytest.raises(StorageError) as refused:
        put(folder, f"postgresql://keeper:s3cret@127.0.0.1:{port}/crm")
    assert "s3cret" not in str(refused.value)
    assert refused.value.exit_code == 7
    assert refused.value.__cause__ is None
    with pytest.raises(ConfigError, match="not a PostgreSQL address"):
        put(folder, "mysql://x:s3cret@host/db")
