"""`corekeep repro` on a project of three short stages: its lines, exit codes and what stops it."""

import contextlib
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from frozen import ROOT, TEXT

from benchmarks.random_stops import digests, stop_at_random, to_the_end
from pipeline.__main__ import main
from pipeline.delivery import summary
from pipeline.delivery.prune import Pruned, prune
from pipeline.runtime import runner
from pipeline.runtime.errors import BusyError, ConfigError
from pipeline.runtime.repro import choose
from pipeline.runtime.runner import HOLDER, run_stage, whole_pipeline

STAGES = """
stages:
  make:
    cmd: echo "advice"; echo 1 > made.txt
    deps: [wanted.txt]
    outs: [made.txt]
  ready:
    cmd: cp made.txt ready.txt
    deps: [made.txt]
    outs: [ready.txt]
  added:
    cmd: touch added.txt
    outs: [added.txt]
  search:
    frozen: true
    cmd: exit 1
"""
# DVC's tries warn of a coming change in their own library
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPRO = """
import sys
from pathlib import Path
import pipeline.__main__ as cli
from pipeline.runtime import runner
from pipeline.delivery import summary
runner.ROOT, summary.summary = Path(sys.argv.pop(1)), lambda _: "the summary"
cli.main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "Größe 50% #1"
    (folder / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc")
    (folder / "shops").mkdir()
    (folder / "shops" / "demo.yaml").touch()
    (folder / "params.yaml").write_text(TEXT, encoding="utf-8")
    (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    (folder / "wanted.txt").touch()
    return folder


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", REPRO, str(folder), "repro", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


Result = tuple[int, list[str], str]


def result(code: int, out: str, err: str) -> Result:
    """Exit code, lines of progress without the seconds and then the result, errors."""
    assert out in ("", "the summary\n")  # the result alone
    errors = err.splitlines(keepends=True)
    steps = [line for line in errors if re.match(r" ?\d+ of \d+  (?!.*stopped)", line)]
    rest = [line for line in errors if line not in steps]
    lines = [" ".join(line.split()).removesuffix(" 0 s") for line in steps]
    return code, [*lines, *out.splitlines()], "".join(rest)


def repro_apart(folder: Path, *words: str) -> Result:
    """Run the command in a process of its own, to which signals may be sent."""
    process = started(folder, *words)
    out, err = process.communicate(timeout=120)
    return result(process.returncode, out, err)


Repro = Callable[..., Result]


@pytest.fixture
def repro(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Repro]:
    """Run the command in this process: another one would only import DVC again."""

    def run(folder: Path, *words: str) -> Result:
        monkeypatch.setattr(runner, "ROOT", folder)
        monkeypatch.setattr(summary, "summary", lambda _: "the summary")
        monkeypatch.setattr(sys, "argv", ["corekeep", "repro", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return result(int(ended.value.code or 0), *capfd.readouterr())

    # DVC's log keeps the stream of the test that imported it
    monkeypatch.setattr(logging.root.manager, "disable", logging.INFO)
    environment, umask = dict(os.environ), os.umask(0o022)
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    yield run
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(environment)


def at_work(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    names = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                names.append(process.name())
    return names


def at_end() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path.name} was never made"
        time.sleep(0.1)


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "dvc.yaml").read_text(encoding="utf-8")
    (folder / "dvc.yaml").write_text(text.replace(old, new), encoding="utf-8")


def test_each_stage_that_is_not_frozen_is_one_line_and_unchanged_the_next_time(
    project: Path, repro: Repro
) -> None:
    assert repro(project) == (0, ["1 of 3 make", "2 of 3 ready", "3 of 3 added", "the summary"], "")
    assert (project / "added.txt").exists()
    lines = ["1 of 3 make unchanged", "2 of 3 ready unchanged", "3 of 3 added unchanged"]
    assert repro(project) == (0, [*lines, "the summary"], "")


def test_verbose_shows_what_the_stages_and_dvc_print(project: Path) -> None:
    code, lines, shown = repro_apart(project, "--verbose")
    assert (code, lines[0]) == (0, "1 of 3 make")
    assert "advice" in shown.splitlines()
    assert "Running stage 'make'" in shown


def test_the_exit_code_of_a_stage_reaches_the_shell_and_its_message_is_shown_once(
    project: Path, repro: Repro
) -> None:
    edit(project, "cp made.txt ready.txt", "echo 'E_CODE file:1 - rule - fix' >&2; exit 4")
    code, lines, err = repro(project)
    assert (code, lines) == (4, ["1 of 3 make"])
    assert err.splitlines() == [
        "E_CODE file:1 - rule - fix",
        " 2 of 3  ready  stopped: exit code 4",
    ]


def test_what_stops_dvc_itself_is_one_line_of_ours(project: Path, repro: Repro) -> None:
    (project / "wanted.txt").unlink()
    code, _, err = repro(project)
    assert code == 2
    assert err.startswith("E_DVC dvc.yaml — failed to reproduce 'make': ")
    assert "wanted.txt" in err
    assert err.count("\n") == 1


def test_a_second_run_is_refused_with_exit_code_6_while_the_first_one_works(
    project: Path, repro: Repro
) -> None:
    edit(project, "cp made.txt ready.txt", "touch begun; sleep 60; cp made.txt ready.txt")
    with started(project) as first:
        wait_for(project / "begun")
        code, _, err = repro(project)
        assert (code, err.split()[0]) == (6, "E_BUSY")
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=30) == 143
        assert not at_work(first.pid)  # it has taken the stage with it


def test_a_stage_of_its_own_is_refused_while_a_run_works_between_its_stages(project: Path) -> None:
    with whole_pipeline(project):
        del os.environ[HOLDER]  # another process does not have it
        with pytest.raises(BusyError, match=f"process {os.getpid()} on "):
            run_stage("make", project)
        os.environ[HOLDER] = f"{at_end()} {project}"
        with pytest.raises(BusyError, match="the run that started this stage has ended"):
            run_stage("make", project)


def test_a_signal_amid_dvcs_own_work_ends_the_run_after_dvc_has_written(project: Path) -> None:
    edit(project, "cp made.txt ready.txt", "cp made.txt ready.txt; kill -TERM $PPID")
    code, lines, err = repro_apart(project)
    # on a busy machine the signal may arrive before DVC has taken note of the stage's end
    assert code == 143
    assert re.fullmatch(r" (2 of 3  ready|3 of 3  added)  stopped: exit code 143\n", err)
    edit(project, "; kill -TERM $PPID", "")
    assert repro_apart(project)[:2] == (
        0,
        ["1 of 3 make unchanged", "2 of 3 ready", "3 of 3 added", "the summary"],
    )


def test_what_a_kill_left_of_dvcs_own_files_is_repaired_and_said(
    project: Path, repro: Repro
) -> None:
    assert repro(project)[0] == 0
    made = (project / "dvc.lock").read_bytes()
    for left in ("", '{"write": {"/x', "[]"):
        for name in (".dvc/tmp/rwlock", "dvc.lock"):
            (project / name).write_text(left, encoding="utf-8")
        code, _, err = repro(project)
        assert code == 0, left
        assert err.count("cut off by a run that was killed") == 2, left
        assert (project / "dvc.lock").read_bytes() == made, left


def test_prune_shows_what_no_run_needs_and_removes_it_only_when_it_is_meant(
    project: Path, repro: Repro
) -> None:
    edit(project, "echo 1 > made.txt", "cat wanted.txt > made.txt")
    for content in ("one", "two"):
        (project / "wanted.txt").write_text(content, encoding="utf-8")
        assert repro(project)[0] == 0
    export, left = project / "data" / "exports" / "braze", project / "data" / ".events.7-7.tmp"
    for path in (export / "2024-01-01", export / "2026-01-01", left):
        path.mkdir(parents=True)
    cache = project / ".dvc" / "cache" / "files"
    objects = sum(path.is_file() for path in cache.rglob("*"))
    expected = Pruned(1, ["data/exports/braze/2024-01-01", "data/.events.7-7.tmp"])
    assert prune(project) == expected
    assert left.exists()
    assert prune(project, dry_run=False) == expected
    assert not left.exists() and [p.name for p in export.iterdir()] == ["2026-01-01"]
    assert sum(path.is_file() for path in cache.rglob("*")) == objects - 1
    assert repro(project)[1][:2] == ["1 of 3 make unchanged", "2 of 3 ready unchanged"]
    assert prune(project) == Pruned(0, [])


def test_a_run_stopped_at_random_moments_ends_with_the_bytes_of_one_that_was_not(
    project: Path,
) -> None:
    edit(project, "cp made.txt", "sleep 0.5; cp made.txt")
    made = ("made.txt", "ready.txt", "added.txt", "dvc.lock")
    command = [sys.executable, "-c", REPRO, str(project), "repro"]
    to_the_end(command, ROOT)
    expected = digests(project, made)
    for name in made:
        (project / name).unlink()
    shutil.rmtree(project / ".dvc" / "cache")
    chance = random.Random(1)
    for _ in range(2):
        stop_at_random(command, ROOT, chance, longest=3)
    to_the_end(command, ROOT)
    assert digests(project, made) == expected
    assert len(expected) == len(made)


def test_only_the_owner_may_read_below_the_folders_of_results_whatever_dvc_makes(
    project: Path,
) -> None:
    os.chmod(project / ".dvc", 0o755)
    (project / "data").mkdir(mode=0o755)
    assert repro_apart(project)[0] == 0  # DVC reads the umask when it is imported
    for name in ("data", "reports", ".cache", ".dvc/cache"):
        assert (project / name).stat().st_mode & 0o077 == 0, name


def test_a_disk_without_space_stops_a_run_before_any_work(project: Path, repro: Repro) -> None:
    text = TEXT.replace("free_gb: 0", "free_gb: 1000")
    (project / "params.yaml").write_text(text, encoding="utf-8")
    code, lines, err = repro(project)
    assert (code, lines, err.split()[0]) == (7, [], "E_SPACE")
    assert not (project / "made.txt").exists()


def test_ctrl_c_ends_the_run_with_exit_code_130(project: Path) -> None:
    edit(project, "cp made.txt ready.txt", "touch begun; exec sleep 60")
    process = started(project)
    wait_for(project / "begun")
    # a terminal sends it to everything it started
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[1:] == [" 2 of 3  ready  stopped: exit code 130"]


def test_a_name_no_shop_may_have_is_refused_before_params_yaml_is_written(
    project: Path, repro: Repro
) -> None:
    (project / "shops" / "My-Shop.yaml").touch()
    with pytest.raises(ConfigError, match="call it my_shop") as refused:
        choose("My-Shop", project)
    assert "one of" not in refused.value.fix
    with pytest.raises(ConfigError, match="one of: demo;"):
        choose("elsewhere", project)
    (project / "shops" / "empty_shop.yaml").touch()
    for name in ("../params", "../shops/demo", "demo; touch x", "empty_shop"):
        code, _, err = repro(project, "--shop", name)
        assert (code, err.split()[0]) == (2, "E_SHOP")
    assert (project / "params.yaml").read_text(encoding="utf-8") == TEXT
