"""Files reach the disk whole or not at all, and a reader who checks the manifest never takes two
states for one.
"""

import datetime as dt
import errno
import hashlib
import json
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.runtime import store
from pipeline.runtime.store import Folder, Published, publish, read, write

TABLE = pd.DataFrame({"id": ["001", "NA"], "value": [0.1, 2.0]})


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones included."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", pa.table({"id": ["001", None], "value": [0.1, 2.0]})),
        ("a.csv", TABLE),
        ("a.json", {"b": 1, "a": [None, "é"]}),
        ("a.txt", "ä\nb\n"),
    ],
)
def test_what_is_written_is_what_is_read(name: str, content: Any, tmp_path: Path) -> None:
    write(tmp_path / "deep" / name, content)
    content_read = read(tmp_path / "deep" / name)
    assert content_read.equals(content) if hasattr(content, "equals") else content_read == content


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "plot.svg", b"\x00\r\n")
    assert (tmp_path / "plot.svg").read_bytes() == b"\x00\r\n"


def test_json_keeps_the_order_of_keys_and_refuses_what_json_does_not_have(tmp_path: Path) -> None:
    assert store.to_json({"b": 1, "a": 2}) == '{\n  "b": 1,\n  "a": 2\n}\n'
    with pytest.raises(ValueError, match="Out of range"):
        write(tmp_path / "a.json", {"a": float("nan")})


