"""Why to call: what changed, then the strongest indication; every number is a fact."""

import json
import re
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_shop
from frozen import ROOT, params

from models.reasons.catalogue import REASONS
from models.settings import Language
from pipeline.delivery.dates import MONTHS
from pipeline.delivery.drivers import DRIVER
from pipeline.delivery.explanations import texts
from pipeline.delivery.indications import UNKNOWN
from pipeline.delivery.why import strongest
from pipeline.runtime.playbook import read_playbook

PARAMS, LANGUAGES = params(), get_args(Language)
PLAYBOOK = read_playbook(ROOT, PARAMS.score.action_characters)


@pytest.fixture(scope="module")
def lifecycle(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """A row of data/lifecycle for each of thirty customers; each reason has some of them."""
    folder = tmp_path_factory.mktemp("shop")
    frame = small_shop.rows(30, 1.0)
    frame = frame[frame["snapshot"].astype(str) == small_shop.DATA_END]
    small_shop.write(folder, frame.reset_index(drop=True))
    return pq.read_table(folder / "lifecycle" / "part-000.parquet")


def written(
    rows: pa.Table, language: str = "en", risk: float = 0.48, chance: float = np.nan, **driver: str
) -> list[dict[str, Any]]:
    """The texts of these rows, with the reason that their evidence names."""
    reason = pa.array(strongest(rows, PARAMS.reasons)["reason"])
    columns = {
        "queue": ["core_care"] * len(rows),
        "reason": reason,
        "risk": np.full(len(rows), risk),
        "chance": np.full(len(rows), chance),
        "category_change": pa.nulls(len(rows), pa.string()),
        "limit_on": pa.nulls(len(rows), pa.date32()),
        **{name: pa.array([driver.get(name)] * len(rows), pa.string()) for name in DRIVER},
    }
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values))
    made = texts(rows, PARAMS.assign, 20.0, PLAYBOOK, language)
    return list(made.append_column("reason", reason).to_pylist())


def with_evidence(rows: pa.Table, reason: str) -> pa.Table:
    """The same rows with strong evidence of this reason alone."""
    facts = {"day": rows["snapshot"], "number": 9, "ratio": 0.6, "text": "X-1"}
    for name in rows.column_names:
        place = rows.column_names.index(name)
        if name.startswith("evidence_"):
            level = np.full(len(rows), 0.9 if name == f"evidence_{reason}" else 0.0)
            rows = rows.set_column(place, name, pa.array(level))
        elif name.startswith(f"{reason}_"):
            kind = rows[name].type
            number = facts["number"] if pa.types.is_integer(kind) else facts["ratio"]
            value = number if pa.types.is_primitive(kind) else facts["text"]
            if name.endswith("_on"):
                values = facts["day"].cast(pa.date32())
            elif name.endswith("_kind"):
                first = {"unrepaired": "return", "service_failure": "never_delivered"}[reason]
                values = pa.array([first] * len(rows))
            else:
                values = pa.array([value] * len(rows))
            rows = rows.set_column(place, name, values)
    return rows


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", REASONS)
def test_every_number_and_date_in_why_is_a_fact_of_the_customer(
    lifecycle: pa.Table, reason: str, language: str
) -> None:
    day = "|".join(MONTHS[language].split())
    for row in written(with_evidence(lifecycle, reason), language):
        values = json.loads(row["facts"])
        known = {str(value) for value in values.values()}
        for text in re.findall(rf"(\d+)[.º]? ({day}) (\d{{4}})", row["why"]):
            month = MONTHS[language].split().index(text[1]) + 1
            assert f"{text[2]}-{month:02d}-{int(text[0]):02d}" in known, row["why"]
        left = re.sub(rf"\d+[.º]? ({day}) \d{{4}}|X-1", "", row["why"])
        assert set(re.findall(r"\d+(?:\.\d+)?", left)) <= known, row["why"]
        assert row["reason"] == reason


@pytest.mark.parametrize("reason", REASONS)
def test_without_the_evidence_why_no_longer_gives_the_indication(
    lifecycle: pa.Table, reason: str
) -> None:
    there = with_evidence(lifecycle, reason)
    place = there.column_names.index(f"evidence_{reason}")
    gone = there.set_column(place, f"evidence_{reason}", pa.array(np.full(len(there), 0.29)))
    for before, after in zip(written(there), written(gone), strict=True):
        assert " Indication: " in before["why"]
        assert after["reason"] == "other_unknown"
        assert after["why"].endswith(" No recorded cause; risk 48 %.")
        assert f"{reason}_" not in after["facts"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_reason_why_names_the_driver_with_its_value_and_the_median(
    lifecycle: pa.Table, language: str
) -> None:
    driver = {"driver": "spend so far", "driver_value": "12", "driver_median": "34"}
    for row in written(with_evidence(lifecycle, "none of them"), language, **driver):
        known = json.loads(row["facts"])
        assert {name: known[name] for name in DRIVER} == driver
        stage = known["stage"].replace("_", " ")
        assert re.search(rf" 48 %, .+: spend so far, 12 \(.+ in {stage}: 34\)\.$", row["why"])
    for row in written(with_evidence(lifecycle, "boredom"), language, **driver):
        assert "spend so far" not in row["why"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reason_is_an_indication_and_never_a_because(lifecycle: pa.Table, language: str) -> None:
    for reason in REASONS:
        for row in written(with_evidence(lifecycle, reason), language):
            assert re.search("Indication: |Hinweis: |Indizio: ", row["why"])
            assert not re.search("(?i)because|weil|perch", row["why"])


def test_why_ends_with_the_chance_of_a_customer_who_has_one(lifecycle: pa.Table) -> None:
    ends = {"en": "purchase 31 %.", "de": "Kauf 31 %.", "it": "acquisto 31 %."}
    for language in LANGUAGES:
        for row in written(lifecycle, language, risk=np.nan, chance=0.312):
            assert row["why"].endswith(ends[language])
            assert json.loads(row["facts"])["chance_percent"] == 31


def test_without_risk_and_evidence_no_cause_is_recorded(lifecycle: pa.Table) -> None:
    rows = with_evidence(lifecycle, "none of them")
    for language in LANGUAGES:
        for row in written(rows, language, risk=np.nan):
            assert row["why"].endswith(UNKNOWN[language])


def test_a_fact_that_the_shop_does_not_record_leaves_a_dash_and_no_empty_text(
    lifecycle: pa.Table,
) -> None:
    rows = with_evidence(lifecycle, "unrepaired")
    place = rows.column_names.index("unrepaired_id")
    rows = rows.set_column(place, "unrepaired_id", pa.nulls(len(rows), pa.string()))
    assert all(" Indication: Return – of " in row["why"] for row in written(rows))
