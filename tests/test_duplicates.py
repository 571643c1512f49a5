"""A row delivered twice is dropped and counted; two articles at one price are two lines."""

from pathlib import Path

import pytest
from raw_shop import SETTINGS, Ingested, csv, ingested

from pipeline.runtime.errors import InputError

HEAD = "customer,invoice,day,article,sku,total"
GREEN, BLUE = (f"C1,1,2024-01-05T10:00:00,Top {color},,70.00" for color in ("green", "blue"))
OTHER = GREEN.replace("Top green", "Belt")
SCARF = "C2,2,2024-02-06T11:00:00,Scarf,,35.00"
SQL = """create view orders as select customer as customer_id, invoice as order_id,
    day as ordered_at, total as net_amount, sku from raw.orders"""


def spent(result: Ingested) -> tuple[int, int]:
    """Lines and whole money of the orders."""
    rows = result.rows("orders")
    return len(rows), sum(row["amount"] for row in rows) // 10_000


def test_two_articles_at_one_price_in_one_order_are_two_lines(tmp_path: Path) -> None:
    result = ingested(tmp_path, {"orders.csv": csv(GREEN, BLUE, SCARF, head=HEAD)}, SQL)
    assert spent(result) == (3, 175)
    assert result.account["tables"]["orders"]["exact_duplicates"] == 0


def test_a_row_equal_in_all_columns_of_the_file_is_a_copy(tmp_path: Path) -> None:
    rows = (GREEN, BLUE, SCARF, GREEN, BLUE)
    result = ingested(tmp_path, {"orders.csv": csv(*rows, head=HEAD)}, SQL)
    assert spent(result) == (3, 175)
    assert result.account["tables"]["orders"]["exact_duplicates"] == 2


@pytest.mark.parametrize(
    ("second", "expected"),
    [((BLUE, GREEN), (3, 175)), ((GREEN,), (3, 175)), ((OTHER,), (4, 245))],
    ids=["the whole order", "a line of it", "another line of it"],
)  # fmt: skip
def test_an_order_in_a_second_file_counts_once(
    tmp_path: Path, second: tuple[str, ...], expected: tuple[int, int]
) -> None:
    files = {
        "orders/a.csv": csv(GREEN, BLUE, SCARF, head=HEAD),
        "orders/b.csv": csv(*second, head=HEAD),
    }
    assert spent(ingested(tmp_path, files, SQL)) == expected


def test_an_order_exported_again_with_other_words_counts_once(tmp_path: Path) -> None:
    renamed = [row.replace("Top", "Shirt") for row in (GREEN, BLUE)]
    files = {
        "orders/a.csv": csv(GREEN, BLUE, SCARF, head=HEAD),
        "orders/b.csv": csv(*renamed, head=HEAD),
    }
    assert spent(ingested(tmp_path, files, SQL)) == (3, 175)


def test_many_lines_beside_their_equal_stop_the_run(tmp_path: Path) -> None:
    pieces = [GREEN, GREEN, BLUE, GREEN, SCARF]
    limits = {**SETTINGS["plausible"], "repeated_lines": 0.03}
    with pytest.raises(InputError, match=r"E_LINES_REPEATED orders.csv:3 invoice .*2 of 5 lines"):
        ingested(tmp_path, {"orders.csv": csv(*pieces, head=HEAD)}, SQL, plausible=limits)
    number = "row_number() over (partition by invoice order by source_line) as line_id"
    numbered = SQL.replace("sku from", f"sku, {number} from")
    file = {"orders.csv": csv(*pieces, head=HEAD)}
    assert spent(ingested(tmp_path, file, numbered, plausible=limits)) == (5, 315)
