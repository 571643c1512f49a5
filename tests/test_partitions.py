"""Partitions are spilled, sorted by a kernel and numbered: the same rows as plain SQL gives."""

import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from raw_shop import csv, ingested

from pipeline.inputs.spill import Spill

HEAD = "customer_id,order_id,line_id,ordered_at,sku,category,quantity,net_amount,promised_at"
REFERENCE = """
    with number as (select *, coalesce(line_id, format('{:04d}', row_number() over (
            partition by order_id order by ordered_at, sku nulls first, category nulls first,
                     quantity, net_amount, promised_at))) as line from lines),
    basket as (select order_id, row_number() over (
            partition by customer_id order by min(ordered_at::date), order_id) - 1 as basket
        from lines group by customer_id, order_id)
    select customer_id, order_id, line, (ordered_at::date - date '1970-01-01') as day, basket,
           sku, quantity, (net_amount * 10000)::bigint as amount
    from number join basket using (order_id)
    order by customer_id, day, order_id, line"""


def raw_lines(seed: int, named: float) -> list[dict[str, Any]]:
    """Orders of several lines and days, with ids that begin alike; `named`: with a line_id."""
    draw = random.Random(seed)
    lines = []
    for order in range(300):
        customer, first = draw.randrange(25), draw.randrange(1, 20)
        for line in range(draw.choice([1, 1, 2, 5, 12])):
            day = first + draw.choice([0, 0, 0, 1, 7])
            lines.append(
                {
                    "customer_id": f"C{customer}",
                    "order_id": f"{customer % 3}-{'é' * (order % 2)}{order}",
                    "line_id": f"L{draw.randrange(100)}-{line}" if draw.random() < named else None,
                    "ordered_at": f"2026-01-{day:02d}T{draw.randrange(3):02d}:00:00",
                    "sku": draw.choice(["A", "B", "B10", None]),
                    "category": draw.choice(["tea", "jam", None]),
                    "quantity": draw.choice([1, 2, 1.5]),
                    "net_amount": draw.randrange(1, 40) / 4,
                    "promised_at": draw.choice(["2026-02-01", None]),
                }
            )
    draw.shuffle(lines)
    return lines


@pytest.mark.parametrize("named", [0, 0.5, 1])
@pytest.mark.parametrize("per_partition", [10_000, 200])
def test_lines_are_sorted_and_numbered_as_plain_sql_does(
    tmp_path: Path, named: float, per_partition: int
) -> None:
    lines = raw_lines(7, named)
    rows = [",".join("" if v is None else str(v) for v in line.values()) for line in lines]
    result = ingested(
        tmp_path, {"orders.csv": csv(*rows, head=HEAD)}, lines_per_partition=per_partition
    )
    parts = len(result.events.names("orders/*"))
    assert parts == (1 if per_partition > len(lines) else -(-len(lines) // per_partition))
    products = {p["sku"]: p["sku_id"] for p in result.events.read("products.parquet").to_pylist()}
    got = []
    for part in range(parts):
        file = f"part-{part:03d}.parquet"
        ids = result.events.read(f"customers/{file}")["customer_id"].to_pylist()
        got += [
            (ids[r["customer"]], r["order_id"], r["line_id"], r["day"], r["basket"],
             products.get(r["sku"]) if r["sku"] >= 0 else None, r["quantity"], r["amount"])
            for r in result.events.read(f"orders/{file}").to_pylist()
        ]  # fmt: skip
    with duckdb.connect() as db:
        db.from_arrow(pa.Table.from_pylist(lines)).create("texts")
        db.execute("create table lines as select * replace (ordered_at::timestamp as ordered_at)"
                   " from texts")  # fmt: skip
        expected = [tuple(row) for row in db.execute(REFERENCE).fetchall()]
    assert sorted(got, key=lambda row: (row[0], row[3], row[1], row[2])) == expected
    assert parts > 1 or got == expected


def test_numbers_of_more_than_9999_lines_are_sorted_as_texts(tmp_path: Path) -> None:
    rows = [f"C1,O1,,2026-01-05,A,tea,{i + 1},1," for i in range(10_002)]
    lines = ingested(
        tmp_path, {"orders.csv": csv(*rows, head=HEAD)}, lines_per_partition=20_000
    ).rows("orders")
    names = [line["line_id"] for line in lines]
    assert names == sorted(names)
    assert all(line["quantity"] == int(line["line_id"]) for line in lines)


@pytest.mark.parametrize("kind", [pa.int64(), pa.int16(), pa.uint8()])
def test_ids_delivered_as_numbers_give_the_events_of_the_same_ids_as_texts(
    tmp_path: Path, kind: pa.DataType
) -> None:
    draw = random.Random(3)
    texts = {
        name: [str(draw.randrange(120)) for _ in range(200)]
        for name in ("customer_id", "order_id", "sku", "category", "line_id")
    }
    texts["order_id"] = texts["customer_id"]
    texts["line_id"] = [str(i % 200) for i in range(200)]
    times = ["2026-01-05T10:00:00"] * 200
    events = []
    for name, table in {
        "text": pa.table({**texts, "ordered_at": times}),
        "number": pa.table(
            {c: pa.array([int(v) for v in column], kind) for c, column in texts.items()}
            | {"ordered_at": times}
        ),
    }.items():
        (tmp_path / name).mkdir()
        result = ingested(tmp_path / name, {"orders.parquet": table}, lines_per_partition=100)
        events.append({file: result.events.read(file) for file in result.events.names("**/*")})
    assert events[0] == events[1]


def test_a_spill_returns_each_partitions_rows_in_the_order_they_came() -> None:
    rows = pa.table({"part": [2, 0, 2, 0], "id": ["a", None, "", "é"]})
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=3))
    spill = Spill(reader, 3)
    assert spill.rows == 4
    assert [spill.read(part)["id"].to_pylist() for part in range(3)] == [[None, "é"], [], ["a", ""]]
