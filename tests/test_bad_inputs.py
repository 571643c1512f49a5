"""A catalogue of odd inputs: refused (exit 3 or 2), quarantined and counted, or accepted."""

import gzip
import io
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from raw_shop import GOOD, HEAD, csv, ingested

from pipeline.inputs.checks import CODES, PLAUSIBLE
from pipeline.inputs.fates import check_rows
from pipeline.runtime.errors import ConfigError, QualityError, Refused
from pipeline.runtime.runner import disk_errors

LINE = "C1,O1,{time},A,tea,1,9.99"
AMOUNT = "C1,O1,2026-01-05,A,tea,{quantity},{amount}"
CUSTOMERS = csv("C1,2025-12-01", head="customer_id,created_at")
RETURNS = "return_id,customer_id,order_id,quantity,net_amount,returned_at"
COMPLAINTS = "complaint_id,customer_id,opened_at,severity,resolved_at,order_id"


def orders(*rows: str, head: str = HEAD) -> dict[str, str]:
    return {"orders.csv": csv(*rows, head=head)}


def parquet(**columns: Any) -> dict[str, pa.Table]:
    return {
        "orders.parquet": pa.table(
            {"customer_id": ["C1"], "order_id": ["O1"], "ordered_at": ["2026-01-05"], **columns}
        )
    }


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "an empty file": ({"orders.csv": ""}, "E_EMPTY", "orders.csv"),
    "orders with a header only": (orders(), "E_NO_ROWS", "orders"),
    "customers with a header only": (
        orders(GOOD) | {"customers.csv": "customer_id,created_at\n"},
        "E_NO_ROWS",
        "customers",
    ),
    "a truncated parquet file": (
        {"orders.parquet": b"PAR1" + bytes(100)},
        "E_TRUNCATED",
        "orders.parquet",
    ),
    "a parquet file whose inside is not one": (
        {"orders.parquet": b"PAR1" + bytes(100) + b"PAR1"},
        "E_TRUNCATED",
        "orders.parquet",
    ),
    "a truncated parquet file in a folder of them": (
        {"orders/1.parquet": b"PAR1" + bytes(100)},
        "E_TRUNCATED",
        "orders/1.parquet",
    ),
    "a file and a folder of one table": (
        orders(GOOD) | {"orders/1.parquet": parquet()["orders.parquet"]},
        "E_TWICE",
        "orders",
    ),
    "a file of one empty line": ({"orders.csv": "\n"}, "E_HEADER", "orders.csv:1"),
    "a last line that is cut": (
        {"orders.csv": csv(GOOD) + "C1,O2,2026-01"},
        "E_CSV",
        "orders.csv:3",
    ),
    "a quote that is not closed": (
        orders('C1,"O1,2026-01-05,A,tea,1,9.99', GOOD),
        "E_CSV",
        "orders.csv:2",
    ),
    "a short row": (orders(GOOD, "C2,O2,2026-01-05,A", GOOD), "E_CSV", "orders.csv:3"),
    "a long row": (orders(GOOD, GOOD + ",7", GOOD), "E_CSV", "orders.csv:3"),
    "two columns of one name": (
        orders(GOOD + ",C1", head=HEAD + ",customer_id"),
        "E_HEADER",
        "orders.csv:1 customer_id",
    ),
    "a column without a name": (orders(GOOD + ",C1", head=HEAD + ","), "E_HEADER", "orders.csv:1"),
    "a column named label": (
        orders(GOOD + ",1", head=HEAD + ",label"),
        "E_FORBIDDEN",
        "orders.label",
    ),
    "a column named Churned": (
        orders(GOOD + ",1", head=HEAD + ",Churned"),
        "E_FORBIDDEN",
        "orders.churned",
    ),
    "missing columns, all of them named": (
        orders("C1", head="customer_id"),
        "E_NO_COLUMN",
        "orders.order_id, orders.ordered_at",
    ),
    "semicolons": ({"orders.csv": csv(GOOD).replace(",", ";")}, "E_SEPARATOR", "semicolons"),
    "tabs": ({"orders.csv": csv(GOOD).replace(",", "\t")}, "E_SEPARATOR", "tabs"),
    "latin-1, by the byte": (
        {"orders.csv": csv("C\u00e9,O1,2026-01-05,A,tea,1,1").encode("latin-1")},
        "E_ENCODING",
        "orders.csv byte 66",
    ),
    "utf-16": ({"orders.csv": csv(GOOD).encode("utf-16")}, "E_FILE_KIND", "UTF-16"),
    "a NUL byte": ({"orders.csv": csv(GOOD).encode() + b"\0"}, "E_NUL", "orders.csv byte 104"),
    "a gzip file named csv": (
        {"orders.csv": gzip.compress(csv(GOOD).encode())},
        "E_FILE_KIND",
        "gzip",
    ),
    "csv and parquet of one table": (orders(GOOD) | parquet(), "E_TWICE", "orders"),
    "an id that went through a float": (
        parquet(customer_id=[17850.0]),
        "E_ID_TYPE",
        "orders.customer_id",
    ),
    "one order of two customers": (
        orders(GOOD, GOOD.replace("C1", "C2")),
        "E_ORDER_CUSTOMERS",
        "orders.csv:2 and orders.csv:3 order_id",
    ),
    "one customer id, two rows that differ": (
        orders(GOOD) | {"customers.csv": CUSTOMERS + "C1 ,2025-12-02\n"},
        "E_DUPLICATE_ID",
        "customers.csv:3 customer_id",
    ),
    "one line id, two lines that differ": (
        orders(
            "C1,O1,1,2026-01-05,5",
            "C1,O1,1,2026-01-05,6",
            head="customer_id,order_id,line_id,ordered_at,net_amount",
        ),
        "E_DUPLICATE_ID",
        "orders.csv:3",
    ),
    "two line ids, each of two lines that differ": (
        orders(
            "C1,O1,1,2026-01-05,5",
            "C2,O2,1,2026-01-05,6",
            "C2,O2,1,2026-01-05,7",
            "C1,O1,1,2026-01-05,8",
            head="customer_id,order_id,line_id,ordered_at,net_amount",
        ),
        "E_DUPLICATE_ID",
        "orders.csv:2 and orders.csv:5 line_id",
    ),
    "01/02, which may be two days": (
        orders(GOOD, LINE.format(time="01/02/2026")),
        "E_TIME_AMBIGUOUS",
        "orders.csv:3 ordered_at",
    ),
    "days of a spreadsheet": (
        orders(LINE.format(time="46027")),
        "E_TIME_NUMBER",
        "orders.csv:2 ordered_at",
    ),
    "seconds of nine digits": (
        orders(LINE.format(time="946684800")),
        "E_TIME_NUMBER",
        "orders.csv:2 ordered_at",
    ),
    "microseconds": (
        orders(LINE.format(time="1767607200000000")),
        "E_TIME_NUMBER",
        "orders.csv:2 ordered_at",
    ),
    "a list where a number belongs": (parquet(net_amount=[[1.0]]), "E_TYPE", "orders.net_amount"),
    "milliseconds": (parquet(ordered_at=[1767607200000]), "E_TIME_NUMBER", "orders.ordered_at"),
    "a decimal comma": (
        orders(AMOUNT.format(quantity=1, amount='"1.234,56"')),
        "E_NUMBER_COMMA",
        "orders.csv:2 net_amount",
    ),
    "two currencies": (
        orders(GOOD + ",EUR", GOOD.replace("O1", "O2") + ",USD", head=HEAD + ",currency"),
        "E_CURRENCY",
        "orders.csv:3 currency",
    ),
    "an unknown severity": (
        orders(GOOD) | {"complaints.csv": csv("K1,C1,2026-01-05,awful,,", head=COMPLAINTS)},
        "E_CHOICE",
        "minor, major, critical",
    ),
}


