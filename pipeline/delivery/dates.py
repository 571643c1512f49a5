"""Days and months as people write them, in each language of `why`."""

import pyarrow as pa
import pyarrow.compute as pc

MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
}
_DAY = {"en": "{day} {month} {year}", "de": "{day}. {month} {year}", "it": "{day} {month} {year}"}


def spelled_days(days: pa.Array, language: str) -> pa.Array:
    """Return dates in words, null for null: 11 October 2025, 11. Oktober 2025, 11 ottobre 2025."""
    encoded, months = days.dictionary_encode(), MONTHS[language].split()
    texts = [
        _DAY[language].format(
            day="1º" if language == "it" and each.day == 1 else each.day,
            month=months[each.month - 1],
            year=each.year,
        )
        for each in encoded.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(encoded.indices)


def elided(texts: pa.Array) -> pa.Array:
    """Return Italian texts with the article before 8 and 11 as it is spoken: dell'8, dall'11."""
    return pc.replace_substring_regex(texts, r"\b(d[ea]l)( )(8|11)( [a-z]|%)", r"\1l'\3\4")
