"""Returns above what was bought: quarantined by their order, counted and limited without one."""

from pathlib import Path

import pytest
from frozen import params
from raw_shop import Ingested, csv, ingested

from pipeline.runtime.errors import InputError

LIMITS = params().ingest.plausible.model_dump()
SOLD = csv(
    "C1,O1,2026-01-05,A,tea,2,20.00",
    "C1,O1,2026-01-05,B,tea,1,5.00",
    *(f"C2,O{n},2026-01-{n:02d},A,tea,1,9.99" for n in range(6, 26)),
    head="customer_id,order_id,ordered_at,sku,category,quantity,net_amount",
)
HEAD = "return_id,customer_id,order_id,sku,quantity,net_amount,returned_at"


def with_returns(folder: Path, *rows: str, **limits: float) -> Ingested:
    files = {"orders.csv": SOLD, "returns.csv": csv(*rows, head=HEAD)}
    return ingested(folder, files, plausible={**LIMITS, **limits})


def test_pieces_above_those_of_the_order_are_quarantined_with_their_place(tmp_path: Path) -> None:
    rows = ["R1,C1,O1,A,1,10,2026-01-10", "R2,C1,O1,A,1,10,2026-01-11", "R3,C1,O1,A,1,0,2026-01-12"]
    result = with_returns(tmp_path, *rows)
    assert result.quarantined("returns") == [("returns.csv", 4, "quantity", "E_RETURN_QUANTITY")]
    assert len(result.rows("returns")) == 2


def test_pieces_are_compared_with_the_order_where_the_product_is_not_named(tmp_path: Path) -> None:
    result = with_returns(tmp_path, "R1,C1,O1,,3,10,2026-01-10", "R2,C1,O1,,1,10,2026-01-11")
    assert result.codes("returns") == {"E_RETURN_QUANTITY": 1}


@pytest.mark.parametrize(("amount", "codes"), [("39.99", {}), ("40.01", {"E_RETURN_AMOUNT": 1})])
def test_a_refund_may_include_postage_but_not_twice_the_goods(
    tmp_path: Path, amount: str, codes: dict[str, int]
) -> None:
    assert with_returns(tmp_path, f"R1,C1,O1,A,2,{amount},2026-01-10").codes("returns") == codes


def test_goods_from_before_the_data_are_counted_and_refused_when_many(tmp_path: Path) -> None:
    bought = [f"R{n},C2,,A,1,9.99,2026-01-25" for n in range(6, 14)]
    result = with_returns(tmp_path, *bought, "R1,C1,,Z,1,5,2026-01-25")
    assert result.account["noted"]["returns"]["above_bought"] == 1
    assert len(result.rows("returns")) == 9
    with pytest.raises(InputError, match=r"E_RETURNS_UNBOUGHT returns.csv:10 quantity — 11% of"):
        with_returns(tmp_path, *bought, "R1,C1,,Z,1,5,2026-01-25", unbought=0.1)


def test_a_return_that_does_not_fit_takes_nothing_from_those_after_it(tmp_path: Path) -> None:
    typed = {"pieces": "R1,C1,O1,A,100,10,2026-01-10", "amount": "R1,C1,O1,A,1,1000,2026-01-10"}
    for name, row in typed.items():
        (tmp_path / name).mkdir()
        result = with_returns(tmp_path / name, row, "R2,C1,O1,A,2,20,2026-01-11")
        assert [line for _, line, *_ in result.quarantined("returns")] == [2], name
        assert len(result.rows("returns")) == 1, name
