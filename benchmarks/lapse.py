"""`python -m benchmarks.lapse`: how many retained and how many lost customers are called lapsed.

The ground truth is that of simulated shops: one of each preset of params.yaml, and two in which
lost customers come back as often per IPT as in the demo. Each shop passes through the stages
simulate, ingest, calibrate and assign in a temporary folder, from several seeds, with all other
parameters as in params.yaml. Evaluated are the snapshots of `tracking` in the second half of the
shop's history. A row is a customer with at least two purchases before such a snapshot, and `last`
is their latest purchase before it:

* living: `last` did not end the relation. `false_lapse` is the share of these rows called lapsed.
* gone: `last` ended the relation (`fired` in the truth) at least three true IPTs of the customer
  (`ipt_days` there) ago. A customer who comes back later is gone until then. `recall` is the share
  of these rows called lapsed.

Customers who defected less than three IPTs ago are neither. Three rules are compared on the same
rows: `corekeep`, the activity of the stage `assign`; `fixed_182d`, 182 days since the last
purchase; `three_gaps`, three times the shop's expected IPT (`expected_ipt` in calibration.json).
The results are printed and written to benchmarks/results/lapse.json.
"""

import argparse
import contextlib
import io
import shutil
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.measure import ROOT
from pipeline.runtime import store
from pipeline.runtime.progress import progress
from pipeline.runtime.runner import run_stage

RESULTS = ROOT / "benchmarks" / "results" / "lapse.json"
SEEDS = 10
CUSTOMERS = 3000
SHOPS: dict[str, dict[str, Any]] = {
    "weekly": {"preset": "weekly"},
    "monthly": {"preset": "monthly"},
    "yearly": {"preset": "yearly"},
    "weekly_back_by_cycle": {"preset": "weekly", "winback_per_day": 0.0005 * 30 / 7},
    "yearly_back_by_cycle": {"preset": "yearly", "winback_per_day": 0.0005 * 30 / 365},
}
STAGES = ("simulate", "ingest", "calibrate", "assign")
MUST = {  # at most, at least
    "weekly": {"false_lapse": 0.04, "recall": 0.95},
    "monthly": {"false_lapse": 0.02, "recall": 0.85},
    "yearly": {"false_lapse": 0.02, "recall": 0.30},
}
RULES = {
    "corekeep": "activity = 'lapsed'",
    "fixed_182d": "days >= 182",
    "three_gaps": "days >= 3 * $expected_ipt::double",
}
ROWS = """
    select activity, snapshot - day as days, fired = 'none' as living,
           fired <> 'none' and snapshot - day >= 3 * ipt_days as gone
    from (
      select customer_id as customer, snapshot, activity from read_parquet($lifecycle)
      where list_contains($seen_on::date[], snapshot)
    )
    asof join (
      select customer_id, ordered_at::date as day, number, fired from read_parquet($orders)
    ) last on customer = last.customer_id and snapshot > day
    join (select customer_id, ipt_days from read_parquet($customers)) truth
      on customer = truth.customer_id
    where number >= 2
"""

Rates = dict[str, dict[str, float]]
Spread = dict[str, dict[str, dict[str, float]]]


def shop(root: Path, simulate: dict[str, Any], params: Path = ROOT / "params.yaml") -> Path:
    """Make a folder like the project's, with these parameters of `simulate` for the demo.

    Run the stages up to `assign` in it. All other parameters are those of the file `params`.
    """
    shutil.copy(params, root / "params.yaml")
    for name in ("dvc.yaml", "playbook.yaml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "sources", root / "sources")
    store.write(root / "shops" / "demo.yaml", yaml.safe_dump({"simulate": simulate}))
    with contextlib.redirect_stdout(io.StringIO()):
        for name in STAGES:
            run_stage(name, root)
    return root


def rates(root: Path) -> Rates:
    """By rule: the shares of the living and of the gone rows of a shop that it calls lapsed."""
    data, truth = root / "data", root / "data" / "truth" / "demo"
    calibration = store.read(data / "calibration.json")
    tracked = calibration["tracking"]
    given = {
        "lifecycle": str(data / "lifecycle" / "*.parquet"),
        "orders": str(truth / "order.parquet"),
        "customers": str(truth / "customer.parquet"),
        "seen_on": tracked[len(tracked) // 2 :],
        "expected_ipt": calibration["expected_ipt"],
    }
    shares = [
        f"avg(({rule})::int) filter (where {whom})"
        for rule in RULES.values()
        for whom in ("living", "gone")
    ]
    with duckdb.connect() as db:
        [values] = db.execute(f"select {', '.join(shares)} from ({ROWS})", given).fetchall()
    return {
        rule: {"false_lapse": values[2 * i], "recall": values[2 * i + 1]}
        for i, rule in enumerate(RULES)
    }


def spread(runs: list[Rates]) -> Spread:
    """By rule and rate: mean, standard deviation, lowest and highest of the runs."""
    summary: Spread = {}
    for rule in RULES:
        for rate in ("false_lapse", "recall"):
            values = [run[rule][rate] for run in runs]
            figures = {
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values),
                "lowest": min(values),
                "highest": max(values),
            }
            summary.setdefault(rule, {})[rate] = {
                name: round(figure, 4) for name, figure in figures.items()
            }
    return summary


def is_met(name: str, results: Spread) -> bool | None:
    """Whether our rule reaches its targets in a shop, in the mean; None without targets."""
    if name not in MUST:
        return None
    ours, must = results["corekeep"], MUST[name]
    return (
        ours["false_lapse"]["mean"] <= must["false_lapse"]
        and ours["recall"]["mean"] >= must["recall"]
    )


def show(results: dict[str, Spread]) -> None:
    """Print means and standard deviations, and whether our rule meets its targets."""
    table = Table("shop", "rule", "[right]living, lapsed", "[right]gone, lapsed", "met")
    for name, rules in results.items():
        for rule, each in rules.items():
            met = (
                {True: "yes", False: "NO", None: ""}[is_met(name, rules)]
                if rule == "corekeep"
                else ""
            )
            table.add_row(
                name,
                rule,
                *(f"{100 * f['mean']:.1f} % ± {100 * f['sd']:.1f}" for f in each.values()),
                met,
            )
    Console().print(table)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds of each shop")
    seeds = parser.parse_args().seeds
    if seeds < 2:
        parser.error("--seeds: at least 2, or there is no spread")
    shops = [(name, seed) for name in SHOPS for seed in range(1, seeds + 1)]
    runs: dict[str, list[Rates]] = {}
    for name, seed in progress(shops, len(shops), "shops"):
        with TemporaryDirectory() as folder:
            runs.setdefault(name, []).append(
                rates(shop(Path(folder), {"customers": CUSTOMERS, **SHOPS[name], "seed": seed}))
            )
    results = {name: spread(each) for name, each in runs.items()}
    show(results)
    met = {name: is_met(name, results[name]) for name in MUST}
    store.write(RESULTS, {"seeds": seeds, "must": MUST, "met": met, "found": results})


if __name__ == "__main__":
    main()
