"""Files reach the disk whole or not at all."""

import datetime as dt
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from faults import everything, room_for

from pipeline.runtime import store
from pipeline.runtime.store import Folder, read, write

TABLE = pd.DataFrame({"id": ["001", "NA"], "value": [0.1, 2.0]})


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
