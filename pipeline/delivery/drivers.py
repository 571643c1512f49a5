"""What drives a risk, in words, beside comparable customers and the recorded reasons."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.catalogue import FEATURES
from features.columns import Feature, expand
from features.records import Floats, Longs
from features.settings import Windows
from models.reasons.catalogue import CATALOGUE, EVIDENCE_FEATURES, REASONS
from models.settings import SMALLEST_CELL
from pipeline.registry.model_files import Scorer
from pipeline.runtime.resources import read_yaml_table

AGREE, DISAGREE = "model and records agree", "model and records disagree"
WORDS: dict[str, dict[str, str]] = read_yaml_table(__file__, "driver_words.yaml")
GROUPS = {feature.name: reason.name for reason in CATALOGUE for feature in reason.features}


def driver_columns(windows: Windows, language: str = "en") -> dict[str, Feature]:
    """Return every column that a model may see, by name; the parts of a reason's evidence too.

    The meaning is that of driver_words.yaml, in the language; the catalogue's where it has none.
    """
    spoken = [
        replace(each, meaning=WORDS.get(each.name, {}).get(language, each.meaning))
        for each in (*FEATURES, *EVIDENCE_FEATURES)
    ]
    return {column.name: column for column in expand(spoken, windows)}


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


class Spelling(NamedTuple):
    """How a language writes the values of drivers."""

    day: str
    days: str
    yes: str
    no: str
    unknown: str
    point: str
    median: str


SPELLING = {
    "en": Spelling(" day", " days", "yes", "no", "unknown", ".", "median in"),
    "de": Spelling(" Tag", " Tage", "ja", "nein", "unbekannt", ",", "Median in"),
    "it": Spelling(" giorno", " giorni", "sì", "no", "ignoto", ",", "mediana in"),
}
# Said already, by the first sentence of `why` or by the reason in the second.
SAID = {"recency_days", "expected_next_days", "recency_over_ipt", "recency_surprise", "ipt_days"}
SAID |= {"recency_over_gap_max"}
SAID |= {f"evidence_{reason}" for reason in REASONS}
DRIVER = ("driver", "driver_value", "driver_median")
# More of these raises a risk only together with the days since the last purchase: to a frequent
# buyer, BG/NBD says, the same days mean more. `why` has those days already.
BUYING = ("purchases", "purchase_rate", "spend", "net_spend", "tenure_days")
OF_LATE = ("purchases_in_", "spend_in_")  # 0 says no more than the days since the last purchase
CANDIDATES = 4  # strongest drivers of which `why` names the first that differs from the median


def _in_unit(values: Floats, unit: str, spelling: Spelling) -> pa.Array:
    """Write values in their unit."""
    if unit == "0 or 1":
        return pa.array(np.where(values > 0, spelling.yes, spelling.no))
    if unit not in ("days", "count", "share"):
        texts = pa.array(np.round(values, 2)).cast(pa.string())
        return pc.replace_substring(texts, ".", spelling.point)
    whole = np.rint(100 * values if unit == "share" else values).astype(np.int64)
    after: Any = {"share": " %", "count": ""}.get(unit)
    if unit == "days":
        after = pa.array(np.where(whole == 1, spelling.day, spelling.days))
    return pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), after, "")


def in_units(values: Floats, units: Any, language: str) -> pa.Array:
    """Write each value in its unit; NaN as unknown."""
    spelling = SPELLING[language]
    texts = np.full(len(values), spelling.unknown, object)
    known = ~np.isnan(values)
    for unit in pd.unique(units):
        here = known & (units == unit)
        texts[here] = _in_unit(values[here], unit, spelling).to_numpy(zero_copy_only=False)
    return pa.array(texts, pa.string())


def driver_texts(
    terms: Any,
    values: Floats,
    median: Floats,
    stage: Any,
    columns: dict[str, Feature],
    language: str,
) -> pa.Array:
    """Return the words of each driver: its meaning, the value, the median of the same stage."""
    place, names = pd.factorize(np.asarray(terms, object))
    units = np.array([columns[name].unit if name in columns else "" for name in names], object)
    meaning = [columns[name].meaning if name in columns else name for name in names]
    titles = pa.array([text[:1].upper() + text[1:] for text in meaning], pa.string()).take(place)
    units = units[place]
    value, usual = (in_units(numbers, units, language) for numbers in (values, median))
    beside, stage = f" ({SPELLING[language].median} ", pc.replace_substring(stage, "_", " ")
    return pc.binary_join_element_wise(titles, ": ", value, beside, stage, ": ", usual, ")", "")


class Explained(NamedTuple):
    """Explained customers, rows x terms: the values, and what each adds to the log-odds."""

    place: Longs  # of each customer among all of the list
    terms: list[str]
    group: Longs  # the place of the customer's stage in `median`
    median: Floats  # of each term among the explained customers of a stage
    values: Floats
    contribution: Floats


def explained(known: pa.Table, place: Longs, features: pd.DataFrame, scorer: Scorer) -> Explained:
    """Explain the customers in these places; `features` has their rows by customer_id."""
    rows = known.select(["customer_id", "stage"]).take(pa.array(place))
    features = features.loc[rows["customer_id"].to_numpy()]
    added = scorer.explain(features)
    terms = list(added.columns)
    values = features[terms].to_numpy(np.float64)
    group = rows["stage"].cast(pa.string()).combine_chunks().dictionary_encode().indices
    codes = group.to_numpy().astype(np.int64)
    median = medians(values, codes)
    return Explained(place, terms, codes, median, values, added.to_numpy(np.float64))


def main_drivers(
    of: Explained | None,
    size: int,
    columns: dict[str, Feature],
    language: str,
    least: float,
    differs_by: float,
) -> dict[str, pa.Array]:
    """Return `driver`, `driver_value` and `driver_median` of each of all `size` customers as text.

    It is the feature that adds most to the log-odds, and at least `least`, of those that `why` has
    not SAID and whose value differs from the median by `differs_by` of it, and not in the direction
    that speaks for the customer: that of `monotone`, and more of BUYING. Null without one.
    """
    if of is None or len(of.place) == 0:
        return {name: pa.nulls(size, pa.string()) for name in DRIVER}
    eligible = np.array([term in columns and term not in SAID for term in of.terms])
    added = np.where(eligible, of.contribution, 0)
    of_buying = (-1 if term.startswith(BUYING) else 0 for term in of.terms)
    known = (columns[term].monotone if term in columns else 0 for term in of.terms)
    speaks_for = np.array([a or b for a, b in zip(known, of_buying, strict=True)])
    of_late = np.array([term.startswith(OF_LATE) for term in of.terms])
    strongest = np.argsort(-added, axis=1, kind="stable")[:, :CANDIDATES]
    units = np.array([columns[term].unit if term in columns else "" for term in of.terms], object)
    meanings = [columns[term].meaning if term in columns else term for term in of.terms]
    chosen = {name: np.full(size, None, object) for name in DRIVER}
    rows = np.arange(len(of.place))
    for term in strongest.T[::-1]:  # the strongest last, in the place of the others
        value, median = of.values[rows, term], of.median[of.group, term]
        differs = np.abs(value - median) >= np.maximum(differs_by * np.abs(median), 1e-9)
        against = speaks_for[term] * (value - median) < 0
        tells = differs & ~against & ~(of_late[term] & (value == 0))
        here = (added[rows, term] >= least) & tells
        shown = (in_units(each, units[term], language) for each in (value, median))
        texts = (np.array(meanings, object)[term], *(each.to_numpy(False) for each in shown))
        for name, text in zip(DRIVER, texts, strict=True):
            chosen[name][of.place[here]] = text[here]
    return {name: pa.array(texts, pa.string()) for name, texts in chosen.items()}


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
