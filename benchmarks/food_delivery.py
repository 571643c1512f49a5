"""`python -m benchmarks.food_delivery`: the source documents' statements on real orders.

Needs the finished run of `make repro SHOP=food_delivery`. One row per comparison: estimate with
95 % CI, the same with what is known before the order held constant, and the result. Prints the
rows and writes benchmarks/results/food_delivery.json and README's table.

Besides the contrasts of the catalogue it compares complaints that were refunded, and not refunded,
with none. These need 60 days after the order, because five months of data hold few 90 days.
Recovered: the statement holds with 95 %, also with what was known before held constant.
"""

import argparse
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.measure import ROOT
from models.hypotheses.catalogue import HYPOTHESES, figures, result_of
from models.hypotheses.contrasts import NOT_RECOVERED, RISES, UNKNOWN, Z_DIRECTION, Claim
from models.hypotheses.observations import Observations
from models.hypotheses.studies import SAME_MARGIN, churned
from pipeline.docs.markdown import table
from pipeline.engine.calendar import day_number
from pipeline.engine.visits import mature, observed, read_rows, with_service
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "food_delivery.json"
SHOP = "food_delivery"
HEAD = "statement, measured, estimate [95 % CI], adjusted, result"
MARK = "<!-- food delivery: made by `python -m benchmarks.food_delivery` -->"
BLOCK = re.compile(f"(?<={re.escape(MARK)}\n).*?(?=<!-- end -->)", re.S)
DAYS = 60
Z = 1.959963984540054  # two-sided 95 %
ORDERS = {"first order": (1, 1), "second and third order": (2, 3), "later orders": (4, np.inf)}
WORDS = {"recovered": "recovered", "not_recovered": "not recovered", "unknown": "cannot be tested"}


class Row(NamedTuple):
    """One comparison; figures in percentage points, or in the shop's currency."""

    statement: str
    measured: str
    estimate: str
    adjusted: str
    result: str


def interval(part: dict[str, Any] | None) -> str:
    """Return estimate and 95 % CI: percentage points, or whole amounts; empty without one."""
    if not part:
        return ""
    value, error = part["estimate"], (part["high"] - part["low"]) / 2 / Z_DIRECTION
    bounds = [value, value - Z * error, value + Z * error]
    if abs(value) >= 10:
        shown = [f"{bound:,.0f}" for bound in bounds]
    else:
        shown = [f"{100 * bound:+.1f}" for bound in bounds]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _row(statement: str, part: dict[str, Any]) -> Row:
    held = part["adjusted"]
    by_chance = held and held["low"] <= 0 <= held["high"]
    verdict = NOT_RECOVERED if by_chance else part["verdict"]
    return Row(statement, part["what"], interval(part), interval(held), WORDS[verdict])


def catalogue(rows: Observations, recorded: set[str]) -> Iterator[Row]:
    """One row per contrast of each hypothesis; one for a hypothesis that cannot be tested."""
    for hypothesis in HYPOTHESES:
        result = result_of(hypothesis, rows, recorded)
        for part in result["parts"]:
            yield _row(hypothesis.statement, part)
        if result["verdict"] == UNKNOWN:
            what = "the rest: " if result["parts"] else ""
            yield Row(hypothesis.statement, what + result["note"], "", "", WORDS[UNKNOWN])


def by_refund(visits: pd.DataFrame) -> Iterator[Row]:
    """Churn after a complaint, refunded or not, against none, by the number of the order."""
    none, refused = visits["severity"].isna(), visits["sla_breached"]
    refunded = ~none & ~refused
    same = Claim(-SAME_MARGIN, SAME_MARGIN)
    cases = [("refunded", refunded, none, RISES), ("not refunded", refused, none, RISES)]
    for name, (least, most) in ORDERS.items():
        inside = visits["number"].between(least, most)
        contrasts = [*cases, ("not refunded - refunded", refused, refunded, RISES)]
        if name == "later orders":  # they tolerate what is put right
            contrasts[0] = ("refunded", refunded, none, same)
        for what, one, other, claim in contrasts:
            title = what if " - " in what else f"{what} - no complaint"
            cells = [(1.0, inside & one), (-1.0, inside & other)]
            effect = churned(f"{title}, {DAYS} days", claim, visits, *cells)
            counts = f"{(inside & one).sum()} and {(inside & other).sum():,} orders"
            statement = f"A complaint, refunded or not, {name}"
            if effect is None:
                note = f"{title}: too few, {counts}"
                yield Row(statement, note, "", "", WORDS[UNKNOWN])
            else:
                row = _row(statement, {"what": effect.what, **figures(effect)})
                yield row._replace(measured=f"{row.measured} ({counts})")


def shown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table, and below it what cannot be tested, by cause."""
    causes: dict[str, list[str]] = {}
    for row in rows:
        if row.result == WORDS[UNKNOWN]:
            cause = re.sub(r"^the rest: |, [\d,]+ and [\d,]+ orders$", "", row.measured)
            causes.setdefault(cause, []).append(row.statement)
    untested = [f"* {cause}: {'; '.join(dict.fromkeys(of))}" for cause, of in causes.items()]
    tested = table(HEAD, [row for row in rows if row.result != WORDS[UNKNOWN]])
    return "\n".join([tested, "", "What this data cannot test, and why:", "", *untested])


def main() -> None:
    """Print the rows of the finished run, and write them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    params = load(ROOT)
    if params.shop != SHOP:
        raise SystemExit(f"needs the run of this shop: `make repro SHOP={SHOP}`, then again")
    folders = {name: Folder(ROOT / "data" / name) for name in ("events", "lifecycle", "labels")}
    calibration = store.read(ROOT / "data" / "calibration.json")
    rows = read_rows(**folders, calibration=calibration, sla=params.sla)
    rows["visits"] = with_service(rows["visits"], params.sla)
    tables = folders["events"].read("meta.json")["tables"]
    columns = {f"{table}.{column}" for table, names in tables.items() for column in names}
    visits = mature(rows["visits"], DAYS, day_number(calibration["data_end"]))
    results = [*catalogue(observed(rows, calibration), {*tables, *columns}), *by_refund(visits)]
    print(text := shown(results))
    store.write(RESULTS, [row._asdict() for row in results])
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    store.write(readme, BLOCK.sub(lambda _: f"\n{text}\n\n", before))


if __name__ == "__main__":
    main()
