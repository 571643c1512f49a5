"""The drivers of a risk in words, and whether model and records agree."""

from string import Formatter
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from frozen import params

from features.catalogue import FEATURES
from models.reasons.catalogue import EVIDENCE_FEATURES, REASONS
from models.settings import Language
from pipeline.delivery.drivers import (
    AGREE,
    DISAGREE,
    WORDS,
    Explained,
    agreement,
    agreement_report,
    driver_columns,
    driver_texts,
    main_drivers,
    medians,
    reason_sums,
)

COLUMNS = driver_columns(params().windows)


def test_a_feature_speaks_for_a_reason_that_exists_or_for_none() -> None:
    named = {column.reason for column in COLUMNS.values()}
    assert named - {""} == set(REASONS)


def test_the_contributions_of_a_reason_are_those_of_its_evidence_and_of_its_features() -> None:
    terms = ["evidence_boredom", "same_item_run", "complaints_open", "recency_days", "unheard_of"]
    sums = reason_sums(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), terms, COLUMNS)[0]
    of_reason = dict(zip(REASONS, sums.tolist(), strict=True))
    assert of_reason == {
        "unrepaired": 4.0,
        "service_failure": 0.0,
        "competitor": 0.0,
        "boredom": 3.0,
    }


@pytest.mark.parametrize(
    ("added", "evidence", "expected"),
    [(0.1, 0.5, AGREE), (-0.1, 0.5, DISAGREE), (0.0, 0.9, DISAGREE), (0.1, 0.49, None)],
)
def test_strong_evidence_for_which_the_model_raises_no_risk_is_shown_as_disagreement(
    added: float, evidence: float, expected: str | None
) -> None:
    sums, known = np.full((1, 4), 9.0), np.array([[np.nan, 0.1, 0.2, evidence]])
    sums[0, 3] = added
    assert agreement(sums, known, 0.5).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("term", "value", "median", "text"),
    [
        ("recency_days", 86.2, 1.0, "Since the last purchase: 86 days (median in core: 1 day)"),
        ("gap_cv", 0.456, np.nan,
         "Variation of the time between purchases (sd over mean): 0.46 (median in core: unknown)"),
        ("complaints_open", 2, 0, "Unresolved complaints: 2 (median in core: 0)"),
        ("late_share_365d", 0.25, 0, None),
        ("unheard_of", 1.5, 1.25, "Unheard_of: 1.5 (median in core: 1.25)"),
    ],
)  # fmt: skip
def test_a_driver_is_its_meaning_with_the_value_and_the_median_in_its_unit(
    term: str, value: float, median: float, text: str | None
) -> None:
    given: Any = np.array([term], object), np.array([value]), np.array([median])
    words = driver_texts(*given, pa.array(["core"]), COLUMNS, "en")[0].as_py()
    assert words == text if text else words.endswith(": 25 % (median in core: 0 %)")


def test_every_feature_has_words_as_a_driver_in_each_language() -> None:
    features = {feature.name: feature for feature in (*FEATURES, *EVIDENCE_FEATURES)}
    assert not WORDS.keys() - features.keys(), "no feature has this name"
    said_twice = {n for n, words in WORDS.items() if words.get("en") == features[n].meaning}
    assert not said_twice, "said in the catalogue"
    for language in get_args(Language):
        own = {name: words[language] for name, words in WORDS.items() if language in words}
        words = {n: f.meaning for n, f in features.items()} | own if language == "en" else own
        assert set(words) == set(features), language
        assert len(set(words.values())) == len(words), language
        for name, text in words.items():
            days = {field for _, field, _, _ in Formatter().parse(text) if field}
            assert days == ({"days"} if features[name].windows else set()), (language, name)


def test_a_driver_is_written_as_the_language_writes_numbers() -> None:
    given: Any = np.array(["gap_cv"], object), np.array([0.456]), np.array([np.nan])
    german = driver_columns(params().windows, "de")
    words = driver_texts(*given, pa.array(["core"]), german, "de")[0].as_py()
    assert words.endswith(": 0,46 (Median in core: unbekannt)")
    assert words.startswith("Schwankung des Abstands der Käufe")


def main_driver(value: float = 2.0, **added: float) -> tuple[str | None, str | None, str | None]:
    """The driver of a customer with this value of each feature; medians are 0, 1 and 1.9."""
    terms = list(added)
    median = np.array([[0.0 if term == "complaints" else 1.9 if term == "returns" else 1.0
                        for term in terms]])  # fmt: skip
    of = Explained(
        np.array([1]),
        terms,
        np.array([0]),
        median,
        np.full((1, len(terms)), value),
        np.array([list(added.values())]),
    )
    texts = main_drivers(of, 2, COLUMNS, "en", 0.01, 0.2).values()
    assert [each[0].as_py() for each in texts] == [None] * 3, "nobody explained this customer"
    driver, shown, beside = (each[1].as_py() for each in texts)
    return driver, shown, beside


def test_the_main_driver_raises_the_risk_is_not_said_already_and_differs_from_the_median() -> None:
    assert main_driver(touches=0.1, complaints=0.2) == ("complaints so far", "2", "0")
    assert main_driver(touches=0.3, complaints=0.2) == ("contacts so far", "2", "1")
    said = {"recency_days": 0.9, "evidence_boredom": 0.8, "returns": 0.7, "unheard_of": 0.6}
    assert main_driver(**said, touches=0.1) == ("contacts so far", "2", "1")
    assert main_driver(**said, touches=-0.1) == (None, None, None)
    assert main_driver(touches=0.005) == (None, None, None)
    assert main_driver(value=np.nan, touches=0.1) == (None, None, None)


@pytest.mark.parametrize("term", ["purchases", "spend", "purchases_in_60d", "tenure_days"])
def test_more_purchases_or_spend_are_never_what_raises_the_risk(term: str) -> None:
    assert main_driver(value=2.0, **{term: 0.9}) == (None, None, None)
    assert main_driver(value=0.5, **{term: 0.9})[0] == COLUMNS[term].meaning


def test_a_driver_that_is_better_than_the_median_is_none() -> None:
    assert COLUMNS["complaints_open"].monotone == 1
    assert main_driver(complaints_open=0.1) == ("unresolved complaints", "2", "1")
    assert main_driver(value=0.0, complaints_open=0.1) == (None, None, None)


def test_no_purchase_of_late_is_said_by_the_first_sentence() -> None:
    late = {"purchases_in_60d": 0.9}
    assert main_driver(value=0.5, **late)[0] == "purchases in the last 60 days"
    assert main_driver(value=0.0, **late) == (None, None, None)


def test_the_median_is_that_of_the_same_stage_alone() -> None:
    values = np.array([[1.0], [3.0], [np.nan], [100.0]])
    assert medians(values, np.array([0, 0, 0, 1])).ravel().tolist() == [2.0, 100.0]


def test_the_report_counts_core_customers_and_leaves_small_cells_out() -> None:
    size = 40
    strong = np.arange(size) < 12
    known = {"stage": ["core"] * size, **{f"evidence_{r}": np.zeros(size) for r in REASONS}}
    known["evidence_boredom"], known["evidence_competitor"] = strong * 0.8, strong[::-1] * 0.1
    heads = {f"contribution_{r}": np.where(strong, 0.5, -0.1) for r in REASONS}
    rows = agreement_report(pa.table(heads), pa.table(known), 0.5).set_index("reason")
    assert rows.loc["boredom"].tolist() == [size, 1.0, 12, 1.0]
    assert rows.loc["competitor", ["strong", "raised"]].isna().all()
    assert rows["spearman"].isna()["unrepaired"], "evidence that never varies has no rank"
