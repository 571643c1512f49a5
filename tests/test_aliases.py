"""Several ids of one customer: merged cards, guests, chains, objections."""

from pathlib import Path
from typing import Any

import pytest
from raw_shop import Ingested, csv, ingested

from pipeline.runtime.errors import InputError

HEAD = "customer_id,canonical_id,recorded_at"
ORDERS = csv(
    "card1,O1,2026-01-05T10:00:00,A,tea,1,1.00",
    "card2,O2,2026-01-07T10:00:00,A,tea,1,2.00",
    "ann,O3,2026-01-09T10:00:00,A,tea,1,3.00",
    "bob,O4,2026-01-10T10:00:00,A,tea,1,4.00",
)
CHAIN = ("card1,card2,2026-01-06", "card2,ann,2026-01-08")


def merged(folder: Path, *aliases: str, **files: str) -> Ingested:
    tables: dict[str, Any] = {"orders.csv": ORDERS, "aliases.csv": csv(*aliases, head=HEAD)}
    return ingested(folder, {**tables, **{f"{name}.csv": text for name, text in files.items()}})


def orders_of(result: Ingested) -> dict[str, int]:
    ids = {row["customer"]: row["customer_id"] for row in result.rows("customers")}
    counts = dict.fromkeys(sorted(ids.values()), 0)
    for row in result.rows("orders"):
        counts[ids[row["customer"]]] += 1
    return counts


def test_a_chain_of_merges_gives_one_customer_and_is_counted(tmp_path: Path) -> None:
    result = merged(tmp_path, *CHAIN)
    assert orders_of(result) == {"ann": 3, "bob": 1}
    counted = {"ids": 2, "in_chains": 1, "customers": 1, "rows": {"orders": 2}}
    assert result.account["aliases"] == counted
    assert result.events.read("aliases.parquet").to_pylist() == [
        {"customer_id": "card1", "canonical_id": "ann"},
        {"customer_id": "card2", "canonical_id": "ann"},
    ]


def test_a_merge_recorded_after_the_data_end_is_not_known(tmp_path: Path) -> None:
    result = merged(tmp_path, "card1,ann,2026-01-10T23:00:00", "bob,ann,2026-01-11T00:00:00")
    assert orders_of(result) == {"ann": 2, "bob": 1, "card2": 1}
    assert result.account["tables"]["aliases"]["out_of_window"] == 1


def test_the_newest_record_holds_and_one_that_names_the_id_itself_undoes_a_merge(
    tmp_path: Path,
) -> None:
    again = ("card1,ann,2026-01-06", "card1,card1,2026-01-07", "bob,ann,2026-01-06")
    result = merged(tmp_path, *again, "bob,card2,2026-01-08")
    assert orders_of(result) == {"ann": 1, "card1": 1, "card2": 2}


def test_aliases_that_lead_in_a_circle_stop_the_run_at_the_first(tmp_path: Path) -> None:
    circle = ("bob,ann,2026-01-06", *CHAIN, "ann,card1,2026-01-09")
    with pytest.raises(InputError, match=r"E_ALIAS_CYCLE aliases\.csv:2 canonical_id — 4 aliases"):
        merged(tmp_path, *circle)


def test_ids_that_are_whole_numbers_merge_as_well(tmp_path: Path) -> None:
    sql = """create view orders as select customer_id::int as customer_id, order_id, ordered_at
            from raw.orders;
        create view aliases as select customer_id::int as customer_id, canonical_id::bigint
            as canonical_id, recorded_at from raw.aliases"""
    head = "customer_id,order_id,ordered_at"
    files = {
        "orders.csv": csv("1,O1,2026-01-05", "2,O2,2026-01-06", head=head),
        "aliases.csv": csv("2,1,2026-01-06", head=HEAD),
    }
    assert orders_of(ingested(tmp_path, files, sql)) == {"1": 2}


def test_an_objection_under_any_of_the_ids_holds_for_the_customer(tmp_path: Path) -> None:
    customers = csv(
        *("card1,2026-01-01,true", "card2,2026-01-01,", "ann,2026-01-03,false", "bob,2026-01-01,"),
        head="customer_id,created_at,profiling_objection",
    )
    suppressions = csv("card2,contact,2026-01-05", head="customer_id,scope,since")
    result = merged(tmp_path, *CHAIN, customers=customers, suppressions=suppressions)
    assert [tuple(row.values())[1:] for row in result.rows("customers")] == [
        ("ann", 20_454, True, True),
        ("bob", 20_454, False, False),
    ]
    account = result.account["tables"]["customers"]
    assert (account["rows_in"], account["accepted"], account["merged"]) == (4, 2, 2)


@pytest.mark.parametrize("erased", ["card2", "ann"])
def test_an_erasure_under_any_of_the_ids_takes_all_rows(tmp_path: Path, erased: str) -> None:
    ids = ("card1", "card2", "ann", "bob")
    rows = [f"{name},2026-01-01,{'2026-01-09' if name == erased else ''}" for name in ids]
    customers = csv(*rows, head="customer_id,created_at,erased_at")
    assert orders_of(merged(tmp_path, *CHAIN, customers=customers)) == {"bob": 1}
