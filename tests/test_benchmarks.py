"""The benchmarks run, and compare systems that give the same answer."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.columns import COLUMNS, TRENDS, WINDOWS
from benchmarks.data import lines_of, shop
from benchmarks.equality import differences, rows_of
from benchmarks.features import SYSTEMS, Run, check_equal, plan, ratios
from benchmarks.measure import cost, measured
from features.catalogue import FEATURES
from features.columns import expand
from features.settings import Windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a benchmark whose systems have all run on the data of a hundred customers."""
    folder = tmp_path_factory.mktemp("bench")
    for run in [*plan(100, []), Run("ingest_bare", 100, 12)]:
        out = folder / "out" / "-".join(map(str, run))
        out.mkdir(parents=True)
        assert measured(run.system, shop(folder, run.customers), out, run.snapshots).cpu_s > 0
    return folder


def test_all_systems_agree_in_every_column(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_equal(folder, 100)
    assert (
        f"agree in {len(COLUMNS)} columns of {rows_of(folder / 'out' / 'engine-100-12')} rows"
        in capsys.readouterr().out
    )


def test_one_wrong_cell_ends_the_benchmark(folder: Path, tmp_path: Path) -> None:
    right = folder / "out" / "engine-100-12"
    table = pq.read_table(right)
    at = table.column_names.index("gap_median")
    values = table["gap_median"].to_numpy().copy()
    values[np.flatnonzero(values > 0)[0]] *= 1.0001
    pq.write_table(table.set_column(at, "gap_median", pa.array(values)), tmp_path / "rows.parquet")
    assert differences(right, tmp_path) == [f"gap_median: 1 of {len(table)} cells"]


def test_a_missing_row_ends_the_benchmark(folder: Path, tmp_path: Path) -> None:
    right = folder / "out" / "engine-100-12"
    table = pq.read_table(right)
    pq.write_table(table[1:], tmp_path / "rows.parquet")
    assert differences(right, tmp_path) == [
        f"customers and snapshots: {len(table)} rows, {len(table) - 1} rows"
    ]


def test_the_compared_columns_are_most_of_the_catalogue() -> None:
    catalogue = [column.name for column in expand(FEATURES, Windows(WINDOWS, TRENDS))]
    assert set(COLUMNS) < set(catalogue)
    assert len(COLUMNS) > 0.7 * len(catalogue)


def test_a_run_in_a_process_of_its_own_tells_what_it_cost(folder: Path) -> None:
    costs = cost("floor", shop(folder, 100), folder / "out" / "alone", 12)
    assert 0 < costs.cpu_s < costs.start_s + costs.cpu_s < 60
    assert 0.01 < costs.rss_gb < 4
    assert costs.wall_s > 0


def test_a_ratio_above_one_means_that_another_system_is_slower_and_the_engine_above_the_floor() -> (
    None
):
    seconds = {
        "engine": 2.0,
        "raw_engine": 4.0,
        "duckdb_naive": 40.0,
        "polars_tuned": 6.0,
        "pandas_groupby": 14.0,
    }
    costs = {Run(system, 10, 12): {"cpu_s": seconds[system]} for system in SYSTEMS}
    costs |= {
        Run("engine", 100, 12): {"cpu_s": 20.0},
        Run("engine", 100, 1): {"cpu_s": 8.0},
        Run("floor", 100, 12): {"cpu_s": 4.0},
    }
    costs |= {Run("engine", 500, 12): {"cpu_s": 125.0}}
    assert ratios(costs, {10: 1000, 100: 10_000, 500: 25_000}) == {
        "duckdb_naive": 20,
        "polars_tuned": 3,
        "pandas": 7,
        "duckdb_naive_from_raw": 10,
        "polars_tuned_from_raw": 1.5,
        "pandas_from_raw": 3.5,
        "floor": 5,
        "snapshots_12_over_1": 2.5,
        "scaling_exponent": 1,
        "scaling_exponent_large": 2,
    }


def test_the_generated_data_is_the_same_each_time_and_of_the_stated_size(
    folder: Path, tmp_path: Path
) -> None:
    again, first = shop(tmp_path, 100), shop(folder, 100)
    for path in sorted(first.rglob("*.parquet")):
        assert pq.read_table(path).equals(pq.read_table(again / path.relative_to(first)))
    assert 15 * 100 < lines_of(first) < 35 * 100
