"""An invoice credited and billed again within days is one purchase."""

from pathlib import Path

import pytest
from raw_shop import csv, ingested

FIRST = "ann,O1,2026-01-05T10:00:00,A,tea,1,40.00"
AGAIN = "ann,O2,2026-01-09T10:00:00,A,tea,1,40.00"
OTHERS = ("ann,O3,2026-02-01T10:00:00,A,tea,1,40.00", "bob,O4,2026-01-09T10:00:00,A,tea,1,40.00")
HEAD = "return_id,customer_id,order_id,sku,quantity,net_amount,returned_at,reason"
CREDIT = "R1,ann,O1,A,1,40.00,2026-01-07T10:00:00,"


def purchases(folder: Path, *orders: str, credit: str = CREDIT) -> tuple[int, int, int]:
    """Ann's and Bob's order lines that count, returns that count, and rows that were rebilled."""
    files = {"orders.csv": csv(*orders, *OTHERS), "returns.csv": csv(credit, head=HEAD)}
    result = ingested(folder, files)
    tables = result.account["tables"]
    rebilled = sum(tables[name].get("rebilled", 0) for name in ("orders", "returns"))
    return tables["orders"]["accepted"], tables["returns"]["accepted"], rebilled


def test_the_credit_and_the_second_order_are_left_out_and_the_first_stays(tmp_path: Path) -> None:
    assert purchases(tmp_path, FIRST, AGAIN) == (3, 0, 2)


def test_an_order_of_several_lines_is_rebilled_as_a_whole(tmp_path: Path) -> None:
    split = [line.replace("40.00", "20.00").replace(",A,", f",{s},") for line in (FIRST, AGAIN)
             for s in "AB"]  # fmt: skip
    assert purchases(tmp_path, *split) == (4, 0, 3)


@pytest.mark.parametrize(
    ("again", "credit"),
    [
        (AGAIN.replace("-09", "-11"), CREDIT),
        (AGAIN.replace("-09", "-06"), CREDIT),
        (AGAIN.replace("40.00", "39.00"), CREDIT),
        (AGAIN.replace("ann", "bob"), CREDIT),
        (AGAIN, CREDIT.replace("40.00", "20.00")),
        (AGAIN, CREDIT + "defect"),
    ],
    ids=[
        "days later",
        "before the credit",
        "another amount",
        "another customer",
        "a part",
        "goods",
    ],
)
def test_any_other_order_after_a_return_is_a_purchase(
    tmp_path: Path, again: str, credit: str
) -> None:
    assert purchases(tmp_path, FIRST, again, credit=credit) == (4, 1, 0)


def test_a_credit_that_names_no_order_is_of_the_order_with_its_amount(tmp_path: Path) -> None:
    assert purchases(tmp_path, FIRST, AGAIN, credit=CREDIT.replace("O1", "")) == (3, 0, 2)
