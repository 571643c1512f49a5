"""Lists arrive whole whatever happens, a reader sees one of them, and people's files stay."""

import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from faults import everything, killed_at, refused_at, room_for

from pipeline.runtime.errors import BusyError
from pipeline.runtime.lock import locked
from pipeline.runtime.publishing import LOCK, Published, filled_in, folders, in_force, publish
from pipeline.runtime.sections import Lists
from pipeline.runtime.store import read

KEEP = Lists(keep_days=10, keep_versions=2)


def lists(day: int, text: str = "a\n") -> Published:
    """Two files and a manifest that belong together."""
    files = {"core_care.csv": f"{day} {text}", "exports/a.csv": text * day}
    return Published(files, {"snapshot": f"2026-01-{day:02d}", "text": text})


def whole(folder: Path) -> str | None:
    """The snapshot, if every file the manifest names is the one it means."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, entry in manifest["files"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != entry["sha256"]:
            return None
    return str(manifest["snapshot"])


def put(path: Path, day: int, text: str = "a\n") -> Path:
    return publish(path, lists(day, text), KEEP)


def test_each_snapshot_has_a_folder_and_the_known_paths_lead_to_the_list_in_force(
    tmp_path: Path,
) -> None:
    for day in (1, 2):
        assert put(tmp_path, day) == tmp_path / f"2026-01-0{day}"
    assert [folder.name for folder in folders(tmp_path)] == ["2026-01-01", "2026-01-02"]
    assert os.readlink(tmp_path / "latest") == "2026-01-02"
    assert os.readlink(tmp_path / "core_care.csv") == "latest/core_care.csv"
    assert whole(tmp_path) == whole(in_force(tmp_path)) == "2026-01-02"
    assert whole(tmp_path / "2026-01-01") == "2026-01-01"


def test_the_manifest_names_each_file_with_its_sha256_and_rows(tmp_path: Path) -> None:
    manifest = read(put(tmp_path, 3) / "manifest.json")
    assert {name: entry["rows"] for name, entry in manifest["files"].items()} == {
        "core_care.csv": 4,
        "exports/a.csv": 6,
    }
    assert whole(tmp_path) == "2026-01-03"


def test_published_files_are_for_their_owners_eyes_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        put(tmp_path / "lists", 1)
    finally:
        os.umask(before)
    modes = {p: p.stat().st_mode & 0o777 for p in (tmp_path / "lists").rglob("*")}
    assert {mode for p, mode in modes.items() if p.is_file()} == {0o600}
    assert {mode for p, mode in modes.items() if p.is_dir()} == {0o700}


def test_publishing_the_same_twice_changes_no_byte(tmp_path: Path) -> None:
    put(tmp_path, 1)
    before = everything(tmp_path)
    put(tmp_path, 1)
    assert everything(tmp_path) == before


def test_another_list_of_the_same_snapshot_lies_beside_the_first_and_the_first_can_come_back(
    tmp_path: Path,
) -> None:
    names = [put(tmp_path, 1, text).name for text in ("a\n", "b\n", "a\n")]
    assert names == ["2026-01-01", "2026-01-01.2", "2026-01-01"]
    assert in_force(tmp_path).name == "2026-01-01"


def test_a_name_that_the_new_list_does_not_have_is_no_link_any_more(tmp_path: Path) -> None:
    put(tmp_path, 1)
    publish(tmp_path, Published({"only.csv": ""}, {"snapshot": "2026-01-02"}), KEEP)
    links = {path.name for path in tmp_path.iterdir() if path.is_symlink()}
    assert links == {"latest", "only.csv", "manifest.json"}


@pytest.mark.parametrize("new", [(2, "a\n"), (1, "b\n")], ids=["another day", "the same day"])
def test_a_process_killed_before_any_change_leaves_the_old_list_or_the_new_one_whole(
    new: tuple[int, str], tmp_path: Path
) -> None:
    step, snapshots = 0, set()
    while True:
        path = tmp_path / str(step)
        put(path, 1)
        if not killed_at(step, lambda at=path: put(at, *new)):
            break
        snapshots.add(whole(in_force(path)))
        assert whole(path) in {"2026-01-01", f"2026-01-0{new[0]}"}
        put(path, *new)
        assert whole(path) == f"2026-01-0{new[0]}"
        assert read(path / "manifest.json")["text"] == new[1]
        left = [p.name for p in path.rglob(".*")]
        assert left == [], f"step {step}"
        step += 1
    assert step > 10
    assert None not in snapshots


def test_a_write_that_fails_leaves_the_old_list_or_the_new_one_whole_and_nothing_beside_it(
    tmp_path: Path,
) -> None:
    step = 0
    while True:
        path = tmp_path / str(step)
        put(path, 1)
        if not refused_at(step, lambda at=path: put(at, 2)):
            break
        assert whole(path) in {"2026-01-01", "2026-01-02"}
        assert [p.name for p in path.rglob(".*")] == [], f"step {step}"
        step += 1
    assert step > 8


def test_a_disk_that_fills_up_leaves_the_old_list_whole(tmp_path: Path) -> None:
    put(tmp_path, 1)
    before = everything(tmp_path)
    with room_for(5_000), pytest.raises(OSError, match="too large"):
        put(tmp_path, 2, "a\n" * 10_000)
    assert everything(tmp_path) == before


def test_a_reader_who_polls_a_thousand_times_sees_one_whole_list_each_time(tmp_path: Path) -> None:
    put(tmp_path, 1)
    seen, ended = [], threading.Event()

    def publish_again_and_again() -> None:
        day = 1
        while not ended.is_set() and day < 28:
            day += 1
            publish(tmp_path, lists(day), Lists(keep_days=100, keep_versions=2))
            ended.wait(0.005)

    writer = threading.Thread(target=publish_again_and_again)
    writer.start()
    try:
        while len(seen) < 1_000 or len(set(seen)) < 5:
            seen.append(whole(in_force(tmp_path)))
    finally:
        ended.set()
        writer.join()
    assert None not in seen
    assert seen == sorted(seen)


def test_a_second_writer_is_refused_at_once_with_process_host_and_start(tmp_path: Path) -> None:
    put(tmp_path, 1)
    with locked(tmp_path / LOCK, "lists"), pytest.raises(BusyError) as raised:
        put(tmp_path, 2)
    assert raised.value.exit_code == 6
    assert f"process {os.getpid()} on {os.uname().nodename} since 20" in str(raised.value)
    assert whole(put(tmp_path, 2)) == "2026-01-02"


def test_old_lists_are_removed_but_never_a_file_that_somebody_changed_or_put_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2, 3):
        put(tmp_path, day)
    (tmp_path / "2026-01-01" / "notes.txt").write_text("call on Monday")
    (tmp_path / "2026-01-02" / "core_care.csv").write_text("filled in")
    (tmp_path / "2026-01-02" / "core_care.csv").chmod(0o640)
    assert filled_in(tmp_path) == [tmp_path / "2026-01-02" / "core_care.csv"]
    put(tmp_path, 20)
    kept = set(everything(tmp_path)) - {name for name in everything(tmp_path) if "/" not in name}
    assert {name for name in kept if not name.startswith(("latest", "2026-01-20"))} == {
        "2026-01-01/notes.txt",
        "2026-01-02/core_care.csv",
        "2026-01-02/manifest.json",
    }
    assert "2026-01-02/core_care.csv" in capsys.readouterr().err


def test_of_one_snapshot_the_newest_versions_are_kept(tmp_path: Path) -> None:
    for text in ("a\n", "b\n", "c\n"):
        put(tmp_path, 1, text)
    assert [folder.name for folder in folders(tmp_path)] == ["2026-01-01.2", "2026-01-01.3"]


def test_a_list_filled_in_where_it_lies_stays_and_the_list_is_whole_again(tmp_path: Path) -> None:
    put(tmp_path, 1)
    (tmp_path / "core_care.csv").write_text("filled in through the link")
    put(tmp_path, 1)
    assert (tmp_path / "2026-01-01" / "core_care.csv").read_text() == "filled in through the link"
    assert whole(tmp_path) == "2026-01-01"


def test_a_list_saved_in_place_of_its_link_is_kept_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for day in (1, 2):
        put(tmp_path, day)
        (tmp_path / "core_care.csv").unlink()
        (tmp_path / "core_care.csv").write_text(f"filled in {day}")
    put(tmp_path, 3)
    for n in (1, 2):
        assert (tmp_path / f"core_care.changed-{n}.csv").read_text() == f"filled in {n}"
    assert whole(tmp_path) == "2026-01-03"
    assert capsys.readouterr().err.count("your copy is kept as core_care.changed-") == 2


def test_a_copy_that_turned_the_link_into_a_folder_is_no_obstacle(tmp_path: Path) -> None:
    put(tmp_path / "lists", 1)
    shutil.copytree(tmp_path / "lists", tmp_path / "copy")
    put(tmp_path / "copy", 2)
    assert whole(tmp_path / "copy") == whole(in_force(tmp_path / "copy")) == "2026-01-02"


def test_a_list_of_an_earlier_version_gets_a_folder_and_its_changed_files_stay(
    tmp_path: Path,
) -> None:
    files = {"a.csv": b"1", "b.csv": b"2"}
    named = {name: {"sha256": hashlib.sha256(text).hexdigest()} for name, text in files.items()}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    manifest = {"snapshot": "2025-12-31", "files": named}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "b.csv").write_text("filled in")
    publish(tmp_path, Published(dict(files), {"snapshot": "2026-01-01"}), KEEP)
    assert whole(tmp_path) == "2026-01-01"
    assert (tmp_path / "2025-12-31" / "a.csv").read_bytes() == b"1"
    assert (tmp_path / "b.changed-1.csv").read_text() == "filled in"
