"""Erasure: no byte of the project's folder names the customer afterwards."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frozen import project
from test_returned import HEAD, ORDERS, ROW, with_returned

from pipeline.delivery.erase import erase, report
from pipeline.inputs.erased import KEY, remember
from pipeline.runtime import store
from pipeline.runtime.errors import InputError, QualityError
from pipeline.runtime.publishing import Published, named, publish
from pipeline.runtime.sections import Lists
from pipeline.runtime.store import sha256

GONE, STAYS = "K-4711", "K-47110"


def filled(folder: Path) -> Path:
    """A project whose raw files, lists, returned files, cache, reports and logs name a customer."""
    project(folder, "shops")
    raw = folder / "data" / "shops" / "demo"
    head = "client;total\r\n"
    store.write(raw / "a.csv", f"{head}{GONE};1,5\r\n{STAYS};2\r\n".encode("utf-8-sig"))
    rows = pa.table({"who": [GONE, STAYS, None], "n": [1, 2, 3]})
    store.write(raw / "b.parquet", rows)
    store.write(folder / "data" / "returned" / "demo" / "l.csv",
                f"{HEAD}\n{ROW.replace('C1', GONE)}\n{ROW.replace('C1', STAYS)}\n")  # fmt: skip
    scored = pd.DataFrame({"customer_id": [GONE, STAYS], "risk": [0.1, 0.2]})
    facts = pd.DataFrame({"customer_id": [STAYS, None], "facts": ["{}", f'{{"id": "{GONE}"}}']})
    files = {"scored.parquet": scored, "explanations.parquet": facts, "call.csv": scored}
    about = {"snapshot": "2026-01-01", "shop": "demo"}
    publish(folder / "data" / "lists", Published(files, about), Lists(keep_days=9, keep_versions=1))
    for name in ("events/customers/part-000.parquet", "features/part-000.parquet"):
        store.write(folder / "data" / name, scored)
    store.write(folder / "data" / "desk" / "retention_desk.html", f"<td>{GONE}</td>")
    cache = folder / ".dvc" / "cache" / "files" / "md5"
    pq.write_table(rows, store_path(cache / "aa" / "1"), compression="zstd")
    store.write(cache / "bb" / "2", f"x,{GONE}\n")
    store.write(cache / "cc" / "3", f"x,{STAYS}\n")
    store.write(folder / "reports" / "note.json", {"first": GONE})
    store.write(folder / "mlspool" / "run.json", {"list": [GONE]})
    store.write(folder / "mlartifacts" / "1" / "text.txt", f"see {GONE}.")
    return folder


def store_path(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path


def places(folder: Path, name: str) -> list[str]:
    """Files of which any byte sequence, or any decoded value of parquet, holds the name."""
    hits = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        texts = [data, data.decode("utf-16", "ignore").encode()]
        if data[:4] == b"PAR1":
            texts.append(str(pq.read_table(path).to_pylist()).encode())
        if data[:2] == b"\x1f\x8b":
            texts.append(gzip.decompress(data))
        if any(f"{name}" in text.decode("utf-8", "ignore").replace(STAYS, "") for text in texts):
            hits.append(str(path.relative_to(folder)))
    return hits


def test_no_byte_of_the_folder_names_an_erased_customer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = filled(tmp_path)
    assert len(places(folder, GONE)) >= 13
    done = erase(folder, {f" {GONE} "})
    report(done, dry_run=False)
    assert places(folder, GONE) == []
    assert GONE not in capsys.readouterr().out
    raw = folder / "data" / "shops" / "demo"
    assert (raw / "a.csv").read_bytes() == f"client;total\r\n{STAYS};2\r\n".encode("utf-8-sig")
    assert pq.read_table(raw / "b.parquet")["who"].to_pylist() == [STAYS, None]
    assert (folder / ".dvc" / "cache" / "files" / "md5" / "cc" / "3").exists()
    lists = folder / "data" / "lists" / "2026-01-01"
    assert {name: sha256(lists / name) for name in named(lists)} == named(lists)
    assert store.read(lists / "manifest.json")["files"]["call.csv"]["rows"] == 1
    assert erase(folder, {GONE}).rows == 0  # the second time there is nothing left


def test_all_ids_of_a_customer_are_erased_also_before_a_new_run_shows_them_again(
    tmp_path: Path,
) -> None:
    folder = filled(tmp_path)
    cards = {"card-1": GONE, "card-2": GONE, "card-3": "K-5000"}
    pairs = {"customer_id": [*cards], "canonical_id": [*cards.values()]}
    store.write(folder / "data" / "events" / "aliases.parquet", pa.table(pairs))
    raw = folder / "data" / "shops" / "demo" / "cards.csv"
    lines = [f"{card},{name}" for card, name in cards.items()]
    store.write(raw, "\n".join(["card,name", *lines, "card-10,K-6000", ""]))
    erase(folder, {"card-2"})
    assert raw.read_text() == "card,name\ncard-3,K-5000\ncard-10,K-6000\n"
    assert places(folder, "card-2") == places(folder, GONE) == []
    assert not (folder / "data" / "events").exists()
    erase(folder, {"K-5000"})
    assert raw.read_text() == "card,name\ncard-10,K-6000\n"
    assert places(folder, "card-3") == []
    kept_out = store.read(folder / "data" / "returned" / "demo" / "erased.json")
    assert len(kept_out) == len({*pairs["customer_id"], *pairs["canonical_id"]})


def test_a_dry_run_names_the_files_and_changes_nothing(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    planned = erase(folder, {GONE}, dry_run=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert planned.rows == erase(folder, {GONE}).rows == 6


def test_an_erased_customer_who_is_delivered_again_is_dropped_and_counted(tmp_path: Path) -> None:
    remember(tmp_path / "returned", ["C1"])
    made = {"list.csv": f"{HEAD}\n{ROW}\n"}
    result = with_returned(tmp_path, made, {"orders.csv": ORDERS})
    assert "C1" not in {row["customer_id"] for row in result.rows("customers")}
    erased: dict[str, Any] = {n: t["erased"] for n, t in result.account["tables"].items()}
    assert erased == {"orders": 2, "treatments": 1}
    assert "C1" not in (tmp_path / "returned" / "erased.json").read_text()
    assert (tmp_path / "returned" / KEY).stat().st_mode & 0o077 == 0


def test_without_the_key_of_the_hashes_nobody_can_be_kept_out_and_the_run_stops(
    tmp_path: Path,
) -> None:
    remember(tmp_path / "returned", ["C1"])
    (tmp_path / "returned" / KEY).unlink()
    with pytest.raises(QualityError, match="E_ERASED"):
        with_returned(tmp_path, {}, {"orders.csv": ORDERS})


def test_an_erasure_without_an_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no id was given"):
        erase(tmp_path, {" "})
