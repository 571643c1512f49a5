"""Raw files in every form a shop exports: the same rows, the same places."""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from raw_shop import GOOD, HEAD, csv, ingested

from pipeline.runtime.errors import InputError

PLAIN = csv(GOOD, "Mü,O2,2026-01-06,B,grün,2,5", ",O3,2026-01-06,B,tee,1,5")
VIEW = "create view orders as from raw.orders;"


def packed(*names: str, text: str = PLAIN) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, text)
    return file.getvalue()


def sheet(text: str = PLAIN, before: int = 0) -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    for line in [*["export"] * before, *text.splitlines()]:
        workbook.active.append([cell or None for cell in line.split(",")])
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


Form = dict[str, Any]
FORMS: dict[str, tuple[dict[str, bytes], Form]] = {
    "commas": ({"orders.csv": PLAIN.encode()}, {}),
    "semicolons": ({"orders.csv": PLAIN.replace(",", ";").encode()}, {"separator": ";"}),
    "tabs in a .tsv": ({"orders.tsv": PLAIN.replace(",", "\t").encode()}, {}),
    "cp1252": ({"orders.csv": PLAIN.encode("cp1252")}, {"encoding": "cp1252"}),
    "utf-16": ({"orders.csv": PLAIN.encode("utf-16")}, {"encoding": "utf-16"}),
    "utf-8 with a mark": ({"orders.csv": PLAIN.encode("utf-8-sig")}, {}),
    "gzip": ({"orders.csv.gz": gzip.compress(PLAIN.encode())}, {}),
    "zip": ({"orders.zip": packed("shop/june.csv", "__MACOSX/._june.csv")}, {}),
    "a spreadsheet": ({"orders.xlsx": sheet()}, {}),
    "two kinds of line ends": ({"orders.csv": PLAIN.replace("\n", "\r\n", 2).encode()}, {}),
    "names for columns without": (
        {"orders.csv": PLAIN.replace("category", "").encode()},
        {"names": HEAD.split(",")},
    ),
    "a folder with a stranger in it": (
        {"orders/all.csv": PLAIN.encode(), "._orders.csv": b"\0", "notes.csv": b"\xff"},
        {},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_any_form_has_the_rows_and_the_line_numbers_of_a_plain_one(
    tmp_path: Path, form: str
) -> None:
    files, settings = FORMS[form]
    forms = {name: settings for name in files} if settings else {}
    result = ingested(tmp_path, files, sql=VIEW, files=forms)
    assert result.account["tables"]["orders"]["accepted"] == 2
    assert {row["customer_id"] for row in result.rows("customers")} == {"C1", "Mü"}
    ((_, line, column, code),) = result.quarantined("orders")
    assert (line, column, code) == (4, "customer_id", "E_NO_CUSTOMER")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_lines_before_the_header_are_skipped_and_counted(tmp_path: Path, form: str) -> None:
    content = ("export\n" * 2 + PLAIN).encode() if form == "csv" else sheet(before=2)
    name = f"orders.{form}"
    result = ingested(tmp_path, {name: content}, sql=VIEW, files={name: {"skip": 2}})
    assert [place[:2] for place in result.quarantined("orders")] == [(name, 6)]


REFUSED: dict[str, tuple[dict[str, bytes], Form, str]] = {
    "a zip file of two": ({"orders.zip": packed("a.csv", "b.csv")}, {}, "E_ZIP orders.zip"),
    "a damaged zip file": ({"orders.zip": packed("a.csv")[:80]}, {}, "E_TRUNCATED orders.zip"),
    "a damaged gzip file": (
        {"orders.csv.gz": gzip.compress(PLAIN.encode())[:-9]},
        {},
        "E_TRUNCATED orders.csv.gz",
    ),
    "a damaged spreadsheet": ({"orders.xlsx": sheet()[:900]}, {}, "E_TRUNCATED orders.xlsx"),
    "a sheet that is not there": ({"orders.xlsx": sheet()}, {"sheet": "June"}, "one of: Sheet"),
    "a workbook named as text": ({"orders.csv": sheet()}, {}, "this is an Excel .* name it .xlsx"),
    "another encoding than said": (
        {"orders.csv": PLAIN.encode("cp1252")},
        {"encoding": "ascii"},
        "E_ENCODING orders.csv byte 105",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, case: str) -> None:
    files, form, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        ingested(tmp_path, files, sql=VIEW, files={name: form for name in files})


def test_a_packed_file_that_unpacks_to_a_thousand_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.inputs.plain.SMALL", 1 << 16)
    bomb = gzip.compress(b"0" * (1 << 24))
    with pytest.raises(InputError, match="E_TOO_LARGE orders.csv.gz"):
        ingested(tmp_path, {"orders.csv.gz": bomb}, sql=VIEW)


def test_the_names_of_columns_may_have_line_breaks(tmp_path: Path) -> None:
    text = '"order\ndate",customer_id,order_id\n2026-01-05,C1,O1\n'
    sql = 'create view orders as select *, "order\ndate" as ordered_at from raw.orders;'
    result = ingested(tmp_path, {"orders.csv": text}, sql=sql)
    assert result.account["tables"]["orders"]["accepted"] == 1
