"""The whole pipeline as a new user runs it: in a clone, twice, and again in a second clone."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import frozen
import pandas as pd
import pytest

from benchmarks.random_stops import copy_kernels, share_kernels
from models.lifecycle.states import STAGES
from pipeline.delivery.nightly import run as score_nightly
from pipeline.delivery.page import publish_champion
from pipeline.runtime import store
from pipeline.runtime.errors import BusyError, ModelError, StorageError
from pipeline.runtime.lock import locked
from pipeline.runtime.runner import ROOT

SMALL = {"customers": 1500, "days": 900, "max_rounds": 100, "trials": 2, "bootstrap": 60}


# one process, because another for each stage would only import the same libraries
ALL_STAGES = """
from pipeline.runtime.runner import ROOT, run_stage, stages
for stage in stages(ROOT, "demo").values():
    if not stage.frozen:
        run_stage(stage.name)
"""


def run(folder: Path, *words: str, expect: int = 0) -> str:
    """Run a command in a folder; return what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    author = {
        f"GIT_{who}_{what}": "t@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    env = {**os.environ, **author, "PATH": path}
    ended = subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, check=False, umask=0o022
    )
    assert ended.returncode == expect, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def corekeep(folder: Path, *words: str, expect: int = 0) -> str:
    return run(folder, sys.executable, "-m", "pipeline", *words, expect=expect)


def clone(source: Path, target: Path) -> Path:
    """Make a clone, with the changes that are not committed yet."""
    run(source, "git", "clone", "--quiet", "--no-hardlinks", str(source), str(target))
    changed = run(
        source, "git", "ls-files", "--modified", "--others", "--exclude-standard"
    ).splitlines()
    for name in changed:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((source / name).read_bytes())
    return target


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", "as it stands")


