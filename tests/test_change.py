"""What changed against the customer's own normal, in each language."""

import re
from string import Formatter
from typing import Any, get_args

import pyarrow as pa
import pytest
from situations import customer, of_one, random_customers
from test_lifecycle import MONTHLY
from test_satisfaction import PATIENT
from test_why_stage import LIMITS, NUMBER, table_of

from features.records import Shop
from models.settings import Language
from pipeline.delivery.change import CHANGES, change
from pipeline.delivery.why_stage import facts

LANGUAGES = get_args(Language)
MONTHS = [*range(0, 271, 30)]


def changed(day: int, language: str = "en", of: Shop | None = None, **events: Any) -> str:
    """The sentence of one customer at the midnight that begins a day."""
    known = facts(table_of(customer(**events), days=[day], of=of), LIMITS, 30)
    (text,) = change(known, language).to_pylist()
    return str(text)


@pytest.mark.parametrize(
    ("day", "events", "sentence"),
    [
        (10, {"known": 0}, "Known for 10 days, no purchase yet."),
        (99, {"known": 0}, "No purchase yet, contact stale for 39 days."),
        (10, {"orders": [9]}, "First purchase 1 day ago; a second usually follows after 30."),
        (90, {"orders": [0]}, "No second purchase for 90 days, usually after 30."),
        (91, {"orders": MONTHLY}, "Last purchase 1 day ago, usually every 30."),
        (149, {"orders": MONTHLY}, "No purchase for 59 days, usually every 30."),
        (200, {"orders": MONTHLY}, "No purchase for 110 days, usually every 30."),
        (
            201,
            {"orders": [*MONTHLY, 200]},
            "Back after a long absence with 1 purchase, the last 1 day ago.",
        ),
    ],
)
def test_the_first_sentence_says_what_changed_against_the_customers_own_normal(
    day: int, events: Any, sentence: str
) -> None:
    assert changed(day, **events) == sentence


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("de", ["Seit 1 Tag bekannt, noch kein Kauf.", "Seit 59 Tagen kein Kauf, sonst alle 30."]),
        (
            "it",
            [
                "Noto da 1 giorno, ancora nessun acquisto.",
                "Nessun acquisto da 59 giorni, di solito ogni 30.",
            ],
        ),
    ],
)
def test_the_sentences_of_other_languages_have_the_right_numbers_of_their_nouns(
    language: str, sentences: list[str]
) -> None:
    written = [changed(1, language, known=0), changed(149, language, orders=MONTHLY)]
    assert written == sentences


def test_every_sentence_has_the_same_facts_in_each_language() -> None:
    for each in CHANGES:
        assert set(each.sentence) == set(LANGUAGES)
        names = {
            language: {name for _, name, _, _ in Formatter().parse(text) if name}
            for language, text in each.sentence.items()
        }
        assert len(set(map(frozenset, names.values()))) == 1, names


def test_every_number_in_the_sentence_is_a_fact_and_every_change_occurs() -> None:
    table = table_of(*random_customers(21, 150), days=range(60, 1200, 40))
    known = facts(table, LIMITS, 30)
    texts = {language: change(known, language).to_pylist() for language in LANGUAGES}
    for i in range(len(table)):
        own = {str(value) for value in of_one(known, i).values()}
        for written in texts.values():
            assert set(re.findall(NUMBER, written[i])) <= own, written[i]
    beginnings = {re.split(r"\d|:", text)[0] for text in texts["en"]}
    sentences = {re.split(r"{|:", each.sentence["en"])[0] for each in CHANGES}
    assert beginnings == sentences - {""}, "all but the words of a category"


@pytest.mark.parametrize(
    ("day", "sentence"),
    [
        (91, "Stopped buying tea since May 2025."),
        (149, "No purchase for 59 days, usually every 30."),
    ],
)
def test_a_category_that_stopped_is_named_unless_the_customer_is_away(
    day: int, sentence: str
) -> None:
    words = pa.array(["Stopped buying tea since May 2025"])
    rows = table_of(customer(orders=MONTHLY), days=[day]).append_column("category_change", words)
    known = facts(rows, LIMITS, 30)
    assert change(known, "en").to_pylist() == [sentence]
    assert of_one(known, 0)["category_change"] == "Stopped buying tea since May 2025"


def test_without_what_changed_the_sentence_no_longer_says_so() -> None:
    assert changed(149, orders=MONTHLY).startswith("No purchase for")
    assert changed(149, orders=[*MONTHLY, 120]).startswith("Last purchase")
    # eight purchases for 10 each in the eight IPTs before the last four
    poor, steady = [(300, 10), (330, 3), (360, 3), (390, 3)], [300, 330, 360, 390]
    assert "Buys 75 % less often" in changed(391, of=PATIENT, orders=[*MONTHS, 390])
    assert "Spends 53 % less" in changed(391, of=PATIENT, orders=[*MONTHS, *poor])
    assert "Last purchase" in changed(391, of=PATIENT, orders=[*MONTHS, *steady])


def test_the_sentence_of_a_customer_does_not_depend_on_the_other_customers() -> None:
    table = table_of(*random_customers(21, 20), days=range(60, 1200, 240))
    together = change(facts(table, LIMITS, 30), "en").to_pylist()
    for i, text in enumerate(together):
        assert change(facts(table.slice(i, 1), LIMITS, 30), "en").to_pylist() == [text]
