"""The list: its columns, its order, whom it names and whom it must not name."""

import datetime as dt
import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_shop
from faults import everything
from frozen import ROOT, params, project

from features.records import NEVER
from models.decision.control import control_share, customers_needed, held_out
from models.decision.queues import QUEUES
from models.decision.worklist import contacts, ranked, stakes, values
from models.settings import CallWhen
from pipeline.delivery.lists import money_of
from pipeline.delivery.schema import (
    BY_HAND,
    CALL_LIST,
    CATEGORIES,
    EXPLANATIONS,
    FOR_PEOPLE,
    SCORED,
    Output,
    arrow_schema,
    fill,
    with_segments,
)
from pipeline.delivery.spreadsheet import safe_table
from pipeline.runtime import publishing, store
from pipeline.runtime.errors import ConfigError, ModelError
from pipeline.runtime.runner import run_stage
from pipeline.runtime.sections import Privacy
from pipeline.runtime.store import Folder
from pipeline.stages.score import score

PARAMS = params()
WHEN = PARAMS.score.call_when
NO_GROUND = {"overdue": False, "risk": None, "evidence": None}
NO_GROUND |= {"category_stopped": False, "chance": None}
# The columns that readers rely on: they stay, in this order. A new one may stand anywhere between.
CONTRACT = (
    "as_of customer_id queue stage activity stage_since risk risk_band rank rank_in_stage "
    "value_365d value_at_risk expected_profit contact reason evidence reason_2 evidence_2 why "
    "action last_purchase_on late_on lapses_on model_id"
).split()
PUBLISHED = with_segments(["segment_region"])
FILES = {"scored": PUBLISHED, "explanations": EXPLANATIONS, "categories": CATEGORIES}
DATES = {"as_of", "stage_since", "last_purchase_on", "late_on", "lapses_on"}
COUNTS = {"rank", "rank_in_stage"}
NUMBERS = {"risk", "value_365d", "value_at_risk", "expected_profit", "evidence", "evidence_2"}
OBJECTS, UNCONTACTABLE = "c0000", "c0001"
NOBODY = np.zeros(4, bool)
LISTED = 6  # the number of a core customer who is not in the control group


def events(folder: Path, ids: list[str]) -> Folder:
    """Customers: one objects to profiling, one to contact, one was listed before."""
    customers = pd.DataFrame(
        {"customer": np.arange(len(ids), dtype=np.int32), "customer_id": ids, "known": 0}
    )
    customers["do_not_contact"] = customers["customer_id"] == UNCONTACTABLE
    customers["profiling_objection"] = customers["customer_id"] == OBJECTS
    store.write(folder / "events" / "customers" / "part-000.parquet", customers)
    listed = pd.DataFrame(
        {
            "customer": np.array([LISTED], np.int32),
            "as_of": np.array([20300], np.int32),
            "queue": ["core_care"],
            "contact": ["call"],
            "done_on": np.array([NEVER], np.int32),
        }
    )
    store.write(folder / "events" / "treatments" / "part-000.parquet", listed)
    touches = {"customer": [2, 2], "day": [20000] * 2, "due": [20334, 20336], "met": [20300, NEVER]}
    store.write(
        folder / "events" / "touches" / "part-000.parquet", pd.DataFrame(touches).astype(np.int32)
    )
    regions = {"customer_id": ids[::2], "segment_region": ["north"] * len(ids[::2])}
    store.write(folder / "events" / "segments.parquet", pd.DataFrame(regions))
    store.write(
        folder / "events" / "meta.json",
        {"currency": "EUR", "timezone": "UTC", "tables": {"orders": ["net_amount"]}},
    )
    return Folder(folder / "events")


FORECASTS = {"timing": {"selected": "model"}, "value": {"selected": "bg_nbd_gamma_gamma"}}


def publish(folder: Path, verdict: str, privacy: Privacy = PARAMS.privacy) -> Path:
    frame = small_shop.rows(400, 2.0)
    folders, files = small_shop.trained(folder, frame, PARAMS.train)
    del folders["labels"]
    falls = small_shop.category_falls(OBJECTS, UNCONTACTABLE)
    store.write(folder / "category_falls.parquet", falls)
    shutil.copy(ROOT / "playbook.yaml", folder)
    outputs = score(
        **folders,
        events=events(folder, sorted(frame["customer_id"].unique())),
        model=small_shop.model_folder(folder, files),
        category_falls=falls,
        calibration=small_shop.calibration(),
        metrics={"verdict": verdict, "grade": "see the evaluation", **FORECASTS},
        shop="small",
        params=PARAMS.score,
        costs=PARAMS.costs,
        evaluate=PARAMS.evaluate,
        assign=PARAMS.assign,
        reasons=PARAMS.reasons,
        windows=PARAMS.windows,
        engine=PARAMS.engine,
        privacy=privacy,
        root=folder,
    )
    publishing.publish(folder / "lists", outputs["lists"], PARAMS.lists)
    return folder / "lists"


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("scored"), "model")