def digests(folder: Path) -> dict[str, str]:
    """The hashes of the files that must be the same on every machine."""
    paths = sorted(
        p
        for name in ("data/lists", "data/model", "data/desk")
        for p in (folder / name).rglob("*")
        if p.is_file()
    )
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A clone with a smaller demo shop after one run: its folder and the printed lines."""
    # a name in which a path, an address or a shell may go wrong
    folder = clone(ROOT, tmp_path_factory.mktemp("first") / "Größe 50% #1 (copy)")
    share_kernels(ROOT, folder)
    params = frozen.TEXT
    for key, value in SMALL.items():
        params, count = re.subn(rf"(?m)^( +{key}:) \d+", rf"\1 {value}", params, count=1)
        assert count == 1
    (folder / "params.yaml").write_text(params)
    said = corekeep(folder, "repro")
    copy_kernels(folder, ROOT)  # where they were not compiled yet, the other tests need not
    commit(folder)
    return folder, said


def test_one_command_ends_with_the_list_the_page_the_grade_and_ten_customers(
    small: tuple[Path, str],
) -> None:
    folder, said = small
    assert (folder / "data" / "desk" / "retention_desk.html").stat().st_size > 10_000
    steps = [line for line in said.splitlines() if " of 11  " in line]
    assert len(steps) == 11
    for number, line in enumerate(steps, start=1):
        assert re.fullmatch(rf" ?{number} of 11  \w+ +\d+ s", line), line
    closing = said[said.index("list    /") :]
    assert re.search(r"(?m)^scorer  (the model|no signal)", closing)
    assert f"page    {folder.resolve() / 'data' / 'desk' / 'retention_desk.html'}" in closing
    assert ", the best simple baseline, 0." in closing
    assert len(re.findall(r"(?m)^ +\d+ +C\d+ ", closing)) == 10


def test_a_second_run_does_nothing_and_leaves_the_tree_clean(small: tuple[Path, str]) -> None:
    folder, _ = small
    before = digests(folder)
    said = corekeep(folder, "repro")
    assert len(re.findall(r"(?m)^ ?\d+ of 11  \w+ +unchanged$", said)) == 11
    assert digests(folder) == before
    assert run(folder, "git", "status", "--porcelain") == ""


def test_a_second_clone_makes_the_same_list_and_model_byte_for_byte(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = small
    other = clone(folder, tmp_path / "elsewhere")
    share_kernels(folder, other)
    run(other, sys.executable, "-c", ALL_STAGES)
    # with the files of the first clone at hand, DVC compares and finds nothing to do
    shutil.copytree(folder / ".dvc" / "cache", other / ".dvc" / "cache", dirs_exist_ok=True)
    said = corekeep(other, "repro")
    assert re.findall(r"(?m)^ ?\d+ of 11  (\w+) +(?!unchanged)\d", said) == ["publish"], said
    assert digests(other) == digests(folder)
    assert run(other, "git", "status", "--porcelain") == ""


def test_all_five_stages_occur_and_their_counts_are_the_known_customers(
    small: tuple[Path, str],
) -> None:
    folder, _ = small
    counts = pd.read_csv(folder / "reports" / "stage_counts.csv")
    newest = counts[counts["as_of"] == counts["as_of"].max()]
    assert set(newest.loc[newest["customers"] > 0, "stage"]) == set(STAGES)
    objections = store.read(folder / "data" / "lists" / "manifest.json")["profiling_objections"]
    assert newest["customers"].sum() == SMALL["customers"] - objections
    assert objections > 0


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each file in a folder by its path."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): store.sha256(p) for p in files}


def nightly(folder: Path, out: Path, *words: str) -> dict[str, Any]:
    """Score the shop's raw files as a scheduler does; return the JSON on standard output."""
    command = [sys.executable, "-m", "pipeline", "score", "--json", "--out", str(out), *words]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_the_nightly_job_makes_the_list_of_the_same_day_byte_for_byte_and_the_next_day_its_own(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = small
    out = tmp_path / "lists"
    result = score_with(folder, out)
    assert (result["published"], result["snapshot"]) == (True, "2026-01-01")
    own, theirs = (Path(p) for p in (result["folder"], folder / "data" / "lists" / "latest"))
    assert hashes(own) == hashes(theirs.resolve())
    for name in ("value_at_risk.csv", "what_if.parquet", "reason_agreement.csv"):
        assert (folder / "reports" / name).samefile(theirs / "reports" / name)
    raw = shutil.copytree(folder / "data" / "shops" / "demo", tmp_path / "raw")
    orders = pd.read_parquet(raw / "orders.parquet")
    again = orders[orders["customer_id"].isin(orders["customer_id"].unique()[:20])].tail(30)
    again = again.assign(ordered_at=orders["ordered_at"].max(), delivered_at=None, promised_at=None)
    for key in ("order_id", "line_id"):
        if key in again:
            again[key] = [f"new{i}" for i in range(len(again))]
    pd.concat([orders, again]).to_parquet(raw / "orders.parquet", index=False)
    done = fill_in(own / "call.csv", "2026-01-01")
    words = ("--events", str(raw), "--as-of", "2026-01-02")
    assert nightly(folder, out, *words, "--dry-run")["published"] is False
    assert score_with(folder, out, events=raw, as_of="2026-01-02")["snapshot"] == "2026-01-02"
    kept = {p.name for p in out.iterdir() if p.is_dir() and not p.is_symlink()}
    assert kept == {"2026-01-01", "2026-01-02"}
    assert store.read(out / "manifest.json")["model_id"] == result["model_id"]
    calls = pd.read_csv(out / "call.csv", dtype=str)
    assert len(done) > 5 < len(calls)
    assert not done & set(calls["customer_id"])  # they rest for the days of `cooldown_days`
    first, second = (queues(out / day) for day in ("2026-01-01", "2026-01-02"))
    both = first.join(second.add_suffix("_then"), how="inner")
    assert (both["on_list_since_then"] == both["on_list_since"]).all()
    assert set(second.drop(both.index)["on_list_since"]) <= {"2026-01-02"}


def fill_in(calls: Path, day: str) -> set[str]:
    """Mark the first half of a list as called where it lies, as a spreadsheet saves it."""
    rows = pd.read_csv(calls, dtype=str, keep_default_na=False)
    done = rows.index < len(rows) // 2
    rows.loc[done, ["decision", "done_on"]] = ["called", day]
    rows.to_csv(calls, index=False, sep=";")
    return set(rows.loc[done, "customer_id"])


def queues(folder: Path) -> pd.DataFrame:
    """Return since when a list shows each customer in a queue."""
    files = [pd.read_csv(path, dtype=str) for path in folder.glob("*.csv") if path.stem != "call"]
    return pd.concat(files).set_index(["customer_id", "queue"])[["on_list_since"]]


def test_the_nightly_job_refuses_a_model_that_is_not_the_shops_and_what_it_cannot_write(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = small
    model = shutil.copytree(folder / "data" / "champion" / "demo", tmp_path / "model")
    about = store.read(model / "model.json")
    for change in ({"shop": "cdnow"}, {"horizon_days": 400}, {"trained_through": "soon"}):
        store.write(model / "model.json", {**about, **change})
        with pytest.raises(ModelError) as refused:
            score_with(folder, tmp_path / "lists", model)
        assert refused.value.exit_code == 5
    with pytest.raises(ModelError, match="E_MODEL_FUTURE"):  # before any work
        score_nightly(folder, None, None, "2020-01-01", None, tmp_path / "lists", False, None)
    assert not (tmp_path / "lists").exists() or not list((tmp_path / "lists").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as full:
        score_with(folder, tmp_path / "file" / "lists")
    assert full.value.exit_code == 7
    day = tmp_path / "lists" / ".newest.lock"
    with locked(day, "lists"), pytest.raises(BusyError, match=f"process {os.getpid()} on "):
        score_with(folder, tmp_path / "lists")
    assert list((tmp_path / "lists").iterdir()) == []


def score_with(
    folder: Path,
    out: Path,
    model: Path | None = None,
    events: Path | None = None,
    as_of: str | None = None,
) -> dict[str, Any]:
    """Score in this process, with the defaults of a shop."""
    name = str(model) if model else None
    return score_nightly(folder, None, events, as_of, name, out, dry_run=False, engine=None)


@pytest.fixture
def closed_to_others() -> Iterator[None]:
    """Write files as `corekeep` does."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("closed_to_others")
def test_a_champion_that_this_version_cannot_use_gives_way_to_the_model_just_trained(
    small: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = small
    champion, state = folder / "data" / "champion" / "demo", folder / ".cache" / "published.json"
    lists = (folder / "data" / "lists" / "latest").resolve()
    before, made, published = hashes(champion), hashes(lists), state.read_bytes()
    registered = store.read(champion / "registered.json")
    (champion / "scoring.json").unlink()
    assert publish_champion(folder)
    assert "cannot use the champion (demo/scoring.json: " in capsys.readouterr().err
    assert store.read(champion / "registered.json")["alias"] is None
    assert not publish_champion(folder)
    store.write(champion / "registered.json", registered)
    state.write_bytes(published)
    assert (hashes(champion), hashes(lists)) == (before, made)


def test_a_nightly_job_that_is_killed_leaves_nothing_that_the_next_does_not_remove(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = small
    out = tmp_path / "lists"
    command = [sys.executable, "-m", "pipeline", "score", "--out", str(out)]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as job:
        assert job.stderr
        while "extract" not in job.stderr.readline():
            assert job.poll() is None
        job.kill()
    assert list(out.glob(".work-*"))
    score_with(folder, out)
    assert list(out.glob(".*")) == []
    assert store.read(out / "manifest.json")["snapshot"] == "2026-01-01"


CONTRACT = {
    "reports/stage_counts.csv": "as_of stage activity customers",
    "reports/transitions.csv": "from_as_of to_as_of from_stage to_stage customers share",
    "reports/net_flow.csv": "as_of new won_back lapsed net_customers net_revenue leak",
    "reports/metrics.json": "shop horizon_days population base_rate verdict grade value_source "
    "timing value returning stake tasks seeds model baselines delta by_origin newest benchmark",
    "reports/evaluation.json": "shop horizon_days origins population base_rate verdict grade model "
    "baselines delta by_stage by_origin returned_later risk_bands sensitivity grouped_cv newest "
    "benchmark own_model by_segment timing value returning tasks value_source stake seeds",
    "reports/ingest.json": "tables noted",
    "reports/mlflow.json": "run_id experiment model_name model_version alias reason",
    "data/lists/explanations.parquet": "customer_id driver value contribution median driver_text "
    "contribution_unrepaired contribution_service_failure contribution_competitor "
    "contribution_boredom agreement position facts",
    "data/labels/part-000.parquet": "customer_id snapshot defected returned next_days spend_next "
    "spend_within",
}


def test_every_output_has_the_columns_that_its_readers_expect(small: tuple[Path, str]) -> None:
    for name, expected in CONTRACT.items():
        content = store.read(small[0] / name)
        columns = getattr(content, "column_names", None) or list(content)
        assert columns == expected.split(), name


def test_a_run_is_tracked_without_a_customers_id(small: tuple[Path, str]) -> None:
    folder, _ = small
    assert store.read(folder / "reports" / "mlflow.json")["model_version"] == "1"
    kept = [folder / "mlflow.db", *(p for p in (folder / "mlartifacts").rglob("*") if p.is_file())]
    assert len(kept) > 5
    for path in kept:
        assert not re.search(rb"\bC\d{6}\b", path.read_bytes()), path


def test_a_search_is_a_run_with_a_child_per_trial_and_changes_nothing_else(
    small: tuple[Path, str],
) -> None:
    folder, _ = small
    before = digests(folder)
    said = corekeep(folder, "stage", "tune")
    assert re.search(r"0\.\d{4} with params\.yaml, 0\.\d{4} with the best of 2 trials", said)
    assert digests(folder) == before
    assert run(folder, "git", "status", "--porcelain") == ""
    with sqlite3.connect(folder / "mlflow.db") as tracked:
        children = tracked.execute(
            "select value, count(*) from tags where key = 'mlflow.parentRunId' group by value"
        ).fetchall()
        parents = tracked.execute("select run_uuid from runs where name = 'tune'").fetchall()
    assert children == [(parents[0][0], 2)]


def test_customers_who_object_to_profiling_are_in_no_feature_and_no_list(
    small: tuple[Path, str],
) -> None:
    folder, _ = small
    customers = pd.read_parquet(folder / "data" / "events" / "customers")
    objectors = set(customers.loc[customers["profiling_objection"], "customer_id"])
    assert objectors
    for place in ("data/features", "data/lists/scored.parquet", "data/lists/explanations.parquet"):
        assert not objectors & set(pd.read_parquet(folder / place)["customer_id"])


def test_only_the_owner_may_read_files_that_name_customers(small: tuple[Path, str]) -> None:
    folder, _ = small
    for name in (
        "data",
        "data/desk/retention_desk.html",
        "data/lists/scored.parquet",
        "data/calibration.json",
        ".dvc/cache",
    ):
        assert (folder / name).stat().st_mode & 0o077 == 0, name


def test_the_ingest_report_accounts_for_every_row(small: tuple[Path, str]) -> None:
    folder, _ = small
    for table in store.read(folder / "reports" / "ingest.json")["tables"].values():
        fates = ("accepted", "exact_duplicates", "out_of_window", "erased", "merged", "rebilled")
        rest = sum(table.get(fate, 0) for fate in fates)
        assert table["rows_in"] == rest + sum(table["quarantined"].values())


def test_a_mistyped_parameter_is_one_line_with_file_line_and_the_nearest_name(
    small: tuple[Path, str], tmp_path: Path
) -> None:
    folder = clone(small[0], tmp_path / "mistyped")
    params = folder / "params.yaml"
    before, after = params.read_text().split("  num_leaves:", 1)
    params.write_text(f"{before}  num_leavs:{after}")
    place = f"params.yaml:{before.count(chr(10)) + 1} train.num_leavs"
    rule, fix = "there is no such parameter", "did you mean num_leaves?"
    assert corekeep(folder, "repro", expect=2) == f"E_PARAM {place} — {rule} — {fix}\n"


def test_corekeep_finds_its_own_packages_from_a_folder_that_has_others_of_the_same_name(
    tmp_path: Path,
) -> None:
    for name in ("features", "models", "pipeline"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    command = Path(sys.executable).parent / "corekeep"
    said = run(tmp_path, str(command), "stage", "nonsense", expect=2)
    assert said.startswith(
        "E_STAGE dvc.yaml nonsense — there is no such stage — one of: simulate, ingest, calibrate"
    )


def test_the_committed_lock_is_that_of_the_code_and_the_parameters(tmp_path: Path) -> None:
    fresh = clone(ROOT, tmp_path / "fresh")
    printed = run(fresh, sys.executable, "-m", "dvc", "status", "--json")
    # A warning follows: the stage `tune` is frozen.
    changes, _ = json.JSONDecoder().raw_decode(printed)
    stale = {
        f"{stage}: {path}"
        for stage, kinds in changes.items()
        for change in kinds
        for path in change.get("changed deps", {})
        if not path.startswith(("data/", "reports/"))
    }
    assert not stale, f"run `make repro` and commit dvc.lock; it does not know of {sorted(stale)}"
