"""The wishes of people are obeyed: no profile, no contact, and no list if that is in doubt."""

import datetime as dt
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import test_score
from frozen import params
from raw_shop import GOOD, csv, ingested

from features.catalogue import FEATURES
from features.columns import expand
from pipeline.delivery.audit import audit
from pipeline.inputs.contract import PROTECTED
from pipeline.inputs.suppressed import alike, suppressed_today
from pipeline.runtime.errors import ConfigError, InputError, QualityError
from pipeline.runtime.publishing import Published, publish
from pipeline.runtime.store import Folder, write
from pipeline.stages.assign import assign
from pipeline.stages.calibrate import calibrate
from pipeline.stages.extract import extract
from pipeline.stages.label import label

PARAMS = params()
AS_OF = "2026-01-10"
MIDNIGHT = dt.datetime(2026, 1, 10, tzinfo=dt.UTC).timestamp()


def stages_of(folder: Path, objectors: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Features, life cycle and labels of a shop of forty customers."""
    ids = [f"C{i:02}" for i in range(40)]
    orders = [
        f"{name},{name}-{day},{dt.date(2025, 1, 1) + dt.timedelta(days=day)},A,tea,1,9.99"
        for i, name in enumerate(ids)
        for day in range(i % 7, 360, 10 + i % 5)
    ]
    people = [f"{name},2025-01-01,{str(name in objectors).lower()}" for name in ids]
    files = {
        "orders.csv": csv(*orders),
        "customers.csv": csv(*people, head="customer_id,created_at,profiling_objection"),
    }
    settings = PARAMS.calibrate.model_copy(update={"default_ipt_days": 12.0})
    given: dict[str, Any] = {"closed": [], "events": ingested(folder, files).events}
    for stage in (calibrate, extract, label, assign):
        own = settings if stage is calibrate else getattr(PARAMS, stage.__name__, None)
        names = inspect.signature(stage).parameters
        arguments = {
            n: given.get(n, own if n == "params" else getattr(PARAMS, n, None)) for n in names
        }
        returned = stage(**arguments)
        for name, value in returned.items() if isinstance(returned, dict) else returned:
            given[name] = list(value) if isinstance(value, Iterator) else value
    tables = ("features", "labels", "lifecycle")
    return {n: [row for _, t in given[n] for row in t.to_pylist()] for n in tables} | {
        "calibration": [given["calibration"]],
        "stage_counts": given["stage_counts"].to_dict("records"),
    }


def test_who_objects_to_profiling_leaves_no_trace_in_any_number_of_the_shop(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with_them = stages_of(tmp_path / "a", {"C03", "C17"})
    for name in ("features", "labels", "lifecycle"):
        ids = {row["customer_id"] for row in with_them[name]}
        assert len(ids) == 38
        assert not ids & {"C03", "C17"}
    counts = with_them["stage_counts"]
    newest = [row["customers"] for row in counts if row["as_of"] == counts[-1]["as_of"]]
    assert sum(newest) == 38


def test_a_shop_in_which_everybody_objects_ends_without_rows_and_without_a_traceback(
    tmp_path: Path,
) -> None:
    made = stages_of(tmp_path, {f"C{i:02}" for i in range(40)})
    assert made["features"] == made["labels"] == made["lifecycle"] == []
    assert made["calibration"][0]["gaps"] == 0


@pytest.mark.parametrize("column", ["sex", "birth_date", "nationality", "postcode"])
def test_a_protected_attribute_is_refused_as_an_input(tmp_path: Path, column: str) -> None:
    customers = csv("C1,2026-01-01,x", head=f"customer_id,created_at,{column}")
    with pytest.raises(InputError, match=f"E_PROTECTED .*customers.{column}"):
        ingested(tmp_path, {"orders.csv": csv(GOOD), "customers.csv": customers})


def test_no_feature_is_a_protected_attribute() -> None:
    assert not {column.name for column in expand(FEATURES, PARAMS.windows)} & PROTECTED


@pytest.mark.parametrize("rows", [[], ["X1,all,2026-01-05", "C2,all,2026-01-05"]])
def test_suppressions_that_name_no_customer_stop_the_run(tmp_path: Path, rows: list[str]) -> None:
    suppressions = csv(*rows, head="customer_id,scope,since")
    with pytest.raises(QualityError, match=f"E_SUPPRESSIONS .* not one of {len(rows)}") as refused:
        ingested(tmp_path, {"orders.csv": csv(GOOD), "suppressions.csv": suppressions})
    assert refused.value.exit_code == 4
    assert "C2" not in str(refused.value)


def test_a_suppression_of_an_unknown_customer_beside_a_known_one_is_counted(tmp_path: Path) -> None:
    suppressions = csv("C1,all,2026-01-05", "C2,all,2026-01-05", head="customer_id,scope,since")
    result = ingested(tmp_path, {"orders.csv": csv(GOOD), "suppressions.csv": suppressions})
    assert result.codes("suppressions") == {"E_SUPPRESSED_UNKNOWN": 1}


def test_a_suppression_of_an_unknown_customer_stops_the_run_by_default(tmp_path: Path) -> None:
    suppressions = csv("C1,all,2026-01-05", "C2,all,2026-01-05", head="customer_id,scope,since")
    files = {"orders.csv": csv(GOOD), "suppressions.csv": suppressions}
    limits = PARAMS.ingest.quarantine_limit
    with pytest.raises(QualityError, match=r"E_SUPPRESSED_UNKNOWN suppressions\.csv:3") as refused:
        ingested(tmp_path, files, quarantine_limit=limits)
    assert "C2" not in str(refused.value)


def test_an_opt_out_in_another_spelling_is_named_before_all_unknown_ones(tmp_path: Path) -> None:
    orders = csv("00123,O9,2026-01-05T10:00:00,A,tea,1,9.99", GOOD)
    suppressions = csv("C1", "123", "C7", head="customer_id")
    files = {"orders.csv": orders, "suppressions.csv": suppressions}
    near = r"^E_SUPPRESSIONS suppressions\.csv:3 customer_id — 1 suppressions name .* spelling only"
    with pytest.raises(QualityError, match=near):
        ingested(tmp_path, files, quarantine_limit=PARAMS.ingest.quarantine_limit)


def today(folder: Path, text: str, hours: float = 1) -> dict[str, bool]:
    write(folder / "optout.csv", text)
    os.utime(folder / "optout.csv", (0, MIDNIGHT - hours * 3600))
    privacy = PARAMS.privacy.model_copy(update={"suppressions": "optout.csv"})
    return suppressed_today(
        ["ann@example.com", "00123", "x"], AS_OF, "UTC", privacy, folder, {"old-card": "x"}
    )


def test_suppressions_are_read_again_and_match_ids_alike(tmp_path: Path) -> None:
    text = "\ufeffcustomer_id;scope\nANN@example.com;all\n123.0;profiling\n"
    assert today(tmp_path, text) == {"ann@example.com": False, "00123": True}
    assert alike("0") == "0"


@pytest.mark.parametrize(
    ("text", "hours", "rule"),
    [
        ("customer_id,scope\nx,all\n", 25, "25 hours older"),
        ("customer_id,scope\n", 1, "not one of its 0 ids"),
        ("customer_id,scope\nnobody,all\n", 1, "not one of its 1 ids"),
    ],
)
def test_a_list_is_not_published_while_suppressions_are_in_doubt(
    tmp_path: Path, text: str, hours: float, rule: str
) -> None:
    with pytest.raises(QualityError, match=rule) as refused:
        today(tmp_path, text, hours)
    assert refused.value.exit_code == 4


def test_a_configured_file_of_suppressions_that_is_missing_stops_the_list(tmp_path: Path) -> None:
    privacy = PARAMS.privacy.model_copy(update={"suppressions": "gone.csv"})
    with pytest.raises(QualityError, match=r"gone\.csv — the file of suppressions is missing"):
        suppressed_today(["x"], AS_OF, "UTC", privacy, tmp_path, {})


def test_an_objection_since_the_last_data_is_obeyed_in_the_list_of_today(tmp_path: Path) -> None:
    path = tmp_path / "optout.csv"
    write(path, "customer_id,scope\nc0006,contact\nc0007,profiling\n")
    privacy = PARAMS.privacy.model_copy(update={"suppressions": "optout.csv"})
    lists = test_score.publish(tmp_path, "model", privacy)
    scored = {row["customer_id"]: row for row in Folder(lists).read("scored.parquet").to_pylist()}
    assert scored["c0006"]["contact"] == "do_not_contact"
    assert "c0007" not in scored
    for people in lists.glob("*.csv"):
        assert "c0006" not in people.read_text()
        assert "c0007" not in people.read_text()


def test_an_audit_compares_groups_and_shows_none_of_fewer_than_ten(tmp_path: Path) -> None:
    lists = tmp_path / "data" / "lists"
    with pytest.raises(ConfigError, match=r"E_STAGE data/calibration.json .* `make repro`"):
        audit(tmp_path / "people.csv", tmp_path)
    ids = [f"c{i}" for i in range(105)]
    contact = ["call" if i % 4 == 0 and i < 50 else "none" for i in range(105)]
    frame = pd.DataFrame({"customer_id": ids, "contact": contact, "risk": 0.5, "reason": None,
                          "as_of": dt.date(2026, 1, 1), "queue": "q", "stage": "core"})  # fmt: skip
    about = {"snapshot": "2026-01-01", "shop": "demo"}
    publish(lists, Published({"scored.parquet": frame}, about), PARAMS.lists)
    write(tmp_path / "data" / "calibration.json", {"horizon_days": 30, "data_end": "2026-01-01"})
    ingested(tmp_path, {"orders.csv": csv(GOOD)})
    (tmp_path / "events").rename(tmp_path / "data" / "events")
    groups = ["a" if i < 50 else "b" if i < 100 else "c" for i in range(105)]
    table = "\n".join(f"{name};{group}" for name, group in zip(ids, groups, strict=True))
    write(tmp_path / "people.csv", f"customer_id;sex\n{table}\n")
    report = audit(tmp_path / "people.csv", tmp_path)["attributes"]["sex"]
    shares = {entry["group"]: entry["share"] for entry in report["called"]["groups"]}
    assert shares == {"a": 13 / 50, "b": 0.0}
    assert report["called"]["gap"] == 0.26
    assert report["called_of_churned"] == {"groups": [], "gap": None}
    with pytest.raises(InputError, match="no column but customer_id"):
        write(tmp_path / "people.csv", "customer_id\nc1\n")
        audit(tmp_path / "people.csv", tmp_path)
