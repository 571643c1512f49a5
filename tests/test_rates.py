"""Amounts in several currencies are converted by the newest rate of the day or before."""

from pathlib import Path

import pytest
from raw_shop import SETTINGS, csv, ingested

from pipeline.runtime.errors import InputError
from pipeline.runtime.sections import Ingest

HEAD = "customer_id,order_id,ordered_at,net_amount,currency"
ORDERS = csv(
    "C1,O1,2026-01-05T23:30:00,10.00,EUR",
    "C1,O2,2026-01-06T00:00:00,10.00,USD",
    "C1,O3,2026-01-07T09:00:00,10.00,USD",
    "C1,O4,2026-01-08T09:00:00,150000,JPY",
    head=HEAD,
)
RATES = ("USD,2026-01-07,0.5", "USD,2026-01-01,0.9", "JPY,2026-01-01,0.006")


def files(*rates: str, **more: str) -> dict[str, str]:
    tables = {"orders.csv": ORDERS, "rates.csv": csv(*rates, head="currency,on,rate")}
    return tables | {f"{name}.csv": text for name, text in more.items()}


def test_amounts_are_in_the_shops_currency_and_judged_in_it(tmp_path: Path) -> None:
    returns = csv(
        "R1,C1,O3,1,10.00,2026-01-08,",
        "R2,C1,,1,10.00,2026-01-08,",
        head="return_id,customer_id,order_id,quantity,net_amount,returned_at,currency",
    )
    result = ingested(tmp_path, files(*RATES, returns=returns))
    amounts = [row["amount"] / 10_000 for row in result.rows("orders")]
    assert amounts == [10, 9, 5, 900]
    assert [row["amount"] / 10_000 for row in result.rows("returns")] == [5, 10]
    assert result.account["tables"]["rates"]["accepted"] == 3


@pytest.mark.parametrize(
    ("rates", "error"),
    [
        (
            ("USD,2026-01-07,0.5", RATES[2]),
            r"E_RATE orders\.csv:3 currency — no rate of USD on or before 2026-01-06",
        ),
        ((*RATES, "CHF,2026-01-01,0"), r"E_RATE rates\.csv:5 rate — the rate is missing or not"),
        ((*RATES, "USD,2026-01-01,0.8"), r"E_DUPLICATE_ID rates\.csv:3 and rates\.csv:5 on"),
    ],
    ids=["missing", "zero", "two of one day"],
)
def test_a_rate_that_does_not_hold_stops_the_run(
    tmp_path: Path, rates: tuple[str, ...], error: str
) -> None:
    with pytest.raises(InputError, match=error):
        ingested(tmp_path, files(*rates), quarantine_limit={"default": 0.001})


def test_an_amount_that_does_not_fit_is_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="max_amount"):
        Ingest.model_validate({**SETTINGS, "max_amount": 1e18})