@pytest.mark.parametrize(("files", "code", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_a_table_that_cannot_be_read_safely_is_refused(
    tmp_path: Path, files: dict[str, Any], code: str, named: str
) -> None:
    limits = {"default": 1.0, "E_DUPLICATE_ID": 0, "E_ORDER_CUSTOMERS": 0}
    with pytest.raises(Refused) as error:
        ingested(tmp_path, files, quarantine_limit=limits)
    assert (error.value.code, error.value.exit_code) == (code, 3)
    assert named in str(error.value)


BAD_ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no customer": (orders(GOOD, ",O2,2026-01-05,A,tea,1,1"), "E_NO_CUSTOMER", "customer_id"),
    "a blank customer": (
        orders(GOOD, "  ,O2,2026-01-05,A,tea,1,1"),
        "E_NO_CUSTOMER",
        "customer_id",
    ),
    "no order": (orders(GOOD, "C1,,2026-01-05,A,tea,1,1"), "E_NO_ID", "order_id"),
    "an invisible character in an id": (
        orders(GOOD, "C\u200b1,O2,2026-01-05,A,tea,1,1"),
        "E_ID_CONTROL",
        "customer_id",
    ),
    "an id that a spreadsheet wrote in e-notation": (
        orders(GOOD, "1.23457E+11,O2,2026-01-05,A,tea,1,1"),
        "E_ID_NOTATION",
        "customer_id",
    ),
    "an id of 257 characters": (
        orders(GOOD, f"{'C' * 257},O2,2026-01-05,A,tea,1,1"),
        "E_ID_LENGTH",
        "customer_id",
    ),
    "no time": (orders(GOOD, LINE.format(time="")), "E_NO_TIME", "ordered_at"),
    "a day that does not exist": (
        orders(GOOD, LINE.format(time="2026-02-30")),
        "E_TIME_UNREADABLE",
        "ordered_at",
    ),
    "a word instead of a time": (
        orders(GOOD, LINE.format(time="yesterday")),
        "E_TIME_UNREADABLE",
        "ordered_at",
    ),
    "the year 1970": (orders(GOOD, LINE.format(time="1970-01-01")), "E_TIME_RANGE", "ordered_at"),
    "the year 1": (orders(GOOD, LINE.format(time="0001-01-01")), "E_TIME_RANGE", "ordered_at"),
    "the year 9999": (orders(GOOD, LINE.format(time="9999-12-31")), "E_TIME_RANGE", "ordered_at"),
    "an hour the clocks skipped": (
        orders(GOOD, LINE.format(time="2025-03-30T01:30:00")),
        "E_TIME_GAP",
        "ordered_at",
    ),
    "an order of the future": (
        orders(GOOD, LINE.format(time="2150-01-01")),
        "E_TIME_FUTURE",
        "ordered_at",
    ),
    "delivered before it was ordered": (
        orders(GOOD + ",", GOOD.replace("O1", "O2") + ",2026-01-04", head=HEAD + ",delivered_at"),
        "E_TIME_ORDER",
        "delivered_at",
    ),
    "no amount": (orders(GOOD, AMOUNT.format(quantity=1, amount="")), "E_NO_AMOUNT", "net_amount"),
    "a word instead of an amount": (
        orders(GOOD, AMOUNT.format(quantity=1, amount="much")),
        "E_NUMBER_UNREADABLE",
        "net_amount",
    ),
    "NaN": (orders(GOOD, AMOUNT.format(quantity=1, amount="NaN")), "E_NOT_FINITE", "net_amount"),
    "infinity": (
        orders(GOOD, AMOUNT.format(quantity=1, amount="-inf")),
        "E_NOT_FINITE",
        "net_amount",
    ),
    "an amount that no product of it fits": (
        orders(GOOD, AMOUNT.format(quantity=1, amount="99999999999")),
        "E_MAX_AMOUNT",
        "net_amount",
    ),
    "an absurd amount": (
        orders(GOOD, AMOUNT.format(quantity=1, amount="1e308")),
        "E_MAX_AMOUNT",
        "net_amount",
    ),
    "a negative line": (
        orders(GOOD, AMOUNT.format(quantity=1, amount="-1").replace("O1", "O2")),
        "E_NEGATIVE",
        "net_amount",
    ),
    "a quantity of zero": (
        orders(GOOD, AMOUNT.format(quantity=0, amount="1")),
        "E_QUANTITY",
        "quantity",
    ),
    "a negative quantity": (
        orders(GOOD, AMOUNT.format(quantity=-1, amount="1")),
        "E_QUANTITY",
        "quantity",
    ),
    "no currency": (
        orders(GOOD + ",EUR", GOOD.replace("O1", "O2") + ",", head=HEAD + ",currency"),
        "E_NO_CURRENCY",
        "currency",
    ),
    "no quantity": (
        orders(GOOD, AMOUNT.format(quantity="", amount=1)),
        "E_NO_QUANTITY",
        "quantity",
    ),
    "an order of an unknown customer": (
        {"customers.csv": CUSTOMERS} | orders(GOOD, "C2,O2,2026-01-05,A,tea,1,1"),
        "E_UNKNOWN_CUSTOMER",
        "customer_id",
    ),
}


@pytest.mark.parametrize(("files", "code", "column"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_order_line_is_quarantined_with_its_place(
    tmp_path: Path, files: dict[str, Any], code: str, column: str
) -> None:
    result = ingested(tmp_path, files)
    assert result.quarantined("orders") == [("orders.csv", 3, column, code)]
    assert (
        result.account["tables"]["orders"] | {"rows_in": 2, "accepted": 1, "quarantined": {code: 1}}
        == result.account["tables"]["orders"]
    )


@pytest.mark.parametrize(("files", "code", "column"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_too_many_bad_lines_stop_the_run_and_name_the_first(
    tmp_path: Path, files: dict[str, Any], code: str, column: str
) -> None:
    with pytest.raises(QualityError) as error:
        ingested(tmp_path, files, quarantine_limit={"default": 0.001})
    assert (error.value.code, error.value.exit_code) == (code, 4)
    assert "orders.csv:3" in error.value.place
    assert (
        f"orders: {error.value.rule.split(': ', 1)[1]}" == error.value.rule
        and "1 of 2 rows" in error.value.rule
    )


OTHER_TABLES: dict[str, tuple[str, str, str]] = {
    "a return of an unknown customer": ("returns", "R1,C2,,1,5,2026-01-05", "E_UNKNOWN_CUSTOMER"),
    "a return of an unknown order": ("returns", "R1,C1,O2,1,5,2026-01-05", "E_UNKNOWN_ORDER"),
    "a return of another customer's order": (
        "returns",
        "R1,C1,O9,1,5,2026-01-05",
        "E_OTHER_CUSTOMER",
    ),
    "a return before its order": ("returns", "R1,C1,O1,1,5,2026-01-04", "E_BEFORE_ORDER"),
    "a return of nothing": ("returns", "R1,C1,O1,0,5,2026-01-05", "E_QUANTITY"),
    "a complaint of an unknown customer": (
        "complaints",
        "K1,C2,2026-01-05,minor,,",
        "E_UNKNOWN_CUSTOMER",
    ),
    "a complaint about another customer's order": (
        "complaints",
        "K1,C1,2026-01-05,minor,,O9",
        "E_OTHER_CUSTOMER",
    ),
    "a complaint resolved before it was opened": (
        "complaints",
        "K1,C1,2026-01-05T12:00:00,minor,2026-01-05T10:00:00,",
        "E_TIME_ORDER",
    ),
}
HEADS = {
    "customers": "customer_id,created_at,do_not_contact",
    "returns": RETURNS,
    "complaints": COMPLAINTS,
    "suppressions": "customer_id,scope,since",
}


@pytest.mark.parametrize(("table", "row", "code"), OTHER_TABLES.values(), ids=OTHER_TABLES.keys())
def test_a_row_with_a_broken_reference_is_quarantined(
    tmp_path: Path, table: str, row: str, code: str
) -> None:
    sold = orders(GOOD, "C9,O9,2026-01-05,A,tea,1,1")
    result = ingested(tmp_path, sold | {f"{table}.csv": csv(row, head=HEADS[table])})
    assert result.codes(table) == {code: 1}
    assert result.rows(table) == []


def test_a_word_instead_of_a_flag_quarantines_the_customer(tmp_path: Path) -> None:
    customers = csv(
        "C1,2025-01-01,no", "C2,2025-01-01,perhaps", head="customer_id,created_at,do_not_contact"
    )
    result = ingested(tmp_path, orders(GOOD) | {"customers.csv": customers})
    assert result.quarantined("customers") == [("customers.csv", 3, "do_not_contact", "E_FLAG")]


def test_every_rule_has_a_case_here() -> None:
    tried = (
        {code for _, code, _ in (*REFUSED.values(), *BAD_ROWS.values())}
        | {code for *_, code in OTHER_TABLES.values()}
        | {"E_FLAG", "E_SUPPRESSED_UNKNOWN"}  # the latter in test_people.py
    )
    assert set(CODES) - tried == set(PLAUSIBLE)  # in test_plausible.py, test_excess.py


ACCEPTED: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "leading zeros": (csv(GOOD.replace("C1", "00123")), {"customer_id": "00123"}),
    "17 digits": (
        csv(GOOD.replace("C1", "90071992547409931")),
        {"customer_id": "90071992547409931"},
    ),
    "1e5": (csv(GOOD.replace("C1", "1e5")), {"customer_id": "1e5"}),
    "NA": (csv(GOOD.replace("C1", "NA")), {"customer_id": "NA"}),
    "null": (csv(GOOD.replace("C1", "null")), {"customer_id": "null"}),
    "None": (csv(GOOD.replace("C1", "None")), {"customer_id": "None"}),
    "outer blanks": (csv(GOOD.replace("C1", " \u00a0C1 ")), {"customer_id": "C1"}),
    "a formula": (
        csv(GOOD.replace("C1", "=cmd|'/c calc'!A1")),
        {"customer_id": "=cmd|'/c calc'!A1"},
    ),
    "letters of an escape": (csv(GOOD.replace("C1", "ua0u")), {"customer_id": "ua0u"}),
    "a path": (csv(GOOD.replace("C1", "../../etc/passwd")), {"customer_id": "../../etc/passwd"}),
    "a byte order mark": ("\ufeff" + csv(GOOD), {"customer_id": "C1"}),
    "windows line ends": (csv(GOOD).replace("\n", "\r\n"), {"net": 99900}),
    "old line ends": (csv(GOOD).replace("\n", "\r"), {"net": 99900}),
    "a line break inside a text": (csv(GOOD.replace("tea", '"te\na"')), {"category_id": "te\na"}),
    "columns in another order": (
        csv("9.99,C1,2026-01-05,O1", head="net_amount,customer_id,ordered_at,order_id"),
        {"net": 99900},
    ),
    "an amount of zero": (csv(AMOUNT.format(quantity=1, amount=0)), {"net": 0}),
    "half a kilo": (csv(AMOUNT.format(quantity=0.5, amount=1)), {"quantity": 0.5}),
    "the last day of a leap year": (csv(LINE.format(time="2024-12-31T23:59:59")), {"day": 20088}),
    "a leap day": (csv(LINE.format(time="2024-02-29")), {"day": 19782}),
    "an offset, that is converted": (
        csv(LINE.format(time="2026-01-05T23:30:00-05:00")),
        {"day": 20459},
    ),
    "UTC in summer": (csv(LINE.format(time="2025-07-01T23:30:00Z")), {"day": 20271}),
    "no offset, local time": (csv(LINE.format(time="2025-07-01 23:30")), {"day": 20270}),
    "a date of which the first hour was skipped": (
        csv(LINE.format(time="2025-03-30")),
        {"day": 20177},
    ),
}


@pytest.mark.parametrize(("file", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_an_odd_but_valid_value_is_accepted(
    tmp_path: Path, file: str | bytes, expected: dict[str, Any]
) -> None:
    result = ingested(tmp_path, {"orders.csv": file})
    (line,), (customer,) = result.rows("orders"), result.rows("customers")
    product = result.events.read("products.parquet").to_pylist()
    row = {**line, "net": line["amount"], **customer, **(product[0] if product else {})}
    assert {key: row[key] for key in expected} == expected


def test_a_column_outside_the_contract_is_named_and_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = ingested(tmp_path, orders(GOOD + ",x", head=HEAD + ",shoe_size"))
    assert "orders: not in the contract, not read: shoe_size" in capsys.readouterr().err
    assert len(result.rows("orders")) == 1


@pytest.mark.parametrize("table", ["returns", "complaints"])
def test_an_optional_table_may_be_empty(tmp_path: Path, table: str) -> None:
    result = ingested(tmp_path, orders(GOOD) | {f"{table}.csv": HEADS[table] + "\n"})
    assert result.account["tables"][table]["rows_in"] == 0
    assert table in result.events.read("meta.json")["tables"]


@pytest.mark.parametrize(
    ("sql", "code", "place"),
    [
        ("create view orders as from raw.ordres", "E_NO_FILE", "sources/literal.sql:1"),
        ("create view customers as from raw.orders", "E_NO_TABLE", "sources/literal.sql"),
        (
            "create view orders as\nselect nothing from raw.orders",
            "E_SOURCE",
            "sources/literal.sql:2",
        ),
        (
            "create view orders as select customer_id, order_id::int as order_id, ordered_at "
            "from raw.orders",
            "E_SOURCE",
            "orders.csv:2 order_id",
        ),
        (
            "create view orders as select * replace (strptime(order_id, '%Y') as ordered_at) "
            "from raw.orders",
            "E_SOURCE",
            "orders.csv:2 order_id",
        ),
    ],
)
def test_an_error_in_the_shops_sql_is_named_without_values(
    tmp_path: Path, sql: str, code: str, place: str
) -> None:
    with pytest.raises(Refused) as error:
        ingested(tmp_path, orders(GOOD), sql)
    assert (error.value.code, error.value.place, error.value.exit_code) == (code, place, 3)
    assert "O1" not in str(error.value)


def test_a_pattern_that_duckdb_does_not_know_is_named_as_an_error_of_the_sql(
    tmp_path: Path,
) -> None:
    sql = "create view orders as from raw.orders where regexp_matches(order_id, '(?=O)')"
    with pytest.raises(Refused, match=r"E_SOURCE .*invalid perl operator: \(\?= — correct the SQL"):
        ingested(tmp_path, orders(GOOD), sql)


def test_a_parquet_file_with_a_damaged_page_is_named_as_damaged(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(parquet()["orders.parquet"], sink)
    damaged = bytearray(sink.getvalue())
    damaged[4:12] = b"\xff" * 8  # the header of the first page
    with pytest.raises(Refused, match=r"E_TRUNCATED orders\.parquet "):
        ingested(tmp_path, {"orders.parquet": bytes(damaged)})


def test_a_parquet_file_that_is_cut_or_has_another_byte_is_refused_by_name_or_read(
    tmp_path: Path,
) -> None:
    sink = io.BytesIO()
    pq.write_table(parquet()["orders.parquet"], sink, compression="snappy")
    whole, refused = sink.getvalue(), 0
    cuts = [whole[: len(whole) * part // 8] for part in range(1, 8)]
    for at in range(4, len(whole) - 8, len(whole) // 16):
        cuts.append(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    for number, damaged in enumerate(cuts):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            ingested(folder, {"orders.parquet": damaged})
        except Refused as error:
            refused += 1
            assert error.exit_code == 3
            assert "orders.parquet" in str(error)
    assert refused >= 7  # a flipped byte of a value is another value: no checksum shows it


def test_a_file_that_grows_while_it_is_read_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(db: object, *rest: object) -> object:
        with (tmp_path / "raw" / "orders.csv").open("a") as file:
            file.write(GOOD)
        return check_rows(db, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.inputs.checked.check_rows", grow)
    with pytest.raises(Refused, match=r"E_CHANGED orders\.csv — the file changed while"):
        ingested(tmp_path, orders(GOOD))


def test_a_parquet_column_that_is_null_throughout_has_any_kind(tmp_path: Path) -> None:
    table = parquet()["orders.parquet"]
    for name in ("delivered_at", "sku", "category"):
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.nulls(len(table)))
    result = ingested(tmp_path, {"orders.parquet": table})
    assert result.account["tables"]["orders"]["accepted"] == len(table)


def test_a_flag_that_is_an_instant_is_refused_by_its_type(tmp_path: Path) -> None:
    sql = """create view orders as from raw.orders; create view customers as select customer_id,
        timestamptz '2026-01-01' as created_at, now() as do_not_contact from raw.orders"""
    with pytest.raises(Refused, match=r"E_TYPE .*customers\.do_not_contact .* cannot hold a flag"):
        ingested(tmp_path, orders(GOOD), sql)


def test_a_customer_known_before_they_were_created_is_counted(tmp_path: Path) -> None:
    customers = csv("C1,2026-01-09", head="customer_id,created_at")
    result = ingested(tmp_path, {**orders(GOOD), "customers.csv": customers})
    assert result.account["noted"]["customers"]["created_at_moved"] == 1


def test_names_that_differ_in_capitals_only_are_refused(tmp_path: Path) -> None:
    table = parquet()["orders.parquet"]
    both = table.add_column(0, "Customer_ID", table["customer_id"])
    with pytest.raises(Refused, match=r"E_HEADER orders\.parquet customer_id — two columns"):
        ingested(tmp_path, {"orders.parquet": both})


def test_an_error_that_the_sql_raises_itself_is_refused_with_its_line(tmp_path: Path) -> None:
    sql = "create view orders as\nselect *, error('no file') as sku from raw.orders"
    with pytest.raises(Refused, match=r"E_SOURCE sources/literal\.sql:2 — the SQL raises errors"):
        ingested(tmp_path, orders(GOOD), sql)


def test_memory_that_is_used_up_ends_with_the_code_of_the_machine() -> None:
    with (
        pytest.raises(Refused, match=r"E_MEMORY stage ingest — memory is used up") as error,
        disk_errors("stage ingest"),
        duckdb.connect() as db,
    ):
        db.execute("set memory_limit = '10MB'; set temp_directory = ''; set threads = 1")
        db.execute("create table t as select hash(i) as h from range(9_000_000) r(i)")
    assert error.value.exit_code == 7


def test_a_file_outside_the_shops_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(csv(GOOD))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "orders.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(Refused) as error:
        ingested(tmp_path, {}, "create view orders as from raw.orders")
    assert error.value.code == "E_OUTSIDE"


def test_sql_that_reads_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(csv(GOOD))
    with pytest.raises(Refused) as error:
        ingested(
            tmp_path, orders(GOOD), f"create view orders as from read_csv('{tmp_path}/secret.csv')"
        )
    assert error.value.code == "E_OUTSIDE"


def test_an_unknown_code_in_the_limits_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        ingested(tmp_path, orders(GOOD), quarantine_limit={"default": 0.1, "E_NO_CUSTOMERS": 0.3})
    assert "E_NO_CUSTOMERS" in error.value.place and "E_NO_CUSTOMER" in error.value.fix


def test_a_data_end_before_all_orders_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        ingested(tmp_path, orders(GOOD), data_end="2020-01-01")
    assert error.value.code == "E_DATA_END"


def test_an_end_of_the_data_far_behind_the_newest_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="after the newest order, of ") as error:
        ingested(tmp_path, orders(GOOD), data_end="9999-12-31")
    assert error.value.code == "E_DATA_END"
