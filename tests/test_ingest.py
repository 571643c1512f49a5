"""Stage `ingest`: every row is accounted for, and events depend on the rows alone."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from raw_shop import GOOD, HEAD, Ingested, csv, ingested

from features.records import NEVER
from pipeline.delivery.spreadsheet import safe_table
from pipeline.runtime.store import Folder

DAY = 20458  # 2026-01-05
MANY = [  # 40 customers with 8 orders of one to three lines each
    f"C{customer},O{customer}-{order},2026-01-{1 + customer * order % 28:02d},"
    f"S{line + order % 5},K{order % 3},{1 + line},{order}"
    for customer in range(40)
    for order in range(1, 9)
    for line in range(1 + order % 3)
]


def events_of(result: Ingested) -> dict[str, Any]:
    return {name: result.events.read(name) for name in result.events.names("**/*")}


def test_the_folder_has_every_table_of_every_partition_and_names_what_was_delivered(
    tmp_path: Path,
) -> None:
    result = ingested(tmp_path, {"orders.csv": csv(GOOD)})
    tables = [
        "customers",
        "orders",
        "returns",
        "complaints",
        "touches",
        "treatments",
        "suppressions",
    ]
    files = {
        "meta.json",
        "products.parquet",
        "market_events.parquet",
        "aliases.parquet",
        *(f"{table}/part-000.parquet" for table in tables),
    }
    assert set(result.events.names("**/*")) == files
    assert result.events.read("meta.json") == {
        "tables": {"orders": HEAD.split(",")},
        "currency": "EUR",
        "timezone": "Europe/London",
        "data_end": "2026-01-06",
        "first_event": "2026-01-05",
        "partitions": 1,
        "customers": 1,
        "lines": 1,
    }
    for table in tables[2:]:
        assert result.rows(table) == []


SCHEMAS = {
    "customers": "customer: int32, customer_id: string, known: int32, do_not_contact: bool, "
    "profiling_objection: bool",
    "orders": "customer: int32, day: int32, basket: int32, sku: int32, category: int32, "
    "quantity: double, amount: int64, promised: int32, delivered: int32, cancelled: int32, "
    "order_id: string, line_id: string, row: int32",
    "returns": "customer: int32, day: int32, sku: int32, quantity: double, amount: int64, "
    "settled: int32, defect: bool, order_id: string, return_id: string, basket: int32, row: int32",
    "complaints": "customer: int32, opened: int32, severity: int8, resolved: int32, "
    "reopened: int32, unserved: bool, kind: string, order_id: string, complaint_id: string, "
    "basket: int32, row: int32",
    "touches": "customer: int32, day: int32, expectation: string, limit_kind: string, "
    "due: int32, met: int32, row: int32",
    "treatments": "customer: int32, as_of: int32, queue: string, action: string, "
    "contact: string, decision: string, done_on: int32, note: string, stated_reason: string, "
    "row: int32",
    "suppressions": "customer: int32, scope: string, since: int32, row: int32",
}


def test_a_table_has_the_same_columns_whether_or_not_it_was_delivered(tmp_path: Path) -> None:
    events = ingested(tmp_path, {"orders.csv": csv(GOOD)}).events
    schemas = {
        table: ", ".join(
            f"{field.name}: {field.type}"
            for field in events.read(f"{table}/part-000.parquet").schema
        )
        for table in SCHEMAS
    }
    assert schemas == SCHEMAS


def test_returns_and_complaints_carry_the_number_of_their_order_among_the_customers(
    tmp_path: Path,
) -> None:
    orders = csv(
        "C1,O1,2026-01-05,A,tea,1,9", "C1,O2,2026-01-05,A,tea,1,9", "C2,O3,2026-01-06,A,tea,1,9"
    )
    returned = csv(
        "R1,C1,O2,1,9,2026-01-06",
        "R2,C2,,1,9,2026-01-06",
        head="return_id,customer_id,order_id,quantity,net_amount,returned_at",
    )
    complained = csv(
        "K1,C1,2026-01-06,minor,O1",
        "K2,C2,2026-01-06,minor,",
        head="complaint_id,customer_id,opened_at,severity,order_id",
    )
    result = ingested(
        tmp_path, {"orders.csv": orders, "returns.csv": returned, "complaints.csv": complained}
    )
    assert [(row["return_id"], row["basket"]) for row in result.rows("returns")] == [
        ("R1", 1),
        ("R2", -1),
    ]
    assert [(row["complaint_id"], row["basket"]) for row in result.rows("complaints")] == [
        ("K1", 0),
        ("K2", -1),
    ]


def test_an_order_line_in_numbers(tmp_path: Path) -> None:
    head = HEAD + ",promised_at,delivered_at,cancelled_at"
    result = ingested(
        tmp_path,
        {
            "orders.csv": csv(
                "C1,O1,2026-01-05T10:00,A,tea,2,9.99,2026-01-07,2026-01-05,", head=head
            )
        },
    )
    assert result.rows("orders") == [
        {
            "customer": 0,
            "day": DAY,
            "basket": 0,
            "sku": 0,
            "category": 0,
            "quantity": 2.0,
            "amount": 99900,
            "promised": DAY + 2,
            "delivered": DAY,
            "cancelled": NEVER,
            "order_id": "O1",
            "line_id": "0001",
            "row": 0,
        }
    ]


def test_amounts_add_up_exactly(tmp_path: Path) -> None:
    result = ingested(
        tmp_path,
        {
            "orders.parquet": pa.table(
                {
                    "customer_id": ["C1", "C1"],
                    "order_id": ["O1", "O2"],
                    "ordered_at": ["2026-01-05"] * 2,
                    "net_amount": [0.1, 0.2],
                }
            )
        },
    )
    assert sum(row["amount"] for row in result.rows("orders")) == 3000


def test_an_order_with_only_customer_and_time_counts_as_one_piece(tmp_path: Path) -> None:
    result = ingested(
        tmp_path, {"orders.csv": csv("C1,O1,2026-01-05", head="customer_id,order_id,ordered_at")}
    )
    (line,) = result.rows("orders")
    assert (line["quantity"], line["amount"], line["sku"], line["category"]) == (
        1.0,
        10_000,
        -1,
        -1,
    )


def test_every_row_of_a_table_has_one_fate_and_all_are_counted(tmp_path: Path) -> None:
    rows = [
        "C1,O1,2026-01-05,A,tea,1,1",
        "C1,O1,2026-01-05,A,tea,1,1",
        "C1,O2,2026-01-06,A,tea,0,1",
        ",O3,2026-01-06,A,tea,1,1",
        "C2,O4,2026-01-06,A,tea,1,1",
        "C3,O5,2026-01-06,A,tea,1,1",
        "C1,O6,2026-01-20,A,tea,1,1",
    ]
    customers = csv(
        "C1,2025-01-01,",
        "C2,2025-01-01,2026-01-10",
        "C4,2026-01-20,",
        head="customer_id,created_at,erased_at",
    )
    result = ingested(
        tmp_path, {"orders.csv": csv(*rows), "customers.csv": customers}, data_end="2026-01-15"
    )
    assert result.account["tables"] == {
        "customers": {
            "rows_in": 3,
            "accepted": 1,
            "quarantined": {},
            "exact_duplicates": 0,
            "out_of_window": 1,
            "erased": 1,
        },
        "orders": {
            "rows_in": 7,
            "accepted": 1,
            "quarantined": {"E_NO_CUSTOMER": 1, "E_QUANTITY": 1, "E_UNKNOWN_CUSTOMER": 1},
            "exact_duplicates": 1,
            "out_of_window": 1,
            "erased": 1,
        },
    }
    assert result.quarantined("orders") == [
        ("orders.csv", 4, "quantity", "E_QUANTITY"),
        ("orders.csv", 5, "customer_id", "E_NO_CUSTOMER"),
        ("orders.csv", 7, "customer_id", "E_UNKNOWN_CUSTOMER"),
    ]


def test_the_quarantine_holds_no_value_of_the_customer(tmp_path: Path) -> None:
    ingested(tmp_path, {"orders.csv": csv(GOOD, "Canary77,O-Canary77,2026-01-05,A,tea,0,1234.5")})
    assert b"Canary77" not in (tmp_path / "quarantine" / "orders.parquet").read_bytes()


def test_a_row_without_its_place_is_named_by_its_number(tmp_path: Path) -> None:
    sql = """create view orders as select customer_id, order_id, max(ordered_at) as ordered_at,
        max(quantity) as quantity from raw.sales group by all order by order_id"""
    result = ingested(tmp_path, {"sales.csv": csv(GOOD, "C1,O2,2026-01-05,A,tea,0,1")}, sql)
    assert result.quarantined("orders") == [("orders", 2, "quantity", "E_QUANTITY")]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: random.Random(7).sample(rows, len(rows)),
        lambda rows: rows + rows,
        lambda rows: rows[::-1],
    ],
    ids=["shuffled", "delivered twice", "in reverse"],
)
def test_the_order_and_repetition_of_rows_change_nothing(tmp_path: Path, change: Any) -> None:
    for name, rows in {"as_is": MANY, "changed": change(MANY)}.items():
        (tmp_path / name).mkdir()
        ingested(tmp_path / name, {"orders.csv": csv(*rows)})
    first, second = (
        events_of(Ingested(Folder(tmp_path / n / "events"), Folder(tmp_path), {}))
        for n in ("as_is", "changed")
    )
    assert first == second


def test_partitions_hold_whole_customers_and_together_what_one_holds(tmp_path: Path) -> None:
    def by_id(result: Ingested) -> dict[str, list[dict[str, Any]]]:
        by_customer: dict[str, list[dict[str, Any]]] = {}
        for name in result.events.names("customers/*"):
            ids = result.events.read(name)["customer_id"].to_pylist()
            assert ids == sorted(ids)
            rows = result.events.read(name.replace("customers", "orders")).to_pylist()
            assert [row.pop("row") for row in rows] == list(range(len(rows)))
            for row in rows:
                by_customer.setdefault(ids[row.pop("customer")], []).append(row)
        return by_customer

    (tmp_path / "one").mkdir()
    (tmp_path / "five").mkdir()
    one = ingested(tmp_path / "one", {"orders.csv": csv(*MANY)})
    lines = one.events.read("meta.json")["lines"]
    five = ingested(
        tmp_path / "five", {"orders.csv": csv(*MANY)}, lines_per_partition=-(-lines // 5)
    )
    assert five.events.read("meta.json")["partitions"] == len(five.events.names("orders/*")) == 5
    assert sum(len(five.events.read(name)) for name in five.events.names("customers/*")) == 40
    assert by_id(five) == by_id(one)


def test_lines_are_sorted_and_baskets_numbered_in_order(tmp_path: Path) -> None:
    result = ingested(tmp_path, {"orders.csv": csv(*MANY)})
    lines = result.rows("orders")
    assert lines == sorted(
        lines, key=lambda r: (r["customer"], r["day"], r["order_id"], r["line_id"])
    )
    for customer in range(40):
        baskets = [row["basket"] for row in lines if row["customer"] == customer]
        orders = [row["order_id"] for row in lines if row["customer"] == customer]
        assert list(dict.fromkeys(baskets)) == list(range(8))
        assert len(set(zip(baskets, orders, strict=True))) == 8


def test_lines_without_an_id_are_numbered_within_their_order(tmp_path: Path) -> None:
    rows = [
        "C1,O1,2026-01-05,B,tea,1,2",
        "C1,O1,2026-01-05,A,tea,1,2",
        "C1,O2,2026-01-05,A,tea,1,2",
    ]
    lines = ingested(tmp_path, {"orders.csv": csv(*rows)}).rows("orders")
    assert [(line["order_id"], line["line_id"], line["sku"]) for line in lines] == [
        ("O1", "0001", 0),
        ("O1", "0002", 1),
        ("O2", "0001", 0),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "day"), [(None, DAY), ("UTC", DAY + 1), ("Asia/Tokyo", DAY + 1)])
def test_times_of_a_parquet_file_are_local_or_converted(
    tmp_path: Path, unit: str, zone: str | None, day: int
) -> None:
    local = dt.datetime(2026, 1, 5, 23, 30)  # noqa: DTZ001
    time = pa.array([local], pa.timestamp(unit)).cast(pa.timestamp(unit, zone))
    table = pa.table({"customer_id": ["C1"], "order_id": ["O1"], "ordered_at": time})
    (line,) = ingested(tmp_path, {"orders.parquet": table}, timezone="Europe/Berlin").rows("orders")
    assert line["day"] == day


def test_a_customer_is_known_from_the_first_event_of_any_kind(tmp_path: Path) -> None:
    files = {
        "orders.csv": csv(GOOD, GOOD.replace("1,O1", "2,O2"), GOOD.replace("1,O1", "3,O3")),
        "customers.csv": csv(
            "C1,2026-01-03",
            "C2,2026-01-07",
            "C3,2026-01-06",
            "C4,2026-01-01",
            head="customer_id,created_at",
        ),
        "touches.csv": csv("C2,2026-01-02", head="customer_id,at"),
    }
    assert [
        (row["customer_id"], row["known"] - DAY)
        for row in ingested(tmp_path, files).rows("customers")
    ] == [("C1", -2), ("C2", -3), ("C3", 0), ("C4", -4)]


def test_complaints_keep_their_first_opening_and_their_severity(tmp_path: Path) -> None:
    head = "complaint_id,customer_id,opened_at,severity,resolved_at,reopened_at"
    rows = [
        "K1,C1,2026-01-03,minor,,2026-01-05",
        "K2,C1,2026-01-02,critical,2026-01-04,",
        "K3,C1,2026-01-02,major,,",
    ]
    complaints = ingested(
        tmp_path, {"orders.csv": csv(GOOD), "complaints.csv": csv(*rows, head=head)}
    ).rows("complaints")
    assert [
        (c["complaint_id"], c["opened"] - DAY, c["severity"], c["resolved"], c["reopened"])
        for c in complaints
    ] == [("K2", -3, 2, DAY - 1, NEVER), ("K3", -3, 1, NEVER, NEVER), ("K1", -2, 0, NEVER, DAY)]


def test_a_resolution_minutes_before_the_complaint_counts_as_immediate(tmp_path: Path) -> None:
    head = "complaint_id,customer_id,opened_at,severity,resolved_at"
    complaint = csv("K1,C1,2026-01-05T00:10,minor,2026-01-04T23:50", head=head)
    (row,) = ingested(tmp_path, {"orders.csv": csv(GOOD), "complaints.csv": complaint}).rows(
        "complaints"
    )
    assert row["resolved"] == row["opened"] == DAY


@pytest.mark.parametrize(
    ("reason", "defect"),
    [
        ("Defective", True),
        ("arrived damaged", True),
        ("faulty lid", True),
        ("changed my mind", False),
        ("", False),
    ],
)
def test_a_return_is_a_defect_when_its_reason_names_one(
    tmp_path: Path, reason: str, defect: bool
) -> None:
    returns = csv(
        f"R1,C1,1,5,2026-01-05,{reason}",
        head="return_id,customer_id,quantity,net_amount,returned_at,reason",
    )
    (row,) = ingested(tmp_path, {"orders.csv": csv(GOOD), "returns.csv": returns}).rows("returns")
    assert row["defect"] is defect


def test_a_product_has_the_category_of_most_of_its_lines_and_none_is_lost(tmp_path: Path) -> None:
    rows = [
        "C1,O1,2026-01-05,A,tea,1,1",
        "C1,O2,2026-01-05,A,coffee,1,1",
        "C1,O3,2026-01-05,A,tea,1,1",
        "C1,O4,2026-01-05,,jam,1,1",
    ]
    assert ingested(tmp_path, {"orders.csv": csv(*rows)}).events.read(
        "products.parquet"
    ).to_pylist() == [
        {"sku": 0, "sku_id": "A", "category": 2, "category_id": "tea"},
        {"sku": -1, "sku_id": None, "category": 0, "category_id": "coffee"},
        {"sku": -1, "sku_id": None, "category": 1, "category_id": "jam"},
    ]


def test_events_after_the_end_are_counted_and_left_out(tmp_path: Path) -> None:
    complaints = csv(
        "K1,C1,2026-01-06,minor",
        "K2,C1,2026-01-05,minor",
        head="complaint_id,customer_id,opened_at,severity",
    )
    result = ingested(tmp_path, {"orders.csv": csv(GOOD), "complaints.csv": complaints})
    assert result.account["tables"]["complaints"]["out_of_window"] == 1
    assert [row["complaint_id"] for row in result.rows("complaints")] == ["K2"]


def test_a_suppression_forbids_contact_and_profiling_where_its_scope_names_it(
    tmp_path: Path,
) -> None:
    files = {
        "orders.csv": csv(GOOD, GOOD.replace("C1,O1", "C2,O2"), GOOD.replace("C1,O1", "C3,O3")),
        "suppressions.csv": csv(
            "C1,contact,2026-01-05", "C2,profiling,2026-01-05", head="customer_id,scope,since"
        ),
    }
    wishes = {
        row["customer_id"]: (row["do_not_contact"], row["profiling_objection"])
        for row in ingested(tmp_path, files).rows("customers")
    }
    assert wishes == {"C1": (True, False), "C2": (True, True), "C3": (False, False)}


def test_a_re_imported_list_names_the_same_customers_as_before_the_spreadsheet(
    tmp_path: Path,
) -> None:
    ids = ["+4912", "=x", "-1", "@y", "'quoted"]
    frame = pd.DataFrame(
        {
            "customer_id": ids,
            "as_of": "2026-01-05",
            "queue": "core_care",
            "action": "call",
            "contact": "call",
        }
    )
    listed = safe_table(
        pa.table({name: pa.array(column, pa.string()) for name, column in frame.items()})
    ).to_pandas()
    files = {
        "orders.csv": csv(
            *(GOOD.replace("C1,O1", f"{customer},O{i}") for i, customer in enumerate(ids))
        ),
        "treatments.csv": listed.to_csv(index=False),
    }
    result = ingested(tmp_path, files)
    assert result.codes("treatments") == {}
    names = {row["customer"]: row["customer_id"] for row in result.rows("customers")}
    assert sorted(names[row["customer"]] for row in result.rows("treatments")) == sorted(ids)


def test_a_customer_known_only_by_orders_after_the_end_is_not_known(tmp_path: Path) -> None:
    files = {"orders.csv": csv(GOOD, "C2,O2,2026-02-05T10:00:00,A,tea,1,9.99")}
    result = ingested(tmp_path, files, data_end="2026-02-01")
    assert [row["customer_id"] for row in result.rows("customers")] == ["C1"]
