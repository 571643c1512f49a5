"""The dated indication of a reason to leave in words, in each language."""

import re
from string import Formatter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.reasons.catalogue import CATALOGUE, REASONS, Reason
from pipeline.delivery.dates import elided, spelled_days
from pipeline.delivery.facts import in_order
from pipeline.runtime.resources import read_yaml_table

SENTENCES: dict[str, dict[str, Any]] = read_yaml_table(__file__, "indications.yaml")
if absent := set(REASONS) - set(SENTENCES):
    raise TypeError(f"indications.yaml has no sentence for {', '.join(sorted(absent))}: add one")
_NULL = pa.scalar(None, pa.string())
PREFIX = {"en": "Indication: ", "de": "Hinweis: ", "it": "Indizio: "}
UNKNOWN = {
    "en": "No recorded cause.",
    "de": "Kein Grund verzeichnet.",
    "it": "Nessuna causa registrata.",
}


def _spelled(rows: pa.Table, reason: Reason, fact: str, language: str) -> pa.Array:
    """Return a fact as text: a share in percent, dates in the language."""
    values = rows[f"{reason.name}_{fact}"].combine_chunks()
    if reason.facts[fact] == "ratio":
        values = pc.round(pc.multiply(values, 100)).cast(pa.int32()).cast(pa.string())
        return pc.binary_join_element_wise(values, "%", " ")
    if reason.facts[fact] == "day":
        return spelled_days(values, language)
    return values.cast(pa.string())


def _written(rows: pa.Table, reason: Reason, sentence: str, language: str) -> pa.Array:
    """Return a sentence for each row; – for a null outside brackets."""

    def said(template: str, absent: Any) -> pa.Array:
        pieces: list[Any] = [pa.repeat("", len(rows))]
        for text, name, _, _ in Formatter().parse(template):
            pieces.append(text)
            if name:
                pieces.append(pc.coalesce(_spelled(rows, reason, name, language), absent))
        return pc.binary_join_element_wise(*pieces, "")

    parts: list[Any] = [PREFIX[language]]
    for place, part in enumerate(re.split(r"[][]", sentence)):
        if place % 2:
            parts.append(pc.coalesce(*(said(each, _NULL) for each in part.split("|")), ""))
        else:
            parts.append(said(part, "–"))
    return pc.binary_join_element_wise(*parts, "")


def _indication(rows: pa.Table, reason: Reason, language: str) -> pa.Array:
    """Return the sentence of a reason for each row."""
    given = SENTENCES[reason.name][language]
    if isinstance(given, str):
        return _written(rows, reason, given, language)
    kinds = rows[f"{reason.name}_kind"].cast(pa.string()).combine_chunks()
    texts = pa.nulls(len(rows), pa.string())
    for kind, sentence in given.items():
        here = pc.equal(kinds, kind).fill_null(False)
        own = _written(rows.filter(here), reason, sentence, language)
        texts = pc.replace_with_mask(texts, here, own)
    return texts


def sentences(rows: pa.Table, reason: npt.NDArray[np.integer], language: str) -> pa.Array:
    """Return the dated indication of each row of data/lifecycle, for a place in REASONS each.

    -1 stands for no recorded cause.
    """
    none = np.flatnonzero(reason < 0)
    parts = [(none, pa.array([UNKNOWN[language]] * len(none), pa.string()))]
    for place, each in enumerate(CATALOGUE):
        if len(at := np.flatnonzero(reason == place)):
            parts.append((at, _indication(rows.take(pa.array(at)), each, language)))
    texts = in_order(parts)
    return elided(texts) if language == "it" else texts
