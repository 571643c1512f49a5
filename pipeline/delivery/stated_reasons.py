"""The reasons that customers state, against the evidence on the day they were put on the list."""

import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.records import Longs, Tables
from models.decision.playbook import Words
from models.reasons.catalogue import OTHER_UNKNOWN, REASONS, primary
from models.reasons.evidence import evidence_at
from models.settings import SMALLEST_CELL
from pipeline.engine.evidence import Market
from pipeline.engine.part import part_of
from pipeline.engine.rows import query, rows_of
from pipeline.runtime.store import Folder

OTHER_WORDS, NO_ANSWER = "other words", "no answer"
STATED = (*REASONS, OTHER_UNKNOWN, OTHER_WORDS, NO_ANSWER)
NAMED = (*REASONS, OTHER_UNKNOWN)
# One row per customer and list: who was called, and whoever answered.
_ANSWERS = """
select part, customer_id, as_of,
       first(stated_reason order by stated_reason) filter (trim(stated_reason) <> '') as answer
from {treatments} join {customers} using (part, customer)
where not profiling_objection group by all
having bool_or(contact = 'call') or answer is not null order by part, as_of, customer_id
"""


def plain(text: str) -> str:
    """Return a text in lower case and without accents, so that `qualita` is `Qualità`."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


def reasons_of(answers: pd.Series, words: Mapping[str, Words]) -> list[str]:
    """Return one of STATED for each answer, the customer's own words or null.

    An answer counts for the reason whose word comes first in it, and of words that begin at the
    same place for the longest: "no problem" is not "problem". A word stands for all that begin
    with it.
    """
    reason = {plain(name.replace("_", " ")): name for name in words}
    for name, texts in words.items():
        each = [word for _, text in texts for word in text.split(",")]
        reason |= {plain(word): name for word in each if word.strip()}
    longest_first = sorted(reason, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})")

    def one(answer: Any) -> str:
        if not isinstance(answer, str) or not answer.strip():
            return NO_ANSWER
        match = pattern.search(plain(answer.replace("_", " ")))
        return reason[match.group()] if match else OTHER_WORDS

    return [one(answer) for answer in answers]


def of_customers(tables: Tables, customers: Longs) -> Tables:
    """Return the tables of these customers of a partition alone, in this order."""
    arrays: list[Any] = [tables.known[customers]]
    for start, rows in zip(tables[1::2], tables[2::2], strict=True):
        sizes = start[customers + 1] - start[customers]
        begins = np.append(0, np.cumsum(sizes))
        places = np.repeat(start[customers] - begins[:-1], sizes) + np.arange(begins[-1])
        arrays += [begins.astype(np.int64), rows[places]]
    return Tables(*arrays)


def _read(folder: Path, part: str, table: str, columns: list[str]) -> pa.Table:
    return pq.read_table(folder / table / part, columns=columns)


def evidence_on(events: Folder, listed: pd.DataFrame, market: Market) -> Any:
    """Return the evidence, rows x REASONS, of customers on their own days.

    `listed`: part, as_of (a day) and customer_id, in this order.
    """
    evidence = np.zeros((len(listed), len(REASONS)))
    recorded = [place for place, name in enumerate(REASONS) if name in market.recorded]
    listed = listed.assign(row=np.arange(len(listed)))
    for name, rows in listed.groupby("part"):
        part = part_of(str(name), partial(_read, events.path, str(name)))
        place = pd.Index(part.customer_id.to_numpy(zero_copy_only=False))
        for day, own in rows.groupby("as_of"):
            tables = of_customers(part.tables, place.get_indexer(own["customer_id"]))
            known, _, values, _ = evidence_at(tables, np.array([day], np.int32), market.context)
            for column in recorded:
                row = own["row"].to_numpy()[known]
                evidence[row, column] = values[f"evidence_{REASONS[column]}"]
    return evidence


def stated_reasons(events: Folder, market: Market, words: Mapping[str, Words]) -> pd.DataFrame:
    """One row per stated reason and reason of the evidence: `answers`, of all lists so far.

    `answers` is null where fewer than SMALLEST_CELL customers gave them.
    """
    tables = {name: rows_of(events, f"{name}/*.parquet") for name in ("treatments", "customers")}
    listed = query(_ANSWERS.format(**tables))
    named = primary(evidence_on(events, listed, market), market.context.rules).reason
    listed["stated_reason"] = reasons_of(listed["answer"], words)
    listed["evidence_reason"] = np.array(NAMED, object)[named]
    cells = pd.MultiIndex.from_product([STATED, NAMED], names=["stated_reason", "evidence_reason"])
    groups = listed.groupby(cells.names)["customer_id"]
    answers = groups.size().reindex(cells, fill_value=0)
    people = groups.nunique().reindex(cells, fill_value=0)
    shown = answers.astype("Int64").where(people >= SMALLEST_CELL)
    return shown.rename("answers").reset_index()
