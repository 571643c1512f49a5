"""The sentences of `why`: what changed, the strongest indication of a reason, the chance."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.records import Floats, Ints
from models.reasons.catalogue import CATALOGUE, OTHER_UNKNOWN, REASONS, primary
from models.reasons.settings import ReasonRules
from pipeline.delivery.change import change
from pipeline.delivery.facts import Fact, Facts, fact, say
from pipeline.delivery.indications import sentences

NO_CAUSE = {  # with a risk, which is then what speaks for a call, and what raises it
    "en": "No recorded cause; risk {risk_percent} %{driven}.",
    "de": "Kein Grund verzeichnet; Risiko {risk_percent} %{driven}.",
    "it": "Nessuna causa registrata; rischio {risk_percent} %{driven}.",
}
CHANCE = {  # in the queues without a risk
    "en": "Chance of a purchase {chance_percent} %.",
    "de": "Chance auf einen Kauf {chance_percent} %.",
    "it": "Probabilità di un acquisto {chance_percent} %.",
}
DRIVEN = {
    "en": ", raised by: {driver}, {driver_value} (median in {kind}: {driver_median})",
    "de": ", erhöht durch: {driver}, {driver_value} (Median in {kind}: {driver_median})",
    "it": ", accresciuto da: {driver}, {driver_value} (mediana in {kind}: {driver_median})",
}


def strongest(rows: pa.Table, rules: ReasonRules) -> dict[str, Any]:
    """Return reason, evidence, reason_2 and evidence_2 of rows of data/lifecycle.

    The reason is `other_unknown` where no evidence is at least weak.
    """
    evidence = np.column_stack([rows[f"evidence_{reason}"].to_numpy() for reason in REASONS])
    first = primary(evidence, rules)
    # place -1, none, is the last entry
    return {
        "reason": np.array([*REASONS, OTHER_UNKNOWN], object)[first.reason],
        "evidence": first.evidence.round(4),
        "reason_2": np.array([*REASONS, None], object)[first.reason_2],
        "evidence_2": first.evidence_2.round(4),
    }


def reason_places(reason: pa.ChunkedArray | pa.Array) -> Ints:
    """Return the place of each reason in REASONS, -1 for `other_unknown`."""
    codes: Ints = pc.index_in(reason, pa.array(REASONS)).fill_null(-1).to_numpy()
    return codes


def reason_facts(rows: pa.Table, reason: Ints) -> Facts:
    """Return the facts of the reason of each row, by `<reason>_<fact>`; shares in percent."""
    known: Facts = {}
    for place, each in enumerate(CATALOGUE):
        where = reason == place
        for name, kind in each.facts.items():
            column: Any = rows[f"{each.name}_{name}"]
            if kind == "ratio":
                shares = column.fill_null(0).to_numpy().astype(np.float64)
                column = np.rint(100 * shares).astype(np.int64)
            known[f"{each.name}_{name}"] = fact(column, where)
    return known


def percent_fact(probability: Floats) -> Fact:
    """Return a probability in percent; absent for customers without one."""
    has_one = ~np.isnan(probability)
    return fact(np.rint(100 * np.nan_to_num(probability)).astype(np.int64), has_one)


def _driven(f: Facts, language: str) -> pa.Array:
    kind = f["stage"].spelled(lambda stage: stage.replace("_", " "))
    return say(f, DRIVEN[language], kind=kind).fill_null("")


def why(rows: pa.Table, f: Facts, reason: Ints, language: str) -> pa.Array:
    """Return both sentences of each row, and the chance; every number in them is a fact of `f`.

    `f`: the facts of the rows, those of the reason and of the driver, `risk_percent` and
    `chance_percent`.
    """
    indication = sentences(rows, reason, language)
    no_cause = say(f, NO_CAUSE[language], driven=_driven(f, language))
    second = pc.if_else(pa.array(reason < 0), pc.coalesce(no_cause, indication), indication)
    parts = change(f, language), second, say(f, CHANCE[language])
    return pc.binary_join_element_wise(*parts, " ", null_handling="skip")
