"""Runs that wait for the tracking server.

In their order, for their owner alone, never more than the bounds.
"""

from pathlib import Path
from typing import Any

import pytest

from pipeline.registry import spool
from pipeline.registry.run_record import RunRecord


def run(number: int, text: str = "figures") -> RunRecord:
    return RunRecord(
        {"result": f"r{number}", "trained": False},
        {"metrics.json": {"auc": 0.7}, "plots/gains.csv": text},
    )


def results(root: Path) -> list[str]:
    return [waits.run["result"] for waits in spool.waiting_runs(root)]


def test_runs_wait_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        spool.add(tmp_path, run(number))
    assert results(tmp_path) == ["r3", "r1", "r2"]
    spool.remove(spool.waiting_runs(tmp_path)[0].path)
    spool.add(tmp_path, run(4))
    assert results(tmp_path) == ["r1", "r2", "r4"]


def test_a_run_waits_as_it_was_made(tmp_path: Path) -> None:
    spool.add(tmp_path, run(1, "a,b\n"))
    (waits,) = spool.waiting_runs(tmp_path)
    assert waits.run["made_at"] > 1_700_000_000_000
    assert waits.artifacts.names("**/*") == ["metrics.json", "plots/gains.csv"]
    assert waits.artifacts.read("metrics.json") == {"auc": 0.7}
    assert (waits.artifacts.path / "plots" / "gains.csv").read_text() == "a,b\n"


def test_the_same_result_waits_once(tmp_path: Path) -> None:
    for number in (1, 2, 1):
        spool.add(tmp_path, run(number))
    assert results(tmp_path) == ["r1", "r2"]


def test_no_one_else_can_look_into_the_folder(tmp_path: Path) -> None:
    (tmp_path / spool.FOLDER).mkdir(mode=0o755)
    spool.add(tmp_path, run(1))
    assert (tmp_path / spool.FOLDER).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"MOST_RUNS": 2}, ["r2", "r3"]),
        ({"MOST_BYTES": 2500}, ["r2", "r3"]),
        ({"MOST_BYTES": 1}, ["r3"]),
    ],
)
def test_beyond_the_bounds_the_oldest_are_removed_and_that_is_said(
    bounds: dict[str, Any],
    kept: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in bounds.items():
        monkeypatch.setattr(spool, name, value)
    for number in (1, 2, 3):
        spool.add(tmp_path, run(number, "x" * 1000))
    assert results(tmp_path) == kept
    assert "oldest runs are removed, untracked" in capsys.readouterr().err


def test_a_run_that_cannot_be_read_keeps_no_other_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        spool.add(tmp_path, run(number))
    (tmp_path / spool.FOLDER / "000001" / "run.json").write_text("{")
    assert results(tmp_path) == ["r2"]
    assert "mlspool/000001 cannot be read" in capsys.readouterr().err


def test_what_a_killed_run_left_is_no_run_and_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / spool.FOLDER / ".000001.77-88.tmp"
    left.mkdir(parents=True)
    assert results(tmp_path) == []
    spool.add(tmp_path, run(1))
    assert not left.exists()
