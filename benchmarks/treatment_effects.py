"""Effects of calls planted in the simulated shop: are they measured, and does learning pay?

    python -m benchmarks.treatment_effects          # or some of the factors: 1.0 0.2

For each of a hundred seeds and each factor by which a call lowers the chance to leave: whether the
interval of `corekeep outcomes` covers the true effect (zero, or the mean of the other shops), and
the standard deviation of the effects over the standard error that the intervals claim. Of so many
95 % intervals 91 to 99 cover it; of twenty, 19 or more only three times in four. Without an effect
`redrawn` is exact but for chance: the coverage where who is called is drawn again, a hundred times
in each shop.
And what the calls of the second half earn with the save rate learnt from the first half, compared
with the assumed one, in percent of the median value per customer listed.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t

from models.decision.control import Z
from models.decision.outcomes import effect_in, rates_for
from models.defection.profit import expected_profit, value_of
from pipeline.delivery.outcomes import learnt, trials
from pipeline.demo.life import CAUSES, SERVICE_FAILURE
from pipeline.demo.oracle import no_purchase_after, true_orders
from pipeline.engine.calendar import day_number
from pipeline.runtime.params import load
from pipeline.runtime.runner import ROOT
from pipeline.runtime.store import Folder, read, write
from pipeline.stages.simulate import simulate

SEEDS, FACTORS, HORIZON, CUSTOMERS = 100, (1.0, 0.6, 0.2), 90, 6000
RESULT = Path(__file__).parent / "results" / "treatment_effects.json"
PARAMS = load(ROOT)


def seed_of(number: int) -> int:
    """The seeds are not that of the demo."""
    return 1000 + number


def _days(times: pd.Series) -> pd.Series:
    """Days since 1970-01-01."""
    days: pd.Series = (times.dt.normalize() - pd.Timestamp(0, tz=times.dt.tz)).dt.days
    return days


def listings(seed: int, factor: float, customers: int) -> pd.DataFrame:
    """One row per customer on a list of a simulated shop: called, defected, and the true chances
    to churn with a call and without.
    """
    changes = {"seed": seed, "treatment_factor": factor, "customers": customers}
    simulated = PARAMS.simulate.model_copy(update=changes)
    made = simulate(simulated)
    tables = dict(made["shops"])
    with tempfile.TemporaryDirectory() as folder:
        for name, table in made["truth"]:
            write(Path(folder) / name, table)
        lists, orders = (tables[f"{n}.parquet"].to_pandas() for n in ("treatments", "orders"))
        truth = true_orders(Folder(Path(folder)), lists["customer_id"])
    lists["as_of_day"], orders["day"] = _days(lists["as_of"]), _days(orders["ordered_at"])
    lists = lists[lists["as_of_day"] + HORIZON <= day_number(simulated.end_date)]
    truth["day"] = truth["day"].astype("int64")
    bought = orders[["customer_id", "day"]].drop_duplicates().sort_values("day")
    rows = pd.merge_asof(lists.sort_values("as_of_day"), bought, left_on="as_of_day",
                         right_on="day", by="customer_id", direction="forward",
                         suffixes=("", "_next"))  # fmt: skip
    rows["defected"] = ~(rows["day"] - rows["as_of_day"] < HORIZON)
    rows = pd.merge_asof(rows.drop(columns="day"), truth.sort_values("day"), left_on="as_of_day",
                         right_on="day", by="customer_id", allow_exact_matches=False)  # fmt: skip
    rows = rows.dropna(subset="day").assign(resolved=np.nan, competitor_until=np.nan)
    called = (rows["contact"] == "call").to_numpy()
    hazard = rows[[f"hazard_{cause}" for cause in CAUSES]].to_numpy()
    helps = np.where(np.arange(len(CAUSES)) < SERVICE_FAILURE, 1, factor)
    without = np.where(called[:, None], hazard / helps, hazard)
    waited = (rows["as_of_day"] - rows["day"]).to_numpy(np.float64) - 1
    for name, chances in (("with_call", without * helps), ("without", without)):
        changed = rows.assign(**{f"hazard_{c}": chances[:, i] for i, c in enumerate(CAUSES)})
        rows[f"true_{name}"] = no_purchase_after(changed, waited, HORIZON, simulated)
    spent = orders["net_amount"].astype(float).groupby(orders["customer_id"]).sum() / (
        simulated.timing.days / 365
    )
    rows["value_365d"] = rows["customer_id"].map(spent)
    rows = rows.assign(
        day=rows["as_of_day"], risk=rows["true_without"], stage="core", reason="none"
    )
    return trials(rows, HORIZON)


def trial(seed: int, factor: float, customers: int = CUSTOMERS) -> dict[str, float]:
    """Measured effect with its interval, the truth, and the profits of the second half's calls."""
    rows = listings(seed, factor, customers).sort_values("as_of_day")
    effect = effect_in(rows, PARAMS.outcomes.least)
    assert effect
    truth = rows["true_with_call"] - rows["true_without"]
    half = len(rows) // 2
    rates = learnt(rows[:half], PARAMS.costs.save_rate, PARAMS.outcomes)
    later = rows[half:]
    value = value_of(later["value_365d"].to_numpy(np.float64), PARAMS.costs)
    risk = later["true_without"].to_numpy(np.float64)
    incentive, contact = (
        x * np.median(value) for x in (PARAMS.costs.incentive, PARAMS.costs.contact)
    )
    kept = later["true_with_call"].to_numpy(np.float64)
    # who stays takes the incentive, who was saved by the call is worth the value
    gain = (risk - kept) * value - (1 - kept) * incentive - contact
    save = rates_for(later, rates, PARAMS.costs.save_rate)
    profits = {
        "profit_learnt": gain[expected_profit(risk, value, PARAMS.costs, save) > 0].sum(),
        "profit_assumed": gain[expected_profit(risk, value, PARAMS.costs) > 0].sum(),
    }
    figures = {"effect": effect.effect, "low": effect.low, "high": effect.high,
               "truth": float(truth.mean()), "save_rate": rates["overall"],
               "value": float(np.median(value)), "listed": len(later)}  # fmt: skip
    figures["redrawn"] = redrawn(rows, seed) if factor == 1.0 else np.nan
    return figures | {
        name: 100 * float(total) / len(later) / float(np.median(value))
        for name, total in profits.items()
    }