@pytest.fixture(scope="module")
def scored(lists: Path) -> pd.DataFrame:
    return pq.read_table(lists / "scored.parquet").to_pandas()


def test_the_files_have_the_columns_of_the_schema_and_those_that_readers_rely_on(
    lists: Path,
) -> None:
    schemas = {name: pq.read_schema(lists / f"{name}.parquet") for name in FILES}
    assert schemas == {name: arrow_schema(columns) for name, columns in FILES.items()}
    assert [name for name in schemas["scored"].names if name in CONTRACT] == CONTRACT
    types = {name: str(schemas["scored"].field(name).type) for name in CONTRACT}
    assert {name for name in CONTRACT if types[name] == "date32[day]"} == DATES
    assert {name for name in CONTRACT if types[name] == "int64"} == COUNTS
    assert {name for name in CONTRACT if types[name] == "double"} == NUMBERS
    of_driver = ["customer_id", "driver", "value", "contribution", "position", "facts"]
    assert [name for name in schemas["explanations"].names if name in of_driver] == of_driver


def test_every_column_is_filled(scored: pd.DataFrame) -> None:
    empty = {name for name in scored.columns if scored[name].isna().all()}
    assert empty == {"chance"}, "all customers of this shop have a risk"


def test_a_reason_is_published_with_its_evidence_and_other_unknown_without(
    scored: pd.DataFrame,
) -> None:
    assert set(scored["reason"]) == {"unrepaired", "competitor", "other_unknown"}
    unknown = scored["reason"] == "other_unknown"
    assert scored.loc[unknown, ["evidence", "reason_2", "evidence_2"]].isna().all().all()
    assert scored.loc[~unknown, "evidence"].ge(PARAMS.reasons.weak).all()
    second = scored["reason_2"].notna()
    assert (scored.loc[second, "reason"] != scored.loc[second, "reason_2"]).all()


def test_why_says_what_changed_and_then_the_indication_or_the_risk(scored: pd.DataFrame) -> None:
    by_reason = dict(scored.groupby("reason")["why"].first())
    beginnings = scored["why"].str.extract(r"^(\w+)")[0]
    assert set(beginnings) == {"Last", "75"}, "75 % less spent on tea"
    assert " Indication: Complaint K1 of " in by_reason["unrepaired"]
    unknown = scored.loc[scored["reason"] == "other_unknown", "why"]
    assert unknown.str.contains(r"; risk \d+ %\.$").any()
    driven = r"; risk \d+ %, raised by: .+, .+ \(median in core: .+\)\.$"
    assert unknown.str.contains(driven).any()


def test_the_action_belongs_to_the_reason_and_a_second_failure_is_for_a_manager(
    scored: pd.DataFrame, lists: Path
) -> None:
    actions = dict(scored.groupby("reason")["action"].first())
    assert "No discount before the repair." in actions["unrepaired"]
    assert "to them in tea, compare" in actions["competitor"]
    people = pd.read_csv(lists / "early_care.csv")
    managers = people[people["owner"] == "manager"]
    assert len(managers)
    assert set(managers["reason"]) == {"unrepaired"}


def test_a_column_that_nobody_fills_is_refused_by_name() -> None:
    for source in ("lifecycle.favourite_colour", "models.decision.worklist.stakes"):
        column = Output("colour", pa.string(), "name", "what they like", source)
        with pytest.raises(ConfigError, match=f"column colour .* {source}"):
            fill((*SCORED[1:2], column), {"customer_id": ["C1"]})


def test_a_new_column_is_one_entry_with_a_column_of_the_life_cycle_or_a_function() -> None:
    rows = pa.table({"customer_id": ["C1", "C2"], "core_since": [dt.date(2025, 1, 1), None]})
    columns = (
        Output("core_since", pa.date32(), "date", "first core day", "lifecycle.core_since"),
        Output("is_core", pa.bool_(), "flag", "core?", lambda t: t["core_since"].is_valid()),
    )
    assert fill(columns, rows).to_pydict() == {
        "core_since": [dt.date(2025, 1, 1), None],
        "is_core": [True, False],
    }


