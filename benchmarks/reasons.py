"""`python -m benchmarks.reasons`: reasons to leave against the ground truth of simulated shops.

Printed and written to benchmarks/results/reasons.json:

* seeds: recall of each reason, and the share of core customers who stayed and have one named.
* knock_out: nobody leaves for a reason, or for any; the shares of each reason named, see `shares`.
  Those of the customers who left without a cause have to be those of the overdue who stayed.
* dose: the chance to leave for a reason is twice as high; its share of `left` has to rise.
* placebo: complaints are dealt out to other customers with as many orders; the same shares.
"""

import argparse
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd

from benchmarks.measure import ROOT
from benchmarks.simulated_shops import RECOVER, made
from models.reasons.catalogue import REASONS
from pipeline.demo.reason_recall import judged
from pipeline.docs.markdown import table
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.progress import progress
from pipeline.runtime.runner import run_stage
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "reasons.json"
HAZARDS = {
    "unrepaired": "hazard_unrepaired",
    "service_failure": "hazard_service",
    "competitor": "hazard_competitor",
    "boredom": "hazard_boredom",
}
OF_COMPLAINTS = ("unrepaired", "service_failure")
HEAD = "reason, named if true, named if they stay, knock-out, dose, placebo"
DEALT = """
    with owner as (select customer_id, count(*) as orders from '{orders}' group by 1),
    dealt as (
        select c.*, row_number() over (partition by o.orders order by hash(complaint_id)) as place,
               o.orders from '{complaints}' c join owner o using (customer_id)),
    other as (
        select customer_id as other, orders,
               row_number() over (partition by orders order by hash(customer_id || 'x')) as place,
               count(*) over (partition by orders) as size from owner)
    select d.* exclude (customer_id, order_id, place, orders), o.other as customer_id
    from dealt d join other o on o.orders = d.orders and o.place = d.place % o.size + 1
    order by opened_at, complaint_id"""


def shares(root: Path) -> dict[str, dict[str, float]]:
    """Return the share of each reason named, among core customers who left and who stayed.

    `left`: all who left. `left_without`: for none of the reasons. Who leaves for one may well have
    a record of another, as after a service failure whose complaint stays open. `overdue`: who
    stayed, at the first snapshot at which they were overdue, as those who left are judged.
    `stayed`: who stayed, at all snapshots.
    """
    data = root / "data"
    rows = judged(Folder(data / "truth" / "demo"), Folder(data / "lifecycle"), load(root).reasons)
    late, stays, core = rows["first_late"], rows["fired"].eq("none"), rows["stage"].eq("core")
    groups = {
        "left": late & ~stays,
        "left_without": late & rows["fired"].eq("base"),
        "overdue": late & stays,
        "stayed": stays & core,
    }

    def each(some: pd.DataFrame) -> dict[str, float]:
        return {name: round(float((some["named"] == name).mean()), 4) for name in REASONS}

    return {name: each(rows[group]) for name, group in groups.items()}


def of_shop(seed: int, **changes: float) -> dict[str, dict[str, float]]:
    """Return the shares of a demo shop with other chances to leave."""
    with TemporaryDirectory() as folder:
        return shares(made(Path(folder), {"seed": seed, **changes}, ()))


def placebo(seed: int, **changes: float) -> dict[str, dict[str, float]]:
    """Return the shares of a shop whose complaints belong to other customers."""
    with TemporaryDirectory() as folder:
        root = made(Path(folder), {"seed": seed, **changes}, ())
        files = {
            name: root / "data/shops/demo" / f"{name}.parquet" for name in ("orders", "complaints")
        }
        with duckdb.connect() as db:
            dealt = db.sql(DEALT.format(**files)).to_arrow_table()
        store.write(files["complaints"], dealt)
        for stage in ("ingest", "calibrate", "assign"):
            run_stage(stage, root)
        return shares(root)


def shown(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table: one row per reason, in percent."""

    def mean(key: str, name: str) -> str:
        return f"{100 * statistics.mean(each[key][name] for each in results['seeds']):.0f} %"

    def compared(run: dict[str, dict[str, float]], name: str) -> str:
        return " / ".join(f"{100 * run[who][name]:.1f} %" for who in ("left_without", "overdue"))

    rows = []
    for name, twice in results["dose"].items():
        dose = " → ".join(f"{100 * run['left'][name]:.0f} %" for run in (results["usual"], twice))
        placebo = compared(results["placebo"], name) if name in OF_COMPLAINTS else ""
        of_seeds = mean("recall", name), mean("accused", name)
        rows.append((name, *of_seeds, compared(results["knock_out"][name], name), dose, placebo))
    return table(HEAD, rows)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    results: dict[str, Any] = {"seeds": [], "knock_out": {}, "dose": {}}
    for seed in progress(range(1, seeds + 1), seeds, "simulated shops"):
        with TemporaryDirectory() as folder:
            root = made(Path(folder), {"seed": seed}, RECOVER)
            results["seeds"].append(store.read(root / "reports" / "reasons.json"))
            if seed == 1:
                results["usual"] = shares(root)
    usual = load(ROOT).simulate
    for name, hazard in progress(HAZARDS.items(), len(HAZARDS), "knock-out and dose"):
        results["knock_out"][name] = of_shop(1, **{hazard: 0.0})
        results["dose"][name] = of_shop(1, **{hazard: 2 * getattr(usual, hazard)})
    results["knock_out"]["all"] = of_shop(1, **dict.fromkeys(HAZARDS.values(), 0.0))
    results["placebo"] = placebo(1)
    print(shown(results))
    store.write(RESULTS, results)


if __name__ == "__main__":
    main()
