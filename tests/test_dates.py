"""Days in words, in each language."""

import datetime as dt

import pyarrow as pa
import pytest

from pipeline.delivery.dates import MONTHS, elided, spelled_days


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["1 March 2025", "11 October 2025", None]),
        ("de", ["1. März 2025", "11. Oktober 2025", None]),
        ("it", ["1º marzo 2025", "11 ottobre 2025", None]),
    ],
)
def test_a_day_has_the_form_of_its_language(language: str, texts: list[str | None]) -> None:
    days = pa.array([dt.date(2025, 3, 1), dt.date(2025, 10, 11), None])
    assert spelled_days(days, language).to_pylist() == texts
    assert len(MONTHS[language].split()) == 12


def test_italian_articles_are_elided_before_eight_and_eleven_alone() -> None:
    before = ["del 8 marzo", "dal 11 ottobre", "del 18 marzo", "del 1º marzo", "del 11%", "del 80%"]
    after = [
        "dell'8 marzo",
        "dall'11 ottobre",
        "del 18 marzo",
        "del 1º marzo",
        "dell'11%",
        "del 80%",
    ]
    assert elided(pa.array(before)).to_pylist() == after