def test_every_source_is_a_column_of_the_life_cycle_or_a_function_that_exists(
    tmp_path: Path,
) -> None:
    lifecycle = small_shop.write(tmp_path, small_shop.rows(5, 1.0))["lifecycle"]
    names = {*lifecycle.read("part-000.parquet").column_names}
    for column in (*SCORED, *FOR_PEOPLE, *EXPLANATIONS, *CATEGORIES):
        if callable(column.source) or column.source == BY_HAND:
            continue
        module, _, name = column.source.rpartition(".")
        known = name in names if module == "lifecycle" else hasattr(import_module(module), name)
        assert known, f"{column.name}: {column.source}"


def test_a_shop_without_amounts_has_no_currency() -> None:
    tables = {"orders": ["customer_id", "order_id", "ordered_at", "net_amount"]}
    with_amounts = money_of({"currency": "EUR", "tables": tables})
    assert with_amounts == {"currency": "EUR", "value_unit": "EUR"}
    without = money_of(
        {"currency": "EUR", "timezone": "UTC", "tables": {"orders": tables["orders"][:-1]}}
    )
    assert without == {"currency": None, "value_unit": "pieces"}


def test_the_manifest_names_every_file_and_nothing_else_is_there(lists: Path) -> None:
    manifest = json.loads((lists / "manifest.json").read_text())
    latest = (lists / "latest").resolve()
    there = {str(p.relative_to(latest)) for p in latest.rglob("*") if p.is_file()}
    assert there == {*manifest["files"], "manifest.json"}
    names = ("reason_agreement.csv", "value_at_risk.csv", "what_if.parquet")
    assert there > {f"reports/{name}" for name in names}
    for name, named in manifest["files"].items():
        assert store.sha256(lists / name) == named["sha256"]
    assert {"snapshot", "currency", "model_id", "params_hash"} <= set(manifest)


def test_ranks_run_from_one_by_expected_profit_and_value(scored: pd.DataFrame) -> None:
    assert scored["rank"].tolist() == list(range(1, len(scored) + 1))
    assert scored["expected_profit"].clip(lower=0).is_monotonic_decreasing
    for _, stage in scored.groupby("stage"):
        assert stage["rank_in_stage"].tolist() == list(range(1, len(stage) + 1))


def test_value_at_risk_is_risk_times_value_within_the_horizon(scored: pd.DataFrame) -> None:
    expected = (scored["risk"] * scored["value_if_retained"] * small_shop.HORIZON / 365).round(2)
    assert scored["value_at_risk"].tolist() == pytest.approx(expected.tolist(), abs=0.0051)
    assert scored["risk"].between(0, 1).all()


def test_a_customer_who_objects_to_profiling_is_counted_and_stands_in_no_file(
    lists: Path, scored: pd.DataFrame
) -> None:
    manifest = json.loads((lists / "manifest.json").read_text())
    assert (manifest["customers"], manifest["profiling_objections"]) == (len(scored), 1) == (399, 1)
    assert OBJECTS not in set(scored["customer_id"])
    files = [p for p in (lists / "latest").resolve().rglob("*") if p.is_file()]
    assert files
    for path in files:
        assert OBJECTS.encode() not in path.read_bytes()


def test_a_customer_who_must_not_be_contacted_is_scored_and_never_called(
    scored: pd.DataFrame,
) -> None:
    spared = scored[scored["customer_id"] == UNCONTACTABLE]
    assert spared["contact"].tolist() == ["do_not_contact"]
    assert spared["risk"].notna().all()


def test_no_list_for_people_shows_the_control_group_or_who_must_not_be_contacted(
    lists: Path, scored: pd.DataFrame
) -> None:
    people = [pd.read_csv(lists / f"{queue}.csv", dtype=str) for queue in QUEUES]
    listed = scored[~scored["contact"].isin(["hold_out", "do_not_contact"])]
    assert {"hold_out", "do_not_contact"} < set(scored["contact"])
    assert sorted(pd.concat(people)["customer_id"]) == sorted(listed["customer_id"])