def redrawn(rows: pd.DataFrame, seed: int) -> float:
    """Return how often the interval covers zero when who is called is drawn again."""
    random, least = np.random.default_rng(seed), PARAMS.outcomes.least
    called = random.random((100, len(rows))) < PARAMS.simulate.treatment_share
    outcomes = (effect_in(rows.assign(called=again), least) for again in called)
    return float(np.mean([one is not None and one.low <= 0 <= one.high for one in outcomes]))


def main() -> None:
    """Print and write one line per factor: coverage, and the gain of learning with its interval."""
    kept = {entry["factor"]: entry for entry in read(RESULT)} if RESULT.exists() else {}
    for factor in [float(word) for word in sys.argv[1:]] or FACTORS:
        runs = pd.DataFrame([trial(seed_of(n), factor) for n in range(SEEDS)])
        effects = runs["effect"]
        truth = (effects.sum() - effects) / (SEEDS - 1) if factor != 1.0 else 0.0 * effects
        claimed = ((runs["high"] - runs["low"]) / 2 / Z).mean()
        covered = (runs["low"] <= truth) & (truth <= runs["high"])
        gain = runs["profit_learnt"] - runs["profit_assumed"]
        error = t.ppf(0.975, SEEDS - 1) * gain.std() / np.sqrt(SEEDS)
        gains = (gain.mean(), gain.mean() - error, gain.mean() + error)
        kept[factor] = {
            "factor": factor,
            "seeds": SEEDS,
            "covered": int(covered.sum()),
            "covered_of_first_20": int(covered[:20].sum()),
            "redrawn": None if factor != 1.0 else round(float(runs["redrawn"].mean()), 4),
            "truth": round(float(truth.mean()), 4),
            "spread": round(float(effects.std() / claimed), 2),
            "save_rate": round(float(runs["save_rate"].mean()), 4),
            "gain": [round(float(value), 2) for value in gains],
        }
        print(json.dumps(kept[factor]), flush=True)
    write(RESULT, sorted(kept.values(), key=lambda entry: -entry["factor"]))


if __name__ == "__main__":
    main()
