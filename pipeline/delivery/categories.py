"""categories.parquet: per customer the categories that fell or stopped, and the words for `why`."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.delivery.dates import MONTHS
from pipeline.delivery.schema import CATEGORIES, fill
from pipeline.engine.categories import MONTH

WORDS = {  # per language: stopped; fell; a category that did not change
    "en": (
        "stopped buying {category} since {month}, usually every {days} days",
        "{percent} % less spent on {category} since {month}, usually every {days} days",
        "{steady} unchanged",
    ),
    "de": (
        "seit {month} nichts mehr aus {category} gekauft, sonst alle {days} Tage",
        "seit {month} {percent} % weniger für {category} ausgegeben, sonst alle {days} Tage",
        "{steady} unverändert",
    ),
    "it": (
        "da {month} nessun acquisto di {category}, di solito ogni {days} giorni",
        "da {month} {percent} % in meno spesi per {category}, di solito ogni {days} giorni",
        "{steady} come prima",
    ),
}


def category_list(falls: pa.Table, scored: pd.DataFrame, as_of: str) -> pa.Table:
    """categories.parquet: one row per customer and category that fell or stopped, by rank.

    `falls`: data/category_falls.parquet. `scored`: one row per customer who may be profiled, with
    customer_id and contact.
    """
    rows = falls.filter(falls["listed"]).to_pandas()
    rows = rows.merge(scored[["customer_id", "contact"]], on="customer_id")
    rows["lost_365d"] = ((rows["rate_expected"] - rows["rate_now"]) * 365 / MONTH).round(2)
    rows["change"] = np.where(rows["purchases_now"] == 0, "stopped", "fell")
    order = (rows["evidence"] * rows["lost_365d"]).rename("order")
    keys = rows.assign(order=-order).sort_values(["order", "customer_id", "category"]).index
    rows = rows.loc[keys].assign(rank=np.arange(1, len(rows) + 1), as_of=pd.Timestamp(as_of).date())
    return fill(CATEGORIES, pa.Table.from_pandas(rows, preserve_index=False))


def category_words(categories: pa.Table, language: str) -> pa.Table:
    """One row per customer of categories.parquet, customer_id and words: their first fall by rank.

    The words are a part of a sentence: "stopped buying stationery since May
    2025, usually every 30 days; tea unchanged".
    """
    months, (stopped, fell, unchanged) = MONTHS[language].split(), WORDS[language]
    words: dict[str, str] = {}
    for row in categories.to_pylist():
        since = row["since"]
        month, percent = f"{months[since.month - 1]} {since.year}", round(100 * row["fall"])
        template = stopped if row["change"] == "stopped" else fell
        days = round(row["usual_days"])
        parts = [template.format(category=row["category"], percent=percent, month=month, days=days)]
        parts += [unchanged.format(steady=row["steady"])] if row["steady"] else []
        words.setdefault(row["customer_id"], "; ".join(parts))
    return pa.table(
        {
            "customer_id": pa.array(words.keys(), pa.string()),
            "words": pa.array(words.values(), pa.string()),
        }
    )


def category_changes(ids: pa.ChunkedArray, categories: pa.Table, language: str) -> pa.Array:
    """The words of each of these customers as the beginning of a sentence; null without any."""
    words = category_words(categories, language)
    texts = words["words"].combine_chunks()
    first = pc.utf8_upper(pc.utf8_slice_codeunits(texts, 0, 1))
    begun = pc.binary_join_element_wise(first, pc.utf8_slice_codeunits(texts, 1), "")
    return begun.take(pc.index_in(ids.combine_chunks(), words["customer_id"].combine_chunks()))