def test_lists_for_people_end_with_the_columns_that_people_fill_in(
    lists: Path, scored: pd.DataFrame
) -> None:
    people = pd.read_csv(lists / "core_care.csv", dtype=str, keep_default_na=False)
    assert list(people.columns) == [column.name for column in (*PUBLISHED, *FOR_PEOPLE)]
    assert list(people.columns)[-5:] == ["owner", "on_list_since", "decision", "done_on", "note"]
    assert set(people["owner"]) == {"account manager", "manager"}
    assert (people[["decision", "done_on", "note"]] == "").all().all()
    since = dict(zip(people["customer_id"], people["on_list_since"], strict=True))
    assert since.pop(f"c{LISTED:04d}") == "2025-07-31"
    assert set(since.values()) == {small_shop.DATA_END}


def test_segments_stand_in_all_lists_and_in_no_explanation(
    lists: Path, scored: pd.DataFrame
) -> None:
    even = scored["customer_id"].str[1:].astype(int) % 2 == 0
    assert set(scored.loc[even, "segment_region"]) == {"north"}
    assert scored.loc[~even, "segment_region"].isna().all()
    calls = pd.read_csv(lists / "call.csv", dtype=str)
    assert calls.columns[-1] == "segment_region"
    drivers = pq.read_table(lists / "explanations.parquet")["driver"].to_pylist()
    assert not [name for name in drivers if name and "segment" in name]


def test_the_strongest_drivers_stand_first(lists: Path, scored: pd.DataFrame) -> None:
    explained = pq.read_table(lists / "explanations.parquet").to_pandas()
    drivers = explained[explained["position"] > 0]
    assert set(drivers["customer_id"]) == set(scored["customer_id"])
    for _, own in drivers.groupby("customer_id"):
        assert own["position"].tolist() == list(range(1, PARAMS.score.drivers + 1))
        assert own["contribution"].abs().is_monotonic_decreasing
    assert drivers["driver"].isin(["mood", "weather"]).mean() > 0.3
    facts = explained[explained["position"] == 0]
    assert json.loads(facts["facts"].iloc[0])["stage"] in {"core", "early_repeat"}


def test_texts_and_explanations_do_not_depend_on_how_many_are_made_together(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.delivery.explanations.CHUNK", 7)
    together = {name: store.sha256(lists / f"{name}.parquet") for name in FILES}
    in_chunks = publish(tmp_path, "model")
    assert {name: store.sha256(in_chunks / f"{name}.parquet") for name in FILES} == together


def test_without_a_signal_nobody_is_scored_and_the_rules_still_publish(tmp_path: Path) -> None:
    unscored = pq.read_table(publish(tmp_path, "no_signal") / "scored.parquet").to_pandas()
    assert unscored["risk"].isna().all()
    assert unscored["model_id"].isna().all()
    assert set(unscored["contact"]) == {"none", "do_not_contact"}
    assert unscored["stage"].notna().all()


def test_the_list_uses_the_selected_baseline(tmp_path: Path, scored: pd.DataFrame) -> None:
    by_recency = pq.read_table(publish(tmp_path, "recency") / "scored.parquet").to_pandas()
    assert set(by_recency["model_id"]) != set(scored["model_id"])
    features = pq.read_table(tmp_path / "features" / "part-000.parquet").to_pandas()
    joined = by_recency.merge(features[features["snapshot"].astype(str) == small_shop.DATA_END])
    assert (
        joined.sort_values("recency_days")["risk"]
        .diff()
        .dropna()
        .mul(joined["risk"].corr(joined["recency_days"]))
        .ge(0)
        .all()
    )


def ready(**columns: Any) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "stage": "core",
            "queue": "core_care",
            "activity": "active",
            "chance": np.nan,
            "risk_band": "medium",
            "category_stopped": False,
            "evidence_band": "weak",
            "do_not_contact": False,
            "value_365d": [400.0, 300.0, 200.0, 100.0],
        }
    )
    rows = rows.assign(**{"since": 0, **columns})
    return rows.assign(value_if_retained=rows["value_365d"])


def test_only_the_profitable_are_called_and_no_more_than_the_capacity() -> None:
    rows = ready(risk=[0.5, 0.6, 0.7, 0.1], expected_profit=[9.0, 8.0, 7.0, -1.0])
    assert contacts(rows, WHEN, 0.5, NOBODY, NOBODY).tolist() == ["call", "call", "none", "none"]
    assert contacts(rows, WHEN, 1.0, NOBODY, NOBODY).tolist() == ["call", "call", "call", "none"]
    assert contacts(rows, WHEN, 1, NOBODY, NOBODY).tolist() == ["call", "none", "none", "none"]