def test_a_table_of_arrow_is_the_same_text_as_one_of_pandas(tmp_path: Path) -> None:
    texts = ["plain", " in ", 'quoted "', "a,b", "two\nlines", "NULL", None, "ö;|"]
    figures = [0.1 + 0.2, 1.0, 1e-7, 1e16, 123456789.5, -0.0, None, 0.00001]
    frame = pd.DataFrame(
        {"text": texts, "figure": figures, "none": None, "day": dt.date(2026, 1, 5)}
    )
    write(tmp_path / "pandas.csv", frame)
    write(tmp_path / "arrow.csv", pa.Table.from_pandas(frame))
    assert (tmp_path / "arrow.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name, TABLE)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: what a full disk does to one who writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("name", "content"), [("a.json", {"new": float("nan")}), ("a.csv", 3), ("a.parquet", "text")]
)
def test_content_that_cannot_be_written_leaves_the_old_file_whole_and_nothing_beside_it(
    name: str, content: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("old", encoding="utf-8")
    with pytest.raises((ValueError, AttributeError)):
        write(tmp_path / name, content)
    assert everything(tmp_path) == {name: b"old"}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_beside_it(
    name: str, tmp_path: Path
) -> None:
    write(tmp_path / name, TABLE)
    before = everything(tmp_path)
    for larger in (pd.DataFrame({"n": range(10_000)}), pa.table({"n": range(10_000)})):
        with room_for(1_000), pytest.raises(OSError, match="too large"):
            write(tmp_path / name, larger)
    assert everything(tmp_path) == before


def failing() -> Iterator[tuple[str, Any]]:
    yield "new.json", {}
    raise OSError(errno.EIO, "Input/output error")


def test_a_folder_that_fails_half_way_leaves_the_old_one_whole_and_nothing_beside_it(
    tmp_path: Path,
) -> None:
    write(tmp_path / "made", {"old.json": {}})
    before = everything(tmp_path)
    with pytest.raises(OSError, match="Input/output"):
        write(tmp_path / "made", failing())
    assert everything(tmp_path) == before


def test_a_folder_holds_what_was_written_last_and_nothing_of_before(tmp_path: Path) -> None:
    write(tmp_path / "made", {"old.json": {}, "both.json": {"n": 1}})
    write(tmp_path / "made", iter([("both.json", {"n": 2}), ("deep/new.csv", TABLE)]))
    assert sorted(everything(tmp_path)) == ["made/both.json", "made/deep/new.csv"]
    assert read(tmp_path / "made").read("both.json") == {"n": 2}


def test_a_folder_is_read_by_name(tmp_path: Path) -> None:
    write(
        tmp_path / "made",
        {f"{k}.parquet": pd.DataFrame({"k": [k]}) for k in (2, 0, 1)} | {"note.json": {}},
    )
    folder = read(tmp_path / "made")
    assert folder.names() == ["0.parquet", "1.parquet", "2.parquet", "note.json"]
    assert folder.has("note.json")
    assert not folder.has("other.json")


def lists(size: int) -> Published:
    """Two files and a manifest that belong together."""
    frame = pd.DataFrame({"n": range(size)})
    return Published({"scored.parquet": frame, "exports/a.csv": frame}, {"snapshot": size})


def consistent(folder: Path) -> int | None:
    """The snapshot, if every file the manifest names is the one it means."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    meant = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    content_read = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in meant
    }
    return int(manifest["snapshot"]) if content_read == meant else None


def test_the_manifest_names_each_file_with_its_sha256_and_rows(tmp_path: Path) -> None:
    write(tmp_path, lists(3))
    manifest = read(tmp_path / "manifest.json")
    assert manifest["snapshot"] == 3
    assert {name: entry["rows"] for name, entry in manifest["files"].items()} == {
        "scored.parquet": 3,
        "exports/a.csv": 3,
    }
    assert consistent(tmp_path) == 3


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order, replace = [], os.replace

    def noted(source: Path, target: Path) -> None:
        order.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    publish(tmp_path, lists(1))
    assert order == ["scored.parquet", "a.csv", "manifest.json"]


def test_a_disk_that_fills_up_leaves_the_old_lists_and_their_manifest_whole(tmp_path: Path) -> None:
    publish(tmp_path, lists(3))
    before = everything(tmp_path)
    larger = Published(
        {
            "scored.parquet": pd.DataFrame({"n": [1]}),
            "exports/a.csv": pd.DataFrame({"n": range(10_000)}),
        },
        {"snapshot": 4},
    )
    with room_for(5_000), pytest.raises(OSError, match="too large"):
        publish(tmp_path, larger)
    assert everything(tmp_path) == before


def test_published_files_are_for_their_owners_eyes_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        publish(tmp_path, lists(2))
    finally:
        os.umask(before)
    modes = {p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()}
    assert modes == {0o600}


def test_a_file_of_the_manifest_before_is_removed_and_so_is_what_a_killed_run_left(
    tmp_path: Path,
) -> None:
    publish(tmp_path, Published({"old.csv": pd.DataFrame({"n": [1]})}, {"snapshot": 1}))
    write(tmp_path / ".scored.parquet.1-2.parquet", b"left over")
    publish(tmp_path, lists(1))
    assert sorted(everything(tmp_path)) == ["exports/a.csv", "manifest.json", "scored.parquet"]


def test_a_file_that_people_put_among_the_lists_stays(tmp_path: Path) -> None:
    publish(tmp_path, lists(1))
    write(tmp_path / "notes.csv", b"call on Monday")
    publish(tmp_path, lists(2))
    assert (tmp_path / "notes.csv").read_bytes() == b"call on Monday"


def test_a_list_that_people_filled_in_is_kept_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for size in (1, 2, 3):
        publish(tmp_path, lists(size))
        write(tmp_path / "exports" / "a.csv", f"filled in {size}".encode())
    publish(tmp_path, Published({"scored.parquet": pd.DataFrame({"n": [4]})}, {"snapshot": 4}))
    kept = {name: text for name, text in everything(tmp_path).items() if "changed" in name}
    assert kept == {f"exports/a.changed-{n}.csv": f"filled in {n}".encode() for n in (1, 2, 3)}
    assert not (tmp_path / "exports" / "a.csv").exists()
    assert capsys.readouterr().err.count("your copy is kept as a.changed-") == 3


def test_a_list_beside_an_older_manifest_after_a_kill_is_not_taken_for_a_changed_one(
    tmp_path: Path,
) -> None:
    publish(tmp_path, lists(1))
    manifest = (tmp_path / "manifest.json").read_bytes()
    publish(tmp_path, lists(2))
    write(tmp_path / "manifest.json", manifest)
    publish(tmp_path, lists(2))
    assert sorted(everything(tmp_path)) == ["exports/a.csv", "manifest.json", "scored.parquet"]


def test_publishing_the_same_twice_changes_no_byte(tmp_path: Path) -> None:
    publish(tmp_path, lists(5))
    before = everything(tmp_path)
    publish(tmp_path, lists(5))
    assert everything(tmp_path) == before


def test_a_reader_who_checks_the_manifest_sees_one_state_or_tries_again(tmp_path: Path) -> None:
    publish(tmp_path, lists(0))
    seen, ended = [], threading.Event()

    def publish_again_and_again() -> None:
        size = 0
        while not ended.is_set():
            size += 1
            publish(tmp_path, lists(size))

    writer = threading.Thread(target=publish_again_and_again)
    writer.start()
    try:
        while len(seen) < 300 or len(set(seen)) < 5:
            snapshot = consistent(tmp_path)
            if snapshot is not None:
                seen.append(snapshot)
    finally:
        ended.set()
        writer.join()
    assert seen == sorted(seen)
    assert consistent(tmp_path) is not None


def test_a_folder_reports_only_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "a.json", {})
    assert Folder(tmp_path).names() == []
    assert Folder(tmp_path).names("deep/*") == ["deep/a.json"]


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".made.123-456.tmp").mkdir()
    (tmp_path / ".made.123-456.tmp" / "half.json").write_text("{")
    (tmp_path / ".note.json.123-456.json").write_text("{")
    write(tmp_path / "made", {"whole.json": {}})
    write(tmp_path / "note.json", {})
    assert sorted(everything(tmp_path)) == ["made/whole.json", "note.json"]
