"""Kernels are compiled once, safely for several processes, and cannot be called by mistake."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from frozen import ROOT
from reference_features import reference_features
from situations import Order, customer, features_at, past_of, random_customers, shop, tables_of

from features.catalogue import FEATURES
from features.columns import expand
from features.ipt import shrunk_ipt
from features.settings import Windows

# Prints the results of a kernel, and the misses and hits of its cache.
PROGRAM = """
import numpy as np
from features.ipt import gap_statistics
from features.records import buffers_for
from situations import random_customers, tables_of
tables = tables_of(*random_customers(seed=1, count=20))
median, gaps, squares = np.zeros(20), np.zeros(20, np.int64), np.zeros(20)
gap_statistics(tables, 400, buffers_for(tables, np.empty(0, np.int32)), median, gaps, squares)
print(*(f"{value:.9g}" for value in (*median, *gaps, *squares)))
stats = gap_statistics.stats
print(sum(stats.cache_misses.values()), sum(stats.cache_hits.values()))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    """Start a process that runs a kernel, with a cache folder for compiled kernels."""
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{ROOT}",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_can_fill_an_empty_cache_at_once_and_a_third_compiles_nothing(
    tmp_path: Path,
) -> None:
    ended = [process.communicate() for process in [start(tmp_path), start(tmp_path)]]
    ended.append(start(tmp_path).communicate())
    assert [errors for _, errors in ended] == ["", "", ""]
    printed = [output.splitlines() for output, _ in ended]
    assert len({rows for rows, _ in printed}) == 1
    assert "1 0" in [counted for _, counted in printed[:2]]
    assert printed[2][1] == "0 1"


def test_a_kernel_that_is_called_from_python_raises() -> None:
    past = past_of(orders=[0])
    with pytest.raises(
        TypeError, match="shrunk_ipt can only be called from kernels: call its py_func, or an entry"
    ):
        shrunk_ipt(past.lines, 1, shop())
    assert shrunk_ipt.py_func(past.lines, 1, shop()) == (30, 0.5)  # type: ignore[attr-defined]


def test_columns_follow_the_windows_of_the_parameters() -> None:
    windows = Windows((7, 21), (10,))
    of, declared = shop(windows=windows), expand(FEATURES, windows)
    edges = customer(orders=[Order(100 - age, 10 + age) for age in (1, 7, 8, 10, 11, 20, 21, 22)])
    customers = [edges, *random_customers(seed=8, count=40)]
    names = [column.name for column in declared]
    assert [
        name
        for name in names
        if name.startswith(("purchases_in", "purchase_trend", "spend_in", "spend_trend"))
    ] == [
        *(
            "purchases_in_7d",
            "purchases_in_21d",
            "purchase_trend_10d",
            "spend_in_7d",
            "spend_in_21d",
            "spend_trend_10d",
        )
    ]
    for (number, snapshot), row in features_at(tables_of(*customers), 100, 500, of=of).items():
        reference = reference_features(customers[number], snapshot, of)
        np.testing.assert_allclose(
            row.tolist(), [reference.get(c.name, c.absent) for c in declared], rtol=1e-5, atol=1e-5
        )