@pytest.mark.parametrize(
    ("call_when", "ground"),
    [
        ({"overdue": True}, {"activity": "late"}),
        ({"risk": "medium"}, {"risk_band": "medium"}),
        ({"risk": "medium"}, {"risk_band": "high"}),
        ({"category_stopped": True}, {"category_stopped": True}),
        ({"evidence": "medium"}, {"evidence_band": "medium"}),
        ({"evidence": "medium"}, {"evidence_band": "strong"}),
        ({"chance": 0.2}, {"chance": 0.2}),
    ],
)
def test_whoever_has_no_ground_to_be_called_today_is_not_called_whatever_the_profit(
    call_when: dict[str, Any], ground: dict[str, Any]
) -> None:
    rows = ready(risk=[0.5] * 4, expected_profit=9.0, risk_band="low")
    rows.loc[[1, 3], [*ground]] = [*ground.values()]
    called = contacts(rows, CallWhen(**(NO_GROUND | call_when)), 4, NOBODY, NOBODY)
    assert called.tolist() == ["none", "call", "none", "call"]


def test_the_list_of_today_has_the_calls_of_all_queues_and_what_a_caller_needs_first(
    lists: Path, scored: pd.DataFrame
) -> None:
    calls = pd.read_csv(lists / "call.csv", dtype=str, keep_default_na=False)
    assert list(calls.columns) == [*CALL_LIST, "segment_region"]
    called = scored[scored["contact"] == "call"]
    assert calls["customer_id"].tolist() == called["customer_id"].tolist()
    assert set(called["risk_band"]) <= {"medium", "high"}, "nobody is overdue in this shop"


def test_the_place_of_a_customer_who_must_not_be_called_goes_to_the_next() -> None:
    rows = ready(
        risk=[0.5, 0.6, 0.7, 0.1],
        expected_profit=[9.0, 8.0, 7.0, -1.0],
        do_not_contact=[True, False, False, False],
    )
    assert contacts(rows, WHEN, 0.5, NOBODY, NOBODY).tolist() == [
        "do_not_contact",
        "call",
        "call",
        "none",
    ]


def test_the_control_group_stands_above_the_last_call_and_takes_nobodys_place() -> None:
    rows = ready(risk=[0.5, 0.6, 0.7, 0.1], expected_profit=[9.0, 8.0, 7.0, 6.0])
    control = np.array([True, False, False, True])
    assert contacts(rows, WHEN, 0.5, control, NOBODY).tolist() == [
        "hold_out",
        "call",
        "call",
        "none",
    ]
    assert contacts(rows, WHEN, 0.25, control, NOBODY).tolist() == [
        "hold_out",
        "call",
        "none",
        "none",
    ]


def test_a_customer_contacted_a_short_while_ago_is_neither_called_nor_withheld() -> None:
    rows = ready(risk=[0.5, 0.6, 0.7, 0.1], expected_profit=[9.0, 8.0, 7.0, 6.0])
    resting, control = np.array([True, False, False, False]), np.array([True, True, False, False])
    expected = ["none", "hold_out", "call", "call"]
    assert contacts(rows, WHEN, 0.5, control, resting).tolist() == expected


def test_the_control_group_is_the_same_all_period_and_another_in_the_next() -> None:
    ids, queues = [f"c{i}" for i in range(4000)], ["core_care"] * 4000
    first = held_out(ids, queues, 0.1, "1", 7)
    assert (held_out(ids[::-1], queues, 0.1, "1", 7)[::-1] == first).all()
    assert 0.08 < first.mean() < 0.12
    others = [
        held_out(ids, queues, 0.1, "2", 7),  # another key
        held_out(ids, ["early_care"] * 4000, 0.1, "1", 7),
        held_out(ids, queues, 0.1, "1", 8),
    ]
    for other in others:  # independent draws: one in a hundred is in both
        assert 0.003 < (other & first).mean() < 0.02
    assert held_out(ids, queues, 1.0, "1", 7).all()
    assert not held_out(ids, queues, 0.0, "1", 7).any()


