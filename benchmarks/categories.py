"""`python -m benchmarks.categories [FOLDER]`: how well lost categories are found.

Without a folder, several seeds of the demo pass through the stages up to `assign` in a temporary
folder. With the folder of a project whose data/events exists, the shop there is measured. A row is
a customer and category that can be compared at a snapshot (models/lifecycle/categories.py). Two
rules are compared on the same rows: `corekeep`, the list; `naive`, spend on the category in the
last 90 days below half of that in the 90 days before (shops with an expected IPT of less than ten
days: 28 days).

* fell, of the demo: the favourite category of a customer. A competitor drew the customer away in
  three of five or more of the purchases of the latest window and in none of the window before
  (`contested` in the truth), or in none of both.
* stopped: of one row in ten, drawn at random, the lines of the category are removed from the time
  in which the customer usually buys it five to ten times. The other rows are as they were.
  `corekeep` lists the rows of which it says "stopped"; a natural stop among them counts as false.

Precision, recall and `false`, the share of the rows without a true fall that are listed. In a real
shop true falls are unknown, so precision is a lower and `false` an upper limit.
The results are printed and written to benchmarks/results/categories.json.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.lapse import shop
from benchmarks.measure import ROOT
from features.category_rates import CATEGORY
from features.records import Flags, Ints, Shop, Tables
from features.settings import CategoryRules
from models.lifecycle.categories import falls, rates
from pipeline.engine.calendar import day_number, shop_of
from pipeline.engine.evidence import names_of
from pipeline.engine.part import Part, part_of, partitions
from pipeline.runtime import store
from pipeline.runtime.params import load
from pipeline.runtime.progress import progress
from pipeline.runtime.store import Folder

RESULTS = ROOT / "benchmarks" / "results" / "categories.json"
SEEDS, PLANTED, CONTESTED = 5, 0.1, 0.6
SHORT_IPT, SHORT_DAYS, DAYS = 10, 28, 90
KEYS = ["customer", "category"]


def parts(root: Path) -> list[Part]:
    """Return the partitions of a shop."""
    events = root / "data" / "events"

    def read(name: str) -> Part:
        return part_of(name, lambda t, columns: pq.read_table(events / t / name, columns=columns))

    return [read(name) for name in partitions(Folder(events))]


def without(tables: Tables, removed: Flags) -> Tables:
    """Return the tables without these order lines."""
    kept = np.concatenate([[0], np.cumsum(~removed)])
    return tables._replace(lines=tables.lines[~removed], line_start=kept[tables.line_start])


def owners(tables: Tables) -> Ints:
    """Return the customer of each order line."""
    return np.repeat(np.arange(len(tables.known)), np.diff(tables.line_start)).astype(np.int32)


def spend(tables: Tables, first: int, end: int) -> pd.Series:
    """Return the spend by customer and category on the days from `first` to before `end`."""
    lines = tables.lines
    rows = pd.DataFrame(
        {"customer": owners(tables), "category": lines["category"], "amount": lines["amount"]}
    )
    return rows[(lines["day"] >= first) & (lines["day"] < end)].groupby(KEYS)["amount"].sum()


def compared(tables: Tables, snapshot: int, of: Shop, rules: CategoryRules) -> pd.DataFrame:
    """One row per customer and category that can be compared: CATEGORY, and both rules."""
    customers, rows = rates(tables, snapshot, of, rules)
    frame = pd.DataFrame({name: rows[name] for name in CATEGORY.names or ()})
    frame["customer"], frame["corekeep"] = customers, falls(rows, rules).listed
    days = SHORT_DAYS if of.expected_ipt < SHORT_IPT else DAYS
    keys = pd.MultiIndex.from_frame(frame[KEYS])
    now, before = (
        spend(tables, snapshot - far, snapshot - near).reindex(keys, fill_value=0).to_numpy()
        for far, near in ((days, 0), (2 * days, days))
    )
    return frame.assign(naive=now < before / 2)


def stopped(
    tables: Tables, snapshot: int, of: Shop, rules: CategoryRules, random: np.random.Generator
) -> pd.DataFrame:
    """The rows after a stop was planted in some; `true` marks them."""
    rows, owner = compared(tables, snapshot, of, rules), owners(tables)
    usual = (rows["last_on"] - rows["first_on"]) / (rows["bought"] - 1) * rules.usual_purchases
    silent = np.ceil(usual * random.uniform(1, 2, len(rows))).astype(int)
    planted = rows.assign(silent=silent)[random.random(len(rows)) < PLANTED]
    removed = np.zeros(len(tables.lines), np.bool_)
    for row in planted.itertuples():
        own = np.flatnonzero((owner == row.customer) & (tables.lines["day"] < snapshot))
        lines = tables.lines[own]
        late = lines["day"] > lines["day"][-1] - row.silent
        removed[own[late & (lines["category"] == row.category)]] = True
    after = compared(without(tables, removed), snapshot, of, rules)
    marked = after.merge(planted[KEYS].assign(true=True), on=KEYS, how="left")
    true, stop = marked["true"].fillna(value=False).astype(bool), marked["now"] == 0
    return marked.assign(true=true, corekeep=marked["corekeep"] & stop)


def fallen(root: Path, part: Part, snapshot: int, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of favourite categories whose fall, or none, is known; `true` marks a fall."""
    truth = root / "data" / "truth" / "demo"
    favourite = pq.read_table(truth / "customer.parquet").to_pandas().set_index("customer_id")
    orders = pq.read_table(truth / "order.parquet").to_pandas()
    day = (orders["ordered_at"] - pd.Timestamp(0)).dt.days
    seen = orders.assign(day=day)[day < snapshot]
    visits = dict(iter(seen.groupby("customer_id")))
    names = names_of(Folder(root / "data" / "events")).category.to_pylist()
    ids = part.customer_id.to_pylist()
    shares = []
    for row in rows.to_dict("records"):
        visit = visits[ids[row["customer"]]]
        liked = favourite.loc[ids[row["customer"]], "favourite_category"]
        days, contested = visit["day"].to_numpy(), visit["contested"].to_numpy()
        now = contested[days > row["since"]].mean()
        before = contested[(days <= row["since"]) & (days > row["since"] - row["days_before"])]
        shares.append(now if liked == names[row["category"]] and not before.any() else np.nan)
    known = rows.assign(share=shares)
    known = known[(known["share"] == 0) | (known["share"] >= CONTESTED)]
    return known.assign(true=known["share"] > 0)


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Return, by rule, precision, recall and the share of rows without a fall that are listed."""
    true = rows["true"]
    results: dict[str, Any] = {"rows": len(rows), "true": int(true.sum())}
    for rule in ("corekeep", "naive"):
        listed = rows[rule]
        results[rule] = {
            "precision": round(float(true[listed].mean()), 3),
            "recall": round(float(listed[true].mean()), 3),
            "false": round(float(listed[~true].mean()), 3),
        }
    return results


def measured(root: Path, seed: int, truth: bool) -> dict[str, pd.DataFrame]:
    """Return the rows of a shop: planted stops at the end, true falls at its later snapshots."""
    params, calibration = load(root), store.read(root / "data" / "calibration.json")
    of = shop_of(calibration, params.ipt, params.sla, params.closed)
    tracked = [day_number(day) for day in calibration["tracking"]]
    random, end = np.random.default_rng(seed), day_number(calibration["data_end"])
    stops, fell = [], []
    for part in parts(root):
        stops.append(stopped(part.tables, end, of, params.categories, random))
        for day in tracked[len(tracked) // 2 :] if truth else ():
            rows = compared(part.tables, day, of, params.categories)
            fell.append(fallen(root, part, day, rows))
    return {"stopped": pd.concat(stops), **({"fell": pd.concat(fell)} if truth else {})}


def planted(seed: int) -> dict[str, pd.DataFrame]:
    """Return the rows of one seed of the demo."""
    with TemporaryDirectory() as folder:
        return measured(shop(Path(folder), {"seed": seed}), seed, truth=True)


def show(results: dict[str, Any]) -> None:
    """Print the results."""
    table = Table("", "rows", "true", "rule", "precision", "recall", "false")
    for name, one in results.items():
        for rule in ("corekeep", "naive"):
            table.add_row(
                name, str(one["rows"]), str(one["true"]), rule, *map(str, one[rule].values())
            )
    Console().print(table)


def main() -> None:
    """Measure, print, and write what was measured on the demo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="a project with data/events")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    if given.folder:
        runs = [measured(given.folder, 1, truth=False)]
    else:
        seeds = range(1, given.seeds + 1)
        runs = [planted(seed) for seed in progress(seeds, given.seeds, "simulated shops")]
    results = {name: figures(pd.concat([run[name] for run in runs])) for name in runs[0]}
    show(results)
    if not given.folder:
        store.write(RESULTS, {"seeds": given.seeds, **results})


if __name__ == "__main__":
    main()
