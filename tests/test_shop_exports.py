"""Exports of known shop systems: `init` recognises them, and `ingest` takes the right rows."""

from pathlib import Path
from typing import Any

import pytest
from frozen import project
from own_files import text
from test_init import taken

from pipeline.inputs.init.command import init
from pipeline.inputs.init.questions import Answers

SHOPIFY = "|".join(
    [
        *("Name", "Email", "Financial Status", "Currency", "Subtotal", "Shipping", "Total"),
        *("Discount Amount", "Created at", "Lineitem quantity", "Lineitem name"),
        *("Lineitem price", "Lineitem sku", "Cancelled at", "Refunded Amount"),
    ]
)
WOO = (
    "Order Number|Order Status|Order Date|Email (Billing)|Order Refund Amount|"
    "Cart Discount Amount|SKU|Item Name|Quantity|Item Cost"
)
AT = "2024-01-05 10:00:00 -0500"
# the export, then what it holds: customers, orders, spend, returned, cancelled lines
Case = tuple[str, str, list[list[str]], tuple[int, int, float, float, int]]
EXPORTS: dict[str, Case] = {
    "Shopify": (
        "EUR",
        SHOPIFY,
        [
            # two lines, 10.00 off 60.00, refunded whole with 5.00 of postage
            [*("#1", "A@x.org", "refunded", "EUR", "50.00", "5.00", "55.00", "10.00"),
             AT, "2", "Tea", "20.00", "T1", "", "55.00"],
            [*("#1", "A@x.org", "", "", "", "", "", ""), AT, "1", "Mug", "20.00", "M1", "", ""],
            [*("#2", "a@x.org ", "paid", "EUR", "20.00", "5.00", "25.00", "0.00"),
             "2024-03-05 10:00:00 -0500", "1", "Tea", "20.00", "T1", "", "0.00"],
            [*("#3", "b@x.org", "voided", "EUR", "20.00", "5.00", "25.00", "0.00"),
             AT, "1", "Tea", "20.00", "T1", "2024-01-06 10:00:00 -0500", "0.00"],
            # nobody paid, and nobody cancelled
            [*("#5", "b@x.org", "voided", "EUR", "20.00", "5.00", "25.00", "0.00"),
             AT, "1", "Tea", "20.00", "T1", "", "0.00"],
            # two equal lines are two pieces
            [*("#4", "b@x.org", "paid", "EUR", "40.00", "5.00", "45.00", "0.00"),
             AT, "1", "Tea", "20.00", "T1", "", "0.00"],
            [*("#4", "b@x.org", "", "", "", "", "", ""), AT, "1", "Tea", "20.00", "T1", "", ""],
        ],
        (2, 5, 150.0, 50.0, 2),
    ),
    "WooCommerce": (
        "EUR",
        WOO,
        [
            ["7", "completed", "2024-01-05 10:00", "A@x.org", "", "5", "T1", "Tea", "2", "10.00"],
            ["7", "completed", "2024-01-05 10:00", "A@x.org", "", "5", "M1", "Mug", "1", "5.00"],
            ["8", "failed", "2024-01-06 10:00", "a@x.org", "", "0", "T1", "Tea", "1", "10.00"],
            ["9", "completed", "2024-03-06 10:00", "a@x.org", "", "0", "T1", "Tea", "1", "10.00"],
        ],
        (1, 3, 40.0, 0.0, 1),
    ),
    "Magento": (
        "USD",
        "ID|Purchase Date|Grand Total (Base)|Status|Customer Email|Subtotal|Total Refunded",
        [
            ["1", "Jan 5, 2024 10:00:00 AM", "$45.00", "complete", "a@x.org", "$40.00", "$45.00"],
            ["2", "Jan 6, 2024 1:00:00 PM", "$1,045.00", "canceled", "A@x.org", "$1,040.00", ""],
            ["3", "Mar 6, 2024 1:00:00 PM", "$25.00", "complete", "b@x.org", "$20.00", ""],
        ],
        (2, 3, 1100.0, 40.0, 1),
    ),
    "Magento's table": (
        "USD",
        "entity_id|increment_id|state|customer_email|subtotal|discount_amount|grand_total|created_at",
        [
            ["1", "0001", "complete", "a@x.org", "40.0000", "-4.0000", "41.0000",
             "2024-01-05 10:00:00"],
            ["2", "0002", "canceled", "a@x.org", "40.0000", "0.0000", "45.0000",
             "2024-01-06 10:00:00"],
        ],
        (1, 2, 76.0, 0.0, 1),
    ),
    "Square": (
        "USD",
        "Date|Time|Category|Item|Qty|SKU|Gross Sales|Net Sales|Transaction ID|Event Type|"
        "Customer ID",
        [
            ["01/25/24", "10:00:00", "Tea", "Assam", "2.0", "", "$1,020.00", "$1,000.00", "X1",
             "Payment", "C1"],
            ["01/26/24", "11:00:00", "Tea", "Assam", "-1.0", "", "-$510.00", "-$500.00", "X2",
             "Refund", "C1"],
            ["03/26/24", "11:00:00", "Tea", "Assam", "1.0", "", "$10.00", "$10.00", "X3",
             "Payment", "C2"],
        ],
        (2, 2, 1010.0, 500.0, 0),
    ),
    "Stripe": (
        "EUR",
        "id|Created date (UTC)|Amount|Amount Refunded|Currency|Status|Customer ID|"
        "Refunded date (UTC)",
        [
            ["ch_1", "2024-01-05 10:00:00", "12.50", "2.50", "eur", "Paid", "cus_1",
             "2024-01-09 10:00:00"],
            ["ch_2", "2024-02-05 10:00:00", "7.00", "0.00", "eur", "Failed", "cus_1", ""],
            ["ch_3", "2024-03-05 10:00:00", "1,007.00", "0.00", "eur", "Paid", "cus_2", ""],
        ],
        (2, 2, 1019.5, 2.5, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", EXPORTS)
def test_the_export_of_a_shop_system_gives_its_orders_and_refunds(
    tmp_path: Path, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    currency, head, rows, expected = EXPORTS[system]
    project(tmp_path)
    path = tmp_path / "orders.csv"
    path.write_text(text(head, rows), encoding="utf-8")
    shop = init([path], Answers(yes=True, timezone="UTC", currency=currency), tmp_path)
    assert "an export of" in capsys.readouterr().out
    result = taken(tmp_path, shop)
    lines: list[dict[str, Any]] = result.rows("orders")
    assert (
        len(result.rows("customers")),
        len({line["order_id"] for line in lines}),
        sum(line["amount"] for line in lines) / 10_000,
        sum(line["amount"] for line in result.rows("returns")) / 10_000,
        sum(line["cancelled"] < 1 << 30 for line in lines),
    ) == expected


def test_a_list_of_opt_outs_beside_an_export_is_read(tmp_path: Path) -> None:
    _, head, rows, _ = EXPORTS["Shopify"]
    project(tmp_path)
    (tmp_path / "orders.csv").write_text(text(head, rows), encoding="utf-8")
    (tmp_path / "unsubscribed.csv").write_text("Email\nA@x.org\n", encoding="utf-8")
    files = [tmp_path / "orders.csv", tmp_path / "unsubscribed.csv"]
    shop = init(files, Answers(yes=True, timezone="UTC", currency="EUR"), tmp_path)
    assert len(taken(tmp_path, shop).rows("suppressions")) == 1
