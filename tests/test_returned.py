"""Lists that people worked on come back as any spreadsheet saves them."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frozen import params
from raw_shop import GOOD, SETTINGS, Ingested, csv

from features.records import NEVER
from pipeline.delivery.collect import collect
from pipeline.delivery.earlier import earlier, rested
from pipeline.delivery.spreadsheet import safe
from pipeline.inputs.returned import newest, read_list
from pipeline.runtime import store
from pipeline.runtime.errors import InputError
from pipeline.runtime.publishing import Published, publish
from pipeline.runtime.sections import Ingest
from pipeline.runtime.store import Folder, sha256, write
from pipeline.stages.ingest import ingest

JAN_5 = dt.date(2026, 1, 5)
HEAD = "customer_id,as_of,queue,action,contact,risk,decision,done_on,note"
ROW = "C1,2026-01-05,core_care,thank,call,0.5,called,2026-01-07,schön"


def saved(
    text: str, encoding: str = "utf-8", separator: str = ",", date: str = "%Y-%m-%d"
) -> bytes:
    """The list as a spreadsheet saves it in some country."""
    for day in (JAN_5, dt.date(2026, 1, 7)):
        text = text.replace(day.isoformat(), day.strftime(date))
    return text.replace(",", separator).encode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        saved(f"{HEAD}\n{ROW}\n"),
        saved(f"{HEAD}\r\n{ROW}\r\n", "utf-8-sig"),
        saved(f"{HEAD}\n{ROW}\n", "utf-16", "\t"),
        f"{HEAD}\n{ROW}\n".replace(",", ";").replace("0.5", "0,5").encode("cp1252"),
        f"sep=;\n{HEAD}\n{ROW}\n".replace(",", ";").encode("cp1252"),
        saved(f"{HEAD}\n{ROW}\n", date="%d.%m.%Y"),
        saved(f"{HEAD}\n{ROW}\n", date="%d/%m/%Y"),
        saved(f"{HEAD}\n{ROW}\n", date="%m/%d/%Y"),
        f"{HEAD}\n{ROW}\n".replace("2026-01-05", "46027").replace("2026-01-07", "46029").encode(),
        "NOTE,Done_On,decision,contact,action,queue,as_of,extra,customer_id\n"
        "schön,07.01.2026,called,call,thank,core_care,2026-01-05,1,C1\n".encode(),
        f"{HEAD}\n{ROW}\n,,,,,,,,\n\n".encode(),
    ],
)  # fmt: skip
def test_a_list_is_read_however_it_was_saved(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    [row], bad = read_list(tmp_path / "list.csv", {JAN_5})
    assert bad == []
    assert (row["customer_id"], row["as_of"], row["done_on"]) == ("C1", "2026-01-05", "2026-01-07")
    assert (row["queue"], row["contact"], row["note"]) == ("core_care", "call", "schön")


def test_a_day_that_may_be_in_two_months_is_not_guessed(tmp_path: Path) -> None:
    row = ROW.replace("2026-01-05", "03/04/2026").replace("2026-01-07", "")
    (tmp_path / "list.csv").write_text(f"{HEAD}\n{row}\n")
    assert [bad["column"] for bad in read_list(tmp_path / "list.csv", set()).quarantined] == [
        "as_of"
    ]
    for month, day in ((3, 4), (4, 3)):
        rows = read_list(tmp_path / "list.csv", {dt.date(2026, month, day)}).rows
        assert rows[0]["as_of"] == f"2026-{month:02}-{day:02}"


def test_a_row_with_an_unreadable_day_stops_no_other(tmp_path: Path) -> None:
    rows = [ROW, ROW.replace("C1", "C2").replace("2026-01-07", "yesterday"), ROW.replace("C1", "")]
    (tmp_path / "list.csv").write_text("\n".join([HEAD, *rows]))
    returned = read_list(tmp_path / "list.csv", {JAN_5})
    assert [row["customer_id"] for row in returned.rows] == ["C1"]
    assert [(bad["line"], bad["column"], bad["code"]) for bad in returned.quarantined] == [
        (3, "done_on", "E_TIME_UNREADABLE"),
        (4, "customer_id", "E_NO_CUSTOMER"),
    ]


def test_a_file_that_is_no_list_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "budget.csv").write_text("month;cost\nMay;3\n")
    with pytest.raises(InputError, match=r"budget\.csv — missing: customer_id, as_of"):
        read_list(tmp_path / "budget.csv", set())
    (tmp_path / "list.csv").write_bytes(b"PK\x03\x04...")
    with pytest.raises(InputError, match=r"list\.csv — this is a workbook"):
        read_list(tmp_path / "list.csv", set())


def test_of_a_list_that_came_back_twice_the_row_that_was_filled_in_stands(tmp_path: Path) -> None:
    empty = ROW.replace("called,2026-01-07,schön", ",,")
    for name, rows in {"a.csv": [ROW, empty.replace("C1", "C2")], "b.csv": [empty]}.items():
        (tmp_path / name).write_text("\n".join([HEAD, *rows]))
    rows = [row for name in "ab" for row in read_list(tmp_path / f"{name}.csv", {JAN_5}).rows]
    assert {row["customer_id"]: row["done_on"] for row in newest(rows)} == {
        "C1": "2026-01-07",
        "C2": "",
    }


def with_returned(folder: Path, files: dict[str, str], raw: dict[str, str]) -> Ingested:
    for name, text in raw.items():
        write(folder / "raw" / name, text)
    for name, text in files.items():
        write(folder / "returned" / name, text)
    views = " ".join(f"create view {n[:-4]} as from raw.{n[:-4]};" for n in raw)
    limits = {"quarantine_limit": {"default": 0.0}}
    settings = Ingest.model_validate({**SETTINGS, **limits})
    result = ingest(Folder(folder / "raw"), views, settings, params().engine, "literal",
                    Folder(folder / "returned"))  # fmt: skip
    for output in ("events", "quarantine"):
        write(folder / output, result[output])
    return Ingested(Folder(folder / "events"), Folder(folder / "quarantine"), result["ingest"])


IDS = ["C1", "007", "'+49", "=x"]
ORDERS = csv(*(GOOD.replace("C1,O1", f"{c},O{i}") for i, c in enumerate(IDS)),
             GOOD.replace("C1,O1,2026-01-05", "C1,O9,2026-02-05"))  # fmt: skip


def test_returned_lists_become_treatments_with_the_ids_of_the_shop(tmp_path: Path) -> None:
    ids = [safe(name) for name in ("C1", "7", "'+49", "=x", "nobody")]
    text = "\n".join([HEAD, *(ROW.replace("C1", name) for name in ids)])
    result = with_returned(tmp_path, {"list.csv": text}, {"orders.csv": ORDERS})
    names = {row["customer"]: row["customer_id"] for row in result.rows("customers")}
    treated = [names[row["customer"]] for row in result.rows("treatments")]
    assert sorted(treated) == sorted(["C1", "007", "'+49", "=x"])
    assert result.quarantine.read("returned.parquet").to_pylist() == [
        {"file": "list.csv", "line": 6, "column": "customer_id", "code": "E_UNKNOWN_CUSTOMER"}
    ]


def test_a_returned_row_fills_in_the_shops_own_row_of_the_same_list(tmp_path: Path) -> None:
    done = "007,2026-01-05,core_care,call,2026-01-06"
    own = csv(
        "C1,2026-01-05T00:00:00,core_care,call,",
        done,
        head="customer_id,as_of,queue,contact,done_on",
    )
    text = "\n".join([HEAD, ROW, ROW.replace("C1", "007"), ROW.replace("C1", "=x")])
    files = {"orders.csv": ORDERS, "treatments.csv": own}
    result = with_returned(tmp_path, {"list.csv": text}, files)
    names = {row["customer"]: row["customer_id"] for row in result.rows("customers")}
    done = {names[row["customer"]]: row["done_on"] - 20454 for row in result.rows("treatments")}
    assert done == {"C1": 6, "007": 5, "=x": 6}
    assert result.account["tables"]["treatments"]["accepted"] == 3


def published(folder: Path, snapshot: str, rows: list[tuple[str, str, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["customer_id", "queue", "contact"])
    frame["as_of"] = dt.date.fromisoformat(snapshot)
    files = {"scored.parquet": frame, "core_care.csv": f"{HEAD}\n".encode()}
    publish(folder, Published(files, {"snapshot": snapshot, "shop": "demo"}), params().lists)


def events(folder: Path, treatments: list[tuple[int, int, str, str, int]]) -> Folder:
    customers = pa.table({"customer": pa.array([0, 1, 2], pa.int32()), "customer_id": list("abc")})
    names = ["customer", "as_of", "queue", "contact", "done_on"]
    frame = pd.DataFrame(treatments, columns=names)
    frame = frame.astype({"customer": np.int32, "as_of": np.int32, "done_on": np.int32,
                          "queue": "string", "contact": "string"})  # fmt: skip
    write(folder / "customers" / "part-000.parquet", customers)
    write(folder / "treatments" / "part-000.parquet", frame)
    return Folder(folder)


def test_on_list_since_is_the_first_of_the_lists_without_a_break(tmp_path: Path) -> None:
    care = "core_care"
    published(tmp_path / "lists", "2026-01-01", [("a", care, "call"), ("b", care, "none")])
    published(tmp_path / "lists", "2026-01-02", [("a", care, "none"), ("b", care, "hold_out")])
    published(tmp_path / "lists", "2026-01-03", [("a", care, "call"), ("b", care, "call"),
                                                 ("c", "win_back", "none")])  # fmt: skip
    published(tmp_path / "lists", "2026-01-04", [("a", care, "call")])  # of today, made before
    day = 20454  # 2026-01-01
    came_back = [(0, day - 50, care, "call", NEVER), (1, day - 50, care, "call", NEVER)]
    before = earlier(events(tmp_path / "events", came_back), tmp_path / "lists", "2026-01-04")
    since = {(row.customer_id, row.queue): str(row.since) for row in before.since.itertuples()}
    assert since == {
        ("a", care): "2025-11-12",  # on all lists that are kept, and on one before them
        ("b", care): "2026-01-03",
        ("c", "win_back"): "2026-01-03",
    }
    assert before.withheld.to_dict() == {"b": day + 1}


def test_a_contact_that_was_made_rests_the_customer_for_the_days_of_their_queue(
    tmp_path: Path,
) -> None:
    care, day = "core_care", 20454
    rows = [(0, day, care, "call", day + 1), (1, day, care, "call", NEVER),
            (2, day, care, "hold_out", day)]  # fmt: skip
    before = earlier(events(tmp_path / "events", rows), tmp_path / "lists", "2026-02-01")
    assert before.contacted.to_dict() == {"a": day + 1}  # not who was only listed or withheld
    list_rows = pd.DataFrame({"customer_id": list("abc"), "queue": care})
    for later, resting in ((29, True), (30, False)):
        who = rested(list_rows, before.contacted, {care: 30}, day + 1 + later)
        assert who.tolist() == [resting, False, False]


def test_a_list_whose_bytes_no_manifest_names_is_not_believed(tmp_path: Path) -> None:
    published(tmp_path / "lists", "2026-01-01", [("a", "core_care", "call")])
    scored = tmp_path / "lists" / "2026-01-01" / "scored.parquet"
    scored.write_bytes(scored.read_bytes() + b"x")
    before = earlier(events(tmp_path / "events", []), tmp_path / "lists", "2026-01-04")
    assert before.since.empty


def test_a_list_filled_in_where_it_lies_is_copied_to_the_returned_ones(tmp_path: Path) -> None:
    published(tmp_path / "data" / "lists", "2026-01-01", [])
    assert collect(tmp_path) == []
    lists = tmp_path / "data" / "lists" / "2026-01-01"
    published_here = lists.parent / "core_care.csv"
    published_here.unlink()
    published_here.write_bytes((lists / "core_care.csv").read_bytes())
    assert collect(tmp_path) == []  # earlier versions wrote it there, nobody changed it
    (lists / "core_care.csv").write_text(f"{HEAD}\n{ROW}\n")
    (lists.parent / "core_care.changed-1.csv").write_text(f"{HEAD}\n")
    copies = collect(tmp_path)
    assert [str(path.relative_to(tmp_path / "data" / "returned")) for path in copies] == [
        "demo/2026-01-01-core_care.csv",
        "demo/core_care.changed-1.csv",
    ]
    assert sha256(copies[0]) == sha256(lists / "core_care.csv")
    assert collect(tmp_path) == []  # the second time there is nothing new
    assert store.read(lists / "manifest.json")["snapshot"] == "2026-01-01"
