"""The dated indication of a reason to leave in words, made from the sentences in models/reasons."""

import re
from string import Formatter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.reasons.catalogue import CATALOGUE, Reason
from pipeline.delivery.dates import elided, spelled_days

_NULL = pa.scalar(None, pa.string())
PREFIX = {"en": "Indication: ", "de": "Hinweis: ", "it": "Indizio: "}
UNKNOWN = {
    "en": "No recorded cause.",
    "de": "Kein Grund verzeichnet.",
    "it": "Nessuna causa registrata.",
}


def _spelled(rows: pa.Table, reason: Reason, fact: str, language: str) -> pa.Array:
    """Return a fact as text: a share in percent, names and dates in the language."""
    values = rows[f"{reason.name}_{fact}"].combine_chunks()
    if reason.facts[fact] == "ratio":
        values = pc.round(pc.multiply(values, 100)).cast(pa.int32()).cast(pa.string())
        return pc.binary_join_element_wise(values, "%", " ")
    if reason.facts[fact] == "day":
        return spelled_days(values, language)
    values = values.cast(pa.string())
    if isinstance(reason.facts[fact], tuple):
        words = reason.words.get(language, {})
        places = pc.index_in(values, pa.array(reason.facts[fact]))
        return pa.array([words.get(name, name) for name in reason.facts[fact]]).take(places)
    return values


def _indication(rows: pa.Table, reason: Reason, language: str) -> pa.Array:
    """Return the sentence of a reason for each row; – for a null outside brackets.

    In brackets stands the first alternative whose facts are all known, or nothing.
    """

    def said(template: str, absent: Any) -> pa.Array:
        pieces: list[Any] = [pa.repeat("", len(rows))]
        for text, name, _, _ in Formatter().parse(template):
            pieces.append(text)
            if name:
                pieces.append(pc.coalesce(_spelled(rows, reason, name, language), absent))
        return pc.binary_join_element_wise(*pieces, "")

    parts: list[Any] = [PREFIX[language]]
    for place, part in enumerate(re.split(r"[][]", reason.sentence[language])):
        if place % 2:
            parts.append(pc.coalesce(*(said(each, _NULL) for each in part.split("|")), ""))
        else:
            parts.append(said(part, "–"))
    return pc.binary_join_element_wise(*parts, "")


def sentences(rows: pa.Table, reason: npt.NDArray[np.integer], language: str) -> pa.Array:
    """Return the dated indication of each row of data/lifecycle, for a place in REASONS each.

    -1 stands for no recorded cause.
    """
    order = [np.flatnonzero(reason == place) for place in range(-1, len(CATALOGUE))]
    texts = [pa.array([UNKNOWN[language]] * len(order[0]), pa.string())]
    for each, which in zip(CATALOGUE, order[1:], strict=True):
        if len(which):
            texts.append(_indication(rows.take(pa.array(which)), each, language))
    together = pa.concat_arrays(texts).take(pa.array(np.argsort(np.concatenate(order))))
    return elided(together) if language == "it" else together
