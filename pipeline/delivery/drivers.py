"""What drives a risk, in words, beside comparable customers and the recorded reasons."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue import FEATURES
from features.columns import Feature, expand
from features.records import Floats, Longs
from features.settings import Windows
from models.reasons.catalogue import CATALOGUE, REASONS
from models.settings import SMALLEST_CELL

AGREE, DISAGREE = "model and records agree", "model and records disagree"
EVIDENCE = [feature for reason in CATALOGUE for feature in reason.features]
GROUPS = {feature.name: reason.name for reason in CATALOGUE for feature in reason.features}


def columns_of(windows: Windows) -> dict[str, Feature]:
    """Return every column that a model may see, by name; the parts of a reason's evidence too."""
    return {column.name: column for column in expand([*FEATURES, *EVIDENCE], windows)}


def reason_sums(contributions: Floats, terms: list[str], columns: dict[str, Feature]) -> Floats:
    """Return the sum of the contributions by reason, rows x REASONS."""
    groups = [GROUPS.get(term) or columns[term].reason if term in columns else "" for term in terms]
    member = np.array([[group == reason for reason in REASONS] for group in groups], np.float64)
    sums: Floats = contributions @ member.reshape(len(terms), len(REASONS))
    return sums


def agreement(sums: Floats, evidence: Floats, least: float) -> pa.Array:
    """Return per row whether the model raises the risk for the strongest recorded reason.

    Null without evidence of at least `least`.
    """
    known = np.nan_to_num(evidence)
    strongest, rows = known.argmax(axis=1), np.arange(len(known))
    raised = sums[rows, strongest] > 0
    weak = known[rows, strongest] < least
    return pa.array(np.where(raised, AGREE, DISAGREE), pa.string(), mask=weak)


def medians(values: Floats, group: Longs) -> Floats:
    """Return the median of each column among the rows of the same group, groups x columns.

    NaN where no row of the group has a value.
    """
    each = pd.DataFrame(values).groupby(group).median()
    return each.reindex(range(int(group.max(initial=-1)) + 1)).to_numpy(np.float64)


def _rounded(digits: int, after: str = "") -> Callable[[Floats], pa.Array]:
    def text(values: Floats) -> pa.Array:
        scaled = np.round(values, digits)
        shown = scaled.astype(np.int64) if digits == 0 else scaled
        return pc.binary_join_element_wise(pa.array(shown).cast(pa.string()), after, "")

    return text


def _share(values: Floats) -> pa.Array:
    return _rounded(0, "%")(100 * values)


def _yes(values: Floats) -> pa.Array:
    return pa.array(np.where(values > 0, "yes", "no"))


UNITS: dict[str, Callable[[Floats], pa.Array]] = {
    "days": _rounded(0, " days"),
    "count": _rounded(0),
    "share": _share,
    "0 or 1": _yes,
}
OTHER_UNIT = _rounded(2)


def _numbers(values: Floats, units: Any) -> pa.Array:
    """Write each value in its unit; NaN as unknown."""
    texts = np.full(len(values), "unknown", object)
    known = ~np.isnan(values)
    for unit in np.unique(units.astype(str)):
        here = known & (units == unit)
        write = UNITS.get(unit, OTHER_UNIT)
        texts[here] = write(values[here]).to_numpy(zero_copy_only=False)
    return pa.array(texts, pa.string())


def driver_texts(
    terms: Any, values: Floats, median: Floats, stage: Any, columns: dict[str, Feature]
) -> pa.Array:
    """Return the words of each driver: its meaning, the value, the median of the same stage."""
    units = np.array([columns[term].unit if term in columns else "" for term in terms], object)
    meaning = [columns[term].meaning if term in columns else term for term in terms]
    titles = pa.array([text[:1].upper() + text[1:] for text in meaning], pa.string())
    beside = pc.binary_join_element_wise(" (median in ", pa.array(stage), ": ", "")
    shown = (_numbers(numbers, units) for numbers in (values, median))
    value, usual = shown
    return pc.binary_join_element_wise(titles, ": ", value, beside, usual, ")", "")


def agreement_report(heads: pa.Table, known: pa.Table, least: float) -> pd.DataFrame:
    """One row per reason, of the scored core customers: how far model and records agree.

    `spearman`: rank correlation of the contribution and the evidence. `strong`: customers with
    evidence of `least` or more; `raised`: the share of them whose risk the model raises for it.
    Figures of fewer than SMALLEST_CELL customers are left out.
    """
    core = pc.equal(known["stage"].cast(pa.string()), "core")
    rows = []
    for reason in REASONS:
        pair = pd.DataFrame(
            {
                "added": heads[f"contribution_{reason}"].filter(core).to_numpy(),
                "evidence": known[f"evidence_{reason}"].filter(core).to_numpy().astype(np.float64),
            }
        ).dropna()
        strong = pair[pair["evidence"] >= least]
        enough = len(strong) >= SMALLEST_CELL
        ranks = pair.rank()
        varies = len(pair) >= SMALLEST_CELL and bool((ranks.nunique() > 1).all())
        rows.append(
            {
                "reason": reason,
                "customers": len(pair),
                "spearman": round(ranks["added"].corr(ranks["evidence"]), 3) if varies else None,
                "strong": len(strong) if enough else None,
                "raised": round(float((strong["added"] > 0).mean()), 3) if enough else None,
            }
        )
    return pd.DataFrame(rows).astype({"strong": "Int64"})