def test_the_size_needed_gives_the_power_that_it_promises() -> None:
    size, share, risk, rate = customers_needed(0.5, 0.3, 0.2), 0.2, 0.5, 0.3
    random = np.random.default_rng(1)
    kept, called = round(size * share), size - round(size * share)
    control = random.binomial(kept, risk, 4000) / kept
    treated = random.binomial(called, risk * (1 - rate), 4000) / called
    error = np.sqrt(control * (1 - control) / kept + treated * (1 - treated) / called)
    assert ((control - treated) / error > 1.96).mean() == pytest.approx(0.8, abs=0.03)
    assert control_share(size, risk, rate, 0.05, 0.5) == pytest.approx(0.2, abs=0.011)
    assert control_share(10, risk, rate, 0.05, 0.3) == 0.3
    assert control_share(1e9, risk, rate, 0.05, 0.3) == 0.05
    assert customers_needed(0.5, 0.0, 0.1) == 0  # without an effect no size shows one


def test_customers_without_a_risk_follow_by_value() -> None:
    rows = ready(risk=[np.nan, 0.9, np.nan, 0.2])
    ordered = ranked(stakes(rows, 30, PARAMS.costs, (0.3, 0.6)))
    assert ordered["customer_id"].tolist() == ["b", "d", "a", "c"]
    assert ordered["risk_band"].tolist() == ["high", "low", None, None]


def test_every_queue_is_ordered_by_what_can_still_be_won_and_shares_one_capacity() -> None:
    rows = ready(
        customer_id=["core", "just lapsed", "long silent", "just bought"],
        queue=["core_care", "win_back", "second_purchase", "second_purchase"],
        risk=[0.4, np.nan, np.nan, np.nan],
        chance=[np.nan, 0.3, 0.01, 0.4],
        value_365d=[900.0, 900.0, 0.0, 60.0],
        since=[0, 1, 9, 2],
    )
    rows["since"] = rows["since"].iloc[::-1].to_numpy()  # the newest in its stage proves nothing
    ordered = ranked(stakes(rows, 30, PARAMS.costs, (0.3, 0.6)))
    assert ordered["customer_id"].tolist() == ["core", "just lapsed", "just bought", "long silent"]
    assert ordered["expected_profit"].notna().all()
    calls = contacts(ordered, WHEN, 2, NOBODY, NOBODY)
    assert calls.tolist() == ["call", "call", "none", "none"]


def test_prospects_are_worth_the_median_first_time_buyer_and_the_newest_stands_first() -> None:
    rows = ready(
        stage="prospect", risk=np.nan, yearly_spend=0.0, purchases_365d=0, since=[7, 9, 8, 3]
    )
    spent = {
        "yearly_spend": [0.0, 0.0, 0.0, 30.0, 40.0, 90.0],
        "purchases_365d": [0, 0, 0, 1, 1, 1],
    }
    worth = values(pd.concat([rows, pd.DataFrame({"stage": "first_time", **spent})]))
    assert worth[:4].tolist() == [40.0] * 4
    ordered = ranked(stakes(rows.assign(value_365d=worth[:4]), 30, PARAMS.costs, (0.3, 0.6)))
    assert ordered["customer_id"].tolist() == ["b", "c", "a", "d"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\0x"])
def test_a_spreadsheet_does_not_run_the_text_of_a_cell(text: str) -> None:
    cells = safe_table(pa.table({"customer_id": [text, "plain", None], "risk": [-0.5, None, 1]}))
    assert cells["customer_id"].to_pylist() == ["'" + text, "plain", None]
    assert cells["risk"].to_pylist() == [-0.5, None, 1]


def test_a_broken_model_ends_the_run_with_exit_code_5_and_leaves_the_list_as_it_was(
    lists: Path, tmp_path: Path
) -> None:
    shutil.copytree(lists.parent, tmp_path / "data", symlinks=True)
    project(tmp_path, "dvc.yaml", "shops", "playbook.yaml")
    store.write(tmp_path / "data" / "calibration.json", small_shop.calibration())
    store.write(
        tmp_path / "reports" / "metrics.json", {"verdict": "model", "grade": "see the evaluation"}
    )
    run_stage("score", tmp_path)
    last = everything(tmp_path / "data" / "lists")
    text, account = (
        tmp_path / "data" / "model" / "model.txt",
        tmp_path / "data" / "model" / "model.json",
    )
    sound = store.sha256(text)
    text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    account.write_text(account.read_text().replace(sound, store.sha256(text)))
    with pytest.raises(ModelError, match="E_MODEL_BROKEN model.txt") as refused:
        run_stage("score", tmp_path)
    assert refused.value.exit_code == 5
    assert everything(tmp_path / "data" / "lists") == last
